//! The default roles: equal to the reference, and as a picture of who may do what.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use authz::{Attributes, Policy, aggregation, bootstrap};
use codec::yaml;
use kind::User;
use object::Value;
use typed::Kind;
use typed::api::rbac::v1::ClusterRole;

#[expect(clippy::disallowed_methods, reason = "tests find their reference data by the environment")]
fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data");
    let folder = std::env::var("FERROKUBE_REFERENCE").map(PathBuf::from).unwrap_or(default).join("rbac");
    folder.is_dir().then_some(folder)
}

#[test]
fn defaults_equal_the_reference() {
    let Some(folder) = reference() else {
        println!("skipped: no reference data (set FERROKUBE_REFERENCE to the folder that holds rbac/)");
        return;
    };
    let defaults = bootstrap::bootstrap();
    let mut expected = read(&folder, &["cluster-roles.yaml", "controller-roles.yaml", "namespace-roles.yaml"]);
    let bindings = ["cluster-role-bindings.yaml", "controller-role-bindings.yaml", "namespace-role-bindings.yaml"];
    expected.extend(read(&folder, &bindings));
    let mut ours: Vec<Value> = Vec::new();
    ours.extend(defaults.cluster_roles.iter().map(Kind::to_tree));
    ours.extend(defaults.roles.iter().map(Kind::to_tree));
    ours.extend(defaults.cluster_role_bindings.iter().map(Kind::to_tree));
    ours.extend(defaults.role_bindings.iter().map(Kind::to_tree));
    assert_eq!(ours.len(), expected.len());
    for wanted in &mut expected {
        wanted.as_map_mut().expect("it is an object").retain(|_, value| !value.is_null());
        let (kind, meta) = (wanted.get("kind"), wanted.get("metadata"));
        let found = ours.iter().find(|tree| tree.get("kind") == kind && tree.get("metadata") == meta);
        let found = found.unwrap_or_else(|| panic!("{kind:?} {meta:?} is missing"));
        assert_eq!(&*wanted, found);
    }
}

fn read(folder: &Path, names: &[&str]) -> Vec<Value> {
    let lists = names.iter().map(|name| {
        let text = std::fs::read(folder.join(name)).expect("the reference can be read");
        yaml::parse(&text).expect("the reference is YAML")
    });
    lists.flat_map(|list| list.list_at(&["items"]).to_vec()).collect()
}

/// The defaults, aggregated as the controller does it.
fn policy() -> Policy {
    let defaults = bootstrap::bootstrap();
    let mut roles: Vec<ClusterRole> = defaults.cluster_roles.clone();
    // Edit sums up view's parts, and admin sums up edit: three rounds suffice.
    for _ in 0..3 {
        let sums: Vec<_> = roles.iter().map(|role| aggregation::aggregate(role, roles.iter())).collect();
        for (role, sum) in roles.iter_mut().zip(sums) {
            if let Some(rules) = sum {
                role.rules = Some(rules);
            }
        }
    }
    let mut policy = Policy::new();
    roles.iter().for_each(|role| policy.upsert_cluster_role(role));
    defaults.roles.iter().for_each(|role| policy.upsert_role(role));
    defaults.cluster_role_bindings.iter().for_each(|binding| policy.upsert_cluster_role_binding(binding));
    defaults.role_bindings.iter().for_each(|binding| policy.upsert_role_binding(binding));
    for role in ["admin", "edit", "view"] {
        policy.upsert_role_binding(&super::rbac::role_binding(
            "team",
            role,
            &format!("ClusterRole/{role}"),
            &[&format!("User/{role}")],
        ));
    }
    policy
}

const RESOURCES: [(&str, &str, &str); 14] = [
    ("team", "", "pods"),
    ("team", "", "pods/exec"),
    ("team", "", "secrets"),
    ("team", "apps", "deployments"),
    ("team", "apps", "deployments/scale"),
    ("team", "rbac.authorization.k8s.io", "rolebindings"),
    ("other", "", "pods"),
    ("kube-system", "coordination.k8s.io", "leases"),
    ("kube-system", "", "configmaps"),
    ("kube-public", "", "configmaps"),
    ("", "", "nodes"),
    ("", "", "persistentvolumes"),
    ("", "authorization.k8s.io", "selfsubjectaccessreviews"),
    ("", "certificates.k8s.io", "certificatesigningrequests/approval"),
];
const VERBS: [(&str, char); 8] = [
    ("get", 'g'),
    ("list", 'l'),
    ("watch", 'w'),
    ("create", 'c'),
    ("update", 'u'),
    ("patch", 'p'),
    ("delete", 'd'),
    ("deletecollection", 'D'),
];
const PATHS: [&str; 5] = ["/healthz", "/version", "/metrics", "/openapi/v3", "/api/v1"];
const USERS: [(&str, &[&str]); 11] = [
    ("system:anonymous", &["system:unauthenticated"]),
    ("somebody", &["system:authenticated"]),
    ("admin", &["system:authenticated"]),
    ("edit", &["system:authenticated"]),
    ("view", &["system:authenticated"]),
    ("system:kube-scheduler", &["system:authenticated"]),
    ("system:kube-controller-manager", &["system:authenticated"]),
    ("system:kube-proxy", &["system:authenticated"]),
    ("system:node:one", &["system:nodes", "system:authenticated"]),
    ("system:serviceaccount:kube-system:deployment-controller", &["system:serviceaccounts", "system:authenticated"]),
    ("system:serviceaccount:kube-system:token-cleaner", &["system:serviceaccounts", "system:authenticated"]),
];

/// Who may do what; `UPDATE_EXPECT=1` redraws the picture.
#[test]
fn picture_of_the_defaults() {
    let policy = policy();
    let mut picture = String::new();
    for (name, groups) in USERS {
        let user = super::rbac::user(name, groups);
        writeln!(picture, "{name}").expect("text grows");
        for (namespace, group, resource) in RESOURCES {
            let drawn = draw(&policy, &user, (namespace, group, resource));
            let place = format!(
                "{}{}{resource}",
                if namespace.is_empty() { "" } else { namespace },
                if namespace.is_empty() { "" } else { "/" }
            );
            writeln!(picture, "  {drawn}  {place}").expect("text grows");
        }
        let open: Vec<&str> = PATHS.into_iter().filter(|path| may_get(&policy, &user, path)).collect();
        writeln!(picture, "  paths: {}", open.join(" ")).expect("text grows");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/defaults.txt");
    super::rbac::expect(&file, &picture);
}

fn draw(policy: &Policy, user: &User, (namespace, group, resource): (&str, &str, &str)) -> String {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let asked = Attributes { group, namespace, resource, subresource, name: "x", ..Attributes::default() };
    VERBS
        .iter()
        .map(|(verb, letter)| if policy.allows(user, &Attributes { verb, ..asked }) { *letter } else { '.' })
        .collect()
}

fn may_get(policy: &Policy, user: &User, path: &str) -> bool {
    policy.allows(user, &Attributes { verb: "get", path, ..Attributes::default() })
}
