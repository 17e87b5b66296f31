//! Sets of field paths, as a tree of sorted vectors.

use std::cmp::Ordering;

use super::element::{Element, FieldPath};

/// A set of paths. Membership of a path says nothing about the paths above or below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Sorted by element; an entry is a member, has children, or both.
    entries: Vec<Entry>,
}

/// What a set knows about one element of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) element: Element,
    pub(super) member: bool,
    pub(super) children: FieldSet,
}

impl Entry {
    fn is_void(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl FieldSet {
    /// The empty set.
    pub const fn new() -> FieldSet {
        FieldSet { entries: Vec::new() }
    }

    /// A set of paths through struct fields, such as `spec.replicas`.
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p str>) -> FieldSet {
        let mut set = FieldSet::new();
        for path in paths {
            set.insert(&FieldPath::of(path).0);
        }
        set
    }

    /// Whether no path is in the set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds one path; the empty path is nobody's.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = match self.position(first) {
            Ok(at) => at,
            Err(at) => {
                let entry = Entry { element: first.clone(), member: false, children: FieldSet::new() };
                self.entries.insert(at, entry);
                at
            }
        };
        if rest.is_empty() {
            self.entries[at].member = true;
        } else {
            self.entries[at].children.insert(rest);
        }
    }

    /// Whether `path` is in the set.
    pub fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.get(last).is_some_and(|entry| entry.member),
            [first, rest @ ..] => self.get(first).is_some_and(|entry| entry.children.has(rest)),
        }
    }

    /// The paths in either set.
    #[must_use]
    pub fn union(&self, other: &FieldSet) -> FieldSet {
        zip(self, other, |pair| {
            Some(match pair {
                Pair::Left(entry) | Pair::Right(entry) => entry.clone(),
                Pair::Both(left, right) => Entry {
                    element: left.element.clone(),
                    member: left.member || right.member,
                    children: left.children.union(&right.children),
                },
            })
        })
    }

    /// The paths in both sets.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        zip(self, other, |pair| match pair {
            Pair::Both(left, right) => Some(Entry {
                element: left.element.clone(),
                member: left.member && right.member,
                children: left.children.intersection(&right.children),
            }),
            _ => None,
        })
    }

    /// The paths of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        zip(self, other, |pair| match pair {
            Pair::Left(entry) => Some(entry.clone()),
            Pair::Right(_) => None,
            Pair::Both(left, right) => Some(Entry {
                element: left.element.clone(),
                member: left.member && !right.member,
                children: left.children.difference(&right.children),
            }),
        })
    }

    /// The paths of this set that are neither in `other` nor below a path in it.
    #[must_use]
    pub fn without(&self, other: &FieldSet) -> FieldSet {
        zip(self, other, |pair| match pair {
            Pair::Left(entry) => Some(entry.clone()),
            Pair::Both(left, right) if !right.member => Some(Entry {
                element: left.element.clone(),
                member: left.member,
                children: left.children.without(&right.children),
            }),
            _ => None,
        })
    }

    /// Whether every path of this set is in `other`.
    pub fn is_subset(&self, other: &FieldSet) -> bool {
        self.entries.iter().all(|entry| {
            other
                .get(&entry.element)
                .is_some_and(|found| (!entry.member || found.member) && entry.children.is_subset(&found.children))
        })
    }

    /// The paths in upstream's order: the members of a level first, then what is below them.
    pub fn paths(&self) -> Vec<FieldPath> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, paths: &mut Vec<FieldPath>) {
        for entry in self.entries.iter().filter(|entry| entry.member) {
            let steps = prefix.iter().chain([&entry.element]).cloned().collect();
            paths.push(FieldPath(steps));
        }
        for entry in &self.entries {
            prefix.push(entry.element.clone());
            entry.children.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// The entries in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn get(&self, element: &Element) -> Option<&Entry> {
        self.position(element).ok().map(|at| &self.entries[at])
    }

    /// The entry of the field `name`, found without making an [`Element`].
    pub(super) fn field(&self, name: &str) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| match &entry.element {
            Element::Field(field) => field.as_str().cmp(name),
            _ => Ordering::Greater,
        });
        found.ok().map(|at| &self.entries[at])
    }

    /// Adds an element that comes after all that are there; drops it when it says nothing.
    pub(super) fn push(&mut self, element: Element, member: bool, children: FieldSet) {
        let entry = Entry { element, member, children };
        if !entry.is_void() {
            self.entries.push(entry);
        }
    }

    /// Puts entries that were pushed in any order in order; equal ones are joined.
    pub(super) fn sort(&mut self) {
        if self.entries.is_sorted_by(|left, right| left.element < right.element) {
            return;
        }
        self.entries.sort_by(|left, right| left.element.cmp(&right.element));
        let mut joined: Vec<Entry> = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            match joined.last_mut() {
                Some(last) if last.element == entry.element => {
                    last.member |= entry.member;
                    last.children = last.children.union(&entry.children);
                }
                _ => joined.push(entry),
            }
        }
        self.entries = joined;
    }

    /// The set with every entry changed by `change`.
    pub(super) fn map(&self, mut change: impl FnMut(&Entry) -> Entry) -> FieldSet {
        FieldSet { entries: self.entries.iter().map(&mut change).filter(|entry| !entry.is_void()).collect() }
    }

    /// Changes every entry in place; those that say nothing any more go.
    pub(super) fn change(&mut self, mut change: impl FnMut(&mut Entry)) {
        self.entries.retain_mut(|entry| {
            change(entry);
            !entry.is_void()
        });
    }

    fn position(&self, element: &Element) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.element.cmp(element))
    }
}

/// One element of two sets.
enum Pair<'a> {
    Left(&'a Entry),
    Right(&'a Entry),
    Both(&'a Entry, &'a Entry),
}

/// Walks two sets side by side; entries that say nothing are dropped.
fn zip(left: &FieldSet, right: &FieldSet, mut each: impl FnMut(Pair<'_>) -> Option<Entry>) -> FieldSet {
    let (mut lefts, mut rights) = (left.entries.iter().peekable(), right.entries.iter().peekable());
    let mut entries = Vec::with_capacity(left.entries.len());
    loop {
        let order = match (lefts.peek(), rights.peek()) {
            (None, None) => return FieldSet { entries },
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.element.cmp(&right.element),
        };
        let left = if order.is_le() { lefts.next() } else { None };
        let right = if order.is_ge() { rights.next() } else { None };
        let made = match (left, right) {
            (Some(left), Some(right)) => each(Pair::Both(left, right)),
            (Some(left), None) => each(Pair::Left(left)),
            (None, Some(right)) => each(Pair::Right(right)),
            (None, None) => None,
        };
        entries.extend(made.filter(|entry| !entry.is_void()));
    }
}
