//! The node's part of the pod network: bridge, forwarding, masquerading, the runtime's configuration.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use netlink::route::{LinkKind, Network, NewLink, Request};
use netlink::{PacketFilter, Routing, sysctl_read, sysctl_write};
use nftables::{Chain, ChainType, Change, Comparison, Expression, Family, Hook, KeyBuilder, MetaKey, Table, Verdict};

use crate::config::{Config, gateway, mac};
use crate::rules::{End, family, within};
use crate::{BRIDGE, LOOPBACK, PLUGIN, hostports, peers};

const TABLES: [Table; 2] = [Table::new(Family::Ip4, "ferrokube-podnet"), Table::new(Family::Ip6, "ferrokube-podnet")];
const CONFIG_FILE: &str = "10-ferrokube.conflist";
/// The version of CNI that the oldest supported runtimes speak.
const CNI_VERSION: &str = "1.0.0";
/// In hardware addresses: the bridge's.
const BRIDGE_MAC: u8 = 0x57;

/// What the node's network is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeNetwork {
    /// This node's pod ranges, one per family.
    pub pod_ranges: Vec<Network>,
    /// What pods reach under their own address: the whole cluster's pod ranges, and other networks that route to them.
    pub unmasqueraded: Vec<Network>,
    /// The largest packet; the kernel's default when `None`.
    pub mtu: Option<u32>,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses.
    #[error("cannot set up the node's pod network")]
    Kernel(#[from] netlink::Error),
    /// A file cannot be written or removed.
    #[error("cannot write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Makes or corrects the node's part, in the network namespace of the calling thread. Running pods keep their network.
pub fn setup(network: &NodeNetwork) -> Result<(), Error> {
    forwarding()?;
    bridge(BRIDGE, &network.pod_ranges, network.mtu)?;
    PacketFilter::open()?.commit(&masquerading(network))?;
    Ok(())
}

/// Removes everything that [`setup`], [`peers`] and the plugin make in the kernel, pods' links included.
pub fn cleanup() -> Result<(), Error> {
    let mut routing = Routing::open()?;
    let links = routing.links()?;
    let bridge = links.iter().find(|link| link.name == BRIDGE).map(|link| link.index);
    let ours = links.iter().filter(|link| {
        link.name == BRIDGE || link.name == peers::OVERLAY || (bridge.is_some() && link.master == bridge)
    });
    for link in ours {
        match routing.apply(&[Request::LinkDelete(link.name.clone())]) {
            Err(error) if !error.is_absent() => return Err(error.into()),
            _ => {}
        }
    }
    let changes: Vec<Change> = TABLES.iter().flat_map(Change::remove).chain(hostports::remove_all()).collect();
    PacketFilter::open()?.commit(&changes)?;
    Ok(())
}

/// Writes the runtime's network configuration into `folder` (usually `/etc/cni/net.d`).
pub fn conflist_write(folder: &Path, network: &NodeNetwork) -> Result<PathBuf, Error> {
    let path = folder.join(CONFIG_FILE);
    let fault = |source| Error::File { path: path.clone(), source };
    let ranges = network.pod_ranges.iter().map(|range| format!("{}/{}", range.address, range.prefix));
    let plugin = Config {
        cni_version: CNI_VERSION.to_owned(),
        name: "ferrokube".to_owned(),
        kind: PLUGIN.to_owned(),
        bridge: BRIDGE.to_owned(),
        mtu: network.mtu,
        ranges: ranges.collect(),
        data_dir: crate::DATA_DIR.into(),
        capabilities: BTreeMap::from([("portMappings".to_owned(), true)]),
        runtime_config: crate::config::RuntimeConfig::default(),
        valid_attachments: None,
    };
    let list = ConfigList { cni_version: CNI_VERSION, name: "ferrokube", plugins: [plugin] };
    let text = serde_json::to_string_pretty(&list).map_err(|error| fault(error.into()))?;
    env::fs::create_dir_all(folder).map_err(fault)?;
    env::fs::write_atomic(&path, text.as_bytes(), env::fs::PUBLIC).map_err(fault)?;
    Ok(path)
}

/// Removes what [`conflist_write`] wrote.
pub fn conflist_remove(folder: &Path) -> Result<(), Error> {
    let path = folder.join(CONFIG_FILE);
    env::fs::remove_file_if_exists(&path).map_err(|source| Error::File { path, source })
}

/// Makes this executable available in `folder` (usually `/opt/cni/bin`) as the network's plugin, and as `loopback`
/// where nobody else's is there.
pub fn plugins_install(folder: &Path) -> Result<(), Error> {
    for plugin in [PLUGIN, LOOPBACK] {
        let path = folder.join(plugin);
        let install = || -> io::Result<()> {
            env::fs::create_dir_all(folder)?;
            let executable = env::process::executable()?;
            let there = env::fs::symlink_metadata(&path).is_ok();
            let ours = env::fs::read_link(&path).is_ok_and(|target| target == executable);
            if ours || (there && plugin == LOOPBACK) {
                return Ok(());
            }
            env::fs::remove_file_if_exists(&path)?;
            env::fs::symlink(executable, &path)
        };
        install().map_err(|source| Error::File { path: path.clone(), source })?;
    }
    Ok(())
}

/// Removes what [`plugins_install`] made, and nobody else's plugins.
pub fn plugins_remove(folder: &Path) -> Result<(), Error> {
    let executable = env::process::executable().ok();
    for plugin in [PLUGIN, LOOPBACK] {
        let path = folder.join(plugin);
        if executable.is_some() && env::fs::read_link(&path).ok() == executable {
            env::fs::remove_file_if_exists(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        }
    }
    Ok(())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigList {
    cni_version: &'static str,
    name: &'static str,
    plugins: [Config; 1],
}

fn forwarding() -> Result<(), netlink::Error> {
    sysctl_write("net/ipv4/ip_forward", "1")?;
    // Pods are sent nowhere else: they reach even their neighbours through the node.
    sysctl_write("net/ipv4/conf/all/send_redirects", "0")?;
    if sysctl_read("net/ipv6/conf/all/forwarding").is_err() {
        return Ok(());
    }
    // A router ignores router advertisements unless told otherwise, and the node's own route may come from one.
    for link in Routing::open()?.links()? {
        let name = format!("net/ipv6/conf/{}/accept_ra", link.name.replace('.', "/"));
        if sysctl_read(&name).is_ok_and(|value| value == "1") {
            sysctl_write(&name, "2")?;
        }
    }
    sysctl_write("net/ipv6/conf/all/forwarding", "1")
}

/// Makes the bridge unless it is there, with the node's address in each range; returns its index.
pub(crate) fn bridge(name: &str, ranges: &[Network], mtu: Option<u32>) -> Result<u32, netlink::Error> {
    let mut routing = Routing::open()?;
    let index = match routing.link(name)? {
        Some(link) => link.index,
        None => bridge_make(&mut routing, name, ranges, mtu)?,
    };
    let addresses = ranges.iter().map(|range| Network { address: gateway(*range), prefix: range.prefix });
    let mut requests: Vec<Request> = addresses.map(|address| Request::AddressAdd(index, address)).collect();
    requests.extend(mtu.map(|mtu| Request::LinkMtu(index, mtu)));
    routing.apply(&requests)?;
    Ok(index)
}

fn bridge_make(routing: &mut Routing, name: &str, ranges: &[Network], mtu: Option<u32>) -> Result<u32, netlink::Error> {
    let mac = ranges.first().map(|range| bridge_mac(*range));
    let link = NewLink { name: name.to_owned(), kind: LinkKind::Bridge, mtu, mac, master: None };
    match routing.apply(&[Request::LinkAdd(link)]) {
        // Another pod's plugin was faster.
        Err(error) if !error.is_present() => return Err(error),
        _ => {}
    }
    let index = routing.link(name)?.map(|link| link.index).unwrap_or_default();
    sysctl_write(&format!("net/ipv4/conf/{name}/send_redirects"), "0")?;
    // Host ports answer on the node's loopback as well.
    sysctl_write(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
    let duplicates = format!("net/ipv6/conf/{name}/accept_dad");
    if sysctl_read(&duplicates).is_ok() {
        sysctl_write(&duplicates, "0")?;
    }
    Ok(index)
}

/// The bridge's hardware address, which pods know without asking.
pub(crate) fn bridge_mac(range: Network) -> netlink::route::Mac {
    mac(BRIDGE_MAC, gateway(range))
}

fn masquerading(network: &NodeNetwork) -> Vec<Change> {
    let mut changes = Vec::new();
    for table in &TABLES {
        changes.extend(Change::reset(table));
        let rules = [("leaving", None), ("postrouting", Some((Hook::Postrouting, 100)))];
        for (name, attachment) in rules {
            let chain = match attachment {
                Some((hook, priority)) => Chain::base(name, ChainType::Nat, hook, priority),
                None => Chain::regular(name),
            };
            changes.push(Change::ChainAdd(table.clone(), chain));
        }
        let add = |chain: &'static str, rule| Change::RuleAdd(table.clone(), chain.into(), rule);
        changes.extend(leaving_rules(table.family, network).into_iter().map(|rule| add("leaving", rule)));
        let pods = network.pod_ranges.iter().filter(|range| family(range.address) == table.family);
        for range in pods {
            let from_pods = within(table.family, End::Source, *range);
            let rule = [&from_pods[..], &[Expression::Verdict(Verdict::jump("leaving"))]].concat();
            changes.push(add("postrouting", rule));
        }
    }
    changes
}

fn leaving_rules(of: Family, network: &NodeNetwork) -> Vec<Vec<Expression>> {
    let multicast = match of {
        Family::Ip4 => Network { address: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), prefix: 4 },
        _ => Network { address: IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), prefix: 8 },
    };
    let own = network.unmasqueraded.iter().chain(&network.pod_ranges).chain([&multicast]);
    let kept = own.filter(|range| family(range.address) == of);
    let returns =
        |range: &Network| [&within(of, End::Destination, *range)[..], &[Expression::Verdict(Verdict::Return)]].concat();
    let mut rules: Vec<_> = kept.map(returns).collect();
    let name = {
        let mut padded = [0; 16];
        padded[..BRIDGE.len()].copy_from_slice(BRIDGE.as_bytes());
        KeyBuilder::new().bytes(&padded).build()
    };
    let register = 0;
    rules.push(vec![
        Expression::Meta { key: MetaKey::OutName, register },
        Expression::Compare { register, comparison: Comparison::Different, bytes: name },
        Expression::Masquerade,
    ]);
    rules
}
