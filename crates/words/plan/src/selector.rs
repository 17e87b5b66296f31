//! Label selectors, compiled once and matched often.

use std::collections::BTreeMap;

use typed::meta::LabelSelector;

/// A parsed label selector. The absent selector matches nothing, the empty one everything, as in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// `None`: matches nothing.
    terms: Option<Vec<Term>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    key: String,
    op: Op,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Matches no labels at all.
    pub const NOTHING: Self = Self { terms: None };

    /// Compiles an API selector; an operator outside the API's four makes it match nothing.
    #[must_use]
    pub fn new(selector: &LabelSelector) -> Self {
        let mut terms = Self::from_map(selector.match_labels.as_ref()).terms.unwrap_or_default();
        for wanted in selector.match_expressions.iter().flatten() {
            let values = || wanted.values.clone().unwrap_or_default();
            let op = match wanted.operator.as_str() {
                "In" => Op::In(values()),
                "NotIn" => Op::NotIn(values()),
                "Exists" => Op::Exists,
                "DoesNotExist" => Op::Absent,
                _ => return Self::NOTHING,
            };
            terms.push(Term { key: wanted.key.clone(), op });
        }
        Self { terms: Some(terms) }
    }

    /// Compiles an optional API selector; none matches nothing.
    #[must_use]
    pub fn optional(selector: Option<&LabelSelector>) -> Self {
        selector.map_or(Self::NOTHING, Self::new)
    }

    /// Compiles the plain map of Services and ReplicationControllers.
    #[must_use]
    pub fn from_map(labels: Option<&BTreeMap<String, String>>) -> Self {
        let term = |(key, value): (&String, &String)| Term { key: key.clone(), op: Op::In(vec![value.clone()]) };
        Self { terms: Some(labels.into_iter().flatten().map(term).collect()) }
    }

    /// Whether it matches every object.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.terms.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether these labels satisfy every term.
    #[must_use]
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let value = |key: &str| labels.and_then(|all| all.get(key));
        let Some(terms) = &self.terms else { return false };
        terms.iter().all(|term| match &term.op {
            Op::In(wanted) => value(&term.key).is_some_and(|v| wanted.contains(v)),
            Op::NotIn(unwanted) => value(&term.key).is_none_or(|v| !unwanted.contains(v)),
            Op::Exists => value(&term.key).is_some(),
            Op::Absent => value(&term.key).is_none(),
        })
    }
}
