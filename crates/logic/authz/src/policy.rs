//! Roles and bindings, indexed by the subjects they speak of.
//!
//! A question walks from the user's name and groups to the bindings that name them (those of the cluster, then those of
//! the request's namespace), and from there to roles whose rules are filed by resource.

pub(crate) mod compiled;

use std::collections::HashMap;
use std::sync::Arc;

use kind::User;
use object::Text;
use typed::Kind;
use typed::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

use crate::{Attributes, Decision};
use compiled::{Compiled, Question};

const GROUP: &str = "rbac.authorization.k8s.io";

/// All roles and bindings of a cluster.
#[derive(Debug, Default)]
pub struct Policy {
    roles: HashMap<RoleKey, Arc<Compiled>>,
    /// What each binding holds, so that it can be taken out again.
    bindings: HashMap<BindingKey, Arc<Binding>>,
    users: HashMap<Text, Grants>,
    groups: HashMap<Text, Grants>,
    generation: u64,
}

/// A role's namespace (empty for cluster roles) and name.
type RoleKey = (Text, Text);
/// A binding's namespace (empty for cluster role bindings) and name.
type BindingKey = (Text, Text);

/// What has been granted to one user or group.
#[derive(Debug, Default)]
struct Grants {
    cluster: Vec<Arc<Binding>>,
    by_namespace: HashMap<Text, Vec<Arc<Binding>>>,
}

#[derive(Debug)]
struct Binding {
    key: BindingKey,
    role: RoleKey,
    role_kind: Text,
    subjects: Vec<Subject>,
}

/// What a user may do, as `SelfSubjectRulesReview` shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RulesOfUser {
    /// The rules, those of cluster role bindings first.
    pub rules: Vec<PolicyRule>,
    /// Why the list is not whole: bindings to roles that do not exist.
    pub problems: Vec<String>,
}

/// A user's or group's name, as bindings are indexed.
enum Holder {
    User(Text),
    Group(Text),
}

impl Policy {
    /// A policy without roles and bindings, which allows nothing.
    pub fn new() -> Policy {
        Policy::default()
    }

    /// Grows with every change; decisions of equal generations are equal.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Adds or replaces a role.
    pub fn upsert_role(&mut self, role: &Role) {
        self.put_role((role.namespace().into(), role.name().into()), role.rules.as_deref());
    }

    /// Adds or replaces a cluster role.
    pub fn upsert_cluster_role(&mut self, role: &ClusterRole) {
        self.put_role((Text::default(), role.name().into()), role.rules.as_deref());
    }

    /// Adds or replaces a role binding.
    pub fn upsert_role_binding(&mut self, binding: &RoleBinding) {
        let key = (binding.namespace().into(), binding.name().into());
        self.put_binding(key, &binding.role_ref, binding.subjects.as_deref());
    }

    /// Adds or replaces a cluster role binding.
    pub fn upsert_cluster_role_binding(&mut self, binding: &ClusterRoleBinding) {
        let key = (Text::default(), binding.name().into());
        self.put_binding(key, &binding.role_ref, binding.subjects.as_deref());
    }

    /// Takes a role away.
    pub fn remove_role(&mut self, namespace: &str, name: &str) {
        self.generation += 1;
        self.roles.remove(&(namespace.into(), name.into()));
    }

    /// Takes a cluster role away.
    pub fn remove_cluster_role(&mut self, name: &str) {
        self.remove_role("", name);
    }

    /// Takes a role binding away.
    pub fn remove_role_binding(&mut self, namespace: &str, name: &str) {
        self.generation += 1;
        let Some(binding) = self.bindings.remove(&(namespace.into(), name.into())) else { return };
        for holder in holders(&binding) {
            let (index, subject) = self.index(holder);
            if let Some(grants) = index.get_mut(&subject) {
                grants.remove(&binding.key);
                if grants.is_empty() {
                    index.remove(&subject);
                }
            }
        }
    }

    /// Takes a cluster role binding away.
    pub fn remove_cluster_role_binding(&mut self, name: &str) {
        self.remove_role_binding("", name);
    }

    /// Whether some rule allows the request.
    pub fn allows(&self, user: &User, attributes: &Attributes<'_>) -> bool {
        self.granting(user, attributes).is_some()
    }

    /// The decision, with upstream's words for its reason.
    pub fn decide(&self, user: &User, attributes: &Attributes<'_>) -> Decision {
        if let Some(binding) = self.granting(user, attributes) {
            return Decision::Allow(format!("RBAC: allowed by {}", binding.describe(user)));
        }
        let mut problems: Vec<String> = Vec::new();
        for binding in self.bindings_of(user, attributes.namespace) {
            if !self.roles.contains_key(&binding.role) {
                problems.push(binding.role_not_found());
            }
        }
        problems.sort();
        problems.dedup();
        match problems.as_slice() {
            [] => Decision::NoOpinion(String::new()),
            [one] => Decision::NoOpinion(format!("RBAC: {one}")),
            many => Decision::NoOpinion(format!("RBAC: [{}]", many.join(", "))),
        }
    }

    /// What the user may do in `namespace` (empty: cluster-wide only).
    pub fn rules_of(&self, user: &User, namespace: &str) -> RulesOfUser {
        let mut found = RulesOfUser::default();
        let mut bindings: Vec<&Arc<Binding>> = self.bindings_of(user, namespace).collect();
        bindings.sort_by(|a, b| a.key.cmp(&b.key));
        bindings.dedup_by(|a, b| a.key == b.key);
        for binding in bindings {
            match self.roles.get(&binding.role) {
                Some(role) => found.rules.extend(role.rules().iter().cloned()),
                None => found.problems.push(binding.role_not_found()),
            }
        }
        found
    }

    /// The rules of the role that a binding in `namespace` (empty: a cluster role binding) refers to.
    pub fn rules_of_role(&self, role: &RoleRef, namespace: &str) -> Option<&[PolicyRule]> {
        self.roles.get(&role_key(role, namespace)).map(|role| role.rules())
    }

    fn granting(&self, user: &User, attributes: &Attributes<'_>) -> Option<&Arc<Binding>> {
        let question = Question::new(attributes);
        self.bindings_of(user, attributes.namespace)
            .find(|binding| self.roles.get(&binding.role).is_some_and(|role| role.allows(&question)))
    }

    /// The bindings that speak of the user: those of the whole cluster first. A binding may come twice.
    fn bindings_of<'p, 'q>(
        &'p self,
        user: &'q User,
        namespace: &'q str,
    ) -> impl Iterator<Item = &'p Arc<Binding>> + use<'p, 'q> {
        let grants = move || {
            let named = self.users.get(user.name.as_str());
            named.into_iter().chain(user.groups.iter().filter_map(|group| self.groups.get(group.as_str())))
        };
        let local = grants().flat_map(move |grants| grants.by_namespace.get(namespace).into_iter().flatten());
        grants().flat_map(|grants| &grants.cluster).chain(local)
    }

    fn put_role(&mut self, key: RoleKey, rules: Option<&[PolicyRule]>) {
        self.generation += 1;
        self.roles.insert(key, Arc::new(Compiled::new(rules.unwrap_or_default())));
    }

    fn put_binding(&mut self, key: BindingKey, role: &RoleRef, subjects: Option<&[Subject]>) {
        self.remove_role_binding(&key.0, &key.1);
        let binding = Arc::new(Binding {
            role: role_key(role, &key.0),
            role_kind: role.kind.as_str().into(),
            subjects: subjects.unwrap_or_default().to_vec(),
            key,
        });
        for holder in holders(&binding) {
            let (index, subject) = self.index(holder);
            index.entry(subject).or_default().insert(&binding);
        }
        self.bindings.insert(binding.key.clone(), binding);
    }

    fn index(&mut self, holder: Holder) -> (&mut HashMap<Text, Grants>, Text) {
        match holder {
            Holder::User(name) => (&mut self.users, name),
            Holder::Group(name) => (&mut self.groups, name),
        }
    }
}

impl Grants {
    /// Keeps the list in the order of names, so that reasons do not depend on the order of arrival.
    fn insert(&mut self, binding: &Arc<Binding>) {
        let (namespace, name) = (&binding.key.0, &binding.key.1);
        let list = match namespace.as_str() {
            "" => &mut self.cluster,
            _ => self.by_namespace.entry(namespace.clone()).or_default(),
        };
        if let Err(at) = list.binary_search_by(|known| known.key.1.cmp(name)) {
            list.insert(at, Arc::clone(binding));
        }
    }

    fn remove(&mut self, key: &BindingKey) {
        if key.0.is_empty() {
            self.cluster.retain(|known| known.key != *key);
        } else if let Some(list) = self.by_namespace.get_mut(&key.0) {
            list.retain(|known| known.key != *key);
            if list.is_empty() {
                self.by_namespace.remove(&key.0);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.cluster.is_empty() && self.by_namespace.is_empty()
    }
}

impl Binding {
    fn role_not_found(&self) -> String {
        let plural = if self.role_kind == "Role" { "role" } else { "clusterrole" };
        format!("{plural}.{GROUP} {:?} not found", self.role.1.as_str())
    }

    fn describe(&self, user: &User) -> String {
        let (namespace, name) = (&self.key.0, &self.key.1);
        let subject = self.subjects.iter().find(|subject| speaks_of(subject, user, namespace));
        let subject = subject.map(|subject| describe_subject(subject, namespace)).unwrap_or_default();
        let (kind, name) = match namespace.as_str() {
            "" => ("ClusterRoleBinding", name.to_string()),
            namespace => ("RoleBinding", format!("{name}/{namespace}")),
        };
        format!("{kind} {name:?} of {} {:?} to {subject}", self.role_kind, self.role.1.as_str())
    }
}

/// The role a binding in `namespace` refers to. A kind that does not exist gives a key that no role has.
fn role_key(role: &RoleRef, namespace: &str) -> RoleKey {
    match role.kind.as_str() {
        "Role" => (namespace.into(), role.name.as_str().into()),
        "ClusterRole" => (Text::default(), role.name.as_str().into()),
        other => (format!("/{other}").into(), role.name.as_str().into()),
    }
}

fn holders(binding: &Binding) -> Vec<Holder> {
    let of = |subject: &Subject| match subject.kind.as_str() {
        "User" => Some(Holder::User(subject.name.as_str().into())),
        "Group" => Some(Holder::Group(subject.name.as_str().into())),
        "ServiceAccount" => account_of(subject, &binding.key.0).map(|name| Holder::User(name.into())),
        _ => None,
    };
    binding.subjects.iter().filter_map(of).collect()
}

/// The user name of a service account; an account without a namespace is one of the binding's own.
fn account_of(subject: &Subject, namespace: &str) -> Option<String> {
    let namespace = subject.namespace.as_deref().filter(|text| !text.is_empty()).unwrap_or(namespace);
    (!namespace.is_empty()).then(|| format!("system:serviceaccount:{namespace}:{}", subject.name))
}

fn speaks_of(subject: &Subject, user: &User, namespace: &str) -> bool {
    match subject.kind.as_str() {
        "User" => subject.name == user.name,
        "Group" => user.in_group(&subject.name),
        "ServiceAccount" => account_of(subject, namespace).is_some_and(|name| name == user.name),
        _ => false,
    }
}

fn describe_subject(subject: &Subject, namespace: &str) -> String {
    let name = match subject.kind.as_str() {
        "ServiceAccount" => {
            let namespace = subject.namespace.as_deref().filter(|text| !text.is_empty()).unwrap_or(namespace);
            format!("{}/{namespace}", subject.name)
        }
        _ => subject.name.clone(),
    };
    format!("{} {name:?}", subject.kind)
}
