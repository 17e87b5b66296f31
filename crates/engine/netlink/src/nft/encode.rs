//! Changes as netlink messages.

use nftables::{Chain, ChainType, Change, Element, Family, Field, Hook, Set, SetValue, Table, Value, Verdict};

use super::{SUBSYSTEM, expression};
use crate::message::Messages;
use crate::socket::{APPEND, CREATE, REQUEST};

pub(super) const NEW_TABLE: u16 = 0;
pub(super) const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
pub(super) const GET_ELEMENTS: u16 = 13;
const DELETE_ELEMENTS: u16 = 14;
pub(super) const GET_GENERATION: u16 = 16;

/// An attribute's length has 16 bits, and a message's elements are one attribute.
const ELEMENT_BYTES_MAX: usize = 60 << 10;

const SET_INTERVAL: u32 = 0x4;
const SET_MAP: u32 = 0x8;
const SET_TIMEOUT: u32 = 0x10;
const SET_DYNAMIC: u32 = 0x20;
const SET_CONCATENATED: u32 = 0x80;

/// Turns one change into one or more messages, a message at a time.
pub(super) struct Encoder<'a> {
    change: &'a Change,
    /// How many elements are encoded; for other changes, 1 when done.
    done: usize,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(change: &'a Change) -> Self {
        Self { change, done: 0 }
    }

    /// Appends the next message; `false` when there is none.
    pub(super) fn encode(&mut self, out: &mut Messages) -> bool {
        if let Change::ElementsAdd(table, set, elements) | Change::ElementsDelete(table, set, elements) = self.change {
            let adding = matches!(self.change, Change::ElementsAdd(..));
            let rest = &elements[self.done..];
            if rest.is_empty() {
                return false;
            }
            self.done += elements_message(out, table, set, rest, adding);
            return true;
        }
        if self.done > 0 {
            return false;
        }
        self.done = 1;
        single(out, self.change);
        true
    }
}

pub(super) fn family(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Ip4 => 2,
        Family::Ip6 => 10,
    }
}

pub(super) fn message(out: &mut Messages, kind: u16, flags: u16, table: &Table, fill: impl FnOnce(&mut Messages)) {
    out.message(SUBSYSTEM << 8 | kind, REQUEST | flags, |m| {
        m.raw(&[family(table.family), 0, 0, 0]);
        fill(m);
    });
}

fn single(out: &mut Messages, change: &Change) {
    match change {
        Change::TableAdd(table) => message(out, NEW_TABLE, CREATE, table, |m| m.text(1, &table.name)),
        Change::TableDelete(table) => message(out, DELETE_TABLE, 0, table, |m| m.text(1, &table.name)),
        Change::ChainAdd(table, chain) => message(out, NEW_CHAIN, CREATE, table, |m| chain_body(m, table, chain)),
        Change::ChainFlush(table, chain) => message(out, DELETE_RULE, 0, table, |m| {
            m.text(1, &table.name);
            m.text(2, chain);
        }),
        Change::ChainDelete(table, chain) => message(out, DELETE_CHAIN, 0, table, |m| {
            m.text(1, &table.name);
            m.text(3, chain);
        }),
        Change::RuleAdd(table, chain, expressions) => message(out, NEW_RULE, CREATE | APPEND, table, |m| {
            m.text(1, &table.name);
            m.text(2, chain);
            m.nested(4, |m| {
                for expression in expressions {
                    expression::encode(m, table.family, expression);
                }
            });
        }),
        Change::SetAdd(table, set) => {
            let id = out.next_sequence();
            message(out, NEW_SET, CREATE, table, |m| set_body(m, table, set, id));
        }
        Change::ElementsAdd(..) | Change::ElementsDelete(..) => {
            unreachable!("elements are encoded by their own loop")
        }
    }
}

fn chain_body(m: &mut Messages, table: &Table, chain: &Chain) {
    m.text(1, &table.name);
    m.text(3, &chain.name);
    let Some(attachment) = chain.attachment else { return };
    let hook = match attachment.hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    };
    m.nested(4, |m| {
        m.be32(1, hook);
        m.attribute(2, &attachment.priority.to_be_bytes());
    });
    let accept = 1;
    m.be32(5, accept);
    m.text(
        7,
        match attachment.kind {
            ChainType::Filter => "filter",
            ChainType::Nat => "nat",
        },
    );
}

fn fields(fields: &[Field]) -> (u32, u32) {
    let length = match fields {
        [single] => single.length(),
        several => several.iter().map(|field| field.padded()).sum(),
    };
    let number = fields.iter().fold(0, |number, field| number << 6 | field.type_number());
    (number, length)
}

fn set_body(m: &mut Messages, table: &Table, set: &Set, id: u32) {
    m.text(1, &table.name);
    m.text(2, &set.name);
    m.be32(3, set_flags(set));
    let (number, length) = fields(&set.key);
    m.be32(4, number);
    m.be32(5, length);
    match &set.value {
        Some(SetValue::Verdict) => m.be32(6, 0xffff_ff00),
        Some(SetValue::Data(data)) => {
            let (number, length) = fields(data);
            m.be32(6, number);
            m.be32(7, length);
        }
        None => {}
    }
    m.nested(9, |m| {
        if let Some(size) = set.size_max {
            m.be32(1, size);
        }
        if set.ranges {
            m.nested(2, |m| {
                for field in &set.key {
                    m.nested(1, |m| m.be32(1, field.length()));
                }
            });
        }
    });
    m.be32(10, id);
}

fn set_flags(set: &Set) -> u32 {
    let mut flags = 0;
    if set.value.is_some() {
        flags |= SET_MAP;
    }
    if set.dynamic {
        flags |= SET_DYNAMIC | SET_TIMEOUT;
    }
    if set.ranges {
        flags |= SET_INTERVAL | SET_CONCATENATED;
    }
    flags
}

/// Appends one message with as many of `elements` as fit, and returns how many.
fn elements_message(out: &mut Messages, table: &Table, set: &str, elements: &[Element], adding: bool) -> usize {
    let mut count = 0;
    let (kind, flags) = if adding { (NEW_ELEMENTS, CREATE) } else { (DELETE_ELEMENTS, 0) };
    message(out, kind, flags, table, |m| {
        m.text(1, &table.name);
        m.text(2, set);
        m.nested(3, |m| {
            let start = m.len();
            for element in elements {
                if m.len() - start >= ELEMENT_BYTES_MAX {
                    break;
                }
                m.nested(1, |m| element_body(m, element, adding));
                count += 1;
            }
        });
    });
    count
}

fn element_body(m: &mut Messages, element: &Element, adding: bool) {
    m.nested(1, |m| m.attribute(1, &element.key));
    if let Some(end) = &element.key_end {
        m.nested(10, |m| m.attribute(1, end));
    }
    if !adding {
        return;
    }
    match &element.value {
        Some(Value::Data(bytes)) => m.nested(2, |m| m.attribute(1, bytes)),
        Some(Value::Verdict(verdict)) => m.nested(2, |m| verdict_data(m, verdict)),
        None => {}
    }
}

/// A verdict as the content of a data attribute.
pub(super) fn verdict_data(m: &mut Messages, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (0_i32, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    m.nested(2, |m| {
        m.attribute(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            m.text(2, chain);
        }
    });
}

/// What a change asks for, to follow "refused to".
pub(super) fn describe(change: &Change) -> String {
    match change {
        Change::TableAdd(table) => format!("make the table {}", table.name),
        Change::TableDelete(table) => format!("remove the table {}", table.name),
        Change::ChainAdd(table, chain) => format!("make the chain {} in table {}", chain.name, table.name),
        Change::ChainFlush(table, chain) => format!("empty the chain {chain} in table {}", table.name),
        Change::ChainDelete(table, chain) => format!("remove the chain {chain} from table {}", table.name),
        Change::RuleAdd(table, chain, _) => format!("append a rule to chain {chain} in table {}", table.name),
        Change::SetAdd(table, set) => format!("make the set {} in table {}", set.name, table.name),
        Change::ElementsAdd(table, set, elements) => {
            format!("put {} elements into set {set} in table {}", elements.len(), table.name)
        }
        Change::ElementsDelete(table, set, elements) => {
            format!("take {} elements out of set {set} in table {}", elements.len(), table.name)
        }
    }
}
