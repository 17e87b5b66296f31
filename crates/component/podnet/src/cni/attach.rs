//! The verbs: making, ending, checking attachments.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use netlink::route::{LinkKind, Mac, Network, NewLink, Request, Route};
use netlink::{Namespace, PacketFilter, Routing, sysctl_write};

use super::answer::{Code, Failure, Made};
use super::{Call, reservations};
use crate::config::{Attachment, Config, gateway, mac};
use crate::hostports::{self, Programmed};
use crate::ipam::{self, Reservations};
use crate::node;

/// In hardware addresses: a pod's.
const POD_MAC: u8 = 0x59;
/// In hardware addresses: the node's end of a pod's cable.
const CABLE_MAC: u8 = 0x5a;

/// Makes an attachment, all of it or nothing.
pub(super) fn add(call: &Call) -> Result<String, Failure> {
    let path = call.namespace.as_ref();
    let path = path.ok_or_else(|| Failure::plain(Code::Environment, "CNI_NETNS is empty".to_owned()))?;
    let namespace = Namespace::open(path)?;
    let pods = reserve(call)?;
    let made = configure(call, &namespace, &pods);
    if made.is_err()
        && let Err(failure) = delete(call)
    {
        // The runtime calls DEL after a failed ADD and gets this failure then.
        drop(failure);
    }
    Ok(made?.print(&call.config.cni_version))
}

/// Ends an attachment, whatever of it exists.
pub(super) fn delete(call: &Call) -> Result<(), Failure> {
    detach(&call.config, &call.owner)
}

/// Whether an attachment is as ADD left it.
pub(super) fn check(call: &Call) -> Result<(), Failure> {
    let missing = |what: String| Failure::plain(Code::Missing, what);
    let reserved = call.reservations()?.of(&call.owner).map_err(|error| unreserved(&error))?;
    if reserved.len() != call.ranges.len() {
        return Err(missing(format!("{} of {} addresses are reserved", reserved.len(), call.ranges.len())));
    }
    let cable = cable_name(&call.owner);
    if Routing::open()?.link(&cable)?.is_none() {
        return Err(missing(format!("the node has no link {cable}")));
    }
    let path = call.namespace.as_ref();
    let path = path.ok_or_else(|| Failure::plain(Code::Environment, "CNI_NETNS is empty".to_owned()))?;
    let mut inside = Namespace::open(path)?.routing()?;
    let interface = &call.owner.interface;
    let link = inside.link(interface)?.ok_or_else(|| missing(format!("the pod has no link {interface}")))?;
    let addresses = inside.addresses()?;
    for address in reserved {
        let has = |read: &netlink::route::AddressRead| read.link == link.index && read.network.address == address;
        if !addresses.iter().any(has) {
            return Err(missing(format!("the pod's {interface} does not have {address}")));
        }
    }
    Ok(())
}

/// Ends all attachments that the runtime does not know.
pub(super) fn collect(config: &Config) -> Result<(), Failure> {
    let valid = config
        .valid_attachments
        .as_ref()
        .ok_or_else(|| Failure::plain(Code::InvalidConfig, "cni.dev/valid-attachments is missing".to_owned()))?;
    let all = reservations(config)?.all().map_err(|error| unreserved(&error))?;
    let mut unknown: Vec<Attachment> = all.into_values().filter(|owner| !valid.contains(owner)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown.iter().try_for_each(|owner| detach(config, owner))
}

/// Whether an addition would work.
pub(super) fn status(config: &Config) -> Result<(), Failure> {
    if config.ranges.is_empty() {
        return Err(Failure::plain(Code::Unavailable, "no pod range is configured yet".to_owned()));
    }
    match Routing::open()?.link(&config.bridge)? {
        Some(link) if link.up => Ok(()),
        _ => Err(Failure::plain(Code::Unavailable, format!("the bridge {} is not up", config.bridge))),
    }
}

fn reserve(call: &Call) -> Result<Vec<(IpAddr, IpAddr)>, Failure> {
    let reservations = call.reservations()?;
    let mut pods = Vec::new();
    for range in &call.ranges {
        match reservations.reserve(*range, &call.owner) {
            Ok(address) => pods.push((address, gateway(*range))),
            Err(error) => {
                for (address, _) in pods {
                    reservations.release(address).map_err(|error| unreserved(&error))?;
                }
                return Err(unreserved(&error));
            }
        }
    }
    Ok(pods)
}

fn unreserved(error: &ipam::Error) -> Failure {
    let code = if matches!(error, ipam::Error::Exhausted(..)) { Code::TryAgain } else { Code::Io };
    Failure::new(code, "cannot reserve an address", error)
}

fn configure(call: &Call, namespace: &Namespace, pods: &[(IpAddr, IpAddr)]) -> Result<Made, Failure> {
    let config = &call.config;
    let range = call.ranges.first().expect("a call has at least one range");
    let (first, _) = pods.first().expect("each range gave an address");
    let made = Made {
        bridge: (config.bridge.clone(), node::bridge_mac(*range)),
        host: (cable_name(&call.owner), mac(CABLE_MAC, *first)),
        pod: (call.owner.interface.clone(), mac(POD_MAC, *first)),
        sandbox: namespace.path().display().to_string(),
        mtu: config.mtu,
        addresses: pods.to_vec(),
    };
    let mut routing = Routing::open()?;
    let bridge = match routing.link(&config.bridge)? {
        Some(link) => link.index,
        None => node::bridge(&config.bridge, &call.ranges, config.mtu)?,
    };
    connect(&mut routing, &made, bridge, namespace)?;
    configure_inside(&made, namespace)?;
    map_ports(call, pods)?;
    Ok(made)
}

/// The node's side: cable, bridge port, and who answers for the pod's addresses.
fn connect(routing: &mut Routing, made: &Made, bridge: u32, namespace: &Namespace) -> Result<(), Failure> {
    let cable = NewLink {
        name: made.host.0.clone(),
        kind: LinkKind::Veth {
            peer: made.pod.0.clone(),
            peer_index: None,
            peer_mac: made.pod.1,
            peer_namespace: Some(namespace.as_fd().as_raw_fd()),
        },
        mtu: made.mtu,
        mac: Some(made.host.1),
        master: Some(bridge),
    };
    routing.apply(&[Request::LinkAdd(cable)])?;
    let port = routing.link(&made.host.0)?.map(|link| link.index).unwrap_or_default();
    // With `bridge-nf-call-iptables`, which other software may switch on at any time, a Service's translation happens
    // on the bridge, and the packet goes from port to port, back to its own even: neither may be forbidden.
    let mut requests = vec![Request::BridgePort { link: port, hairpin: true, isolated: false }];
    let neighbours = made.addresses.iter().map(|(pod, _)| Request::NeighbourSet(bridge, *pod, made.pod.1));
    requests.extend(neighbours);
    Ok(routing.apply(&requests)?)
}

/// The pod's side: loopback, address, the way out.
fn configure_inside(made: &Made, namespace: &Namespace) -> Result<(), Failure> {
    let interface = made.pod.0.clone();
    let dual = made.addresses.iter().any(|(address, _)| address.is_ipv6());
    let mut routing = namespace.enter(move || -> Result<Routing, netlink::Error> {
        // The node is the only way; nobody may point the pod at another.
        sysctl_write(&format!("net/ipv4/conf/{interface}/accept_redirects"), "0")?;
        sysctl_write("net/ipv4/conf/all/accept_redirects", "0")?;
        if dual {
            sysctl_write(&format!("net/ipv6/conf/{interface}/accept_redirects"), "0")?;
            sysctl_write(&format!("net/ipv6/conf/{interface}/accept_dad"), "0")?;
        }
        Routing::open()
    })??;
    let missing = || Failure::plain(Code::Missing, format!("the pod has no link {}", made.pod.0));
    let link = routing.link(&made.pod.0)?.ok_or_else(missing)?.index;
    let loopback = 1;
    let mut requests = vec![Request::LinkUp(loopback), Request::LinkUp(link)];
    for (address, gateway) in &made.addresses {
        requests.extend(way_out(link, *address, *gateway, made.bridge.1));
    }
    Ok(routing.apply(&requests)?)
}

fn way_out(link: u32, address: IpAddr, gateway: IpAddr, bridge: Mac) -> [Request; 4] {
    let route = |destination, gateway| {
        Request::RouteSet(Route { destination, gateway, link: Some(link), onlink: false, source: None })
    };
    [
        Request::AddressAdd(link, Network::host(address)),
        route(Network::host(gateway), None),
        Request::NeighbourSet(link, gateway, bridge),
        route(Network::all(address.is_ipv4()), Some(gateway)),
    ]
}

fn map_ports(call: &Call, pods: &[(IpAddr, IpAddr)]) -> Result<(), Failure> {
    let mappings = &call.config.runtime_config.port_mappings;
    if mappings.is_empty() {
        return Ok(());
    }
    let pods: Vec<IpAddr> = pods.iter().map(|(pod, _)| *pod).collect();
    let wanted = hostports::wanted(mappings, &pods).map_err(|message| Failure::plain(Code::InvalidConfig, message))?;
    let reservations = call.reservations()?;
    let lines: Vec<String> = wanted.iter().map(Programmed::write).collect();
    let path = ports_path(&reservations, &call.owner);
    env::fs::write_atomic(&path, lines.join("\n").as_bytes(), env::fs::PUBLIC)
        .map_err(|error| Failure::new(Code::Io, "cannot record host ports", &error))?;
    hostports::add(&mut PacketFilter::open()?, &wanted).map_err(|error| {
        // What is recorded is what DEL removes: not the mapping of the pod that has the port.
        if let Err(kept) = env::fs::remove_file_if_exists(&path) {
            return Failure::new(Code::Io, "cannot forget refused host ports", &kept);
        }
        let taken = error.is_present() || error.errno() == Some(nix::errno::Errno::EBUSY as i32);
        let message = if taken { "a host port is taken by another pod" } else { "cannot map host ports" };
        Failure::new(Code::Kernel, message, &error)
    })
}

fn detach(config: &Config, owner: &Attachment) -> Result<(), Failure> {
    let mut routing = Routing::open()?;
    // The slow part, and before the lock: the kernel waits until nobody uses the link.
    absent_is_fine(routing.apply(&[Request::LinkDelete(cable_name(owner))]))?;
    let reservations = reservations(config)?;
    let path = ports_path(&reservations, owner);
    if let Ok(text) = env::fs::read_to_string(&path) {
        let mappings: Vec<Programmed> = text.lines().filter_map(Programmed::read).collect();
        hostports::remove(&mut PacketFilter::open()?, &mappings)?;
        env::fs::remove_file_if_exists(&path)
            .map_err(|error| Failure::new(Code::Io, "cannot forget host ports", &error))?;
    }
    let addresses = reservations.of(owner).map_err(|error| unreserved(&error))?;
    if let Some(bridge) = routing.link(&config.bridge)? {
        for address in &addresses {
            absent_is_fine(routing.apply(&[Request::NeighbourDelete(bridge.index, *address)]))?;
        }
    }
    for address in addresses {
        reservations.release(address).map_err(|error| unreserved(&error))?;
    }
    Ok(())
}

fn absent_is_fine(result: Result<(), netlink::Error>) -> Result<(), netlink::Error> {
    match result {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

fn ports_path(reservations: &Reservations, owner: &Attachment) -> PathBuf {
    reservations.folder().join(format!("ports-{}-{}", owner.container, owner.interface))
}

/// The node's end of a pod's cable: a name that follows from its owner, so that deletion needs no record of it.
fn cable_name(owner: &Attachment) -> String {
    // FNV-1a, 64 bits: 11 digits of base 36 leave room for a prefix in the kernel's 15 bytes.
    let bytes = owner.container.bytes().chain([b'/']).chain(owner.interface.bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let digit = |index: u32| {
        let value = u32::try_from(hash / 36_u64.pow(index) % 36).unwrap_or(0);
        char::from_digit(value, 36).unwrap_or('0')
    };
    std::iter::once('f').chain(std::iter::once('k')).chain((0..11).map(digit)).collect()
}
