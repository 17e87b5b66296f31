//! Steps that the pod network's packet filter rules share.

use std::net::IpAddr;

use netlink::route::Network;
use nftables::{Base, Bytes, Comparison, CtKey, Expression, Family, KeyBuilder};

/// Which end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// The registers an address takes.
pub(crate) fn width(family: Family) -> u8 {
    if family == Family::Ip4 { 1 } else { 4 }
}

pub(crate) fn load(family: Family, end: End, register: u8) -> Expression {
    let offset = match (family, end) {
        (Family::Ip4, End::Source) => 12,
        (Family::Ip4, End::Destination) => 16,
        (_, End::Source) => 8,
        (_, End::Destination) => 24,
    };
    Expression::Payload { base: Base::Network, offset, length: u32::from(width(family)) * 4, register }
}

/// Holds for packets whose `end` is in `range`.
pub(crate) fn within(family: Family, end: End, range: Network) -> [Expression; 3] {
    let register = 0;
    let length = usize::from(width(family)) * 4;
    let bits = (0..length).map(|byte| usize::from(range.prefix).saturating_sub(byte * 8).min(8));
    let mask: Bytes = bits.map(|bits| u8::try_from(0xff00_u16 >> bits & 0xff).unwrap_or(0xff)).collect();
    let address = KeyBuilder::new().address(range.address).build();
    let network: Bytes = address.iter().zip(&mask).map(|(octet, mask)| octet & mask).collect();
    [
        load(family, end, register),
        Expression::Bitwise { source: register, target: register, mask, xor: Bytes::from_elem(0, length) },
        Expression::Compare { register, comparison: Comparison::Equal, bytes: network },
    ]
}

/// Holds for packets to this host's own addresses.
pub(crate) fn to_this_host() -> [Expression; 2] {
    let (register, local) = (0, KeyBuilder::new().number(2).build());
    [
        Expression::DestinationKind { register },
        Expression::Compare { register, comparison: Comparison::Equal, bytes: local },
    ]
}

/// Holds for packets of connections whose destination is translated.
pub(crate) fn translated() -> [Expression; 3] {
    let register = 0;
    let number = |number| KeyBuilder::new().number(number).build();
    let destination_translated = 0x20;
    [
        Expression::Ct { key: CtKey::Status, register },
        Expression::Bitwise {
            source: register,
            target: register,
            mask: number(destination_translated),
            xor: number(0),
        },
        Expression::Compare { register, comparison: Comparison::Equal, bytes: number(destination_translated) },
    ]
}

pub(crate) fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ip4 } else { Family::Ip6 }
}
