//! What a start writes into a cluster that has some of the defaults.

use authz::bootstrap::{AUTOUPDATE, Step, reconcile};
use typed::Kind;
use typed::api::rbac::v1::ClusterRole;

use super::rbac::{cluster_role, cluster_role_binding, rule};

fn opted_out(mut role: ClusterRole) -> ClusterRole {
    role.meta_mut().annotations.get_or_insert_default().insert(AUTOUPDATE.to_owned(), "false".to_owned());
    role
}

#[test]
fn roles() {
    let expected = cluster_role("r", &["get : core : pods", "get : core : nodes"]);
    assert_eq!(reconcile(None, &expected), Step::Create(expected.clone()));
    assert_eq!(reconcile(Some(&expected), &expected), Step::Keep);
    let wider = cluster_role("r", &["* : core : *"]);
    assert_eq!(reconcile(Some(&wider), &expected), Step::Keep, "what somebody added stays");
    let less = cluster_role("r", &["get : core : pods"]);
    assert_eq!(reconcile(Some(&opted_out(less.clone())), &expected), Step::Keep);
    let Step::Update(updated) = reconcile(Some(&less), &expected) else { panic!("a rule is missing") };
    assert_eq!(updated.rules, Some(vec![rule("get : core : pods"), rule("get : core : nodes")]));
}

#[test]
fn bindings() {
    let expected = cluster_role_binding("b", "ClusterRole/r", &["User/ann"]);
    let more = cluster_role_binding("b", "ClusterRole/r", &["User/bob", "User/ann"]);
    assert_eq!(reconcile(Some(&more), &expected), Step::Keep);
    let other = cluster_role_binding("b", "ClusterRole/r", &["User/bob"]);
    assert_eq!(reconcile(Some(&other), &expected), Step::Update(more));
    let elsewhere = cluster_role_binding("b", "ClusterRole/s", &["User/ann"]);
    assert_eq!(reconcile(Some(&elsewhere), &expected), Step::Recreate(expected.clone()));
}
