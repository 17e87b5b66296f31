//! Rule expressions as netlink attributes.

use nftables::{Base, Comparison, CtKey, Expression, Family, MetaKey, Refusal};

use super::encode::{family, verdict_data};
use crate::message::Messages;

/// The register of verdicts.
const VERDICT: u32 = 0;
/// The first of the sixteen four-byte registers.
const FIRST: u32 = 8;

fn register(index: u8) -> u32 {
    FIRST + u32::from(index)
}

/// Appends one expression to the open list of a rule.
pub(super) fn encode(m: &mut Messages, table: Family, expression: &Expression) {
    m.nested(1, |m| {
        m.text(1, name(expression));
        m.nested(2, |m| body(m, table, expression));
    });
}

fn name(expression: &Expression) -> &'static str {
    match expression {
        Expression::Payload { .. } => "payload",
        Expression::Meta { .. } | Expression::MetaSet { .. } => "meta",
        Expression::Ct { .. } => "ct",
        Expression::Bitwise { .. } => "bitwise",
        Expression::Compare { .. } => "cmp",
        Expression::Contained { .. } | Expression::Lookup { .. } | Expression::Dispatch { .. } => "lookup",
        Expression::Immediate { .. } | Expression::Verdict(_) => "immediate",
        Expression::Random { .. } => "numgen",
        Expression::DestinationKind { .. } | Expression::SourceKind { .. } => "fib",
        Expression::Remember { .. } | Expression::Forget { .. } => "dynset",
        Expression::Dnat { .. } => "nat",
        Expression::Masquerade => "masq",
        Expression::Reject(_) => "reject",
        Expression::Counter => "counter",
    }
}

fn body(m: &mut Messages, table: Family, expression: &Expression) {
    match expression {
        Expression::Payload { base, offset, length, register: target } => {
            m.be32(1, register(*target));
            m.be32(
                2,
                match base {
                    Base::Network => 1,
                    Base::Transport => 2,
                },
            );
            m.be32(3, *offset);
            m.be32(4, *length);
        }
        Expression::Meta { key, register: target } => {
            m.be32(1, register(*target));
            m.be32(2, meta(*key));
        }
        Expression::MetaSet { key, register: source } => {
            m.be32(2, meta(*key));
            m.be32(3, register(*source));
        }
        Expression::Ct { key, register: target } => {
            m.be32(1, register(*target));
            m.be32(
                2,
                match key {
                    CtKey::State => 0,
                    CtKey::Status => 2,
                },
            );
        }
        Expression::Bitwise { source, target, mask, xor } => {
            m.be32(1, register(*source));
            m.be32(2, register(*target));
            m.be32(3, u32::try_from(mask.len()).expect("a mask has at most 64 bytes"));
            m.nested(4, |m| m.attribute(1, mask));
            m.nested(5, |m| m.attribute(1, xor));
        }
        Expression::Compare { register: source, comparison, bytes } => {
            m.be32(1, register(*source));
            m.be32(
                2,
                match comparison {
                    Comparison::Equal => 0,
                    Comparison::Different => 1,
                },
            );
            m.nested(3, |m| m.attribute(1, bytes));
        }
        Expression::Immediate { register: target, bytes } => {
            m.be32(1, register(*target));
            m.nested(2, |m| m.attribute(1, bytes));
        }
        Expression::Verdict(verdict) => {
            m.be32(1, VERDICT);
            m.nested(2, |m| verdict_data(m, verdict));
        }
        Expression::Random { register: target, modulus, offset } => {
            let random = 1;
            m.be32(1, register(*target));
            m.be32(2, *modulus);
            m.be32(3, random);
            m.be32(4, *offset);
        }
        Expression::DestinationKind { register: target } => fib(m, *target, 2),
        Expression::SourceKind { register: target } => fib(m, *target, 1),
        other => stateful(m, table, other),
    }
}

/// Set lookups, and what changes packets.
fn stateful(m: &mut Messages, table: Family, expression: &Expression) {
    match expression {
        Expression::Contained { set, register: key, inverted } => {
            m.text(1, set);
            m.be32(2, register(*key));
            if *inverted {
                m.be32(5, 1);
            }
        }
        Expression::Lookup { set, register: key, target } => {
            m.text(1, set);
            m.be32(2, register(*key));
            m.be32(3, register(*target));
        }
        Expression::Dispatch { set, register: key } => {
            m.text(1, set);
            m.be32(2, register(*key));
            m.be32(3, VERDICT);
        }
        Expression::Remember { set, key, data, timeout_ms } => {
            let update = 1;
            dynamic(m, set, update, *key, *data);
            m.be64(6, *timeout_ms);
        }
        Expression::Forget { set, key, data } => {
            let delete = 2;
            dynamic(m, set, delete, *key, *data);
        }
        Expression::Dnat { family: to, address, port } => dnat(m, *to, *address, *port),
        Expression::Masquerade => {
            let fully_random_port = 0x10;
            m.be32(1, fully_random_port);
        }
        Expression::Reject(refusal) => reject(m, table, *refusal),
        _ => {}
    }
}

fn dynamic(m: &mut Messages, set: &str, operation: u32, key: u8, data: Option<u8>) {
    m.text(1, set);
    m.be32(3, operation);
    m.be32(4, register(key));
    if let Some(data) = data {
        m.be32(5, register(data));
    }
}

fn dnat(m: &mut Messages, to: Family, address: u8, port: Option<u8>) {
    let destination = 1;
    m.be32(1, destination);
    m.be32(2, u32::from(family(to)));
    m.be32(3, register(address));
    if let Some(port) = port {
        m.be32(5, register(port));
    }
}

fn reject(m: &mut Messages, table: Family, refusal: Refusal) {
    let (unreachable, reset, either_family) = (0, 1, 2);
    match (refusal, table) {
        (Refusal::Reset, _) => {
            m.be32(1, reset);
            m.byte(2, 0);
        }
        // The code for an unreachable port: 3 in ICMP, 4 in ICMPv6, 1 in the kernel's own numbering for both.
        (Refusal::PortUnreachable, Family::Ip4) => {
            m.be32(1, unreachable);
            m.byte(2, 3);
        }
        (Refusal::PortUnreachable, Family::Ip6) => {
            m.be32(1, unreachable);
            m.byte(2, 4);
        }
        (Refusal::PortUnreachable, Family::Inet) => {
            m.be32(1, either_family);
            m.byte(2, 1);
        }
    }
}

fn fib(m: &mut Messages, target: u8, address: u32) {
    let kind_of_address = 3;
    m.be32(1, register(target));
    m.be32(2, kind_of_address);
    m.be32(3, address);
}

fn meta(key: MetaKey) -> u32 {
    match key {
        MetaKey::Mark => 3,
        MetaKey::InName => 6,
        MetaKey::OutName => 7,
        MetaKey::Family => 15,
        MetaKey::Protocol => 16,
    }
}
