//! What must be written so that a default object is at least as it should be.

use typed::Kind;
use typed::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use typed::meta::ObjectMeta;

use crate::rules;

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<K> {
    /// Nothing.
    Keep,
    /// The object is not there.
    Create(K),
    /// The object lacks something.
    Update(K),
    /// A binding refers to another role, which cannot be changed: delete it, then create this.
    Recreate(K),
}

/// A kind that is reconciled at start.
pub trait Reconcile: Kind {
    /// What brings this object up to `expected`, opting out aside.
    fn towards(&self, expected: &Self) -> Step<Self>;
}

impl Reconcile for ClusterRole {
    fn towards(&self, expected: &ClusterRole) -> Step<ClusterRole> {
        let mut wanted = self.clone();
        merge(&mut wanted.metadata, &expected.metadata);
        match (&expected.aggregation_rule, &mut wanted.aggregation_rule) {
            (None, aggregation) => {
                *aggregation = None;
                add_rules(&mut wanted.rules, expected.rules.as_deref());
            }
            // Its rules are the aggregating controller's affair.
            (Some(_), aggregation @ None) => aggregation.clone_from(&expected.aggregation_rule),
            (Some(expected), Some(held)) => {
                let selectors = held.cluster_role_selectors.get_or_insert_default();
                for selector in expected.cluster_role_selectors.iter().flatten() {
                    if !selectors.contains(selector) {
                        selectors.push(selector.clone());
                    }
                }
            }
        }
        changed(self, wanted)
    }
}

impl Reconcile for Role {
    fn towards(&self, expected: &Role) -> Step<Role> {
        let mut wanted = self.clone();
        merge(&mut wanted.metadata, &expected.metadata);
        add_rules(&mut wanted.rules, expected.rules.as_deref());
        changed(self, wanted)
    }
}

impl Reconcile for ClusterRoleBinding {
    fn towards(&self, expected: &ClusterRoleBinding) -> Step<ClusterRoleBinding> {
        let mut wanted = self.clone();
        merge(&mut wanted.metadata, &expected.metadata);
        add_subjects(&mut wanted.subjects, expected.subjects.as_deref());
        if refers_elsewhere(&self.role_ref, &expected.role_ref) {
            let metadata = renewed(&wanted.metadata);
            return Step::Recreate(ClusterRoleBinding { metadata, role_ref: expected.role_ref.clone(), ..wanted });
        }
        changed(self, wanted)
    }
}

impl Reconcile for RoleBinding {
    fn towards(&self, expected: &RoleBinding) -> Step<RoleBinding> {
        let mut wanted = self.clone();
        merge(&mut wanted.metadata, &expected.metadata);
        add_subjects(&mut wanted.subjects, expected.subjects.as_deref());
        if refers_elsewhere(&self.role_ref, &expected.role_ref) {
            let metadata = renewed(&wanted.metadata);
            return Step::Recreate(RoleBinding { metadata, role_ref: expected.role_ref.clone(), ..wanted });
        }
        changed(self, wanted)
    }
}

fn changed<K: Kind>(held: &K, wanted: K) -> Step<K> {
    if *held == wanted { Step::Keep } else { Step::Update(wanted) }
}

/// Adds labels and annotations; what somebody set stays.
fn merge(held: &mut ObjectMeta, expected: &ObjectMeta) {
    for (held, expected) in [(&mut held.labels, &expected.labels), (&mut held.annotations, &expected.annotations)] {
        for (key, value) in expected.iter().flatten() {
            held.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// The metadata of an object that is made anew.
fn renewed(held: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: held.name.clone(),
        namespace: held.namespace.clone(),
        labels: held.labels.clone(),
        annotations: held.annotations.clone(),
        ..ObjectMeta::default()
    }
}

fn add_rules(held: &mut Option<Vec<PolicyRule>>, expected: Option<&[PolicyRule]>) {
    let missing = rules::missing(held.as_deref().unwrap_or_default(), expected.unwrap_or_default());
    if !missing.is_empty() {
        held.get_or_insert_default().extend(missing);
    }
}

fn add_subjects(held: &mut Option<Vec<Subject>>, expected: Option<&[Subject]>) {
    for subject in expected.unwrap_or_default() {
        let known = held.iter().flatten().any(|known| same_subject(known, subject));
        if !known {
            held.get_or_insert_default().push(subject.clone());
        }
    }
}

/// Absent and empty fields of a subject mean the same.
fn same_subject(left: &Subject, right: &Subject) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    left.kind == right.kind
        && left.name == right.name
        && text(&left.api_group) == text(&right.api_group)
        && text(&left.namespace) == text(&right.namespace)
}

fn refers_elsewhere(held: &RoleRef, expected: &RoleRef) -> bool {
    held.kind != expected.kind || held.name != expected.name
}
