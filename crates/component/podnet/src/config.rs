//! The plugin's network configuration: what the runtime hands over on standard input.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use netlink::route::{Mac, Network};
use serde::{Deserialize, Serialize};

/// A network configuration of one plugin, CNI 1.1.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The version of the specification that the answer is to follow.
    #[serde(default = "version_default")]
    pub cni_version: String,
    /// The network's name.
    #[serde(default)]
    pub name: String,
    /// The plugin's executable.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The bridge.
    #[serde(default = "bridge_default")]
    pub bridge: String,
    /// The largest packet; the kernel's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// This node's pod ranges, one per family.
    #[serde(default)]
    pub ranges: Vec<String>,
    /// Where reservations are kept.
    #[serde(default = "data_dir_default")]
    pub data_dir: PathBuf,
    /// What the runtime may pass in `runtimeConfig`.
    #[serde(default)]
    pub capabilities: BTreeMap<String, bool>,
    /// What it passes.
    #[serde(default, skip_serializing)]
    pub runtime_config: RuntimeConfig,
    /// For GC: the attachments that are in use.
    #[serde(default, rename = "cni.dev/valid-attachments", skip_serializing)]
    pub valid_attachments: Option<Vec<Attachment>>,
}

/// What the runtime passes for the capabilities we declare.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeConfig {
    /// The pod's host ports.
    #[serde(default)]
    pub port_mappings: Vec<PortMapping>,
}

/// A port of the node that leads to a port of the pod. containerd spells the members as Go does when nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The node's port.
    #[serde(default, alias = "HostPort")]
    pub host_port: u16,
    /// The pod's port.
    #[serde(alias = "ContainerPort")]
    pub container_port: u16,
    /// tcp, udp or sctp, in any case.
    #[serde(default, alias = "Protocol")]
    pub protocol: String,
    /// The node's address; all when empty.
    #[serde(default, rename = "hostIP", alias = "HostIP")]
    pub host_ip: String,
}

/// An interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Attachment {
    /// The container.
    #[serde(rename = "containerID")]
    pub container: String,
    /// The interface's name inside.
    #[serde(rename = "ifname")]
    pub interface: String,
}

fn version_default() -> String {
    "0.1.0".to_owned()
}

fn bridge_default() -> String {
    crate::BRIDGE.to_owned()
}

fn data_dir_default() -> PathBuf {
    PathBuf::from(crate::DATA_DIR)
}

/// Reads `10.244.1.0/24`.
pub fn range(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
    // A range has room for its own address, the gateway and a pod.
    let longest = if address.is_ipv4() { 30 } else { 126 };
    (prefix <= longest).then(|| Network { address: nth(Network { address, prefix }, 0), prefix })
}

/// The address that is `index` after the first of a range.
pub fn nth(range: Network, index: u64) -> IpAddr {
    match range.address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - range.prefix)).unwrap_or(0);
            let index = u32::try_from(index).unwrap_or(u32::MAX) & !mask;
            IpAddr::V4(Ipv4Addr::from((u32::from(address) & mask) | index))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(128 - range.prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from((u128::from(address) & mask) | (u128::from(index) & !mask)))
        }
    }
}

/// The node's own address in a range: its first after the range's.
pub fn gateway(range: Network) -> IpAddr {
    nth(range, 1)
}

/// A hardware address that follows from an address, so that everybody can know it without asking.
pub fn mac(kind: u8, address: IpAddr) -> Mac {
    let tail = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    let [a, b, c, d] = tail;
    // The second lowest bit of the first byte says: administered locally.
    [0x0a, kind, a, b, c, d]
}
