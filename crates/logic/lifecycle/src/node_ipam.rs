//! Pod address ranges for nodes, cut from the cluster's ranges.
//!
//! The nodes themselves are the record: whatever stands in `spec.podCIDRs` is taken, so an allocator made from scratch agrees
//! with the one before it. One planner, one queue worker: two nodes never compete.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plan::{Action, Plan, Say, meta};
use typed::api::core::v1::Node;

/// The most ranges one cluster range is cut into (2^16, as upstream).
const RANGES_BITS_MAX: u8 = 16;

/// A cluster range that is cut into node ranges.
#[derive(Debug)]
struct Pool {
    base: u128,
    is_v4: bool,
    /// Prefix length of a node's range.
    node_prefix: u8,
    taken: Vec<bool>,
    /// Where to look first: ranges just given back rest for a while.
    next: usize,
}

/// All cluster ranges, one or two.
#[derive(Debug)]
pub struct Allocator {
    pools: Vec<Pool>,
}

/// A cluster range that cannot be cut as wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRange(pub String);

impl Allocator {
    /// An allocator over cluster ranges like `10.244.0.0/16`, each with the prefix length of node ranges (24, or 64 for IPv6).
    ///
    /// # Errors
    /// A text that is no range, or node ranges that are larger than the cluster's or more than 65,536.
    pub fn new(cluster: &[(&str, u8)]) -> Result<Self, BadRange> {
        let pools =
            cluster.iter().map(|(text, node_prefix)| Pool::new(text, *node_prefix)).collect::<Result<_, _>>()?;
        Ok(Self { pools })
    }

    /// Marks the ranges of a node as taken.
    pub fn observe(&mut self, node: &Node) {
        self.mark(node, true);
    }

    /// Gives back the ranges of a node that is gone.
    pub fn forget(&mut self, node: &Node) {
        self.mark(node, false);
    }

    /// Takes back the ranges of a planned node that was not written. Nobody has used them, so they are the next again.
    pub fn retract(&mut self, node: &Node) {
        self.mark(node, false);
        for (pool, index) in places(&mut self.pools, node) {
            if pool.next == (index + 1) % pool.taken.len() {
                pool.next = index;
            }
        }
    }

    fn mark(&mut self, node: &Node, taken: bool) {
        for (pool, index) in places(&mut self.pools, node) {
            pool.taken[index] = taken;
        }
    }

    /// Gives a node without ranges one of each pool. The ranges count as taken from now on; if the write is refused, the caller
    /// gives them back with [`Allocator::retract`] of the planned node.
    pub fn plan(&mut self, node: &Node) -> Plan {
        let mut plan = Plan::default();
        if !ranges_of(node).is_empty() || meta::is_deleting(&node.metadata) {
            return plan;
        }
        let free: Option<Vec<usize>> = self.pools.iter().map(Pool::free).collect();
        let Some(free) = free else {
            let words = format!("Node {} status is now: CIDRNotAvailable", meta::name(&node.metadata));
            plan.say(node, Say::normal("CIDRNotAvailable", words));
            return plan;
        };
        let ranges: Vec<String> = self.pools.iter_mut().zip(free).map(|(pool, index)| pool.take(index)).collect();
        let mut placed = node.clone();
        let spec = placed.spec.get_or_insert_default();
        spec.pod_cidr = ranges.first().cloned();
        spec.pod_cidrs = Some(ranges);
        plan.then_do(Action::update(placed));
        plan
    }
}

/// The pools that a node's ranges are of, and which of theirs they are.
fn places<'a>(pools: &'a mut [Pool], node: &Node) -> impl Iterator<Item = (&'a mut Pool, usize)> {
    let ranges = ranges_of(node);
    pools.iter_mut().filter_map(move |pool| {
        let index = ranges.iter().find_map(|range| pool.index(range))?;
        Some((pool, index))
    })
}

fn ranges_of(node: &Node) -> Vec<String> {
    let Some(spec) = &node.spec else { return Vec::new() };
    let all = spec.pod_cidrs.clone().unwrap_or_default();
    if all.is_empty() { spec.pod_cidr.iter().filter(|one| !one.is_empty()).cloned().collect() } else { all }
}

fn parse(text: &str) -> Option<(u128, bool, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(v4) if prefix <= 32 => Some((u128::from(u32::from(v4)), true, prefix)),
        IpAddr::V6(v6) if prefix <= 128 => Some((u128::from(v6), false, prefix)),
        _ => None,
    }
}

impl Pool {
    fn new(text: &str, node_prefix: u8) -> Result<Self, BadRange> {
        let (base, is_v4, prefix) = parse(text).ok_or_else(|| BadRange(format!("{text} is no address range")))?;
        let width = if is_v4 { 32 } else { 128 };
        if node_prefix < prefix || node_prefix > width || node_prefix - prefix > RANGES_BITS_MAX {
            return Err(BadRange(format!("{text} cannot be cut into ranges of /{node_prefix}")));
        }
        let taken = vec![false; 1 << (node_prefix - prefix)];
        Ok(Self { base, is_v4, node_prefix, taken, next: 0 })
    }

    fn shift(&self) -> u8 {
        (if self.is_v4 { 32 } else { 128 }) - self.node_prefix
    }

    fn index(&self, text: &str) -> Option<usize> {
        let (base, is_v4, _) = parse(text).filter(|(base, is_v4, _)| *is_v4 == self.is_v4 && *base >= self.base)?;
        let index = usize::try_from((base - self.base).checked_shr(self.shift().into())?).ok()?;
        (is_v4 == self.is_v4 && index < self.taken.len()).then_some(index)
    }

    fn free(&self) -> Option<usize> {
        let count = self.taken.len();
        (0..count).map(|offset| (self.next + offset) % count).find(|index| !self.taken[*index])
    }

    fn take(&mut self, index: usize) -> String {
        self.taken[index] = true;
        self.next = (index + 1) % self.taken.len();
        let base = self.base + ((index as u128) << self.shift());
        let address = match u32::try_from(base) {
            Ok(v4) if self.is_v4 => IpAddr::V4(Ipv4Addr::from(v4)),
            _ => IpAddr::V6(Ipv6Addr::from(base)),
        };
        format!("{address}/{}", self.node_prefix)
    }
}

#[cfg(test)]
mod tests;
