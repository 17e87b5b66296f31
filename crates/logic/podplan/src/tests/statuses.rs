//! What is reported in which situation.

use typed::api::core::v1::{PodReadinessGate, PodStatus};

use super::{Stage0, now, seconds};
use crate::probe::Kind;
use crate::status::{Node, container_status, status};
use crate::termination::{self, Ending};
use crate::{Held, plan};

fn report(stage: &Stage0) -> PodStatus {
    let situation = stage.situation();
    let node = Node { ips: vec!["192.0.2.1".to_owned()], runtime: "containerd".to_owned() };
    status(&situation, &plan(&situation), &node)
}

fn condition(status: &PodStatus, name: &str) -> String {
    let all = status.conditions.as_deref().unwrap_or_default();
    let found = all.iter().find(|condition| condition.type_ == name).expect("the condition is there");
    let words = [Some(found.status.clone()), found.reason.clone(), found.message.clone()];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// (pod, runtime, phase, Ready)
const SCENARIOS: &[(&str, &str, &str, &str)] = &[
    ("main:m", "", "Pending", "False ContainersNotReady containers with unready status: [m]"),
    ("main:m", "sandbox#0 m#0=running", "Running", "True"),
    (
        "main:m readiness:m",
        "sandbox#0 m#0=running",
        "Running",
        "False ContainersNotReady containers with unready status: [m]",
    ),
    (
        "main:m main:n",
        "sandbox#0 m#0=running",
        "Pending",
        "False ContainersNotReady containers with unready status: [n]",
    ),
    ("main:m", "sandbox#0 m#0=exited(1)", "Running", "False ContainersNotReady containers with unready status: [m]"),
    ("main:m policy:Never", "sandbox#0! m#0=exited(0)", "Succeeded", "False PodCompleted"),
    ("main:m policy:Never", "sandbox#0! m#0=exited(1)", "Failed", "False PodFailed"),
    (
        "main:m main:n policy:Never",
        "sandbox#0 m#0=exited(1) n#0=running",
        "Running",
        "False ContainersNotReady containers with unready status: [m]",
    ),
    ("main:m policy:OnFailure", "sandbox#0! m#0=exited(0)", "Succeeded", "False PodCompleted"),
    (
        "init:a main:m",
        "sandbox#0 a#0=running",
        "Pending",
        "False ContainersNotReady containers with unready status: [m]",
    ),
    ("init:a main:m policy:Never", "sandbox#0! a#0=exited(3)", "Failed", "False PodFailed"),
    // Made when the kubelet was killed: it has neither succeeded nor failed.
    (
        "main:m policy:Never",
        "sandbox#0 m#0=created",
        "Pending",
        "False ContainersNotReady containers with unready status: [m]",
    ),
    (
        "main:m policy:OnFailure",
        "sandbox#0 m#0=exited(1) m#1=created",
        "Running",
        "False ContainersNotReady containers with unready status: [m]",
    ),
    ("sidecar:s main:m", "sandbox#0 s#0=running m#0=running", "Running", "True"),
    ("sidecar:s main:m policy:Never", "sandbox#0! s#0=exited(137) m#0=exited(0)", "Succeeded", "False PodCompleted"),
];

#[test]
fn phases_and_readiness() {
    for (pod, runtime, phase, ready) in SCENARIOS {
        let status = report(&Stage0::new(pod, runtime));
        assert_eq!(
            (status.phase.as_deref(), &*condition(&status, "Ready")),
            (Some(*phase), *ready),
            "{pod} / {runtime}"
        );
    }
}

#[test]
fn initialization_is_reported() {
    let status = report(&Stage0::new("init:a sidecar:s main:m", "sandbox#0 a#0=running"));
    let expected = "False ContainersNotInitialized containers with incomplete status: [a s]";
    assert_eq!(condition(&status, "Initialized"), expected);
    let waiting = container_status(&status, "m").and_then(|it| it.state.clone()?.waiting?.reason);
    assert_eq!(waiting.as_deref(), Some("PodInitializing"));
    let status = report(&Stage0::new("init:a main:m", "sandbox#0 a#0=exited(0) m#0=running"));
    assert_eq!(condition(&status, "Initialized"), "True");
}

#[test]
fn a_crash_loop_is_waiting_with_its_last_end() {
    let mut stage = Stage0::new("main:m", "sandbox#0 m#2=exited(3)@0");
    let key = crate::identity::crash_loop_key(&stage.pod.spec.as_ref().expect("a specification").containers[0]);
    stage.crash_loops.lengthen(&key, seconds(0), now(), crate::backoff::Bounds::USUAL);
    let status = report(&stage);
    let m = container_status(&status, "m").expect("a status").clone();
    let waiting = m.state.and_then(|state| state.waiting).expect("it waits");
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(waiting.message.as_deref(), Some("back-off 10s restarting failed container=m pod=p_ns(u)"));
    let last = m.last_state.and_then(|state| state.terminated).expect("it has ended before");
    assert_eq!((last.exit_code, last.reason.as_deref(), m.restart_count), (3, Some("Error"), 2));
    assert_eq!(status.phase.as_deref(), Some("Running"));
}

#[test]
fn a_failed_pull_is_waiting() {
    let mut stage = Stage0::new("main:m", "sandbox#0");
    let held = Held { reason: "ErrImagePull".to_owned(), message: "no".to_owned(), until: seconds(5) };
    stage.holds.insert("m".to_owned(), held);
    let status = report(&stage);
    let waiting = container_status(&status, "m").and_then(|it| it.state.clone()?.waiting).expect("it waits");
    assert_eq!((waiting.reason.as_deref(), waiting.message.as_deref()), (Some("ErrImagePull"), Some("no")));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
}

#[test]
fn readiness_follows_probes_and_gates() {
    let mut stage = Stage0::new("main:m readiness:m", "sandbox#0 m#0=running");
    stage.probes.set("m0", Kind::Readiness, true);
    assert_eq!(condition(&report(&stage), "Ready"), "True");
    let gates = vec![PodReadinessGate { condition_type: "example.com/up".to_owned() }];
    stage.pod.spec.as_mut().expect("a specification").readiness_gates = Some(gates);
    let expected =
        "False ReadinessGatesNotReady corresponding condition of pod readiness gate \"example.com/up\" does not exist.";
    assert_eq!(condition(&report(&stage), "Ready"), expected);
    assert_eq!(condition(&report(&stage), "ContainersReady"), "True");
}

#[test]
fn transition_times_move_only_with_transitions() {
    let mut stage = Stage0::new("main:m", "sandbox#0 m#0=running");
    let first = report(&stage);
    stage.previous = first.clone();
    let mut situation = stage.situation();
    situation.now = seconds(60);
    let later = status(
        &situation,
        &plan(&situation),
        &Node { ips: vec!["192.0.2.1".to_owned()], runtime: "containerd".to_owned() },
    );
    assert_eq!(first, later, "nothing happened, nothing is said");
}

#[test]
fn a_deadline_fails_the_pod() {
    let mut stage = Stage0::new("main:m", "sandbox#0 m#0=running");
    let verdict = Some(termination::deadline_exceeded());
    stage.ending = Some(Ending { since: now(), grace_seconds: 30, verdict });
    let status = report(&stage);
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    assert_eq!(status.message.as_deref(), Some("Pod was active on the node longer than the specified deadline"));
}

#[test]
fn a_restart_keeps_the_end_before() {
    let stage = Stage0::new("main:m", "sandbox#0 m#0=exited(9) m#1=running");
    let status = report(&stage);
    let m = container_status(&status, "m").expect("a status");
    let last = m.last_state.as_ref().and_then(|state| state.terminated.as_ref()).expect("it ended before");
    assert_eq!((last.exit_code, m.restart_count, m.container_id.as_deref()), (9, 1, Some("containerd://m1")));
}

#[test]
fn a_terminal_phase_stays() {
    let mut stage = Stage0::new("main:m", "");
    stage.previous.phase = Some("Succeeded".to_owned());
    assert_eq!(report(&stage).phase.as_deref(), Some("Succeeded"));
}
