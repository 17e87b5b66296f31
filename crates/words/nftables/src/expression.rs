//! What rules are made of. Registers are the kernel's sixteen of four bytes each, numbered from 0.

use crate::set::Bytes;
use crate::{Family, Name, Verdict};

/// Where a payload offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The IP header.
    Network,
    /// The TCP, UDP or SCTP header.
    Transport,
}

/// A fact about a packet besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// The packet mark.
    Mark,
    /// The transport protocol, one byte.
    Protocol,
    /// The name of the interface it came in by, 16 bytes padded with zeros.
    InName,
    /// The name of the interface it leaves by, 16 bytes padded with zeros.
    OutName,
    /// The address family, one byte (`AF_INET`, `AF_INET6` as netfilter numbers them: 2, 10).
    Family,
}

/// A fact about a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtKey {
    /// A bit set: 2 established, 4 related, 8 new.
    State,
    /// A bit set: 0x10 source-translated, 0x20 destination-translated.
    Status,
}

/// How a register is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Goes on when equal.
    Equal,
    /// Goes on when different.
    Different,
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// ICMP port unreachable of the table's family.
    PortUnreachable,
    /// A TCP reset.
    Reset,
}

/// One step of a rule; the rule ends at the first step that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Loads header bytes.
    Payload { base: Base, offset: u32, length: u32, register: u8 },
    /// Loads a fact about the packet.
    Meta { key: MetaKey, register: u8 },
    /// Stores into a fact about the packet.
    MetaSet { key: MetaKey, register: u8 },
    /// Loads a fact about the connection.
    Ct { key: CtKey, register: u8 },
    /// `target = (source & mask) ^ xor`.
    Bitwise { source: u8, target: u8, mask: Bytes, xor: Bytes },
    /// Compares a register with constant bytes.
    Compare { register: u8, comparison: Comparison, bytes: Bytes },
    /// Holds when the key, which starts at `register`, is in the set (or not in it, when `inverted`).
    Contained { set: Name, register: u8, inverted: bool },
    /// Looks the key up in a map and loads its data; does not hold when the key is absent.
    Lookup { set: Name, register: u8, target: u8 },
    /// Looks the key up in a map of verdicts and follows it; does not hold when the key is absent.
    Dispatch { set: Name, register: u8 },
    /// Loads constant bytes.
    Immediate { register: u8, bytes: Bytes },
    /// Ends with a verdict.
    Verdict(Verdict),
    /// Loads `offset` plus a random number below `modulus`, in host byte order.
    Random { register: u8, modulus: u32, offset: u32 },
    /// Loads the kind of the destination address (2: this host's own), in host byte order.
    DestinationKind { register: u8 },
    /// Loads the kind of the source address (2: this host's own), in host byte order.
    SourceKind { register: u8 },
    /// Puts the key, and the data of maps, into a dynamic set. Of a key that is there only the timeout is renewed.
    Remember { set: Name, key: u8, data: Option<u8>, timeout_ms: u64 },
    /// Takes the key out of a dynamic set if it is there; `data` is any register fit for the data of maps.
    Forget { set: Name, key: u8, data: Option<u8> },
    /// Translates the destination to the address and port in registers.
    Dnat { family: Family, address: u8, port: Option<u8> },
    /// Translates the source to the address of the interface the packet leaves by, with a random port.
    Masquerade,
    /// Refuses the packet.
    Reject(Refusal),
    /// Counts packets and bytes.
    Counter,
}
