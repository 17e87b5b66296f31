//! The conditions that the kubelet owns; others are left as they are.

use typed::api::core::v1::{ContainerStatus, PodCondition, PodStatus};
use typed::meta::Time;

use crate::plan::{Role, Situation};
use crate::{resize, spec, status};

/// A condition before it has its times.
struct Said {
    type_: &'static str,
    holds: bool,
    reason: Option<String>,
    message: Option<String>,
}

impl Said {
    fn yes(type_: &'static str) -> Said {
        Said { type_, holds: true, reason: None, message: None }
    }

    fn no(type_: &'static str, reason: &str, message: Option<String>) -> Said {
        Said { type_, holds: false, reason: Some(reason.to_owned()), message }
    }
}

pub(super) fn all(s: &Situation<'_>, status: &PodStatus) -> Vec<PodCondition> {
    let network_up = s
        .observed
        .sandbox()
        .is_some_and(|sandbox| sandbox.ready && (!sandbox.ips.is_empty() || status::host_network(s.pod)));
    let sandbox = Said { type_: "PodReadyToStartContainers", holds: network_up, reason: None, message: None };
    let containers = containers_ready(s, status);
    let ready = ready(s, status, &containers);
    let mut own = vec![sandbox, initialized(s, status), ready, containers, Said::yes("PodScheduled")];
    own.extend(disrupted(s));
    let before = s.previous.conditions.as_deref().unwrap_or_default();
    let ours = |type_: &str| own.iter().any(|said| said.type_ == type_) || resize::CONDITIONS.contains(&type_);
    let foreign = before.iter().filter(|condition| !ours(&condition.type_)).cloned();
    let mut result: Vec<PodCondition> = own.iter().map(|said| dated(s, before, said)).collect();
    if !status::is_terminal(status) {
        result.extend(resize::conditions(s));
    }
    result.extend(foreign);
    result
}

/// That the node ended the pod for reasons that are not the pod's own (KEP-3329).
fn disrupted(s: &Situation<'_>) -> Option<Said> {
    let verdict = s.ending?.verdict.as_ref().filter(|verdict| verdict.is_disruption())?;
    let reason = Some("TerminationByKubelet".to_owned());
    Some(Said { reason, message: Some(verdict.message.clone()), ..Said::yes("DisruptionTarget") })
}

fn dated(s: &Situation<'_>, before: &[PodCondition], said: &Said) -> PodCondition {
    let status = if said.holds { "True" } else { "False" };
    let old = before.iter().find(|condition| condition.type_ == said.type_);
    let same = old.filter(|old| old.status == status);
    PodCondition {
        type_: said.type_.to_owned(),
        status: status.to_owned(),
        reason: said.reason.clone(),
        message: said.message.clone(),
        last_transition_time: same.and_then(|old| old.last_transition_time.clone()).or(Some(Time(s.now))),
        observed_generation: s.pod.metadata.generation,
        ..Default::default()
    }
}

fn initialized(s: &Situation<'_>, status: &PodStatus) -> Said {
    let type_ = "Initialized";
    let phase = status.phase.as_deref();
    if phase == Some("Succeeded") {
        return Said { reason: Some("PodCompleted".to_owned()), ..Said::yes(type_) };
    }
    let pod_spec = s.pod.spec.as_ref();
    let ran = pod_spec.is_some_and(|pod_spec| {
        pod_spec.containers.iter().any(|container| s.observed.latest(&container.name).is_some())
    });
    let mut unknown = Vec::new();
    let mut incomplete = Vec::new();
    for (role, container) in spec::containers(s.pod) {
        let seen = status::container_status(status, &container.name);
        match (role, seen) {
            (Role::Init | Role::Sidecar, None) => unknown.push(container.name.clone()),
            (Role::Init, Some(status)) if !status.ready => incomplete.push(container.name.clone()),
            (Role::Sidecar, Some(status)) if status.started != Some(true) => incomplete.push(container.name.clone()),
            _ => {}
        }
    }
    // Once regular containers ran, sidecars that restart do not undo it.
    if ran || (unknown.is_empty() && incomplete.is_empty()) {
        return Said::yes(type_);
    }
    Said::no(type_, "ContainersNotInitialized", Some(listed("incomplete", &incomplete, &unknown)))
}

fn containers_ready(s: &Situation<'_>, status: &PodStatus) -> Said {
    let type_ = "ContainersReady";
    match status.phase.as_deref() {
        Some("Succeeded") => return Said::no(type_, "PodCompleted", None),
        Some("Failed") => return Said::no(type_, "PodFailed", None),
        _ => {}
    }
    let mut unknown = Vec::new();
    let mut unready = Vec::new();
    for (role, container) in spec::containers(s.pod) {
        let seen: Option<&ContainerStatus> = status::container_status(status, &container.name);
        match (role, seen) {
            (Role::Sidecar | Role::Regular, None) => unknown.push(container.name.clone()),
            (Role::Sidecar | Role::Regular, Some(status)) if !status.ready => unready.push(container.name.clone()),
            _ => {}
        }
    }
    if unknown.is_empty() && unready.is_empty() {
        return Said::yes(type_);
    }
    Said::no(type_, "ContainersNotReady", Some(listed("unready", &unready, &unknown)))
}

fn ready(s: &Situation<'_>, status: &PodStatus, containers: &Said) -> Said {
    let type_ = "Ready";
    if !containers.holds {
        return Said { type_, holds: false, reason: containers.reason.clone(), message: containers.message.clone() };
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let gates = s.pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let missing: Vec<String> = gates
        .iter()
        .filter_map(|gate| {
            let name = &gate.condition_type;
            let found = conditions.iter().find(|condition| condition.type_ == *name);
            match found {
                None => Some(format!("corresponding condition of pod readiness gate \"{name}\" does not exist.")),
                Some(condition) if condition.status != "True" => {
                    let is = &condition.status;
                    Some(format!("the status of pod readiness gate \"{name}\" is not \"True\", but {is}"))
                }
                Some(_) => None,
            }
        })
        .collect();
    if missing.is_empty() {
        Said::yes(type_)
    } else {
        Said::no(type_, "ReadinessGatesNotReady", Some(missing.join(", ")))
    }
}

/// `containers with unready status: [a b], containers with unknown status: [c]`.
fn listed(word: &str, some: &[String], unknown: &[String]) -> String {
    let part = |word: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("containers with {word} status: [{}]", names.join(" ")))
    };
    // Upstream names the unknown ones first.
    [part("unknown", unknown), part(word, some)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
