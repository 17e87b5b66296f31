//! A node whose pods are network namespaces.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use netlink::Namespace;
use netlink::route::{Network, Request};
use podnet::cni::{Environment, Outcome, run};
use podnet::config::range;
use podnet::node::NodeNetwork;

const PATIENCE: Duration = Duration::from_millis(1_500);

/// A network namespace that goes away with its owner.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
}

impl Host {
    pub(crate) fn new(role: &str) -> Self {
        std::fs::create_dir_all("/run/netns").unwrap();
        let path = PathBuf::from(format!("/run/netns/fkt-{role}-{}", env::rand::suffix(6)));
        Self { namespace: Namespace::create(&path).unwrap() }
    }

    pub(crate) fn inside<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.namespace.enter(work).unwrap()
    }

    /// Answers each connection on `port` with `name` and the client's address.
    pub(crate) fn serve(&self, name: &'static str, port: u16) {
        let listener = self.inside(move || TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port)).unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let peer = stream.peer_addr().unwrap().ip().to_canonical();
                // A client that has gone away is its own business.
                _ = stream.write_all(format!("{name} {peer}").as_bytes());
            }
        });
    }

    /// Who answers a connection from here, and as whom it sees us.
    pub(crate) fn ask(&self, address: SocketAddr) -> Result<String, std::io::ErrorKind> {
        self.inside(|| {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| error.kind())?;
            let mut text = String::new();
            stream.read_to_string(&mut text).map_err(|error| error.kind())?;
            Ok(text)
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = Namespace::remove(self.namespace.path()) {
            eprintln!("{error}");
        }
    }
}

pub(crate) const RANGES: [&str; 2] = ["10.244.7.0/24", "fd00:244:7::/64"];

pub(crate) fn node_network() -> NodeNetwork {
    let ranges = |texts: &[&str]| texts.iter().map(|text| range(text).unwrap()).collect::<Vec<Network>>();
    NodeNetwork { pod_ranges: ranges(&RANGES), unmasqueraded: ranges(&["10.244.0.0/16", "fd00:244::/32"]), mtu: None }
}

/// A node with the plugin's folder.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) folder: tempfile::TempDir,
}

impl Node {
    pub(crate) fn new() -> Self {
        let host = Host::new("node");
        host.namespace.routing().unwrap().apply(&[Request::LinkUp(1)]).unwrap();
        host.inside(|| podnet::node::setup(&node_network())).unwrap();
        Self { host, folder: tempfile::tempdir().unwrap() }
    }

    /// The configuration, with more members spliced in.
    pub(crate) fn config(&self, more: &str) -> String {
        let [four, six] = RANGES;
        let folder = self.folder.path().display();
        format!(
            r#"{{"cniVersion":"1.0.0","name":"net","type":"ferrokube-cni","ranges":["{four}","{six}"],"dataDir":"{folder}"{more}}}"#
        )
    }

    pub(crate) fn call(&self, command: &str, container: &str, namespace: Option<&Host>, more: &str) -> Outcome {
        let environment = Environment {
            command: command.to_owned(),
            container: container.to_owned(),
            namespace: namespace.map(|host| host.namespace.path().display().to_string()).unwrap_or_default(),
            interface: "eth0".to_owned(),
        };
        let config = self.config(more);
        self.host.inside(move || run(&config, &environment))
    }

    /// Adds a pod and returns it with its addresses.
    pub(crate) fn pod(&self, name: &str, more: &str) -> (Host, [std::net::IpAddr; 2]) {
        let pod = Host::new("pod");
        let outcome = self.call("ADD", name, Some(&pod), more);
        assert_eq!(outcome.code, 0, "{}", outcome.text);
        let result: serde_json::Value = serde_json::from_str(&outcome.text).unwrap();
        let address = |index: usize| {
            let text = result["ips"][index]["address"].as_str().unwrap();
            text.split_once('/').unwrap().0.parse().unwrap()
        };
        (pod, [address(0), address(1)])
    }

    /// What is on disk and in the kernel on behalf of pods.
    pub(crate) fn traces(&self) -> BTreeMap<String, usize> {
        let files = std::fs::read_dir(self.folder.path().join("net")).into_iter().flatten();
        let files = files.filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("last-"));
        let links = self.host.namespace.routing().unwrap().links().unwrap();
        let cables = links.iter().filter(|link| link.master.is_some()).count();
        BTreeMap::from([("files".to_owned(), files.count()), ("cables".to_owned(), cables)])
    }
}
