//! Status and conditions: what `kubectl rollout status` reads.

use jiff::{Timestamp, ToSpan};
use plan::{Action, meta};
use typed::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};

use super::{Rollout, family, pace};
use crate::nonzero;

/// Why the status is being written.
pub(super) enum Kind {
    /// No rollout moved: paused, scaling or being deleted.
    Sync,
    /// A rollout is or may be under way.
    Rollout,
    /// The new ReplicaSet is created by this plan.
    Created { name: String, revision: String },
    /// The new ReplicaSet could not be created.
    Refused(String),
}

impl Rollout<'_> {
    pub(super) fn status(&self) -> DeploymentStatus {
        let (old, family) = (self.deployment.status.clone().unwrap_or_default(), &self.family);
        let of = |field: fn(&typed::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
            family.all().filter_map(|set| set.status.as_ref()).map(field).sum()
        };
        let replicas = of(|status| status.replicas);
        let available = of(|status| status.available_replicas.unwrap_or_default());
        let terminating: Option<i32> =
            family.all().map(|set| set.status.as_ref().map_or(Some(0), |status| status.terminating_replicas)).sum();
        let mut status = DeploymentStatus {
            observed_generation: self.deployment.metadata.generation,
            replicas: nonzero(replicas),
            updated_replicas: nonzero(
                family.new.iter().filter_map(|new| new.status.as_ref()).map(|s| s.replicas).sum(),
            ),
            ready_replicas: nonzero(of(|status| status.ready_replicas.unwrap_or_default())),
            available_replicas: nonzero(available),
            unavailable_replicas: nonzero((family.total_size() - available).max(0)),
            terminating_replicas: terminating,
            collision_count: old.collision_count,
            conditions: old.conditions,
        };
        let enough = available >= self.wanted() - pace::max_unavailable(self.spec());
        let words = match enough {
            true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        };
        set(&mut status, condition("Available", words, self.now));
        status
    }

    /// Writes the status if it says anything new, and asks to look again when the progress deadline passes.
    pub(super) fn report(&mut self, kind: Kind) {
        let mut status = self.status();
        let mut revision = self
            .family
            .new
            .as_ref()
            .and_then(|new| meta::annotation(&new.metadata, family::REVISION))
            .map(str::to_owned);
        if let Some(pause) = pause_condition(self.deployment, self.now) {
            set(&mut status, pause);
        }
        let has_deadline = has_deadline(self.deployment);
        if !has_deadline {
            remove(&mut status, "Progressing");
        }
        let mut always = true;
        match kind {
            Kind::Sync => {}
            Kind::Rollout => self.judge(&mut status),
            Kind::Created { name, revision: first } => {
                always = false;
                revision = Some(first);
                let words = format!("Created new replica set \"{name}\"");
                if has_deadline {
                    set(&mut status, condition("Progressing", ("True", "NewReplicaSetCreated", &words), self.now));
                }
            }
            Kind::Refused(message) => {
                if has_deadline {
                    set(&mut status, condition("Progressing", ("False", "ReplicaSetCreateError", &message), self.now));
                }
            }
        }
        self.mirror_failure(&mut status);
        if status.conditions.as_ref().is_some_and(Vec::is_empty) {
            status.conditions = None;
        }
        let mut changed = self.deployment.clone();
        if let Some(revision) = revision {
            meta::set_annotation(&mut changed.metadata, family::REVISION, &revision);
        }
        self.wait_for_deadline(&status);
        if self.deployment.status.as_ref() == Some(&status) && changed.metadata == self.deployment.metadata {
            return;
        }
        changed.status = Some(status);
        match always {
            true => self.plan.finally(Action::update_status(changed)),
            false => self.plan.then_do(Action::update_status(changed)),
        }
    }

    /// Decides whether the rollout is complete, moves, or is stuck.
    fn judge(&self, status: &mut DeploymentStatus) {
        if !has_deadline(self.deployment) {
            return;
        }
        let current = find(status, "Progressing").cloned();
        let was_complete = current.as_ref().and_then(|c| c.reason.as_deref()) == Some("NewReplicaSetAvailable");
        if was_complete && status.replicas == status.updated_replicas {
            return;
        }
        let subject = match &self.family.new {
            Some(new) => format!("ReplicaSet \"{}\"", meta::name(&new.metadata)),
            None => format!("Deployment \"{}\"", meta::name(&self.deployment.metadata)),
        };
        if is_complete(self.deployment, status) {
            let words = format!("{subject} has successfully progressed.");
            set(status, condition("Progressing", ("True", "NewReplicaSetAvailable", &words), self.now));
        } else if is_moving(self.deployment, status) {
            let words = format!("{subject} is progressing.");
            let mut moving = condition("Progressing", ("True", "ReplicaSetUpdated", &words), self.now);
            if let Some(current) = current.filter(|c| c.status == moving.status) {
                moving.last_transition_time = current.last_transition_time;
            }
            remove(status, "Progressing");
            status.conditions.get_or_insert_default().push(moving);
        } else if let Some(current) = current {
            if self.deadline_of(&current).is_some_and(|deadline| deadline < self.now) && !was_complete {
                let words = format!("{subject} has timed out progressing.");
                set(status, condition("Progressing", ("False", "ProgressDeadlineExceeded", &words), self.now));
            }
        } else if let Some(new) = &self.family.new {
            let words = format!("Found new replica set \"{}\"", meta::name(&new.metadata));
            set(status, condition("Progressing", ("True", "FoundNewReplicaSet", &words), self.now));
        }
    }

    fn deadline_of(&self, progressing: &DeploymentCondition) -> Option<Timestamp> {
        let seconds = self.spec().progress_deadline_seconds?;
        let since = progressing.last_update_time.as_ref()?;
        since.0.checked_add(i64::from(seconds).seconds()).ok()
    }

    fn wait_for_deadline(&mut self, status: &DeploymentStatus) {
        if !has_deadline(self.deployment) || self.spec().paused == Some(true) || is_complete(self.deployment, status) {
            return;
        }
        let Some(progressing) = find(status, "Progressing") else { return };
        if matches!(progressing.reason.as_deref(), Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded")) {
            return;
        }
        if let Some(deadline) = self.deadline_of(progressing) {
            self.plan.look_again_at(deadline.saturating_add(1.second()).unwrap_or(deadline));
        }
    }

    /// A ReplicaSet that cannot create pods makes its Deployment say so.
    fn mirror_failure(&self, status: &mut DeploymentStatus) {
        let failing = |set: &std::sync::Arc<ReplicaSet>| {
            let conditions = set.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.into_iter().flatten().find(|c| c.type_ == "ReplicaFailure").cloned()
        };
        match self.family.all().find_map(failing) {
            Some(failure) => {
                let words = (
                    failure.status.as_str(),
                    failure.reason.as_deref().unwrap_or_default(),
                    failure.message.as_deref().unwrap_or_default(),
                );
                let mut mirrored = condition("ReplicaFailure", words, self.now);
                mirrored.last_transition_time = failure.last_transition_time.clone();
                mirrored.last_update_time = failure.last_transition_time;
                set(status, mirrored);
            }
            None => remove(status, "ReplicaFailure"),
        }
    }
}

/// The condition that pausing or resuming wants, if it does not stand yet. A rollout that already timed out is left so.
pub(super) fn pause_condition(deployment: &Deployment, now: Timestamp) -> Option<DeploymentCondition> {
    let paused = deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
    if !has_deadline(deployment) {
        return None;
    }
    let current = deployment.status.as_ref().and_then(|status| find(status, "Progressing"));
    match (current.and_then(|c| c.reason.as_deref()), paused) {
        (Some("ProgressDeadlineExceeded" | "DeploymentPaused"), true) => None,
        (_, true) => Some(condition("Progressing", ("Unknown", "DeploymentPaused", "Deployment is paused"), now)),
        (Some("DeploymentPaused"), false) => {
            Some(condition("Progressing", ("Unknown", "DeploymentResumed", "Deployment is resumed"), now))
        }
        (_, false) => None,
    }
}

fn has_deadline(deployment: &Deployment) -> bool {
    let deadline = deployment.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds);
    deadline.is_some_and(|seconds| seconds != i32::MAX)
}

/// Everything wished is new and available, and nothing else is left.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = nonzero(deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1));
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn is_moving(deployment: &Deployment, new: &DeploymentStatus) -> bool {
    let Some(old) = &deployment.status else { return new.replicas.is_some() };
    let old_left = old.replicas.unwrap_or_default() - old.updated_replicas.unwrap_or_default();
    let new_left = new.replicas.unwrap_or_default() - new.updated_replicas.unwrap_or_default();
    new.updated_replicas > old.updated_replicas
        || new_left < old_left
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
}

fn condition(kind: &str, (status, reason, message): (&str, &str, &str), now: Timestamp) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_update_time: Some(meta::time(now)),
        last_transition_time: Some(meta::time(now)),
    }
}

fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
    }
}

/// Replaces a condition. The same status and reason is no news and leaves it untouched.
fn set(status: &mut DeploymentStatus, mut fresh: DeploymentCondition) {
    if let Some(current) = find(status, &fresh.type_) {
        if current.status == fresh.status && current.reason == fresh.reason {
            return;
        }
        if current.status == fresh.status {
            fresh.last_transition_time = current.last_transition_time.clone();
        }
    }
    remove(status, &fresh.type_);
    status.conditions.get_or_insert_default().push(fresh);
}
