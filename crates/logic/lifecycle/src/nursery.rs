//! What every namespace gets on its first day: the ServiceAccount `default` and the cluster's CA bundle.

use std::collections::BTreeMap;

use plan::{Action, Key, Plan, View, meta};
use typed::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use typed::meta::ObjectMeta;

const BUNDLE: &str = "kube-root-ca.crt";
const BUNDLE_KEY: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const BUNDLE_WORDS: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

fn is_active(key: &Key, namespaces: &dyn View<Namespace>) -> bool {
    let namespace = namespaces.get("", &key.name);
    let phase = |namespace: &Namespace| namespace.status.as_ref().and_then(|status| status.phase.clone());
    namespace.is_some_and(|one| !meta::is_deleting(&one.metadata) && phase(&one).as_deref() != Some("Terminating"))
}

/// Makes sure that an active namespace has its ServiceAccount `default`. The key names the namespace.
#[must_use]
pub fn plan_service_account(key: &Key, namespaces: &dyn View<Namespace>, accounts: &dyn View<ServiceAccount>) -> Plan {
    let mut plan = Plan::default();
    if is_active(key, namespaces) && accounts.get(&key.name, "default").is_none() {
        plan.then_do(Action::create(ServiceAccount {
            metadata: named(&key.name, "default"),
            ..ServiceAccount::default()
        }));
    }
    plan
}

/// Makes sure that an active namespace has the CA bundle, unchanged. The key names the namespace.
#[must_use]
pub fn plan_root_ca(key: &Key, namespaces: &dyn View<Namespace>, maps: &dyn View<ConfigMap>, bundle: &str) -> Plan {
    let mut plan = Plan::default();
    if !is_active(key, namespaces) {
        return plan;
    }
    let data = BTreeMap::from([(BUNDLE_KEY.to_owned(), bundle.to_owned())]);
    let existing = maps.get(&key.name, BUNDLE);
    let mut wanted = existing
        .as_deref()
        .cloned()
        .unwrap_or_else(|| ConfigMap { metadata: named(&key.name, BUNDLE), ..ConfigMap::default() });
    let described = meta::set_annotation(&mut wanted.metadata, DESCRIPTION, BUNDLE_WORDS);
    let changed = wanted.data.as_ref() != Some(&data) || described;
    wanted.data = Some(data);
    match existing {
        None => plan.then_do(Action::create(wanted)),
        Some(_) if changed => plan.then_do(Action::update(wanted)),
        Some(_) => {}
    }
    plan
}
