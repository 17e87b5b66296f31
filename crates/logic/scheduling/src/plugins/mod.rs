//! All plugins that can be configured, by name.

use typed::api::core::v1::NodeSelectorTerm;

use crate::selector::Labels;

pub(crate) mod balance;
pub(crate) mod fit;
pub(crate) mod gates;
pub(crate) mod images;
pub(crate) mod interpod;
pub(crate) mod node_affinity;
pub(crate) mod nodes;
pub(crate) mod ports;
pub(crate) mod spread;
pub(crate) mod taints;
pub(crate) mod volume_binding;
pub(crate) mod volume_rules;

/// Whether a node selector term that is not worth compiling (a volume's) admits a node.
pub(crate) fn term_admits(term: &NodeSelectorTerm, labels: &Labels, name: &str) -> bool {
    let holds = |operator: &str, value: Option<&str>, values: &[String]| {
        let among = value.is_some_and(|value| values.iter().any(|other| other == value));
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        let bound = number(values.first().map(String::as_str));
        match operator {
            "In" => among,
            "NotIn" => !among,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => number(value).is_some_and(|value| bound.is_some_and(|bound| value > bound)),
            "Lt" => number(value).is_some_and(|value| bound.is_some_and(|bound| value < bound)),
            _ => false,
        }
    };
    let (expressions, fields) = (term.match_expressions.as_deref(), term.match_fields.as_deref());
    let (expressions, fields) = (expressions.unwrap_or_default(), fields.unwrap_or_default());
    let label = |key: &str| labels.get(key).map(String::as_str);
    let values = |values: &Option<Vec<String>>| values.clone().unwrap_or_default();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions.iter().all(|test| holds(&test.operator, label(&test.key), &values(&test.values)))
        && fields
            .iter()
            .all(|test| test.key == "metadata.name" && holds(&test.operator, Some(name), &values(&test.values)))
}
