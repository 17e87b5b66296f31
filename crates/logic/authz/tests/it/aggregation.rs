//! Cluster roles that sum up others.

use authz::aggregation::aggregate;
use typed::Kind;
use typed::api::rbac::v1::{AggregationRule, ClusterRole};
use typed::meta::{LabelSelector, LabelSelectorRequirement};

use super::rbac::{cluster_role, rule};

fn labelled(name: &str, label: &str, rules: &[&str]) -> ClusterRole {
    let mut role = cluster_role(name, rules);
    role.meta_mut().labels.get_or_insert_default().insert(label.to_owned(), "true".to_owned());
    role
}

fn summing(selectors: Vec<LabelSelector>) -> ClusterRole {
    let mut role = labelled("sum", "x", &[]);
    role.aggregation_rule = Some(AggregationRule { cluster_role_selectors: Some(selectors) });
    role
}

fn exists(key: &str, operator: &str) -> LabelSelector {
    let expression = LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        ..LabelSelectorRequirement::default()
    };
    LabelSelector { match_expressions: Some(vec![expression]), ..LabelSelector::default() }
}

#[test]
fn sums() {
    let (pods, nodes, jobs) = ("get : core : pods", "get : core : nodes", "get : batch : jobs");
    let parts = [
        labelled("b", "x", &[pods, nodes]),
        labelled("a", "x", &[jobs, pods]),
        labelled("c", "y", &["* : * : *"]),
        summing(vec![]),
    ];
    for (selectors, expected) in [
        (vec![], vec![]),
        (vec![exists("x", "Exists")], vec![jobs, pods, nodes]),
        (vec![exists("z", "Exists")], vec![]),
        (vec![exists("x", "Nonsense")], vec![]),
        (vec![exists("y", "Exists"), exists("x", "Exists")], vec!["* : * : *", jobs, pods, nodes]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(rule).collect();
        assert_eq!(aggregate(&summing(selectors), parts.iter()), Some(expected));
    }
    assert_eq!(aggregate(&parts[0], parts.iter()), None, "a role without an aggregation rule keeps its own");
}
