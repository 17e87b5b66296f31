//! Scenarios in a small language of their own.
//!
//! A pod: `init:a sidecar:s main:m debug:e policy:Never grace:7 hostnet liveness:m startup:m readiness:m`. What the
//! runtime reports: `sandbox#0`, `sandbox#0!` (not ready), `m#1=running`, `m#0=exited(1)@-5` (ended 5 s ago),
//! `m#0=created`, `m#0=unknown`; `m#0/0=...` names the sandbox, else it is the newest. All happens at one o'clock.

mod admissions;
mod derivations;
mod garbage;
mod nodes;
mod plans;
mod resizes;
mod statuses;
mod storage;

use jiff::{SignedDuration, Timestamp};
use typed::api::core::v1::{
    Container, ContainerRestartRule, ContainerRestartRuleOnExitCodes, EphemeralContainer, Pod, PodSpec, PodStatus,
    Probe,
};
use typed::meta::ObjectMeta;

use crate::backoff::{BackOffs, Bounds};
use crate::probe::Findings;
use crate::resize::Resizing;
use crate::termination::Ending;
use crate::{Holds, Observed, Plan, Sandbox, Seen, Situation, Stage};

pub(super) fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().expect("a time")
}

pub(super) fn seconds(seconds: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs(seconds)).expect("near one o'clock")
}

pub(super) fn pod(text: &str) -> Pod {
    let mut spec = PodSpec::default();
    for word in text.split_whitespace() {
        let (what, value) = word.split_once(':').unwrap_or((word, ""));
        let container = || Container { name: value.to_owned(), image: Some("i".to_owned()), ..Default::default() };
        match what {
            "init" => spec.init_containers.get_or_insert_default().push(container()),
            "sidecar" => {
                let sidecar = Container { restart_policy: Some("Always".to_owned()), ..container() };
                spec.init_containers.get_or_insert_default().push(sidecar);
            }
            "main" => spec.containers.push(container()),
            "debug" => {
                let debug = EphemeralContainer { name: value.to_owned(), ..Default::default() };
                spec.ephemeral_containers.get_or_insert_default().push(debug);
            }
            "policy" => spec.restart_policy = Some(value.to_owned()),
            "grace" => spec.termination_grace_period_seconds = value.parse().ok(),
            "hostnet" => spec.host_network = Some(true),
            "liveness" => named(&mut spec, value).liveness_probe = Some(Probe::default()),
            "startup" => named(&mut spec, value).startup_probe = Some(Probe::default()),
            "readiness" => named(&mut spec, value).readiness_probe = Some(Probe::default()),
            "rule" => rule(&mut spec, value),
            other => panic!("no such word in a pod: {other}"),
        }
    }
    let metadata = ObjectMeta {
        name: Some("p".to_owned()),
        namespace: Some("ns".to_owned()),
        uid: Some("u".to_owned()),
        ..Default::default()
    };
    Pod { metadata, spec: Some(spec), ..Default::default() }
}

/// `rule:m=RestartAllContainers,42`.
fn rule(spec: &mut PodSpec, value: &str) {
    let (name, rest) = value.split_once('=').expect("name=action,code");
    let (action, code) = rest.split_once(',').expect("action,code");
    let values = Some(vec![code.parse().expect("an exit code")]);
    let exit_codes = Some(ContainerRestartRuleOnExitCodes { operator: "In".to_owned(), values });
    let rule = ContainerRestartRule { action: action.to_owned(), exit_codes };
    named(spec, name).restart_policy_rules.get_or_insert_default().push(rule);
}

fn named<'a>(spec: &'a mut PodSpec, name: &str) -> &'a mut Container {
    let inits = spec.init_containers.iter_mut().flatten();
    inits.chain(&mut spec.containers).find(|container| container.name == name).expect("the container stands before")
}

pub(super) fn observed(text: &str) -> Observed {
    let (mut sandboxes, mut containers) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        if let Some(rest) = word.strip_prefix("sandbox#") {
            let attempt = rest.trim_end_matches('!').parse().expect("an attempt");
            sandboxes.push(Sandbox {
                id: format!("s{attempt}"),
                attempt,
                ready: !rest.ends_with('!'),
                host_network: false,
                ips: vec!["10.0.0.1".to_owned()],
                created_at: seconds(i64::from(attempt) - 1000),
                size: None,
            });
        } else {
            containers.push(seen(word, &sandboxes));
        }
    }
    Observed::new(sandboxes, containers)
}

fn seen(word: &str, sandboxes: &[Sandbox]) -> Seen {
    let (who, what) = word.split_once('=').expect("name#attempt=state");
    let (name, attempt) = who.split_once('#').expect("name#attempt");
    let newest = sandboxes.last().map(|sandbox| sandbox.id.clone()).unwrap_or_default();
    let (attempt, sandbox) =
        attempt.split_once('/').map_or((attempt, newest), |(attempt, sandbox)| (attempt, format!("s{sandbox}")));
    let (state, at) = what.split_once('@').unwrap_or((what, "-60"));
    let finished_at = seconds(at.parse().expect("seconds"));
    let (stage, exit_code) = match state.split_once('(') {
        Some(("exited", code)) => (Stage::Exited, code.trim_end_matches(')').parse().expect("an exit code")),
        _ => match state {
            "running" => (Stage::Running, 0),
            "created" => (Stage::Created, 0),
            "unknown" => (Stage::Unknown, 0),
            other => panic!("no such state: {other}"),
        },
    };
    let attempt: u32 = attempt.parse().expect("an attempt");
    Seen {
        id: format!("{name}{attempt}"),
        name: name.to_owned(),
        attempt,
        sandbox,
        stage,
        created_at: seconds(i64::from(attempt) - 900),
        started_at: (stage != Stage::Created).then(|| seconds(i64::from(attempt) - 900)),
        finished_at: (stage == Stage::Exited).then_some(finished_at),
        exit_code,
        reason: String::new(),
        message: String::new(),
        image: "i".to_owned(),
        image_id: "sha256:1".to_owned(),
        hash: None,
        grace_seconds: None,
        size: None,
        told: None,
    }
}

/// A situation that owns its parts.
#[derive(Debug, Default)]
pub(super) struct Stage0 {
    pub(super) pod: Pod,
    pub(super) observed: Observed,
    pub(super) probes: Findings,
    pub(super) crash_loops: BackOffs,
    pub(super) holds: Holds,
    pub(super) ending: Option<Ending>,
    pub(super) previous: PodStatus,
    pub(super) resizing: Resizing,
}

impl Stage0 {
    pub(super) fn new(pod_text: &str, observed_text: &str) -> Stage0 {
        Stage0 { pod: pod(pod_text), observed: observed(observed_text), ..Default::default() }
    }

    pub(super) fn situation(&self) -> Situation<'_> {
        Situation {
            pod: &self.pod,
            observed: &self.observed,
            probes: &self.probes,
            crash_loops: &self.crash_loops,
            bounds: Bounds::USUAL,
            holds: &self.holds,
            ending: self.ending.as_ref(),
            previous: &self.previous,
            resizing: &self.resizing,
            now: now(),
        }
    }
}

/// A plan as text.
pub(super) fn text(plan: &Plan) -> String {
    let mut words = Vec::new();
    words.extend(plan.stop.iter().map(|stop| format!("stop {} {}s", stop.id, stop.grace_seconds)));
    words.extend(plan.remove.iter().map(|id| format!("remove {id}")));
    words.extend(plan.stop_sandboxes.iter().map(|id| format!("end {id}")));
    words.extend(plan.sandbox.map(|attempt| format!("sandbox#{attempt}")));
    words.extend(plan.start.iter().map(|start| format!("start {}#{}", start.name, start.attempt)));
    words.extend(
        plan.held
            .iter()
            .map(|(name, held)| format!("hold {name} {} {}s", held.reason, held.until.duration_since(now()).as_secs())),
    );
    if plan.finished {
        words.push("finished".to_owned());
    }
    words.join(", ")
}
