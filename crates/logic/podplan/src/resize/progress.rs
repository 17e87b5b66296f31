//! What is told of a resize: the conditions `PodResizePending` and `PodResizeInProgress`.

use typed::api::core::v1::{PodCondition, PodStatus};
use typed::meta::Time;

use super::{IN_PROGRESS, PENDING};
use crate::plan::Situation;

const DEFERRED: &str = "Deferred";
const ERROR: &str = "Error";

/// A resize that waits for room. What never fits is refused by the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Why it does not fit.
    pub message: String,
    /// The generation of the pod that asked for it.
    pub generation: i64,
}

/// A resize that was granted and is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The generation of the pod that asked for it.
    pub generation: i64,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

impl Pending {
    /// What an earlier kubelet said.
    pub fn told(status: &PodStatus) -> Option<Pending> {
        let condition = find(status, PENDING)?;
        let generation = condition.observed_generation.unwrap_or_default();
        Some(Pending { message: condition.message.clone().unwrap_or_default(), generation })
    }
}

impl Progress {
    /// What an earlier kubelet said.
    pub fn told(status: &PodStatus) -> Option<Progress> {
        let condition = find(status, IN_PROGRESS)?;
        let error = (condition.reason.as_deref() == Some(ERROR)).then(|| condition.message.clone().unwrap_or_default());
        Some(Progress { generation: condition.observed_generation.unwrap_or_default(), error })
    }
}

fn find<'a>(status: &'a PodStatus, type_: &str) -> Option<&'a PodCondition> {
    status.conditions.as_deref()?.iter().find(|condition| condition.type_ == type_)
}

/// What the progress is now that `unfinished` is known, and the generation of a resize that has just been completed.
pub fn progress(before: Option<Progress>, unfinished: bool, generation: i64) -> (Option<Progress>, Option<i64>) {
    match before {
        Some(progress) if !unfinished => (None, Some(progress.generation)),
        Some(progress) => (Some(progress), None),
        None => (unfinished.then_some(Progress { generation, error: None }), None),
    }
}

/// The conditions of a pod that is not over. A transition is another reason, as there is no other status than `True`.
pub(crate) fn conditions(s: &Situation<'_>) -> Vec<PodCondition> {
    let condition = |type_: &str, reason: Option<&str>, message: Option<&String>, generation: i64| {
        let old = find(s.previous, type_)
            .filter(|old| old.reason.as_deref().unwrap_or_default() == reason.unwrap_or_default());
        PodCondition {
            type_: type_.to_owned(),
            status: "True".to_owned(),
            reason: reason.map(str::to_owned),
            message: message.cloned(),
            last_transition_time: old.and_then(|old| old.last_transition_time.clone()).or(Some(Time(s.now))),
            observed_generation: Some(generation),
            ..Default::default()
        }
    };
    let pending =
        s.resizing.pending.as_ref().map(|it| condition(PENDING, Some(DEFERRED), Some(&it.message), it.generation));
    let progress = s.resizing.progress.as_ref().map(|it| {
        let reason = it.error.as_ref().map(|_| ERROR);
        condition(IN_PROGRESS, reason, it.error.as_ref(), it.generation)
    });
    pending.into_iter().chain(progress).collect()
}
