//! Who matches whom: counters that answer affinity, anti-affinity and spread questions without walking pods.
//!
//! - A *label set* is a distinct (namespace, labels, terminating) of pods. Whether a matcher matches is decided once per
//!   label set, not once per pod.
//! - A *matcher* is a distinct question about pods (namespaces × selector). It counts matching pods per node.
//! - A *pair* is a matcher seen through a topology key. It counts, per domain, the pods that match, and the pods that
//!   *own* such a term (their required anti-affinity, required affinity and weighted preferences).
//!
//! Adding or removing a pod touches only the counters of the matchers that match it and of the terms it owns.

use std::collections::{BTreeMap, HashMap};

use crate::ids::{ColumnIx, LabelSetIx, MatcherIx, NodeIx, PairIx, PodIx};
use crate::selector::{Labels, Selector};
use crate::snapshot::columns::Columns;

/// What makes two pods equal to every selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LabelSetKey {
    pub(crate) namespace: String,
    pub(crate) labels: Labels,
    /// Terminating pods do not count for spreading.
    pub(crate) terminating: bool,
}

#[derive(Debug)]
struct LabelSet {
    key: LabelSetKey,
    matchers: Vec<MatcherIx>,
    /// Pods on nodes, by slot and node.
    pods: BTreeMap<PodIx, NodeIx>,
    holders: usize,
}

/// One question about pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) namespaces: Vec<String>,
    pub(crate) namespace_selector: Option<Selector>,
    pub(crate) selector: Selector,
}

/// A conjunction of questions; one for most terms, several for a pod with several required affinity terms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MatcherKey {
    pub(crate) questions: Vec<Question>,
    /// Skips terminating pods.
    pub(crate) live_only: bool,
}

#[derive(Debug)]
struct Matcher {
    key: MatcherKey,
    per_node: Vec<u32>,
    pairs: Vec<PairIx>,
    holders: usize,
}

/// Counters of a matcher per domain of one topology key.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) matcher: MatcherIx,
    pub(crate) column: ColumnIx,
    /// Matching pods per domain.
    pub(crate) matched: Tally,
    /// Pods per domain that refuse to stand beside a matching pod.
    pub(crate) anti: Tally,
    /// Pods per domain that require a matching pod beside them.
    pub(crate) hard: Tally,
    /// Sum of the preferred weights (anti-affinity negative) of pods per domain.
    pub(crate) soft: Tally,
}

/// Counts by domain and how many of them there are in all.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Vec<i64>,
    contributions: i64,
}

impl Tally {
    fn add(&mut self, domain: usize, by: i64, sign: i64) {
        if domain == 0 {
            return;
        }
        if self.counts.len() <= domain {
            self.counts.resize(domain + 1, 0);
        }
        self.counts[domain] += by * sign;
        self.contributions += sign;
    }

    /// The count of a domain; domain 0 (no label) has none.
    pub(crate) fn at(&self, domain: usize) -> i64 {
        self.counts.get(domain).copied().unwrap_or(0)
    }

    /// Whether nothing was counted in any domain.
    pub(crate) fn is_empty(&self) -> bool {
        self.contributions == 0
    }
}

/// The role in which a pod owns a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Anti,
    Hard,
    Soft(i64),
}

/// All label sets, matchers and pairs.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    label_sets: Slab<LabelSet>,
    label_set_of: HashMap<LabelSetKey, LabelSetIx>,
    matchers: Slab<Matcher>,
    matcher_of: HashMap<MatcherKey, MatcherIx>,
    pairs: Slab<Pair>,
    namespaces: BTreeMap<String, Labels>,
    slots: usize,
}

// === impl Relations: reading ===

impl Relations {
    pub(crate) fn pair(&self, pair: PairIx) -> &Pair {
        self.pairs.get(pair.0)
    }

    /// Matching pods on each node slot.
    pub(crate) fn per_node(&self, matcher: MatcherIx) -> &[u32] {
        &self.matchers.get(matcher.0).per_node
    }

    /// Whether pods of `label_set` answer the matcher's question.
    pub(crate) fn matches(&self, matcher: MatcherIx, label_set: LabelSetIx) -> bool {
        self.label_sets.get(label_set.0).matchers.contains(&matcher)
    }

    /// All pairs whose matcher matches pods of `label_set`.
    pub(crate) fn pairs_matching(&self, label_set: LabelSetIx) -> impl Iterator<Item = (PairIx, &Pair)> {
        let matchers = self.label_sets.get(label_set.0).matchers.iter();
        matchers.flat_map(|matcher| &self.matchers.get(matcher.0).pairs).map(|&pair| (pair, self.pairs.get(pair.0)))
    }
}

#[cfg(test)]
impl Relations {
    /// Whether nothing is held any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.label_set_of.is_empty() && self.matcher_of.is_empty() && self.pairs.iter().next().is_none()
    }
}

// === impl Relations: interning ===

impl Relations {
    /// The label set of `key`, held once more.
    pub(crate) fn hold_label_set(&mut self, key: LabelSetKey) -> LabelSetIx {
        if let Some(&id) = self.label_set_of.get(&key) {
            self.label_sets.get_mut(id.0).holders += 1;
            return id;
        }
        let matching = self.matchers.iter().filter(|(_, matcher)| matcher.key.matches(&key, &self.namespaces));
        let matchers = matching.map(|(id, _)| MatcherIx(id)).collect();
        let set = LabelSet { key: key.clone(), matchers, pods: BTreeMap::new(), holders: 1 };
        let id = LabelSetIx(self.label_sets.insert(set));
        self.label_set_of.insert(key, id);
        id
    }

    /// Gives a label set back.
    pub(crate) fn release_label_set(&mut self, id: LabelSetIx) {
        let set = self.label_sets.get_mut(id.0);
        set.holders -= 1;
        if set.holders == 0 {
            let set = self.label_sets.remove(id.0);
            self.label_set_of.remove(&set.key);
        }
    }

    /// The matcher of `key`, held once more; counted from the pods on nodes when new.
    pub(crate) fn hold_matcher(&mut self, key: MatcherKey) -> MatcherIx {
        if let Some(&id) = self.matcher_of.get(&key) {
            self.matchers.get_mut(id.0).holders += 1;
            return id;
        }
        let mut per_node = vec![0; self.slots];
        let id = MatcherIx(self.matchers.next());
        for (_, set) in self.label_sets.iter_mut() {
            if key.matches(&set.key, &self.namespaces) {
                set.matchers.push(id);
                set.pods.values().for_each(|node| per_node[node.0] += 1);
            }
        }
        self.matchers.insert(Matcher { key: key.clone(), per_node, pairs: Vec::new(), holders: 1 });
        self.matcher_of.insert(key, id);
        id
    }

    /// Gives a matcher back; the last holder takes its pairs with it.
    pub(crate) fn release_matcher(&mut self, id: MatcherIx) {
        let matcher = self.matchers.get_mut(id.0);
        matcher.holders -= 1;
        if matcher.holders > 0 {
            return;
        }
        let matcher = self.matchers.remove(id.0);
        self.matcher_of.remove(&matcher.key);
        matcher.pairs.iter().for_each(|pair| drop(self.pairs.remove(pair.0)));
        for (_, set) in self.label_sets.iter_mut() {
            set.matchers.retain(|&other| other != id);
        }
    }

    /// The pair of a held matcher and a column.
    pub(crate) fn pair_of(&mut self, matcher: MatcherIx, column: ColumnIx, columns: &Columns) -> PairIx {
        let known = &self.matchers.get(matcher.0).pairs;
        if let Some(&pair) = known.iter().find(|pair| self.pairs.get(pair.0).column == column) {
            return pair;
        }
        let mut matched = Tally::default();
        for (node, &count) in self.matchers.get(matcher.0).per_node.iter().enumerate() {
            let domain = columns.domain(column, NodeIx(node));
            (0..count).for_each(|_| matched.add(domain, 1, 1));
        }
        let (anti, hard, soft) = Default::default();
        let id = PairIx(self.pairs.insert(Pair { matcher, column, matched, anti, hard, soft }));
        self.matchers.get_mut(matcher.0).pairs.push(id);
        id
    }

    /// Makes room for node slots.
    pub(crate) fn grow(&mut self, slots: usize) {
        self.slots = slots;
        for (_, matcher) in self.matchers.iter_mut() {
            matcher.per_node.resize(slots, 0);
        }
    }
}

// === impl Relations: counting ===

impl Relations {
    /// Counts a pod that now stands on `node`.
    pub(crate) fn pod_enters(&mut self, pod: PodIx, label_set: LabelSetIx, node: NodeIx, columns: &Columns) {
        self.label_sets.get_mut(label_set.0).pods.insert(pod, node);
        self.count_pod(label_set, node, columns, 1);
    }

    /// Takes a pod off `node`.
    pub(crate) fn pod_leaves(&mut self, pod: PodIx, label_set: LabelSetIx, node: NodeIx, columns: &Columns) {
        self.label_sets.get_mut(label_set.0).pods.remove(&pod);
        self.count_pod(label_set, node, columns, -1);
    }

    fn count_pod(&mut self, label_set: LabelSetIx, node: NodeIx, columns: &Columns, sign: i64) {
        for matcher in &self.label_sets.get(label_set.0).matchers {
            let matcher = self.matchers.get_mut(matcher.0);
            let count = &mut matcher.per_node[node.0];
            *count = count.wrapping_add_signed(if sign > 0 { 1 } else { -1 });
            for pair in &matcher.pairs {
                let pair = self.pairs.get_mut(pair.0);
                pair.matched.add(columns.domain(pair.column, node), 1, sign);
            }
        }
    }

    /// Counts (`sign` 1) or takes back (`sign` -1) a term owned by a pod on `node`.
    pub(crate) fn count_owner(&mut self, (pair, role): (PairIx, Role), node: NodeIx, columns: &Columns, sign: i64) {
        let pair = self.pairs.get_mut(pair.0);
        let domain = columns.domain(pair.column, node);
        match role {
            Role::Anti => pair.anti.add(domain, 1, sign),
            Role::Hard => pair.hard.add(domain, 1, sign),
            Role::Soft(weight) => pair.soft.add(domain, weight, sign),
        }
    }

    /// Takes a namespace's labels in (`None`: it is gone) and asks the questions that depend on them again.
    ///
    /// Returns whether any answer changed.
    pub(crate) fn namespace_changes(&mut self, name: &str, labels: Option<Labels>, columns: &Columns) -> bool {
        let before = match labels {
            Some(labels) => self.namespaces.insert(name.to_owned(), labels),
            None => self.namespaces.remove(name),
        };
        if before.as_ref() == self.namespaces.get(name) {
            return false;
        }
        let mut changed = false;
        for set in 0..self.label_sets.len() {
            let Some(key) = self.label_sets.peek(set).map(|set| set.key.clone()) else { continue };
            if key.namespace == name {
                changed |= self.ask_again(LabelSetIx(set), &key, columns);
            }
        }
        changed
    }

    fn ask_again(&mut self, set: LabelSetIx, key: &LabelSetKey, columns: &Columns) -> bool {
        let answers = self.matchers.iter().filter(|(_, matcher)| matcher.key.matches(key, &self.namespaces));
        let matchers: Vec<MatcherIx> = answers.map(|(id, _)| MatcherIx(id)).collect();
        let mut before = self.label_sets.get(set.0).matchers.clone();
        before.sort_unstable();
        if before == matchers {
            return false;
        }
        let pods: Vec<NodeIx> = self.label_sets.get(set.0).pods.values().copied().collect();
        pods.iter().for_each(|&node| self.count_pod(set, node, columns, -1));
        self.label_sets.get_mut(set.0).matchers = matchers;
        pods.iter().for_each(|&node| self.count_pod(set, node, columns, 1));
        true
    }
}

impl MatcherKey {
    /// Whether every question is answered by pods of `set`.
    pub(crate) fn matches(&self, set: &LabelSetKey, namespaces: &BTreeMap<String, Labels>) -> bool {
        if self.live_only && set.terminating {
            return false;
        }
        self.questions.iter().all(|question| question.matches(set, namespaces))
    }
}

impl Question {
    fn matches(&self, set: &LabelSetKey, namespaces: &BTreeMap<String, Labels>) -> bool {
        let by_label = || {
            let Some(selector) = &self.namespace_selector else { return false };
            namespaces.get(&set.namespace).map_or_else(|| selector.is_everything(), |labels| selector.matches(labels))
        };
        (self.namespaces.contains(&set.namespace) || by_label()) && self.selector.matches(&set.labels)
    }
}

/// Slots that are used again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// The slot that the next insertion takes.
    pub(crate) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.entries.len())
    }

    pub(crate) fn insert(&mut self, value: T) -> usize {
        match self.free.pop() {
            Some(slot) => {
                self.entries[slot] = Some(value);
                slot
            }
            None => {
                self.entries.push(Some(value));
                self.entries.len() - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) -> T {
        self.free.push(slot);
        self.entries[slot].take().expect("a slot is given back once by its holder")
    }

    pub(crate) fn get(&self, slot: usize) -> &T {
        self.entries[slot].as_ref().expect("a held slot is occupied")
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> &mut T {
        self.entries[slot].as_mut().expect("a held slot is occupied")
    }

    pub(crate) fn peek(&self, slot: usize) -> Option<&T> {
        self.entries.get(slot).and_then(Option::as_ref)
    }

    /// One more than the highest slot ever used.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.entries.iter().enumerate().filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.entries.iter_mut().enumerate().filter_map(|(slot, entry)| Some((slot, entry.as_mut()?)))
    }
}
