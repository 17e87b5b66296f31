//! Label selectors over pods and namespaces, in a form that can be compared and hashed.

use std::collections::BTreeMap;

use typed::meta::LabelSelector;

/// Labels as the API carries them.
pub(crate) type Labels = BTreeMap<String, String>;

/// A conjunction of requirements; the empty conjunction matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Selector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// The selector of an API object: absent selects nothing, `{}` selects everything.
    pub(crate) fn new(selector: Option<&LabelSelector>) -> Self {
        let Some(selector) = selector else { return Self::nothing() };
        let mut built = Self::of_labels(selector.match_labels.as_ref().unwrap_or(&BTreeMap::new()));
        for expression in selector.match_expressions.iter().flatten() {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => return Self::nothing(),
            };
            let values = expression.values.clone().unwrap_or_default();
            built.requirements.push(Requirement { key: expression.key.clone(), operator, values });
        }
        built
    }

    /// A selector that no label set satisfies.
    pub(crate) fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Requires each of `labels`.
    pub(crate) fn of_labels(labels: &Labels) -> Self {
        let mut built = Self::default();
        for (key, value) in labels {
            built.require(key, value);
        }
        built
    }

    /// Adds `key = value` to what is required.
    pub(crate) fn require(&mut self, key: &str, value: &str) {
        let values = vec![value.to_owned()];
        self.requirements.push(Requirement { key: key.to_owned(), operator: Operator::In, values });
    }

    /// Adds everything `other` requires.
    pub(crate) fn and(&mut self, other: &Self) {
        self.nothing |= other.nothing;
        self.requirements.extend(other.requirements.iter().cloned());
    }

    /// Whether it matches every label set.
    pub(crate) fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}
