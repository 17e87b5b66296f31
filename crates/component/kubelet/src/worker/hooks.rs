//! Stopping containers, and the hooks around their lives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use podplan::{Stop, StopReason};
use typed::api::core::v1::{Container, LifecycleHandler, Pod};

use crate::checks::{self, Health, Subject};
use crate::events::Notice;
use crate::observe::Look;
use crate::shared::Shared;

/// How long a hook after the start may take: as long as the pod lets it, so only a bound against forgetting.
const POST_START_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// What is left for the container when its hook took all of the grace.
const GRACE_AFTER_HOOK_MIN: Duration = Duration::from_secs(2);

/// Stops a container, its hook first; the id when the hook was run.
pub(super) async fn stop(
    shared: &Arc<Shared>,
    look: &Look,
    pod: &Pod,
    stop: &Stop,
    already: &BTreeSet<String>,
) -> Option<String> {
    let tell = |notice: Notice<'_>| shared.recorder.tell(pod, Some(&stop.name), notice);
    tell(Notice::normal("Killing", &stop.message));
    let grace = Duration::from_secs(u64::try_from(stop.grace_seconds).unwrap_or_default());
    let began = env::time::Instant::now();
    let mut hooked = None;
    if let Some(hook) = stop.pre_stop.as_ref().filter(|_| !already.contains(&stop.id)) {
        let container = podplan::container(pod, &stop.name).map(|(_, container)| container.into_owned());
        let subject = subject(shared, look, pod, container.unwrap_or_default(), &stop.id);
        let failure = match env::time::timeout(grace, run(&subject, hook, grace)).await {
            Ok(outcome) => outcome.err(),
            // The end of its container ends a sleep well, and everything else as a failure.
            Err(_elapsed) => hook.sleep.is_none().then(|| "not completed in grace period".to_owned()),
        };
        if let Some(problem) = failure {
            tracing::warn!(container = stop.name, problem, "the hook before the stop failed");
            // What a hook says may be secret, and events are read by more people than logs.
            tell(Notice::warning("FailedPreStopHook", "PreStopHook failed"));
        }
        hooked = Some(stop.id.clone());
    }
    let left = if grace.is_zero() { grace } else { grace.saturating_sub(began.elapsed()).max(GRACE_AFTER_HOOK_MIN) };
    if let Err(failure) = shared.runtime.container_stop(stop.id.clone(), left).await {
        let message = format!("error killing pod: failed to \"KillContainer\" for \"{}\": {failure}", stop.name);
        tell(Notice::warning("FailedKillPod", &message));
        // The next look finds it still there, and the plan stops it again.
        env::time::sleep(Duration::from_secs(1)).await;
    }
    if stop.reason == StopReason::Pod && !grace.is_zero() && began.elapsed() > grace + GRACE_AFTER_HOOK_MIN {
        tell(Notice::warning(
            "ExceededGracePeriod",
            "Container runtime did not kill the pod within specified grace period.",
        ));
    }
    hooked
}

/// Runs the hook after a container's start; `Err` says why the container must go again.
pub(super) async fn post_start(subject: &Subject) -> Result<(), String> {
    let hook = subject.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.clone());
    match hook {
        Some(hook) => run(subject, &hook, POST_START_LIMIT).await,
        None => Ok(()),
    }
}

async fn run(subject: &Subject, hook: &LifecycleHandler, limit: Duration) -> Result<(), String> {
    let (health, message) = if let Some(action) = &hook.exec {
        checks::exec(subject, action.command.clone().unwrap_or_default(), limit).await?
    } else if let Some(action) = &hook.http_get {
        // Whatever is answered, it was heard.
        return checks::fetch(subject, action).await?.map(drop);
    } else if let Some(action) = &hook.sleep {
        env::time::sleep(Duration::from_secs(u64::try_from(action.seconds).unwrap_or_default())).await;
        return Ok(());
    } else {
        return Err("invalid handler".to_owned());
    };
    if health == Health::Unwell { Err(message) } else { Ok(()) }
}

pub(super) fn subject(shared: &Arc<Shared>, look: &Look, pod: &Pod, container: Container, id: &str) -> Subject {
    Subject {
        runtime: shared.runtime.clone(),
        container,
        id: id.to_owned(),
        ip: super::pod_ips(shared, &look.observed, pod).first().cloned().unwrap_or_default(),
    }
}
