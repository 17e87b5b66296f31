//! Ranges of IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most addresses of a range that are assigned; larger IPv6 ranges use their beginning.
const ADDRESSES_MAX: u128 = 1 << 64;

/// A network such as `10.96.0.0/12`, without its own address and, for IPv4, its broadcast address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    base: IpAddr,
    prefix_length: u8,
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(String);

impl Range {
    /// Reads `address/length`; the address is cut down to the network's.
    pub fn parse(text: &str) -> Result<Range, ParseError> {
        let invalid = || ParseError(format!("invalid CIDR address: {text}"));
        let (address, length) = text.split_once('/').ok_or_else(invalid)?;
        let address: IpAddr = address.parse().map_err(|_not_an_address| invalid())?;
        let prefix_length: u8 = length.parse().map_err(|_not_a_number| invalid())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if prefix_length > bits {
            return Err(invalid());
        }
        Ok(Range { base: network(address, prefix_length), prefix_length })
    }

    /// Whether the range is of IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.base.is_ipv6()
    }

    /// How many addresses can be assigned.
    pub fn size(&self) -> u128 {
        let bits = if self.is_ipv6() { 128 } else { 32 };
        let all = 1_u128.checked_shl(u32::from(bits - self.prefix_length)).unwrap_or(u128::MAX);
        let reserved = if self.is_ipv6() { 1 } else { 2 };
        all.saturating_sub(reserved).min(ADDRESSES_MAX)
    }

    /// The address at `offset`; 0 is the first one that can be assigned.
    pub fn at(&self, offset: u128) -> Option<IpAddr> {
        if offset >= self.size() {
            return None;
        }
        Some(match self.base {
            IpAddr::V4(base) => {
                let offset = u32::try_from(offset + 1).ok()?;
                IpAddr::V4(Ipv4Addr::from(u32::from(base).checked_add(offset)?))
            }
            IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from(u128::from(base).checked_add(offset + 1)?)),
        })
    }

    /// Whether `address` can be assigned from this range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let difference = match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => u32::from(address).checked_sub(u32::from(base)).map(u128::from),
            (IpAddr::V6(base), IpAddr::V6(address)) => u128::from(address).checked_sub(u128::from(base)),
            _ => None,
        };
        difference.is_some_and(|difference| difference >= 1 && difference <= self.size())
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_length)
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

fn network(address: IpAddr, prefix_length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}
