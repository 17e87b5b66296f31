//! Node labels as columns: for each key that anybody asks about, every node's value as a small number.
//!
//! A value's number is the *domain* of spread and affinity, and 0 means that the node lacks the label. A node selector
//! compiles to comparisons of these numbers, so no string is compared while nodes are filtered.

use std::collections::HashMap;

use typed::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use crate::ids::{ColumnIx, NodeIx};
use crate::selector::Labels;
use crate::snapshot::nodes::NodeRow;

/// The number of a label's value within its column; 0 is "no such label".
pub(crate) type Domain = u32;

/// One label key's values.
#[derive(Debug)]
pub(crate) struct Column {
    key: String,
    ids: HashMap<String, Domain>,
    numbers: Vec<Option<i64>>,
    of: Vec<Domain>,
    /// Live nodes per domain.
    population: Vec<u32>,
    pinned: Vec<bool>,
    free: Vec<Domain>,
}

impl Column {
    fn new(key: &str, slots: usize) -> Self {
        Self {
            key: key.to_owned(),
            ids: HashMap::new(),
            numbers: vec![None],
            of: vec![0; slots],
            population: vec![0],
            pinned: vec![true],
            free: Vec::new(),
        }
    }

    fn intern(&mut self, value: &str) -> Domain {
        if let Some(&id) = self.ids.get(value) {
            return id;
        }
        let number = value.parse().ok();
        let id = if let Some(id) = self.free.pop() {
            self.numbers[id as usize] = number;
            id
        } else {
            self.numbers.push(number);
            self.population.push(0);
            self.pinned.push(false);
            Domain::try_from(self.numbers.len() - 1).expect("fewer label values than 2^32")
        };
        self.ids.insert(value.to_owned(), id);
        id
    }

    /// The number of a value that a node selector compares with; it stays the value's number for good.
    fn pin(&mut self, value: &str) -> Domain {
        let id = self.intern(value);
        self.pinned[id as usize] = true;
        id
    }

    /// Takes a node's value out. A number that no node and no selector has any more is given to another value, so that
    /// nodes that come and go under ever new names need no more room than those that are there.
    fn leave(&mut self, node: NodeIx, labels: Option<&Labels>) {
        let domain = std::mem::take(&mut self.of[node.0]);
        self.population[domain as usize] -= 1;
        if self.population[domain as usize] == 0 && !self.pinned[domain as usize] {
            let gone = value(labels, &self.key).and_then(|value| self.ids.remove(value));
            self.free.extend(gone);
        }
    }

    /// The node's domain; 0 when it lacks the label.
    pub(crate) fn domain(&self, node: NodeIx) -> usize {
        self.of[node.0] as usize
    }

    /// How many live nodes each domain has; the first entry counts nodes without the label.
    pub(crate) fn population(&self) -> &[u32] {
        &self.population
    }
}

/// All columns asked about so far.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    by_key: HashMap<String, ColumnIx>,
    list: Vec<Column>,
    slots: usize,
}

impl Columns {
    pub(crate) fn get(&self, column: ColumnIx) -> &Column {
        &self.list[column.0]
    }

    pub(crate) fn domain(&self, column: ColumnIx, node: NodeIx) -> usize {
        self.list[column.0].domain(node)
    }

    /// The column of `key`, filled from the live nodes when it is asked for the first time.
    pub(crate) fn of_key(&mut self, key: &str, rows: &[NodeRow]) -> ColumnIx {
        if let Some(&column) = self.by_key.get(key) {
            return column;
        }
        let mut column = Column::new(key, self.slots);
        for (slot, row) in rows.iter().enumerate() {
            let Some(node) = &row.object else { continue };
            let domain = value(node.metadata.labels.as_ref(), key).map_or(0, |value| column.intern(value));
            column.of[slot] = domain;
            column.population[domain as usize] += 1;
        }
        let id = ColumnIx(self.list.len());
        self.list.push(column);
        self.by_key.insert(key.to_owned(), id);
        id
    }

    /// Makes room for node slots.
    pub(crate) fn grow(&mut self, slots: usize) {
        self.slots = slots;
        for column in &mut self.list {
            column.of.resize(slots, 0);
        }
    }

    /// Takes a node's labels in.
    pub(crate) fn enter(&mut self, node: NodeIx, labels: Option<&Labels>) {
        for column in &mut self.list {
            let key = std::mem::take(&mut column.key);
            let domain = value(labels, &key).map_or(0, |value| column.intern(value));
            column.key = key;
            column.of[node.0] = domain;
            column.population[domain as usize] += 1;
        }
    }

    /// Takes a node's labels out: those it was entered with.
    pub(crate) fn leave(&mut self, node: NodeIx, labels: Option<&Labels>) {
        self.list.iter_mut().for_each(|column| column.leave(node, labels));
    }
}

fn value<'a>(labels: Option<&'a Labels>, key: &str) -> Option<&'a str> {
    labels.and_then(|labels| labels.get(key)).map(String::as_str)
}

/// One term of a node selector: all of its requirements hold. A term without requirements matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeTerm {
    labels: Vec<LabelTest>,
    names: Vec<NameTest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelTest {
    column: ColumnIx,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<Domain>),
    NotIn(Vec<Domain>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NameTest {
    wanted: bool,
    names: Vec<String>,
}

impl NodeTerm {
    /// Compiles an API term; `column` finds the column of a key.
    pub(crate) fn new(term: &NodeSelectorTerm, columns: &mut Columns, rows: &[NodeRow]) -> Self {
        let mut compiled = Self::default();
        for expression in term.match_expressions.iter().flatten() {
            compiled.labels.push(LabelTest::new(expression, columns, rows));
        }
        for field in term.match_fields.iter().flatten() {
            // The API server admits no other field than metadata.name and no other operators than In and NotIn.
            let names =
                if field.key == "metadata.name" { field.values.clone().unwrap_or_default() } else { Vec::new() };
            compiled.names.push(NameTest { wanted: field.operator == "In", names });
        }
        compiled
    }

    /// A term that asks for exact labels, as `spec.nodeSelector` does.
    pub(crate) fn of_labels(labels: &Labels, columns: &mut Columns, rows: &[NodeRow]) -> Self {
        let mut compiled = Self::default();
        for (key, value) in labels {
            let column = columns.of_key(key, rows);
            let domain = columns.list[column.0].pin(value);
            compiled.labels.push(LabelTest { column, test: Test::In(vec![domain]) });
        }
        compiled
    }

    pub(crate) fn matches(&self, columns: &Columns, node: NodeIx, name: &str) -> bool {
        if self.labels.is_empty() && self.names.is_empty() {
            return false;
        }
        self.labels.iter().all(|test| test.matches(columns, node))
            && self.names.iter().all(|test| test.names.iter().any(|wanted| wanted == name) == test.wanted)
    }

    /// The only nodes the term can match, when it names them.
    pub(crate) fn names(&self) -> Option<&[String]> {
        self.names.iter().find(|test| test.wanted).map(|test| test.names.as_slice())
    }
}

impl LabelTest {
    fn new(expression: &NodeSelectorRequirement, columns: &mut Columns, rows: &[NodeRow]) -> Self {
        let column = columns.of_key(&expression.key, rows);
        let values = expression.values.as_deref().unwrap_or_default();
        let bound = values.first().and_then(|value| value.parse().ok());
        let mut domains = || values.iter().map(|value| columns.list[column.0].pin(value)).collect();
        let test = match expression.operator.as_str() {
            "In" => Test::In(domains()),
            "NotIn" => Test::NotIn(domains()),
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::Absent,
            "Gt" => bound.map_or(Test::Never, Test::Above),
            "Lt" => bound.map_or(Test::Never, Test::Below),
            _ => Test::Never,
        };
        Self { column, test }
    }

    fn matches(&self, columns: &Columns, node: NodeIx) -> bool {
        let column = columns.get(self.column);
        let domain = column.of[node.0];
        match &self.test {
            Test::In(domains) => domain != 0 && domains.contains(&domain),
            Test::NotIn(domains) => !domains.contains(&domain),
            Test::Exists => domain != 0,
            Test::Absent => domain == 0,
            Test::Above(bound) => column.numbers[domain as usize].is_some_and(|number| number > *bound),
            Test::Below(bound) => column.numbers[domain as usize].is_some_and(|number| number < *bound),
            Test::Never => false,
        }
    }
}
