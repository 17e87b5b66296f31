//! Values made from values: an applied configuration laid over a live object, and fields taken out of one.

use object::{Map, MapBuilder, Text, Value};

use super::diff::is_hollow;
use super::element::Element;
use super::set::FieldSet;
use super::topology::{Node, Topology};

impl<'s> Topology<'s> {
    /// `config` laid over `live`: nothing is removed, what both say is as `config` says, items stand in the order of
    /// `config` with the others kept near their old neighbours.
    pub(super) fn merged(self, node: Node<'s>, live: &Value, config: &Value) -> Value {
        match (node, live, config) {
            (Node::Scalar(_) | Node::Atomic(_), ..) => config.clone(),
            _ if is_hollow(live) && is_hollow(config) => config.clone(),
            (Node::Struct(_) | Node::Map(_) | Node::Deduced, Value::Map(live), Value::Map(config)) => {
                self.merged_maps(node, live, config)
            }
            (Node::Keyed { .. } | Node::Set(_), Value::List(live), Value::List(config)) => {
                Value::List(self.merged_lists(node, live, config))
            }
            // An explicit null does not take a struct, map or list away that is owned part by part.
            (Node::Struct(_) | Node::Map(_) | Node::Deduced, Value::Map(_), Value::Null)
            | (Node::Keyed { .. } | Node::Set(_), Value::List(_), Value::Null) => live.clone(),
            _ => config.clone(),
        }
    }

    fn merged_maps(self, node: Node<'s>, live: &Map, config: &Map) -> Value {
        let mut members = MapBuilder::with_capacity(live.len().max(config.len()));
        let mut configs = config.iter().peekable();
        for (key, value) in live.iter() {
            while let Some((other, added)) = configs.next_if(|(other, _)| *other < key) {
                members.push(Text::from(other), added.clone());
            }
            let merged = match configs.next_if(|(other, _)| *other == key) {
                Some((_, config)) => self.merged(self.member_or_deduced(node, key).0, value, config),
                None => value.clone(),
            };
            members.push(Text::from(key), merged);
        }
        for (key, added) in configs {
            members.push(Text::from(key), added.clone());
        }
        Value::Map(members.finish().0)
    }

    fn merged_lists(self, node: Node<'s>, live: &[Value], config: &[Value]) -> Vec<Value> {
        let below = self.item(node);
        let (lives, configs) = (self.elements(node, live), self.elements(node, config));
        let (by_live, by_config) = (Index::of(&lives), Index::of(&configs));
        // Live items that are there twice are not merged: the configured item stands for them all.
        let make = |element: &Element, item: &Value| match by_live.only(element) {
            Some(at) => self.merged(below, lives[at].1, item),
            None => item.clone(),
        };
        // The items that both have, in the order of the configuration.
        let mut shared = configs.iter().map(|(element, _)| element).filter(|element| by_live.has(element)).peekable();
        let mut placed: Vec<bool> = vec![false; configs.len()];
        let mut out = Vec::with_capacity(lives.len().max(configs.len()));
        let (mut l, mut c) = (0, 0);
        while l < lives.len() || c < configs.len() {
            if let (Some((live, _)), Some((config, item))) = (lives.get(l), configs.get(c)) {
                if live == config {
                    out.push(make(config, item));
                    placed[c] = true;
                    (l, c) = (l + 1, c + 1);
                    shared.next();
                    continue;
                }
                if by_config.has(live) && shared.peek().is_some_and(|next| *next != live) {
                    // A shared item whose turn is later.
                    l += 1;
                    continue;
                }
            }
            if let Some((live, item)) = lives.get(l) {
                match by_config.first(live) {
                    None => {
                        out.push((*item).clone());
                        l += 1;
                        continue;
                    }
                    Some(at) if placed[at] => l += 1,
                    Some(_) => {}
                }
            }
            if let Some((config, item)) = configs.get(c) {
                out.push(make(config, item));
                placed[c] = true;
                if shared.peek().is_some_and(|next| *next == config) {
                    shared.next();
                }
                c += 1;
            }
        }
        out
    }

    /// `value` without the members of `gone`. Lists and maps that lose everything become `null`.
    pub(super) fn without(self, node: Node<'s>, value: &Value, gone: &FieldSet) -> Value {
        match (node, value) {
            (Node::Scalar(_), _) => value.clone(),
            (_, Value::Map(map)) if !map.is_empty() && !matches!(node, Node::Atomic(_)) => {
                let mut members = MapBuilder::with_capacity(map.len());
                for (key, member) in map.iter() {
                    match gone.field(key) {
                        None => members.push(Text::from(key), member.clone()),
                        Some(entry) if entry.member => {}
                        Some(entry) => {
                            let (below, _) = self.member_or_deduced(node, key);
                            members.push(Text::from(key), self.without(below, member, &entry.children));
                        }
                    }
                }
                let (left, _) = members.finish();
                if left.is_empty() { Value::Null } else { Value::Map(left) }
            }
            (Node::Keyed { .. } | Node::Set(_), Value::List(items)) => {
                let below = self.item(node);
                let left: Vec<Value> = items
                    .iter()
                    .filter_map(|item| {
                        let entry = self.element(node, item).ok().and_then(|element| gone.get(&element));
                        match entry {
                            None => Some(item.clone()),
                            Some(entry) if entry.member => None,
                            Some(entry) => Some(self.without(below, item, &entry.children)),
                        }
                    })
                    .collect();
                if left.is_empty() { Value::Null } else { Value::List(left) }
            }
            (_, Value::List(_) | Value::Map(_) | Value::Null) => Value::Null,
            _ => value.clone(),
        }
    }

    /// `set` with every declared field that has members below it as a member itself.
    pub(super) fn with_named_fields(self, node: Option<Node<'s>>, set: &FieldSet) -> FieldSet {
        set.map(|entry| {
            let (below, declared) = match (&entry.element, node) {
                (Element::Field(name), Some(node)) => {
                    let (below, declared) = self.member(node, name).unzip();
                    (below, declared.unwrap_or(false))
                }
                (Element::Key(_), Some(node @ Node::Keyed { .. })) => (Some(self.item(node)), false),
                _ => (None, false),
            };
            super::set::Entry {
                element: entry.element.clone(),
                member: entry.member || (declared && !entry.children.is_empty()),
                children: self.with_named_fields(below, &entry.children),
            }
        })
    }

    /// `set` as the schema would have it now, when fields have become atomic since it was written; `None`: as it is.
    pub(super) fn reconciled(self, node: Node<'s>, set: &FieldSet) -> Option<FieldSet> {
        if !self.has_become_atomic(node, set) {
            return None;
        }
        Some(set.map(|entry| {
            let mut adapted = entry.clone();
            match self.below(node, &entry.element) {
                Some(Node::Atomic(_)) if !entry.children.is_empty() => {
                    adapted.member = true;
                    adapted.children = FieldSet::new();
                }
                Some(below) => {
                    if let Some(children) = self.reconciled(below, &entry.children) {
                        adapted.children = children;
                    }
                }
                None => {}
            }
            adapted
        }))
    }

    /// Whether the set has something below a field that is owned as one.
    fn has_become_atomic(self, node: Node<'s>, set: &FieldSet) -> bool {
        set.entries().iter().filter(|entry| !entry.children.is_empty()).any(|entry| {
            match self.below(node, &entry.element) {
                Some(Node::Atomic(_)) => true,
                Some(below) => self.has_become_atomic(below, &entry.children),
                None => false,
            }
        })
    }

    /// What is at `element` below `node`, where the schema says.
    fn below(self, node: Node<'s>, element: &Element) -> Option<Node<'s>> {
        match (element, node) {
            (_, Node::Deduced) => None,
            (Element::Field(name), _) => self.member(node, name).map(|(below, _)| below),
            (_, Node::Keyed { .. } | Node::Set(_)) => Some(self.item(node)),
            _ => None,
        }
    }
}

/// Finds list items by what tells them apart.
struct Index<'e> {
    sorted: Vec<(&'e Element, usize)>,
}

impl<'e> Index<'e> {
    fn of(items: &'e [(Element, &Value)]) -> Index<'e> {
        let mut sorted: Vec<(&Element, usize)> =
            items.iter().enumerate().map(|(at, (element, _))| (element, at)).collect();
        sorted.sort();
        Index { sorted }
    }

    /// Where the first such item is.
    fn first(&self, element: &Element) -> Option<usize> {
        let start = self.sorted.partition_point(|(other, _)| *other < element);
        self.sorted.get(start).filter(|(other, _)| *other == element).map(|(_, at)| *at)
    }

    /// Where such an item is, when there is exactly one.
    fn only(&self, element: &Element) -> Option<usize> {
        let start = self.sorted.partition_point(|(other, _)| *other < element);
        let mut same = self.sorted[start..].iter().take_while(|(other, _)| *other == element);
        match (same.next(), same.next()) {
            (Some((_, at)), None) => Some(*at),
            _ => None,
        }
    }

    fn has(&self, element: &Element) -> bool {
        self.first(element).is_some()
    }
}
