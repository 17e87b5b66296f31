//! Cluster roles that are the sum of others.

use object::selector::{LabelSelector, Operator, Requirement};
use typed::Kind;
use typed::api::rbac::v1::{ClusterRole, PolicyRule};
use typed::meta;

/// The rules that an aggregating role should have: those of every other role that one of its selectors matches, by
/// selector, then by name, each once. `None` when the role does not aggregate.
///
/// A selector that cannot be read selects nothing, as an empty role is safer than a wide one.
pub fn aggregate<'a>(
    role: &ClusterRole,
    all: impl Iterator<Item = &'a ClusterRole> + Clone,
) -> Option<Vec<PolicyRule>> {
    let selectors = role.aggregation_rule.as_ref()?.cluster_role_selectors.as_deref().unwrap_or_default();
    let mut sum: Vec<PolicyRule> = Vec::new();
    for selector in selectors.iter().filter_map(compile) {
        let mut parts: Vec<&ClusterRole> = all
            .clone()
            .filter(|part| part.name() != role.name())
            .filter(|part| {
                let labels = part.meta().labels.as_ref();
                selector.matches(|key| labels.and_then(|labels| labels.get(key)).map(String::as_str))
            })
            .collect();
        parts.sort_by_key(|part| part.name().to_owned());
        for rule in parts.iter().flat_map(|part| part.rules.iter().flatten()) {
            if !sum.contains(rule) {
                sum.push(rule.clone());
            }
        }
    }
    Some(sum)
}

fn compile(selector: &meta::LabelSelector) -> Option<LabelSelector> {
    let mut requirements = Vec::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        requirements.push(requirement(key, Operator::In, std::slice::from_ref(value)));
    }
    for expression in selector.match_expressions.iter().flatten() {
        let operator = match expression.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        requirements.push(requirement(&expression.key, operator, expression.values.as_deref().unwrap_or_default()));
    }
    Some(LabelSelector::all_of(requirements))
}

fn requirement(key: &str, operator: Operator, values: &[String]) -> Requirement {
    Requirement { key: key.into(), operator, values: values.iter().map(|value| value.as_str().into()).collect() }
}
