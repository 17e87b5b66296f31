//! Namespace deletion: pods first, then everything else, then the namespace; conditions say what remains.
//!
//! Rules: `kubernetes.io/docs/concepts/overview/working-with-objects/namespaces`; KEP-5080 (ordered deletion).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Kind, Part, Plan, Resource, Step, View, meta};
use typed::api::core::v1::{Namespace, NamespaceCondition, Pod};

/// The finalizer in `spec.finalizers` that this planner answers for.
const FINALIZER: &str = "kubernetes";

/// How soon a namespace with content is looked at again.
const LOOK_AGAIN_SECONDS: i64 = 1;

/// What a namespace still holds.
pub trait Contents: Debug {
    /// All namespaced resources that can be listed and deleted, and the groups whose discovery failed.
    fn resources(&self) -> (Vec<Resource>, Vec<String>);
    /// How many objects of a resource there are, and how many of them carry each finalizer.
    fn remaining(&self, namespace: &str, resource: &Resource) -> Remaining;
    /// Resources whose deletion was refused last time, with the words of the refusal.
    fn failures(&self, namespace: &str) -> Vec<String>;
}

/// Objects of one resource in one namespace.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// Objects.
    pub objects: usize,
    /// Objects by finalizer.
    pub finalizers: BTreeMap<String, usize>,
}

/// Plans one namespace.
#[must_use]
pub fn plan(key: &Key, namespaces: &dyn View<Namespace>, contents: &dyn Contents, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(namespace) = namespaces.get("", &key.name).filter(|namespace| meta::is_deleting(&namespace.metadata))
    else {
        return plan;
    };
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.clone()).unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return plan;
    }
    let (resources, undiscovered) = contents.resources();
    let rest: Vec<(Resource, Remaining)> = resources
        .into_iter()
        .map(|resource| (resource.clone(), contents.remaining(&key.name, &resource)))
        .filter(|(_, remaining)| remaining.objects > 0)
        .collect();
    if rest.is_empty() && undiscovered.is_empty() {
        let mut freed = namespace.as_ref().clone();
        let spec = freed.spec.get_or_insert_default();
        spec.finalizers = Some(finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect());
        plan.then_do(Action::Update { object: Arc::new(freed).erase(), part: Part::Finalize });
        return plan;
    }
    plan.then(deletions(&key.name, &rest));
    let words = conditions(&rest, &undiscovered, &contents.failures(&key.name));
    let mut changed = namespace.as_ref().clone();
    if tell(&mut changed, &words, now) {
        plan.finally(Action::update_status(changed));
    }
    plan.look_again_at(now.saturating_add(SignedDuration::from_secs(LOOK_AGAIN_SECONDS)).unwrap_or(now));
    plan
}

/// Pods go first: what they write on their way out must still find its place.
fn deletions(namespace: &CompactString, rest: &[(Resource, Remaining)]) -> Vec<Step> {
    let has_pods = rest.iter().any(|(resource, _)| *resource == Pod::RESOURCE);
    let due = rest.iter().filter(|(resource, _)| !has_pods || *resource == Pod::RESOURCE);
    let delete = |(resource, _): &(Resource, Remaining)| {
        Step::of(Action::DeleteCollection { resource: resource.clone(), namespace: namespace.clone() })
    };
    due.map(delete).collect()
}

type Words = (&'static str, &'static str, &'static str, String);

fn conditions(rest: &[(Resource, Remaining)], undiscovered: &[String], failures: &[String]) -> Vec<Words> {
    let discovery = match undiscovered {
        [] => ("False", "ResourcesDiscovered", "All resources successfully discovered".to_owned()),
        some => {
            let words = format!("Discovery failed for some groups, {} failing: {}", some.len(), some.join(", "));
            ("True", "DiscoveryFailed", words)
        }
    };
    let deletion = match failures {
        [] => {
            let words = "All content successfully deleted, may be waiting on finalization";
            ("False", "ContentDeleted", words.to_owned())
        }
        some => {
            let words = format!("Failed to delete all resource types, {} remaining: {}", some.len(), some.join(", "));
            ("True", "ContentDeletionFailed", words)
        }
    };
    let mut named: Vec<String> = rest
        .iter()
        .map(|(resource, remaining)| {
            let group = if resource.group.is_empty() { String::new() } else { resource.group.to_string() };
            format!("{}.{group} has {} resource instances", resource.plural, remaining.objects)
        })
        .collect();
    named.sort();
    let content = match named.as_slice() {
        [] => ("False", "ContentRemoved", "All content successfully removed".to_owned()),
        some => ("True", "SomeResourcesRemain", format!("Some resources are remaining: {}", some.join(", "))),
    };
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for (finalizer, count) in rest.iter().flat_map(|(_, remaining)| &remaining.finalizers) {
        *held.entry(finalizer).or_default() += count;
    }
    let held: Vec<String> =
        held.iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances")).collect();
    let finalizers = match held.as_slice() {
        [] => ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned()),
        some => {
            let words = format!("Some content in the namespace has finalizers remaining: {}", some.join(", "));
            ("True", "SomeFinalizersRemain", words)
        }
    };
    let parsing = ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed".to_owned());
    [
        ("NamespaceDeletionDiscoveryFailure", discovery),
        ("NamespaceDeletionGroupVersionParsingFailure", parsing),
        ("NamespaceDeletionContentFailure", deletion),
        ("NamespaceContentRemaining", content),
        ("NamespaceFinalizersRemaining", finalizers),
    ]
    .into_iter()
    .map(|(kind, (status, reason, message))| (kind, status, reason, message))
    .collect()
}

/// Writes conditions that say something new; true if there were any.
fn tell(namespace: &mut Namespace, words: &[Words], now: Timestamp) -> bool {
    let status = namespace.status.get_or_insert_default();
    let mut changed = status.phase.as_deref() != Some("Terminating");
    status.phase = Some("Terminating".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    for (kind, value, reason, message) in words {
        let known = conditions.iter_mut().find(|condition| condition.type_ == *kind);
        let mut fresh = NamespaceCondition {
            type_: (*kind).to_owned(),
            status: (*value).to_owned(),
            reason: Some((*reason).to_owned()),
            message: Some(message.clone()),
            last_transition_time: Some(meta::time(now)),
        };
        match known {
            None => conditions.push(fresh),
            Some(known) if known.status == fresh.status && known.message == fresh.message => continue,
            Some(known) => {
                if known.status == fresh.status {
                    fresh.last_transition_time = known.last_transition_time.clone();
                }
                *known = fresh;
            }
        }
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests;
