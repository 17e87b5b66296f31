//! A node with pods, a remote endpoint and a client, each a network namespace.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use netlink::Namespace;
use netlink::route::{LinkKind, Network, NewLink, Request, Route};

/// How long an answer may take before it counts as none.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1_500);

/// A network namespace that goes away with its owner.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
}

impl Host {
    fn new(role: &str) -> Self {
        std::fs::create_dir_all("/run/netns").unwrap();
        let path = PathBuf::from(format!("/run/netns/fkt-{role}-{}", env::rand::suffix(6)));
        let namespace = Namespace::create(&path).unwrap();
        namespace.routing().unwrap().apply(&[Request::LinkUp(1)]).unwrap();
        // Else no neighbour is asked for in the first second of a link's life.
        namespace.enter(|| netlink::sysctl_write("net/ipv6/conf/default/accept_dad", "0")).unwrap().unwrap();
        Self { namespace }
    }

    pub(crate) fn inside<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.namespace.enter(work).unwrap()
    }

    /// Answers each TCP connection and each datagram on `port` with `name` and the client's address.
    pub(crate) fn serve(&self, name: &'static str, port: u16) {
        let (tcp, udp) = self.inside(move || {
            let address: SocketAddr = (std::net::Ipv6Addr::UNSPECIFIED, port).into();
            (TcpListener::bind(address).unwrap(), UdpSocket::bind(address).unwrap())
        });
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let peer = stream.peer_addr().unwrap().ip().to_canonical();
                // A client that has gone away is its own business.
                _ = stream.write_all(format!("{name} {peer}").as_bytes());
            }
        });
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                _ = udp.send_to(format!("{name} {}", peer.ip().to_canonical()).as_bytes(), peer);
            }
        });
    }

    /// Who answers a connection from here to `address`, and as whom it sees us.
    pub(crate) fn ask(&self, address: SocketAddr) -> Result<(String, String), std::io::ErrorKind> {
        self.inside(|| {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| error.kind())?;
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).map_err(|error| error.kind())?;
            let (name, peer) = text.split_once(' ').unwrap();
            Ok((name.to_owned(), peer.to_owned()))
        })
    }

    pub(crate) fn ask_udp(&self, socket: &UdpSocket, address: SocketAddr) -> Result<String, std::io::ErrorKind> {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"?", address).map_err(|error| error.kind())?;
        let mut buffer = [0; 64];
        let (length, _) = socket.recv_from(&mut buffer).map_err(|error| error.kind())?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        Ok(text.split_once(' ').unwrap().0.to_owned())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = Namespace::remove(self.namespace.path()) {
            eprintln!("{error}");
        }
    }
}

/// The node's side and the other side of a cable, in both families.
const CABLES: [(&str, &str, &str, &str, &str); 4] = [
    ("client", "192.168.9.1", "192.168.9.2", "fd00:9::1", "fd00:9::2"),
    ("pod-a", "10.1.1.1", "10.1.1.2", "fd00:1:1::1", "fd00:1:1::2"),
    ("pod-b", "10.1.2.1", "10.1.2.2", "fd00:1:2::1", "fd00:1:2::2"),
    ("remote", "10.2.1.1", "10.2.1.2", "fd00:2:1::1", "fd00:2:1::2"),
];

/// A small network around one node. Pods `a` and `b` run on it, `remote` elsewhere; each serves port 8080 by its name.
pub(crate) struct Network4 {
    pub(crate) node: Host,
    pub(crate) client: Host,
    pub(crate) pod_a: Host,
    pub(crate) pod_b: Host,
    pub(crate) remote: Host,
}

pub(crate) const PORT: u16 = 8080;

pub(crate) fn address(role: &str, ipv4: bool) -> IpAddr {
    let cable = CABLES.iter().find(|cable| cable.0 == role).unwrap();
    if ipv4 { cable.2 } else { cable.4 }.parse().unwrap()
}

impl Network4 {
    pub(crate) fn new() -> Self {
        let node = Host::new("node");
        node.inside(|| {
            netlink::sysctl_write("net/ipv4/ip_forward", "1").unwrap();
            netlink::sysctl_write("net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        let [client, pod_a, pod_b, remote] = CABLES.map(|cable| cabled(&node, cable));
        pod_a.serve("a", PORT);
        pod_b.serve("b", PORT);
        remote.serve("remote", PORT);
        // The node needs a route to cluster IPs for its own packets, as a default route gives it.
        let client_link = node.namespace.routing().unwrap().link("client").unwrap().unwrap().index;
        let defaults = [true, false].map(|ipv4| default_route(client_link, address("client", ipv4)));
        node.namespace.routing().unwrap().apply(&defaults).unwrap();
        Self { node, client, pod_a, pod_b, remote }
    }
}

fn default_route(link: u32, gateway: IpAddr) -> Request {
    Request::RouteSet(Route {
        destination: Network::all(gateway.is_ipv4()),
        gateway: Some(gateway),
        link: Some(link),
        onlink: false,
        source: None,
    })
}

fn cabled(node: &Host, (role, near4, far4, near6, far6): (&str, &str, &str, &str, &str)) -> Host {
    let far = Host::new(role);
    let cable = NewLink {
        name: role.to_owned(),
        kind: LinkKind::Veth {
            peer: "eth0".to_owned(),
            peer_index: None,
            peer_mac: [2, 0, 0, 0, 0, u8::try_from(role.len()).unwrap()],
            peer_namespace: Some(far.namespace.as_fd().as_raw_fd()),
        },
        mtu: None,
        mac: None,
        master: None,
    };
    let mut near_routing = node.namespace.routing().unwrap();
    let mut far_routing = far.namespace.routing().unwrap();
    near_routing.apply(&[Request::LinkAdd(cable)]).unwrap();
    let near = near_routing.link(role).unwrap().unwrap().index;
    let end = far_routing.link("eth0").unwrap().unwrap().index;
    far_routing.apply(&[Request::LinkUp(end)]).unwrap();
    for (own, other) in [(near4, far4), (near6, far6)] {
        let prefix = if own.contains(':') { 64 } else { 24 };
        let network = |text: &str| Network { address: text.parse().unwrap(), prefix };
        near_routing.apply(&[Request::AddressAdd(near, network(own))]).unwrap();
        let default = default_route(end, own.parse().unwrap());
        far_routing.apply(&[Request::AddressAdd(end, network(other)), default]).unwrap();
    }
    far
}
