//! Container statuses.

use jiff::Timestamp;
use typed::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
};
use typed::meta::Time;

use crate::observed::{Seen, Stage};
use crate::plan::{Plan, Role, Situation};
use crate::{resize, spec, status};

/// The waiting reason of a container that is about to be made.
pub const CONTAINER_CREATING: &str = "ContainerCreating";
/// The same in a pod with init containers.
pub const POD_INITIALIZING: &str = "PodInitializing";

/// The exit code of a container that nobody saw ending.
const LOST_EXIT_CODE: i32 = 137;

pub(super) fn status(
    s: &Situation<'_>,
    plan: &Plan,
    node: &status::Node,
    role: Role,
    container: &Container,
) -> ContainerStatus {
    let old = status::container_status(s.previous, &container.name);
    let latest = s.observed.latest(&container.name);
    let mut result = match latest {
        Some(seen) => seen_status(s, node, seen, old),
        None => unseen_status(s, plan, container, old),
    };
    if let Some(held) = plan.held.get(&container.name) {
        if let Some(terminated) = result.state.take().and_then(|state| state.terminated) {
            result.last_state = Some(ContainerState { terminated: Some(terminated), ..Default::default() });
        }
        result.state = Some(waiting(&held.reason, Some(held.message.clone())));
    }
    readiness(s, role, container, latest, &mut result);
    if let Some(seen) = latest {
        let (resources, allocated) = resize::container_report(s, container, seen, old);
        result.resources = Some(resources);
        result.allocated_resources = allocated;
    }
    result
}

fn seen_status(s: &Situation<'_>, node: &status::Node, seen: &Seen, old: Option<&ContainerStatus>) -> ContainerStatus {
    let state = match seen.stage {
        Stage::Running => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(seen.started_at.unwrap_or(seen.created_at))) }),
            ..Default::default()
        },
        // What was made did not end because it has not begun, and what makes way for its successor has not ended for good:
        // the API lets nothing return from an end.
        Stage::Created => waiting(CONTAINER_CREATING, None),
        Stage::Exited if resize::is_restarting(s, seen) => waiting(CONTAINER_CREATING, None),
        Stage::Exited => ended(terminated(node, seen)),
        Stage::Unknown => waiting("", None),
    };
    let own = Some(seen).filter(|seen| resize::is_restarting(s, seen));
    let before = own.or_else(|| s.observed.previous(&seen.name)).filter(|before| before.stage == Stage::Exited);
    let remembered = old.and_then(|old| {
        let was = old.state.as_ref().and_then(|state| state.terminated.clone());
        let same = old.container_id.as_deref() == Some(&container_id(node, seen));
        was.filter(|_| !same).map(ended).or_else(|| old.last_state.clone())
    });
    ContainerStatus {
        name: seen.name.clone(),
        state: Some(state),
        last_state: before.map(|before| ended(terminated(node, before))).or(remembered),
        restart_count: i32::try_from(seen.attempt).unwrap_or(i32::MAX),
        image: seen.image.clone(),
        image_id: seen.image_id.clone(),
        container_id: Some(container_id(node, seen)),
        ..Default::default()
    }
}

/// The status of a container that the runtime does not know (any more).
fn unseen_status(
    s: &Situation<'_>,
    plan: &Plan,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let mut result = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        ..Default::default()
    };
    let has_inits = s.pod.spec.as_ref().is_some_and(|spec| !spec::inits(spec).is_empty());
    let default = if has_inits { POD_INITIALIZING } else { CONTAINER_CREATING };
    result.state = Some(waiting(default, None));
    let Some(old) = old else { return result };
    result.restart_count = old.restart_count;
    result.last_state = old.last_state.clone();
    result.image_id = old.image_id.clone();
    result.container_id = old.container_id.clone();
    let state = old.state.clone().unwrap_or_default();
    if let Some(was) = state.terminated {
        // It ended and was taken away; unless it is started again, that is what there is to say.
        let restarting = plan.start.iter().any(|start| start.name == container.name);
        if restarting {
            result.last_state = Some(ended(was));
        } else {
            result.state = Some(ended(was));
        }
    } else if state.running.is_some() {
        let lost = |message: &str| ContainerStateTerminated {
            exit_code: LOST_EXIT_CODE,
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some(message.to_owned()),
            container_id: old.container_id.clone(),
            ..Default::default()
        };
        if s.ending.is_some() {
            result.state = Some(ended(lost("The container could not be located when the pod was terminated")));
        } else {
            let message =
                "The container could not be located when the pod was deleted.  The container used to be Running";
            result.last_state = Some(ended(lost(message)));
        }
    }
    result
}

fn readiness(
    s: &Situation<'_>,
    role: Role,
    container: &Container,
    latest: Option<&Seen>,
    result: &mut ContainerStatus,
) {
    let running = latest.filter(|seen| seen.stage == Stage::Running);
    let started = running.is_some_and(|seen| s.probes.started(&seen.id, container));
    result.started = (role != Role::Ephemeral).then_some(started);
    result.ready = match role {
        Role::Init => {
            let terminated = result.state.as_ref().and_then(|state| state.terminated.as_ref());
            terminated.is_some_and(|terminated| terminated.exit_code == 0)
        }
        Role::Sidecar | Role::Regular => running.is_some_and(|seen| s.probes.ready(&seen.id, container)),
        Role::Ephemeral => false,
    };
}

fn container_id(node: &status::Node, seen: &Seen) -> String {
    format!("{}://{}", node.runtime, seen.id)
}

fn terminated(node: &status::Node, seen: &Seen) -> ContainerStateTerminated {
    let usual = if seen.exit_code == 0 { "Completed" } else { "Error" };
    let time = |at: Option<Timestamp>| at.map(Time);
    ContainerStateTerminated {
        exit_code: seen.exit_code,
        reason: Some(if seen.reason.is_empty() { usual.to_owned() } else { seen.reason.clone() }),
        message: (!seen.message.is_empty()).then(|| seen.message.clone()),
        started_at: time(seen.started_at),
        finished_at: time(seen.finished_at),
        container_id: Some(container_id(node, seen)),
        ..Default::default()
    }
}

fn ended(terminated: ContainerStateTerminated) -> ContainerState {
    ContainerState { terminated: Some(terminated), ..Default::default() }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    ContainerState { waiting: Some(ContainerStateWaiting { reason, message }), ..Default::default() }
}
