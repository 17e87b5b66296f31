//! The ReplicaSets of one Deployment.

use std::sync::Arc;

use plan::{controller_reference, hash_of_debug, meta, safe_encode};
use typed::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use typed::api::core::v1::PodTemplateSpec;
use typed::meta::ObjectMeta;

pub(super) const HASH: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations that describe one object alone and are not handed down to ReplicaSets.
const NOT_INHERITED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// The longest list of earlier revisions kept on a ReplicaSet.
const HISTORY_BYTES_MAX: usize = 2000;

pub(super) struct Family {
    /// The ReplicaSet with today's template, the oldest if there are several.
    pub(super) new: Option<Arc<ReplicaSet>>,
    /// All others, oldest first.
    pub(super) old: Vec<Arc<ReplicaSet>>,
}

impl Family {
    pub(super) fn new(template: &PodTemplateSpec, mut sets: Vec<Arc<ReplicaSet>>) -> Self {
        sets.sort_by_key(|set| (meta::created(&set.metadata), meta::name(&set.metadata).to_owned()));
        let wanted = without_hash(template);
        let is_new = |set: &Arc<ReplicaSet>| {
            set.spec.as_ref().and_then(|spec| spec.template.as_ref()).is_some_and(|t| without_hash(t) == wanted)
        };
        let new = sets.iter().position(is_new).map(|place| sets.remove(place));
        Self { new, old: sets }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.new.iter().chain(&self.old)
    }

    pub(super) fn total_size(&self) -> i32 {
        self.all().map(|set| size(set)).sum()
    }

    pub(super) fn total_available(&self) -> i32 {
        self.all().map(|set| available(set)).sum()
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or_default() + 1
    }

    /// The new ReplicaSet as it should be annotated, if it is not yet.
    pub(super) fn refreshed(&self, new: &ReplicaSet, deployment: &Deployment) -> Option<ReplicaSet> {
        let mut fresh = new.clone();
        let mut changed = annotate(&mut fresh.metadata, deployment, self.next_revision());
        let min_ready =
            deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds).filter(|seconds| *seconds != 0);
        let spec = fresh.spec.get_or_insert_default();
        if spec.min_ready_seconds.filter(|seconds| *seconds != 0) != min_ready {
            spec.min_ready_seconds = min_ready;
            changed = true;
        }
        changed.then_some(fresh)
    }

    /// The ReplicaSet for today's template, not yet created.
    pub(super) fn fresh(&self, deployment: &Deployment, size: i32) -> ReplicaSet {
        let spec = deployment.spec.clone().unwrap_or_default();
        let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = safe_encode(&hash_of_debug(&spec.template, collisions).to_string());
        let mut template = spec.template.clone();
        let about = template.metadata.get_or_insert_default();
        meta::set_label(about, HASH, &hash);
        let mut selector = spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(HASH.to_owned(), hash.clone());
        let mut metadata = ObjectMeta {
            name: Some(format!("{}-{hash}", meta::name(&deployment.metadata))),
            namespace: deployment.metadata.namespace.clone(),
            labels: about.labels.clone(),
            owner_references: Some(vec![controller_reference(deployment)]),
            ..ObjectMeta::default()
        };
        annotate(&mut metadata, deployment, self.next_revision());
        let wanted = spec.replicas.unwrap_or(1);
        note_size(&mut metadata, wanted, wanted + super::pace::max_surge(&spec));
        ReplicaSet {
            metadata,
            spec: Some(ReplicaSetSpec {
                replicas: Some(size),
                min_ready_seconds: spec.min_ready_seconds.filter(|seconds| *seconds != 0),
                selector,
                template: Some(template),
            }),
            status: None,
        }
    }

    /// Old, empty, settled ReplicaSets beyond the history limit, lowest revision first.
    pub(super) fn forgettable(&self, limit: i32) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        let mut old: Vec<_> = self.old.iter().filter(|set| !meta::is_deleting(&set.metadata)).collect();
        old.sort_by_key(|set| revision(set));
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        old.into_iter().take(surplus).filter(|set| {
            let status = set.status.as_ref();
            let observed = status.and_then(|status| status.observed_generation).unwrap_or_default();
            let pods = status.map_or(0, |status| status.replicas);
            size(set) == 0 && pods == 0 && set.metadata.generation.unwrap_or_default() <= observed
        })
    }
}

/// The template as users write it. Only the hash label that controllers add is set aside.
fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(about) = &mut template.metadata {
        if let Some(labels) = &mut about.labels {
            labels.remove(HASH);
        }
        about.labels.take_if(|labels| labels.is_empty());
        about.annotations.take_if(|annotations| annotations.is_empty());
    }
    template.metadata.take_if(|about| *about == ObjectMeta::default());
    template
}

pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

pub(super) fn revision(set: &ReplicaSet) -> i64 {
    meta::annotation(&set.metadata, REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub(super) fn number(set: &ReplicaSet, annotation: &str) -> Option<i32> {
    meta::annotation(&set.metadata, annotation)?.parse().ok()
}

/// Records for which size of the Deployment a ReplicaSet was scaled; true if that is news.
pub(super) fn note_size(about: &mut ObjectMeta, desired: i32, max: i32) -> bool {
    let desired = meta::set_annotation(about, DESIRED, &desired.to_string());
    meta::set_annotation(about, MAX, &max.to_string()) || desired
}

fn annotate(about: &mut ObjectMeta, deployment: &Deployment, revision: i64) -> bool {
    let mut changed = false;
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_INHERITED.contains(&key.as_str()) {
            changed |= meta::set_annotation(about, key, value);
        }
    }
    let old = meta::annotation(about, REVISION).map(str::to_owned);
    if old.as_deref().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default() < revision {
        changed |= meta::set_annotation(about, REVISION, &revision.to_string());
        if let Some(old) = old {
            remember(about, &old);
        }
    }
    changed
}

/// Adds a revision to the list of those that this ReplicaSet has had, dropping the earliest when it grows too long.
fn remember(about: &mut ObjectMeta, revision: &str) {
    let mut history: Vec<&str> =
        meta::annotation(about, HISTORY).map(|text| text.split(',').collect()).unwrap_or_default();
    history.push(revision);
    while history.len() > 1 && history.iter().map(|one| one.len() + 1).sum::<usize>() > HISTORY_BYTES_MAX {
        history.remove(0);
    }
    let text = history.join(",");
    meta::set_annotation(about, HISTORY, &text);
}
