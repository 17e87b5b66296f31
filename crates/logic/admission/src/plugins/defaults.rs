//! DefaultTolerationSeconds, DefaultStorageClass and DefaultIngressClass: what stands where nobody chose.

use std::sync::Arc;

use kind::Refusal;
use object::Meta;
use object::Value;

use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

const TOLERATED: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const TOLERATION_SECONDS: i64 = 300;
const CLAIM_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_STORAGE: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
const DEFAULT_INGRESS: [&str; 1] = ["ingressclass.kubernetes.io/is-default-class"];

/// A pod stays five minutes on a node that is lost, unless it says otherwise.
pub(super) fn tolerations(
    request: &Request<'_>,
    _facts: &dyn Facts,
    pod: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !request.is_whole("", "pods") {
        return Ok(());
    }
    for key in TOLERATED {
        let tolerates = |toleration: &Value| {
            let (given, effect) = (tree::text(toleration, &["key"]), tree::text(toleration, &["effect"]));
            (given == key || given.is_empty()) && matches!(effect, "NoExecute" | "")
        };
        if !pod.list_at(&["spec", "tolerations"]).iter().any(tolerates) {
            let toleration = Value::from_pairs([
                ("key", Value::from(key)),
                ("operator", Value::from("Exists")),
                ("effect", Value::from("NoExecute")),
                ("tolerationSeconds", Value::from(TOLERATION_SECONDS)),
            ]);
            tree::push(pod, &["spec", "tolerations"], toleration);
        }
    }
    Ok(())
}

/// A claim without a class gets the default one.
pub(super) fn storage_class(
    request: &Request<'_>,
    facts: &dyn Facts,
    claim: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let chosen =
        tree::is_set(claim, &["spec", "storageClassName"]) || Meta::of(claim).annotation(CLAIM_CLASS).is_some();
    if request.is_whole("", "persistentvolumeclaims")
        && !chosen
        && let Some(class) = default_class(facts, Fact::StorageClass, &DEFAULT_STORAGE)
    {
        claim.set(&["spec", "storageClassName"], Meta::of(&class).name());
    }
    Ok(())
}

/// An ingress without a class gets the default one.
pub(super) fn ingress_class(
    request: &Request<'_>,
    facts: &dyn Facts,
    ingress: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let chosen =
        tree::is_set(ingress, &["spec", "ingressClassName"]) || Meta::of(ingress).annotation(INGRESS_CLASS).is_some();
    if request.is_whole("networking.k8s.io", "ingresses")
        && !chosen
        && let Some(class) = default_class(facts, Fact::IngressClass, &DEFAULT_INGRESS)
    {
        ingress.set(&["spec", "ingressClassName"], Meta::of(&class).name());
    }
    Ok(())
}

/// Of several defaults the newest counts, and of equally new ones the first by name.
fn default_class(facts: &dyn Facts, fact: Fact, annotations: &[&str]) -> Option<Arc<Value>> {
    let is_default = |class: &Arc<Value>| annotations.iter().any(|key| Meta::of(class).annotation(key) == Some("true"));
    let age = |class: &Arc<Value>| {
        let created = tree::text(class, &["metadata", "creationTimestamp"]).to_owned();
        (std::cmp::Reverse(created), Meta::of(class).name().to_owned())
    };
    facts.list(fact, "").into_iter().filter(is_default).min_by_key(age)
}
