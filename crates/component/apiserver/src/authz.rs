//! The authorizers of this server, kept up to date by following the caches of what they judge by.

use std::sync::Arc;

use authz::{Attributes, Policy};
use env::task::{Fate, Shutdown};
use futures::future::BoxFuture;
use gate::{Authorizer, Decision, RequestInfo};
use kind::{Refusal, User};
use object::Value;
use object::selector::FieldSelector;
use parking_lot::RwLock;
use registry::{Change, ChangeKind, Registry, Selection, WatchOptions};
use typed::Kind;
use typed::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};

use crate::reviews::Rules;
use crate::routes::Routes;

/// Roles and bindings, and the masters' group, which may do everything.
pub(crate) struct Roles {
    policy: Arc<RwLock<Policy>>,
}

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roles").finish_non_exhaustive()
    }
}

impl Roles {
    pub(crate) fn new() -> Arc<Roles> {
        Arc::new(Roles { policy: Arc::default() })
    }

    /// Whether the roles, or the masters' group, allow something.
    pub(crate) fn allows(&self, user: &User, attributes: &Attributes<'_>) -> bool {
        user.in_group(User::MASTERS) || self.policy.read().allows(user, attributes)
    }

    /// Calls `f` with the policy and with a judge that asks it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Policy, ::authz::escalation::Judge<'_>) -> R) -> R {
        let policy = self.policy.read();
        f(&policy, &|user, attributes| user.in_group(User::MASTERS) || policy.allows(user, attributes))
    }

    /// Follows roles and bindings; returns when all that exist now have been heard of.
    pub(crate) async fn follow(&self, routes: &Routes, shutdown: &Shutdown) -> Result<(), Refusal> {
        let group = "rbac.authorization.k8s.io";
        let judge = Judge { state: Arc::clone(&self.policy), routes, shutdown };
        judge
            .hears(group, "roles", Policy::upsert_role, |policy, role: &Role| {
                policy.remove_role(role.namespace(), role.name());
            })
            .await?;
        judge
            .hears(group, "clusterroles", Policy::upsert_cluster_role, |policy, role: &ClusterRole| {
                policy.remove_cluster_role(role.name());
            })
            .await?;
        judge
            .hears(group, "rolebindings", Policy::upsert_role_binding, |policy, binding: &RoleBinding| {
                policy.remove_role_binding(binding.namespace(), binding.name());
            })
            .await?;
        judge
            .hears(
                group,
                "clusterrolebindings",
                Policy::upsert_cluster_role_binding,
                |policy, binding: &ClusterRoleBinding| {
                    policy.remove_cluster_role_binding(binding.name());
                },
            )
            .await
    }
}

/// Something that judges by objects, and hears of them.
pub(crate) struct Judge<'a, J> {
    pub(crate) state: Arc<RwLock<J>>,
    pub(crate) routes: &'a Routes,
    pub(crate) shutdown: &'a Shutdown,
}

impl<J: Send + Sync + 'static> Judge<'_, J> {
    /// Hears of one kind; returns when all objects that exist now have been heard of.
    pub(crate) async fn hears<K: Kind>(
        &self,
        group: &str,
        plural: &str,
        upsert: fn(&mut J, &K),
        remove: fn(&mut J, &K),
    ) -> Result<(), Refusal> {
        self.hears_of((group, plural, FieldSelector::default()), upsert, remove).await
    }

    /// The same of the objects with certain fields; one that gets or loses them comes or goes.
    pub(crate) async fn hears_of<K: Kind>(
        &self,
        (group, plural, fields): (&str, &str, FieldSelector),
        upsert: fn(&mut J, &K),
        remove: fn(&mut J, &K),
    ) -> Result<(), Refusal> {
        let registry = self.routes.registry(group, plural);
        let registry = registry.ok_or_else(|| Refusal::Internal(format!("{plural} are not served")))?;
        let state = Arc::clone(&self.state);
        let apply = move |kind: ChangeKind, tree: &Value| match K::from_tree(tree) {
            Ok(object) if kind == ChangeKind::Deleted => remove(&mut state.write(), &object),
            Ok(object) => upsert(&mut state.write(), &object),
            Err(error) => tracing::error!(%error, "a stored object cannot be read; it allows nothing"),
        };
        let selection = Selection { fields, ..Selection::default() };
        follow(registry, selection, apply, self.shutdown.clone()).await
    }
}

/// Follows the objects of a registry; returns when all that exist now have been applied. Starts over when the cache
/// does, and ends with the server.
pub(crate) async fn follow(
    registry: Arc<Registry>,
    selection: Selection,
    apply: impl Fn(ChangeKind, &Value) + Send + Sync + 'static,
    shutdown: Shutdown,
) -> Result<(), Refusal> {
    let options =
        move || WatchOptions { selection: selection.clone(), initial_events: true, ..WatchOptions::default() };
    let mut watch = registry.watch(options()).await?;
    let first = watch.poll()?;
    apply_all(&registry, &apply, first)?;
    env::task::spawn(Fate::Vital, "follow a cache", async move {
        loop {
            let next = tokio::select! {
                next = watch.next() => next.and_then(|changes| apply_all(&registry, &apply, changes)),
                () = shutdown.cancelled() => return,
            };
            if let Err(refusal) = next {
                tracing::info!(%refusal, "following starts over");
                match registry.watch(options()).await {
                    Ok(again) => watch = again,
                    Err(refusal) => {
                        tracing::warn!(%refusal, "a cache cannot be followed");
                        env::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            }
        }
    });
    Ok(())
}

fn apply_all(registry: &Registry, apply: &impl Fn(ChangeKind, &Value), changes: Vec<Change>) -> Result<(), Refusal> {
    for change in changes {
        if let Change::Object(kind, cached) = change {
            apply(kind, &*registry.view(&cached)?);
        }
    }
    Ok(())
}

impl Authorizer for Roles {
    fn authorize<'a>(&'a self, user: &'a User, info: &'a RequestInfo) -> BoxFuture<'a, Decision> {
        Box::pin(std::future::ready(self.decide(user, info)))
    }
}

impl Roles {
    fn judge(&self, user: &User, info: &RequestInfo) -> authz::Decision {
        let fields = info.query.get("fieldSelector").and_then(|text| FieldSelector::parse(text).ok());
        self.policy.read().decide(user, &attributes(info, fields.as_ref()))
    }

    fn decide(&self, user: &User, info: &RequestInfo) -> Decision {
        if user.in_group(User::MASTERS) {
            return Decision::Allow;
        }
        match self.judge(user, info) {
            authz::Decision::Allow(_) => Decision::Allow,
            authz::Decision::Deny(reason) => Decision::Deny(reason),
            authz::Decision::NoOpinion(reason) => Decision::NoOpinion(reason),
        }
    }
}

pub(crate) fn attributes<'a>(info: &'a RequestInfo, fields: Option<&'a FieldSelector>) -> Attributes<'a> {
    let Some(target) = &info.target else {
        return Attributes { verb: info.verb, path: &info.path, ..Attributes::default() };
    };
    Attributes {
        verb: info.verb,
        group: &target.group,
        version: &target.version,
        namespace: &target.namespace,
        resource: &target.resource,
        subresource: &target.subresource,
        name: &target.name,
        path: &info.path,
        fields,
    }
}

impl Rules for Roles {
    fn allowing(&self, user: &User, info: &RequestInfo) -> String {
        match self.judge(user, info) {
            authz::Decision::Allow(reason) => reason,
            authz::Decision::Deny(_) | authz::Decision::NoOpinion(_) => String::new(),
        }
    }

    fn of(&self, user: &User, namespace: &str) -> (Vec<Value>, Vec<Value>) {
        let mut rules = self.policy.read().rules_of(user, namespace).rules;
        if user.in_group(User::MASTERS) {
            let all = || Some(vec!["*".to_owned()]);
            rules.push(PolicyRule {
                verbs: vec!["*".to_owned()],
                api_groups: all(),
                resources: all(),
                ..PolicyRule::default()
            });
            rules.push(PolicyRule { verbs: vec!["*".to_owned()], non_resource_urls: all(), ..PolicyRule::default() });
        }
        let (others, resources): (Vec<PolicyRule>, Vec<PolicyRule>) =
            rules.into_iter().partition(|rule| rule.non_resource_urls.as_ref().is_some_and(|urls| !urls.is_empty()));
        let list = |list: Option<Vec<String>>| Value::from(list.unwrap_or_default());
        let resource = |rule: PolicyRule| {
            let mut tree = Value::from_pairs([
                ("verbs", Value::from(rule.verbs)),
                ("apiGroups", list(rule.api_groups)),
                ("resources", list(rule.resources)),
            ]);
            if let Some(names) = rule.resource_names.filter(|names| !names.is_empty()) {
                tree.set(&["resourceNames"], names);
            }
            tree
        };
        let other = |rule: PolicyRule| {
            Value::from_pairs([("verbs", Value::from(rule.verbs)), ("nonResourceURLs", list(rule.non_resource_urls))])
        };
        (resources.into_iter().map(resource).collect(), others.into_iter().map(other).collect())
    }
}

/// Authorizers asked in order: the first that has an opinion decides.
pub(crate) struct Union(pub(crate) Vec<Arc<dyn Authorizer>>);

impl Authorizer for Union {
    fn authorize<'a>(&'a self, user: &'a User, info: &'a RequestInfo) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            let mut reasons = Vec::new();
            for authorizer in &self.0 {
                match authorizer.authorize(user, info).await {
                    Decision::NoOpinion(reason) if reason.is_empty() => {}
                    Decision::NoOpinion(reason) => reasons.push(reason),
                    decided => return decided,
                }
            }
            Decision::NoOpinion(reasons.join(", "))
        })
    }
}
