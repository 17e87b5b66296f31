//! Nobody hands out what they do not hold.

use authz::escalation::{self, Escalation, NewRole};
use authz::{Attributes, Policy};
use kind::User;
use typed::api::rbac::v1::{PolicyRule, RoleRef};

use super::rbac::{cluster_role, cluster_role_binding, rule, user};

fn policy() -> Policy {
    let mut policy = Policy::new();
    policy.upsert_cluster_role(&cluster_role("some", &["get list : core apps : pods deployments", "get @ /metrics*"]));
    policy.upsert_cluster_role(&cluster_role("all", &["* : * : *", "* @ *"]));
    policy.upsert_cluster_role(&cluster_role("hand", &["escalate bind : rbac.authorization.k8s.io : *"]));
    policy.upsert_cluster_role_binding(&cluster_role_binding("some", "ClusterRole/some", &["User/ann"]));
    policy.upsert_cluster_role_binding(&cluster_role_binding("all", "ClusterRole/all", &["User/root"]));
    policy.upsert_cluster_role_binding(&cluster_role_binding("hand", "ClusterRole/hand", &["User/hand"]));
    policy
}

fn check(who: &User, rules: &[&str], aggregates: bool) -> Result<(), Escalation> {
    let (policy, rules) = (policy(), rules.iter().map(|text| rule(text)).collect::<Vec<PolicyRule>>());
    let judge = |user: &User, attributes: &Attributes<'_>| policy.allows(user, attributes);
    escalation::check_role(&policy, &judge, who, NewRole { namespace: "", name: "new", rules: &rules, aggregates })
}

fn missing(lines: &str) -> Result<(), Escalation> {
    let head = r#"user "ann" (groups=["dev" "ops"]) is attempting to grant RBAC permissions not currently held:"#;
    Err(Escalation::Forbidden(format!("{head}\n{lines}")))
}

#[test]
fn roles() {
    let (ann, hand) = (user("ann", &["dev", "ops"]), user("hand", &[]));
    for (who, rules, aggregates, expected) in [
        (&ann, vec!["get : core : pods"], false, Ok(())),
        (&ann, vec!["list get : apps core : deployments"], false, Ok(())),
        (&ann, vec!["get : core : pods : one"], false, Ok(())),
        (&ann, vec!["get @ /metrics/slis"], false, Ok(())),
        (
            &ann,
            vec!["get delete watch : core : pods"],
            false,
            missing(r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}"#),
        ),
        (&ann, vec!["get @ /*"], false, missing(r#"{NonResourceURLs:["/*"], Verbs:["get"]}"#)),
        (
            &ann,
            vec!["get : core : secrets : a b"],
            false,
            missing(
                "{APIGroups:[\"\"], Resources:[\"secrets\"], ResourceNames:[\"a\"], Verbs:[\"get\"]}\n\
                 {APIGroups:[\"\"], Resources:[\"secrets\"], ResourceNames:[\"b\"], Verbs:[\"get\"]}",
            ),
        ),
        (
            &ann,
            vec![],
            true,
            Err(Escalation::Forbidden("must have cluster-admin privileges to use an aggregationRule".to_owned())),
        ),
        (&hand, vec!["* : * : *"], true, Ok(())),
        (&user("root", &[]), vec!["* : * : *"], true, Ok(())),
        (&user("x", &["system:masters"]), vec!["* : * : *"], true, Ok(())),
    ] {
        assert_eq!(check(who, &rules, aggregates), expected, "{} {rules:?}", who.name);
    }
}

#[test]
fn bindings() {
    let policy = policy();
    let judge = |user: &User, attributes: &Attributes<'_>| policy.allows(user, attributes);
    let bind = |who: &str, role: &str| {
        let role = RoleRef { kind: "ClusterRole".to_owned(), name: role.to_owned(), ..RoleRef::default() };
        escalation::check_binding(&policy, &judge, &user(who, &[]), &role, "a")
    };
    assert_eq!(bind("ann", "some"), Ok(()));
    assert!(matches!(bind("ann", "all"), Err(Escalation::Forbidden(_))));
    assert_eq!(bind("hand", "all"), Ok(()));
    let gone = bind("ann", "gone").expect_err("there is no such role");
    assert_eq!(gone.to_string(), r#"clusterrole.rbac.authorization.k8s.io "gone" not found"#);
}
