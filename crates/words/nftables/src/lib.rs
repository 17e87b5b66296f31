//! The words of nftables: tables, chains, rules, maps and their elements as plain data.
//!
//! Logic writes a list of [`Change`]s and the `netlink` engine hands them to the kernel; neither knows the other.
//! There is nothing here about sockets or message layout, and nothing about Services or pods.
//!
//! Invariants
//! - A list of changes is applied in its order and, as far as it fits one transaction, all or nothing.
//! - Keys and data are the bytes of the kernel's registers: every field begins on a four-byte border ([`Field`]).

mod expression;
mod set;

pub use expression::{Base, Comparison, CtKey, Expression, MetaKey, Refusal};
pub use set::{Bytes, Element, Field, KeyBuilder, Set, SetValue, Value};

use std::borrow::Cow;

/// A name of a table, chain or set: fixed in the code or made from a number.
pub type Name = Cow<'static, str>;

/// The packets that a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 alone.
    Ip4,
    /// IPv6 alone.
    Ip6,
    /// Both.
    Inet,
}

/// A table, named within its family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: Name,
}

/// Where in a packet's journey a base chain is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// After reception, before routing.
    Prerouting,
    /// Delivered to this host.
    Input,
    /// Forwarded through this host.
    Forward,
    /// Sent by this host.
    Output,
    /// Before transmission.
    Postrouting,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainType {
    /// Accept, drop, reject.
    Filter,
    /// Translate addresses; sees the first packet of each connection.
    Nat,
}

/// What makes a chain a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment {
    /// What the chain may do.
    pub kind: ChainType,
    /// Where it is called.
    pub hook: Hook,
    /// Lower comes first; connection tracking is at -200, destination NAT at -100, source NAT at 100.
    pub priority: i32,
}

/// A list of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: Name,
    /// Where it is called; `None` for chains that others jump to.
    pub attachment: Option<Attachment>,
}

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It passes this base chain.
    Accept,
    /// It disappears.
    Drop,
    /// The chain's caller goes on.
    Return,
    /// Another chain, then back.
    Jump(Name),
    /// Another chain, never back.
    Goto(Name),
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes the table unless it is there.
    TableAdd(Table),
    /// Removes a table with everything in it. It must exist.
    TableDelete(Table),
    /// Makes the chain unless it is there.
    ChainAdd(Table, Chain),
    /// Removes all rules of a chain.
    ChainFlush(Table, Name),
    /// Removes a chain that has no rules and that nobody refers to.
    ChainDelete(Table, Name),
    /// Appends a rule to a chain.
    RuleAdd(Table, Name, Vec<Expression>),
    /// Makes a set or map.
    SetAdd(Table, Set),
    /// Puts elements into a set. One that is there already with the same value is fine.
    ElementsAdd(Table, Name, Vec<Element>),
    /// Takes elements out of a set. Each must be there.
    ElementsDelete(Table, Name, Vec<Element>),
}

impl Change {
    /// The steps that leave `table` empty, whether or not it existed.
    pub fn reset(table: &Table) -> [Change; 3] {
        [Change::TableAdd(table.clone()), Change::TableDelete(table.clone()), Change::TableAdd(table.clone())]
    }

    /// The steps that leave no `table`, whether or not it existed.
    pub fn remove(table: &Table) -> [Change; 2] {
        [Change::TableAdd(table.clone()), Change::TableDelete(table.clone())]
    }
}

impl Table {
    /// A table with a fixed name.
    pub const fn new(family: Family, name: &'static str) -> Self {
        Self { family, name: Cow::Borrowed(name) }
    }
}

impl Chain {
    /// A chain that others jump to.
    pub fn regular(name: impl Into<Name>) -> Self {
        Self { name: name.into(), attachment: None }
    }

    /// A chain that the kernel calls.
    pub fn base(name: impl Into<Name>, kind: ChainType, hook: Hook, priority: i32) -> Self {
        Self { name: name.into(), attachment: Some(Attachment { kind, hook, priority }) }
    }
}

impl Verdict {
    /// Goes to `chain` for good.
    pub fn goto(chain: impl Into<Name>) -> Self {
        Verdict::Goto(chain.into())
    }

    /// Visits `chain`.
    pub fn jump(chain: impl Into<Name>) -> Self {
        Verdict::Jump(chain.into())
    }
}
