//! What is planned in which situation.

use super::{Stage0, now, seconds, text};
use crate::backoff::Bounds;
use crate::probe::Kind;
use crate::termination::Ending;
use crate::{Held, identity, plan};

/// (why, pod, runtime, plan)
const SCENARIOS: &[(&str, &str, &str, &str)] = &[
    ("a new pod needs a sandbox", "main:m", "", "sandbox#0"),
    ("then its containers start, in order", "main:a main:b", "sandbox#0", "start a#0, start b#0"),
    ("what runs is left alone", "main:m", "sandbox#0 m#3=running", ""),
    ("a dead sandbox is replaced", "main:m", "sandbox#0! m#0=exited(0)", "sandbox#1"),
    ("after what runs in it has ended", "main:m", "sandbox#0! m#0=running", "stop m0 30s"),
    ("two ready sandboxes are one too many", "main:m", "sandbox#0 sandbox#1", "end s1, end s0"),
    ("Always restarts after success", "main:m", "sandbox#0 m#0=exited(0)", "start m#1"),
    ("OnFailure restarts after failure", "main:m policy:OnFailure", "sandbox#0 m#0=exited(2)", "start m#1"),
    ("OnFailure rests after success", "main:m policy:OnFailure", "sandbox#0 m#0=exited(0)", "end s0"),
    ("Never rests", "main:m policy:Never", "sandbox#0 m#0=exited(2)", "end s0"),
    ("what has ended for good is finished", "main:m policy:Never", "sandbox#0! m#0=exited(2)", "finished"),
    ("a job with one container left goes on", "main:a main:b policy:Never", "sandbox#0 a#0=exited(0) b#0=running", ""),
    ("a container that was made but not started starts anew", "main:m", "sandbox#0 m#0=created", "start m#1"),
    ("an unknown container is killed first", "main:m", "sandbox#0 m#0=unknown", "stop m0 30s"),
    ("grace comes from the pod", "main:m grace:7", "sandbox#0 m#0=unknown", "stop m0 7s"),
    // Init containers.
    ("the first init container starts alone", "init:a init:b main:m", "sandbox#0", "start a#0"),
    ("it is waited for", "init:a init:b main:m", "sandbox#0 a#0=running", ""),
    ("then the next", "init:a init:b main:m", "sandbox#0 a#0=exited(0)", "start b#0"),
    ("then the rest", "init:a main:m", "sandbox#0 a#0=exited(0)", "start m#0"),
    ("a failed one is repeated", "init:a main:m", "sandbox#0 a#0=exited(1)", "start a#1"),
    ("or not", "init:a main:m policy:Never", "sandbox#0 a#0=exited(1)", "end s0"),
    ("and the pod is over", "init:a main:m policy:Never", "sandbox#0! a#0=exited(1)", "finished"),
    ("a forgotten init container is done", "init:a init:b main:m", "sandbox#0 b#0=exited(0)", "start m#0"),
    ("initialized stays initialized", "init:a main:m", "sandbox#0 m#0=exited(1)", "start m#1"),
    (
        "a new sandbox initializes again",
        "init:a main:m",
        "sandbox#0! a#0=exited(0) m#0=exited(0) sandbox#1",
        "start a#1",
    ),
    // Sidecars.
    ("a sidecar does not hold up the next", "sidecar:s main:m", "sandbox#0 s#0=running", "start m#0"),
    ("unless it is starting", "sidecar:s main:m startup:s", "sandbox#0 s#0=running", ""),
    ("a sidecar comes back", "sidecar:s main:m", "sandbox#0 s#0=exited(0) m#0=running", "start s#1"),
    ("even in a job", "sidecar:s main:m policy:Never", "sandbox#0 s#0=exited(1) m#0=running", "start s#1"),
    (
        "a sidecar ends with its job",
        "sidecar:s main:m policy:Never",
        "sandbox#0 s#0=running m#0=exited(0)",
        "stop s0 30s",
    ),
    ("while later ones initialize, too", "sidecar:s init:b main:m", "sandbox#0 s#0=exited(1) b#0=running", "start s#1"),
    // Ephemeral containers.
    ("a debugger starts once", "main:m debug:e", "sandbox#0 m#0=running", "start e#0"),
    ("and never again", "main:m debug:e", "sandbox#0 m#0=running e#0=exited(1)", ""),
    // Rules of containers.
    (
        "a rule restarts where the policy would not",
        "main:m policy:Never rule:m=Restart,42",
        "sandbox#0 m#0=exited(42)",
        "start m#1",
    ),
    ("other codes follow the policy", "main:m policy:Never rule:m=Restart,42", "sandbox#0 m#0=exited(1)", "end s0"),
    (
        "restart all ends all",
        "main:m main:n rule:m=RestartAllContainers,7",
        "sandbox#0 m#0=exited(7) n#0=running",
        "stop n0 30s",
    ),
    (
        "and removes all, its cause last",
        "main:m main:n rule:m=RestartAllContainers,7",
        "sandbox#0 m#0=exited(7) n#0=exited(0)",
        "remove n0, remove m0",
    ),
];

#[test]
fn scenarios() {
    for (why, pod, runtime, expected) in SCENARIOS {
        let stage = Stage0::new(pod, runtime);
        let first = plan(&stage.situation());
        assert_eq!(text(&first), *expected, "{why}");
        assert_eq!(plan(&stage.situation()), first, "{why}: the same situation gives the same plan");
    }
}

#[test]
fn a_crash_loop_waits_longer_each_time() {
    let bounds = Bounds::USUAL;
    let mut stage = Stage0::new("main:m", "sandbox#0 m#0=exited(1)@0");
    let key = identity::crash_loop_key(&super::pod("main:m").spec.expect("a specification").containers[0]);
    assert_eq!(text(&plan(&stage.situation())), "start m#1", "the first restart is at once");
    for delay in [10, 20, 40, 80, 160, 300, 300] {
        stage.crash_loops.lengthen(&key, seconds(0), now(), bounds);
        let plan = plan(&stage.situation());
        assert_eq!(text(&plan), format!("hold m CrashLoopBackOff {delay}s"));
        assert_eq!(plan.wake_at, Some(seconds(delay)));
    }
    let held = plan(&stage.situation()).held.remove("m").expect("m is held");
    assert_eq!(held.message, "back-off 5m0s restarting failed container=m pod=p_ns(u)");
    let late = stage.crash_loops.until(&key, seconds(601), bounds);
    assert_eq!(late, None, "after ten quiet minutes all is forgotten");
}

#[test]
fn a_failed_image_holds_its_container() {
    let mut stage = Stage0::new("main:m main:n", "sandbox#0");
    let held = Held { reason: "ImagePullBackOff".to_owned(), message: String::new(), until: seconds(9) };
    stage.holds.insert("m".to_owned(), held);
    assert_eq!(text(&plan(&stage.situation())), "start n#0, hold m ImagePullBackOff 9s");
}

#[test]
fn probes_kill() {
    let check = |pod: &str, kind, policy_note: &str| {
        let mut stage = Stage0::new(pod, "sandbox#0 m#0=running");
        stage.probes.set("m0", kind, false);
        let plan = plan(&stage.situation());
        assert_eq!(text(&plan), "stop m0 30s");
        assert_eq!(plan.stop[0].message, policy_note);
    };
    check("main:m liveness:m", Kind::Liveness, "Container m failed liveness probe, will be restarted");
    check("main:m startup:m", Kind::Startup, "Container m failed startup probe, will be restarted");
    check("main:m liveness:m policy:Never", Kind::Liveness, "Container m failed liveness probe");
}

#[test]
fn a_changed_image_restarts() {
    let mut stage = Stage0::new("main:m", "sandbox#0 m#0=running");
    stage.observed.containers[0].hash = Some(1);
    let plan = plan(&stage.situation());
    assert_eq!(plan.stop[0].message, "Container m definition changed, will be restarted");
}

#[test]
fn an_ending_takes_sidecars_last_and_in_reverse() {
    let mut stage = Stage0::new("sidecar:s sidecar:t main:m", "sandbox#0 s#0=running t#0=running m#0=running");
    stage.ending = Some(Ending { since: seconds(-10), grace_seconds: 30, verdict: None });
    let mut steps = Vec::new();
    loop {
        let plan = plan(&stage.situation());
        steps.push(text(&plan));
        for stop in &plan.stop {
            let seen = stage.observed.containers.iter_mut().find(|seen| seen.id == stop.id).expect("it was there");
            seen.stage = crate::Stage::Exited;
        }
        for sandbox in &mut stage.observed.sandboxes {
            sandbox.ready &= !plan.stop_sandboxes.contains(&sandbox.id);
        }
        if plan.finished {
            break;
        }
    }
    assert_eq!(steps, ["stop m0 20s", "stop t0 20s", "stop s0 20s", "end s0", "finished"]);
}

#[test]
fn an_ending_leaves_two_seconds_and_force_none() {
    let mut stage = Stage0::new("main:m", "sandbox#0 m#0=running");
    stage.ending = Some(Ending { since: seconds(-100), grace_seconds: 30, verdict: None });
    assert_eq!(text(&plan(&stage.situation())), "stop m0 2s");
    stage.ending = Some(Ending { since: seconds(0), grace_seconds: 0, verdict: None });
    assert_eq!(text(&plan(&stage.situation())), "stop m0 0s");
}

#[test]
fn a_failed_start_waits_its_period_and_at_most_half_as_long_again() {
    use std::time::Duration;
    let cases = [
        (10_000, 0.0, 10_000),
        (10_000, 0.5, 12_500),
        (10_000, 1.0, 15_000),
        (10_000, 7.0, 15_000),
        (10_000, -1.0, 10_000),
        (0, 1.0, 0),
        (1_000, 0.2, 1_100),
    ];
    for (period_ms, chance, wait_ms) in cases {
        let wait = crate::backoff::after_failed_start(Duration::from_millis(period_ms), chance);
        assert_eq!(wait.as_millis(), wait_ms, "{period_ms} ms, by chance {chance}");
    }
}
