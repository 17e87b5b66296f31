//! Who is planned when something changes: the arrows from informers to queues, as functions from objects to keys.
//!
//! A key woken for nothing costs a look, a key not woken costs a stuck rollout: these functions err on the side of waking.

use std::collections::BTreeSet;

use plan::{Key, Selector, View, controller_key, meta, owners_to_wake};
use typed::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use typed::api::batch::v1::{CronJob, Job};
use typed::api::core::v1::{Node, Pod};
use typed::meta::ObjectMeta;

use crate::pods;
use crate::replicas::Replicator;

/// An object before and after a change; absent when it came or went.
pub type Change<'a> = (Option<&'a ObjectMeta>, Option<&'a ObjectMeta>);

/// ReplicaSets or ReplicationControllers, because of a pod.
#[must_use]
pub fn replicators<T: Replicator>((old, new): Change<'_>, sets: &dyn View<T>) -> BTreeSet<Key> {
    owners_to_wake(old, new, sets, T::selector)
}

/// Deployments, because of a ReplicaSet.
#[must_use]
pub fn deployments((old, new): Change<'_>, deployments: &dyn View<Deployment>) -> BTreeSet<Key> {
    owners_to_wake(old, new, deployments, |one| Selector::optional(one.spec.as_ref().map(|spec| &spec.selector)))
}

/// The Deployment that waits, with strategy Recreate, for its last old pod to be gone.
#[must_use]
pub fn deployment_of_gone_pod(gone: &Pod, sets: &dyn View<ReplicaSet>) -> Option<Key> {
    let set = controller_key::<ReplicaSet>(&gone.metadata)?;
    controller_key::<Deployment>(&sets.get(&set.namespace, &set.name)?.metadata)
}

/// StatefulSets, because of a pod or a revision.
#[must_use]
pub fn stateful_sets((old, new): Change<'_>, sets: &dyn View<StatefulSet>) -> BTreeSet<Key> {
    owners_to_wake(old, new, sets, |one| Selector::optional(one.spec.as_ref().map(|spec| &spec.selector)))
}

/// DaemonSets, because of a pod or a revision.
#[must_use]
pub fn daemon_sets((old, new): Change<'_>, sets: &dyn View<DaemonSet>) -> BTreeSet<Key> {
    owners_to_wake(old, new, sets, |one| Selector::optional(one.spec.as_ref().map(|spec| &spec.selector)))
}

/// All DaemonSets, if a node changed in something that placement looks at.
#[must_use]
pub fn daemon_sets_of_node(old: Option<&Node>, new: Option<&Node>, sets: &dyn View<DaemonSet>) -> BTreeSet<Key> {
    let looked_at = |node: &Node| {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone());
        (node.metadata.uid.clone(), node.metadata.labels.clone(), taints)
    };
    if old.map(looked_at) == new.map(looked_at) {
        return BTreeSet::new();
    }
    sets.all().iter().map(|set| Key::of(set.as_ref())).collect()
}

/// Jobs, because of a pod.
#[must_use]
pub fn jobs((old, new): Change<'_>, jobs: &dyn View<Job>) -> BTreeSet<Key> {
    owners_to_wake(old, new, jobs, |one| Selector::optional(one.spec.as_ref().and_then(|spec| spec.selector.as_ref())))
}

/// The CronJob, because of a Job.
#[must_use]
pub fn cron_job(job: &Job) -> Option<Key> {
    controller_key::<CronJob>(&job.metadata)
}

/// Whether [`crate::job::plan_orphan`] should look at a pod: it is tracked, and its Job is not in view.
#[must_use]
pub fn is_tracked_orphan(pod: &Pod, jobs: &dyn View<Job>) -> bool {
    let job = controller_key::<Job>(&pod.metadata).and_then(|key| jobs.get(&key.namespace, &key.name));
    let over = pods::is_terminal(pod) || meta::is_deleting(&pod.metadata);
    meta::has_finalizer(&pod.metadata, crate::job::TRACKING) && over && job.is_none()
}

#[cfg(test)]
mod tests;
