//! Init containers and sidecars: one after the other, then never again in the same sandbox.
//!
//! The frontier is the last init container that was made in the present sandbox. What stands before it is done (or, a
//! sidecar, keeps running); the frontier itself decides whether the next one may start. That a regular container was
//! made in this sandbox proves that all of them are done.

use typed::api::core::v1::{Container, PodSpec};

use crate::observed::{Sandbox, Seen, Stage};
use crate::plan::{Plan, Role, Situation, StopReason, running, start};
use crate::restart::{Verdict, verdict};
use crate::{spec, termination};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Regular containers may start.
    Initialized,
    /// Not yet.
    Pending,
    /// Never.
    Failed,
}

pub(crate) fn plan(s: &Situation<'_>, pod_spec: &PodSpec, sandbox: &Sandbox, plan: &mut Plan) -> Outcome {
    let inits = spec::inits(pod_spec);
    let made = |container: &Container| s.observed.latest_in(&sandbox.id, &container.name);
    if pod_spec.containers.iter().any(|container| made(container).is_some()) {
        for container in inits.iter().filter(|container| spec::is_sidecar(container)) {
            sidecar(s, container, made(container), plan);
        }
        return Outcome::Initialized;
    }
    let frontier = inits.iter().rposition(|container| made(container).is_some());
    for container in inits.iter().take(frontier.unwrap_or_default()).filter(|container| spec::is_sidecar(container)) {
        sidecar(s, container, made(container), plan);
    }
    let next = match frontier {
        None => 0,
        Some(index) => {
            let seen = made(&inits[index]).expect("the frontier was made");
            match cross(s, pod_spec, &inits[index], seen, plan) {
                Outcome::Initialized => index + 1,
                other => return other,
            }
        }
    };
    let Some(container) = inits.get(next) else { return Outcome::Initialized };
    start(s, role(container), container, s.observed.latest(&container.name), plan);
    Outcome::Pending
}

fn role(container: &Container) -> Role {
    if spec::is_sidecar(container) { Role::Sidecar } else { Role::Init }
}

/// Whether the frontier lets the next container start.
fn cross(s: &Situation<'_>, pod_spec: &PodSpec, container: &Container, seen: &Seen, plan: &mut Plan) -> Outcome {
    if spec::is_sidecar(container) {
        sidecar(s, container, Some(seen), plan);
        let started = container.startup_probe.is_none() || s.probes.startup_succeeded(&seen.id);
        let passed = seen.stage == Stage::Running && started;
        return if passed { Outcome::Initialized } else { Outcome::Pending };
    }
    match seen.stage {
        Stage::Running => Outcome::Pending,
        Stage::Exited if seen.exit_code == 0 => Outcome::Initialized,
        Stage::Exited if verdict(pod_spec, Role::Init, container, seen.exit_code) == Verdict::Stay => Outcome::Failed,
        Stage::Exited | Stage::Created => {
            start(s, Role::Init, container, Some(seen), plan);
            Outcome::Pending
        }
        Stage::Unknown => {
            let message = "Init container is in \"Unknown\" state, try killing it before restart".to_owned();
            plan.stop.push(termination::stop(s, seen, StopReason::Unknown, message));
            Outcome::Pending
        }
    }
}

/// Keeps a sidecar running.
fn sidecar(s: &Situation<'_>, container: &Container, seen: Option<&Seen>, plan: &mut Plan) {
    match seen {
        Some(seen) if seen.stage == Stage::Running => {
            running(s, seen, Role::Sidecar, container, plan);
        }
        Some(seen) if seen.stage == Stage::Unknown => {
            let message = "Init container is in \"Unknown\" state, try killing it before restart".to_owned();
            plan.stop.push(termination::stop(s, seen, StopReason::Unknown, message));
        }
        other => start(s, Role::Sidecar, container, other, plan),
    }
}
