//! What the rules need to know about this node.

use std::net::IpAddr;
use std::str::FromStr;

/// An address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// Its first address.
    pub address: IpAddr,
    /// The number of leading bits its addresses share.
    pub prefix: u8,
}

/// On which of this node's addresses node ports answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// On all that the kernel calls local, except loopback.
    AllLocal,
    /// On these.
    Listed(Vec<IpAddr>),
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its name, as EndpointSlices give it.
    pub node_name: String,
    /// Its zone, from the label `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// The addresses of pods; what comes from elsewhere to a cluster IP is masqueraded, so that answers come back.
    /// Empty: nothing is masqueraded on the way to cluster IPs.
    pub pod_ranges: Vec<Range>,
    /// Where node ports answer.
    pub node_port_addresses: NodePortAddresses,
    /// Masquerade everything that goes to a cluster IP.
    pub masquerade_all: bool,
    /// The single-bit packet mark that means "masquerade me".
    pub masquerade_mark: u32,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            zone: None,
            pod_ranges: Vec::new(),
            node_port_addresses: NodePortAddresses::AllLocal,
            masquerade_all: false,
            masquerade_mark: 0x4000,
        }
    }
}

impl Range {
    /// The bits that its addresses share, as a mask in network order.
    pub(crate) fn mask(self) -> Vec<u8> {
        let bytes = if self.address.is_ipv4() { 4_u8 } else { 16 };
        let bits_in = |byte: u8| self.prefix.saturating_sub(byte * 8).min(8);
        (0..bytes).map(|byte| 0xff_u8.checked_shl(u32::from(8 - bits_in(byte))).unwrap_or(0)).collect()
    }

    /// The first and the last address.
    pub(crate) fn ends(self) -> (IpAddr, IpAddr) {
        let octets = match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mask = self.mask();
        let low: Vec<u8> = octets.iter().zip(&mask).map(|(octet, mask)| octet & mask).collect();
        let high: Vec<u8> = low.iter().zip(&mask).map(|(octet, mask)| octet | !mask).collect();
        (address_from(&low), address_from(&high))
    }
}

fn address_from(octets: &[u8]) -> IpAddr {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return IpAddr::from(octets);
    }
    IpAddr::from(<[u8; 16]>::try_from(octets).expect("an address has 4 or 16 bytes"))
}

impl FromStr for Range {
    type Err = NotARange;

    /// Reads `10.0.0.0/8`, `fd00::/64`, or a single address; bits beyond the prefix are cleared.
    fn from_str(text: &str) -> Result<Self, NotARange> {
        read_range(text.trim()).ok_or_else(|| NotARange(text.to_owned()))
    }
}

fn read_range(text: &str) -> Option<Range> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok()).filter(|prefix| *prefix <= longest)?;
    let (first, _) = Range { address, prefix }.ends();
    Some(Range { address: first, prefix })
}

/// A text that is no address range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotARange(String);

impl std::fmt::Display for NotARange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is not an address range", self.0)
    }
}

impl std::error::Error for NotARange {}
