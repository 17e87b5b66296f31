//! Sets and maps, and the bytes of their elements.

use std::net::IpAddr;

use smallvec::SmallVec;

use crate::{Name, Verdict};

/// The bytes of a key or of data, as the registers hold them.
pub type Bytes = SmallVec<[u8; 24]>;

/// A field of a key or of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// An IPv4 address.
    Address4,
    /// An IPv6 address.
    Address6,
    /// A transport protocol, one byte.
    Protocol,
    /// A port, two bytes in network order.
    Port,
    /// A number, four bytes in host order.
    Number,
}

impl Field {
    /// The bytes that carry meaning.
    pub const fn length(self) -> u32 {
        match self {
            Field::Address4 | Field::Number => 4,
            Field::Address6 => 16,
            Field::Protocol => 1,
            Field::Port => 2,
        }
    }

    /// The bytes it takes in registers.
    pub const fn padded(self) -> u32 {
        self.length().div_ceil(4) * 4
    }

    /// The number by which the `nft` program knows the type; the kernel only stores it.
    pub const fn type_number(self) -> u32 {
        match self {
            Field::Address4 => 7,
            Field::Address6 => 8,
            Field::Protocol => 12,
            Field::Port => 13,
            Field::Number => 19,
        }
    }

    /// The address field of an address.
    pub const fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Field::Address4,
            IpAddr::V6(_) => Field::Address6,
        }
    }
}

/// What a map gives for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetValue {
    /// Bytes for a register.
    Data(Vec<Field>),
    /// Where to go.
    Verdict,
}

/// A set, or a map when it has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: Name,
    /// The fields of the key.
    pub key: Vec<Field>,
    /// What a map gives.
    pub value: Option<SetValue>,
    /// Rules put elements into it, and each expires; at most `size_max` of them.
    pub dynamic: bool,
    /// Elements are ranges in every field ([`Element::key_end`]).
    pub ranges: bool,
    /// The number of elements it may hold; `None` leaves it to memory.
    pub size_max: Option<u32>,
}

impl Set {
    /// A set of keys.
    pub fn keys(name: &'static str, key: &[Field]) -> Self {
        let name = Name::Borrowed(name);
        Self { name, key: key.to_vec(), value: None, dynamic: false, ranges: false, size_max: None }
    }

    /// A map from keys to verdicts.
    pub fn verdicts(name: &'static str, key: &[Field]) -> Self {
        Self { value: Some(SetValue::Verdict), ..Self::keys(name, key) }
    }

    /// A map from keys to data.
    pub fn map(name: &'static str, key: &[Field], data: &[Field]) -> Self {
        Self { value: Some(SetValue::Data(data.to_vec())), ..Self::keys(name, key) }
    }
}

/// What an element of a map holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Bytes for a register.
    Data(Bytes),
    /// Where to go.
    Verdict(Verdict),
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Its key; the low end of a range.
    pub key: Bytes,
    /// The high end of a range, inclusive in every field.
    pub key_end: Option<Bytes>,
    /// What a map holds for the key.
    pub value: Option<Value>,
}

impl Element {
    /// An element of a set.
    pub fn key(key: Bytes) -> Self {
        Self { key, key_end: None, value: None }
    }

    /// An element of a map of data.
    pub fn data(key: Bytes, data: Bytes) -> Self {
        Self { key, key_end: None, value: Some(Value::Data(data)) }
    }

    /// An element of a map of verdicts.
    pub fn verdict(key: Bytes, verdict: Verdict) -> Self {
        Self { key, key_end: None, value: Some(Value::Verdict(verdict)) }
    }
}

/// Lays fields out as the registers hold them.
#[derive(Debug, Default, Clone)]
pub struct KeyBuilder(Bytes);

impl KeyBuilder {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an address.
    pub fn address(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.0.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => self.0.extend_from_slice(&address.octets()),
        }
        self
    }

    /// Appends a transport protocol.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.0.extend_from_slice(&[protocol, 0, 0, 0]);
        self
    }

    /// Appends a port.
    pub fn port(mut self, port: u16) -> Self {
        let [high, low] = port.to_be_bytes();
        self.0.extend_from_slice(&[high, low, 0, 0]);
        self
    }

    /// Appends a number.
    pub fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_ne_bytes());
        self
    }

    /// Appends what was laid out before.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The bytes.
    pub fn build(self) -> Bytes {
        self.0
    }
}
