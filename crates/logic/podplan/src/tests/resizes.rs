//! Resizes: who is granted one, in which order it is carried out, and what is told of it.
//!
//! A size is `request/limit` for CPU and for memory in MiB: `10/20 30/40`; what is left out is zero, and so is `0`.

use std::collections::BTreeMap;

use typed::api::core::v1::{
    Container, ContainerResizePolicy, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements,
};
use typed::meta::Time;
use typed::resource::Quantity;

use super::{Stage0, now, observed, seconds, text};
use crate::admission::Room;
use crate::resize::{
    Allocation, Change, Happened, Need, Pending, Progress, Record, Resized, Size, Step, Told, Use, admit, below_use,
    in_turn, message, need, progress, steps, unfinished,
};
use crate::status::{Node, container_status, status};
use crate::{Stage, StopReason, plan};

const MIB: i64 = 1 << 20;

fn size(text: &str) -> Size {
    let pairs: Vec<(i64, i64)> = text
        .split_whitespace()
        .map(|pair| {
            let (request, limit) = pair.split_once('/').expect("request/limit");
            (request.parse().expect("a number"), limit.parse().expect("a number"))
        })
        .collect();
    let (cpu, memory) = (pairs[0], pairs.get(1).copied().unwrap_or_default());
    Size {
        cpu_request_milli: cpu.0,
        cpu_limit_milli: cpu.1,
        memory_request_bytes: memory.0 * MIB,
        memory_limit_bytes: memory.1 * MIB,
    }
}

fn short(size: &Size) -> String {
    let Size { cpu_request_milli, cpu_limit_milli, memory_request_bytes, memory_limit_bytes } = size;
    format!("{cpu_request_milli}/{cpu_limit_milli} {}/{}", memory_request_bytes / MIB, memory_limit_bytes / MIB)
}

fn requirements(text: &str) -> ResourceRequirements {
    let size = size(text);
    let amounts = |milli: i64, bytes: i64| {
        let cpu = (milli > 0).then(|| ("cpu".to_owned(), Quantity(format!("{milli}m"))));
        let memory = (bytes > 0).then(|| ("memory".to_owned(), Quantity(format!("{}Mi", bytes / MIB))));
        let all: BTreeMap<_, _> = cpu.into_iter().chain(memory).collect();
        (!all.is_empty()).then_some(all)
    };
    ResourceRequirements {
        requests: amounts(size.cpu_request_milli, size.memory_request_bytes),
        limits: amounts(size.cpu_limit_milli, size.memory_limit_bytes),
        claims: None,
    }
}

fn set(pod: &mut Pod, name: &str, text: &str) {
    let spec = pod.spec.as_mut().expect("a specification");
    let mut all = spec.init_containers.iter_mut().flatten().chain(&mut spec.containers);
    all.find(|it| it.name == name).expect("the container is there").resources = Some(requirements(text));
}

fn pod(requests: &str, priority: i32, uid: &str) -> Pod {
    let containers = vec![Container { resources: Some(requirements(requests)), ..Default::default() }];
    let mut pod = Pod {
        spec: Some(PodSpec { containers, priority: Some(priority), ..Default::default() }),
        ..Default::default()
    };
    pod.metadata.uid = Some(uid.to_owned());
    pod
}

/// (why, the pod as a whole, containers, steps)
type Order = (&'static str, (&'static str, &'static str), &'static [(&'static str, &'static str)], &'static str);

const ORDERS: &[Order] = &[
    ("nothing", ("10/10", "10/10"), &[], ""),
    (
        "growing: the pod first, limits before requests, memory before CPU",
        ("10/10 20/20", "20/20 30/30"),
        &[("10/10 20/20", "20/20 30/30")],
        "pod memory=30Mi, pod, a 10/10 30/30, pod quota=2000, pod shares=20, a 20/20 30/30",
    ),
    (
        "shrinking: the pod last, requests before limits",
        ("20/20 30/30", "10/10 20/20"),
        &[("20/20 30/30", "10/10 20/20")],
        "a 20/20 20/20, pod, pod memory=20Mi, a 10/10 20/20, pod shares=10, pod quota=1000",
    ),
    (
        "who gives back comes before who takes, the last one first",
        ("60/60", "60/60"),
        &[("10/10", "30/30"), ("20/20", "10/10"), ("30/30", "20/20")],
        "c 20/20 0/0, b 10/10 0/0, a 30/30 0/0",
    ),
    (
        "where the limit stays, the request decides",
        ("30/90", "30/90"),
        &[("10/40", "20/40"), ("20/50", "10/50")],
        "b 10/50 0/0, a 20/40 0/0",
    ),
    (
        "a first limit lowers: none is the highest",
        ("10/0 10/0", "10/20 10/20"),
        &[("10/0 10/0", "10/20 10/20")],
        "a 10/0 10/20, pod memory=20Mi, a 10/20 10/20, pod quota=2000",
    ),
    (
        "opposite ways",
        ("10/20 30/40", "20/30 20/30"),
        &[("10/20 30/40", "20/30 20/30")],
        "a 10/20 20/30, pod, pod memory=30Mi, pod quota=3000, pod shares=20, a 20/30 20/30",
    ),
    ("a pod alone", ("0/100", "0/200"), &[], "pod quota=20000"),
    ("what no cgroup holds is noted", ("0/0 10/0", "0/0 20/0"), &[("0/0 10/0", "0/0 20/0")], "pod, a 0/0 20/0"),
];

fn need_of(pod: (&str, &str), containers: &[(&str, &str)]) -> Need {
    let change = |(from, to): (&str, &str)| Change { from: size(from), to: size(to) };
    let containers = containers.iter().zip(["a", "b", "c"]).map(|(it, name)| Resized {
        id: name.to_owned(),
        name: name.to_owned(),
        change: change(*it),
    });
    Need { sandbox: "s".to_owned(), pod: change(pod), containers: containers.collect() }
}

#[test]
fn what_is_done_in_which_order() {
    for (why, pod, containers, expected) in ORDERS {
        let need = need_of(*pod, containers);
        let (mut whole, mut sizes) = (need.pod.from, BTreeMap::new());
        let words: Vec<String> = steps(&need)
            .iter()
            .map(|step| match step {
                Step::Pod { limits, size } => {
                    whole = *size;
                    let values = [
                        limits.memory_bytes.map(|it| format!(" memory={}Mi", it / MIB)),
                        limits.cpu_quota_micros.map(|it| format!(" quota={it}")),
                        limits.cpu_shares.map(|it| format!(" shares={it}")),
                    ];
                    format!("pod{}", values.into_iter().flatten().collect::<String>())
                }
                Step::Container { id, size, .. } => {
                    sizes.insert(id.clone(), *size);
                    format!("{id} {}", short(size))
                }
            })
            .collect();
        assert_eq!(words.join(", "), *expected, "{why}");
        assert_eq!(whole, need.pod.to, "{why}: in the end the pod is as it was granted");
        for it in &need.containers {
            assert_eq!(sizes.get(&it.id), Some(&it.change.to), "{why}: and so is {}", it.name);
        }
    }
}

#[test]
fn memory_in_use_is_not_taken_away() {
    let check = |what: &str, used: (Option<u64>, Option<u64>), expected: &str| {
        let need = need_of(("0/0 0/40", "0/0 0/20"), &[("0/0 0/40", "0/0 0/20")]);
        let used = Use { pod: used.0, containers: [("a".to_owned(), used.1)].into() };
        assert_eq!(below_use(&need, &used).err().unwrap_or_default(), expected, "{what}");
    };
    check("room enough", (Some(1), Some(1)), "");
    let limit = 20 << 20;
    check(
        "the pod uses more",
        (Some(limit), Some(1)),
        "cannot decrease memory limits: attempting to set pod memory limit (20971520) below current usage (20971520)",
    );
    check(
        "both do",
        (Some(limit), Some(limit + 1)),
        "cannot decrease memory limits: [attempting to set pod memory limit (20971520) below current usage (20971520), \
         attempting to set container \"a\" memory limit (20971520) below current usage (20971521)]",
    );
    check("nobody knows", (None, Some(1)), "cannot decrease memory limits: missing pod memory usage");
    let grows = need_of(("0/0 0/40", "0/0 0/50"), &[("0/0 0/40", "0/0 0/50")]);
    assert_eq!(below_use(&grows, &Use::default()), Ok(()), "what grows needs no look at what is used");
    assert_eq!(grows.lowered(), (false, Vec::new()));
}

/// A running pod with one container that was made `from` and is granted `to`.
fn running(words: &str, from: &str, to: &str) -> Stage0 {
    let mut stage = Stage0::new(words, "sandbox#0 m#0=running");
    set(&mut stage.pod, "m", to);
    stage.observed.containers[0].size = Some(size(from));
    stage.observed.sandboxes[0].size = Some(size(from));
    stage
}

fn policy(stage: &mut Stage0, name: &str) {
    let container = &mut stage.pod.spec.as_mut().expect("a specification").containers[0];
    let policy =
        ContainerResizePolicy { resource_name: name.to_owned(), restart_policy: "RestartContainer".to_owned() };
    container.resize_policy.get_or_insert_default().push(policy);
}

#[test]
fn a_difference_is_planned_until_it_is_gone() {
    let mut stage = running("main:m", "10/10 20/20", "20/20 20/20");
    assert!(unfinished(&stage.situation()));
    let first = plan(&stage.situation()).resize.expect("a resize");
    assert_eq!(first, need(&stage.situation()).expect("a need"));
    assert_eq!((first.containers.len(), first.containers[0].change.to), (1, size("20/20 20/20")));

    stage.resizing.not_before = Some(seconds(10));
    let waits = plan(&stage.situation());
    assert_eq!((waits.resize, waits.wake_at), (None, Some(seconds(10))), "one that failed waits");

    stage.resizing.not_before = None;
    stage.resizing.record.resized("m0", size("20/20 20/20"));
    stage.resizing.record.resized("s0", size("20/20 20/20"));
    assert!(plan(&stage.situation()).is_idle() && !unfinished(&stage.situation()));
    assert_eq!(stage.resizing.record, Record::parse(&stage.resizing.record.text()), "and a restart finds it done");

    let unknown = Stage0::new("main:m", "sandbox#0 m#0=running");
    assert!(plan(&unknown.situation()).is_idle(), "what was made before sizes were noted is as it should be");
}

#[test]
fn a_policy_asks_for_a_restart() {
    let check = |what: &str, resource: &str, to: &str, restart: bool| {
        let mut stage = running("main:m policy:OnFailure", "10/10 20/20", to);
        policy(&mut stage, resource);
        let first = plan(&stage.situation());
        assert_eq!(first.stop.len() == 1, restart, "{what}: {}", text(&first));
        if !restart {
            return assert!(first.resize.is_some(), "{what}");
        }
        assert_eq!(first.stop[0].reason, StopReason::Resize, "{what}");
        assert_eq!(first.stop[0].message, "Container m resize requires restart", "{what}");
        // It ends by itself, and well: it comes back all the same, and at once.
        stage.resizing.record.restarting("m0");
        stage.observed.containers[0].stage = Stage::Exited;
        stage.observed.containers[0].finished_at = Some(now());
        stage.resizing.record = Record::parse(&stage.resizing.record.text());
        assert!(unfinished(&stage.situation()), "{what}: it is not over before it runs again");
        let second = plan(&stage.situation());
        assert_eq!(text(&second), "start m#1", "{what}");
        assert_eq!(second.start[0].failed_at, None, "{what}: it has not failed");
        assert!(second.resize.is_some_and(|need| need.containers.is_empty()), "{what}: the pod changes meanwhile");
        let status = status(&stage.situation(), &plan(&stage.situation()), &Node::default());
        assert_eq!(status.phase.as_deref(), Some("Running"), "{what}: and the pod is not over");
        let main = container_status(&status, "m").expect("a status");
        let (state, last) = (main.state.clone().unwrap_or_default(), main.last_state.clone().unwrap_or_default());
        assert!(state.waiting.is_some() && last.terminated.is_some(), "{what}: nor is its container: {main:?}");
    };
    check("memory", "memory", "10/10 30/30", true);
    check("CPU", "cpu", "20/20 20/20", true);
    check("a request is enough", "memory", "10/10 15/20", true);
    check("the other resource", "memory", "20/20 20/20", false);
}

#[test]
fn a_container_that_ended_by_itself_stays_ended() {
    let mut stage = running("main:m policy:OnFailure", "10/10", "20/20");
    policy(&mut stage, "cpu");
    stage.observed = observed("sandbox#0 m#0=exited(0)");
    stage.observed.containers[0].size = Some(size("10/10"));
    assert_eq!(text(&plan(&stage.situation())), "end s0");
}

#[test]
fn init_containers_and_sidecars_are_resized_too() {
    for (words, runtime, name) in [
        ("init:i main:m", "sandbox#0 i#0=running", "i"),
        ("sidecar:i main:m", "sandbox#0 i#0=running m#0=running", "i"),
    ] {
        let mut stage = Stage0::new(words, runtime);
        set(&mut stage.pod, name, "20/20");
        let seen = stage.observed.containers.iter_mut().find(|it| it.name == name).expect("it runs");
        seen.size = Some(size("10/10"));
        let need = plan(&stage.situation()).resize.expect("a resize");
        assert_eq!(need.containers[0].name, name, "{words}");
    }
}

#[test]
fn what_is_in_force_is_reported() {
    let check = |what: &str, granted: &str, told: Option<Told>, expected: &str| {
        let mut stage = running("main:m", granted, granted);
        stage.observed.containers[0].told = told;
        let status = status(&stage.situation(), &plan(&stage.situation()), &Node::default());
        let main = container_status(&status, "m").expect("a status");
        let amounts = |list: &Option<BTreeMap<String, Quantity>>| {
            let all = list.iter().flatten().map(|(name, amount)| format!("{name}={}", amount.0));
            all.collect::<Vec<_>>().join(" ")
        };
        let resources = main.resources.as_ref().expect("always told of a container that was made");
        let said = [&resources.requests, &resources.limits, &main.allocated_resources].map(amounts).join("; ");
        assert_eq!(said, expected, "{what}");
    };
    check("nothing asked", "0/0", Told::of(2, 0, 100_000, 0), "; ; ");
    check(
        "as granted, rounded there and back",
        "20/30 35/45",
        Told::of(20, 3000, 100_000, 45 * MIB),
        "cpu=20m memory=35Mi; cpu=30m memory=45Mi; cpu=20m memory=35Mi",
    );
    check(
        "the runtime lags behind",
        "25/35 40/50",
        Told::of(20, 3000, 100_000, 45 * MIB),
        "cpu=20m memory=40Mi; cpu=30m memory=45Mi; cpu=25m memory=40Mi",
    );
    check("below the least there is", "1/5", Told::of(2, 1000, 100_000, 0), "cpu=1m; cpu=5m; cpu=1m");
    check("a runtime that tells nothing", "20/30", None, "cpu=20m; cpu=30m; cpu=20m");
    assert_eq!(Told::of(0, -1, 100_000, 0), None);
}

#[test]
fn a_pod_reports_its_resources_as_a_whole() {
    let mut stage = running("main:m", "20/30 35/45", "20/30 35/45");
    let report = |stage: &Stage0| {
        let status = status(&stage.situation(), &plan(&stage.situation()), &Node::default());
        (status.resources.expect("always told"), status.allocated_resources)
    };
    let expected = requirements("20/30 35/45");
    assert_eq!(report(&stage), (expected.clone(), expected.requests.clone()), "before it runs: what was granted");
    stage.previous.phase = Some("Running".to_owned());
    assert_eq!(report(&stage).0, expected, "then what is in force");
    stage.resizing.record.resized("s0", size("40/50 35/45"));
    assert_eq!(report(&stage).0, requirements("40/50 35/45"));
    assert_eq!(report(&stage).1, expected.requests);
}

#[test]
fn conditions_come_and_go() {
    let mut stage = running("main:m", "10/10", "20/20");
    let said = |stage: &Stage0| -> Vec<PodCondition> {
        let status = status(&stage.situation(), &plan(&stage.situation()), &Node::default());
        let all = status.conditions.unwrap_or_default();
        all.into_iter().filter(|it| it.type_.starts_with("PodResize")).collect()
    };
    assert_eq!(said(&stage), []);
    stage.resizing.pending = Some(Pending { message: "full".to_owned(), generation: 3 });
    stage.resizing.progress = Some(Progress { generation: 2, error: None });
    let told = said(&stage);
    let words = |it: &PodCondition| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let generation = it.observed_generation.unwrap_or_default();
        format!("{} {} {generation} {} {}", it.type_, it.status, text(&it.reason), text(&it.message))
    };
    let all: Vec<String> = told.iter().map(words).collect();
    assert_eq!(all, ["PodResizePending True 3 Deferred full", "PodResizeInProgress True 2  "]);

    stage.previous.conditions = Some(told);
    let times = |stage: &Stage0, now| {
        let mut situation = stage.situation();
        situation.now = now;
        let status = status(&situation, &plan(&situation), &Node::default());
        assert_eq!(Pending::told(&status), stage.resizing.pending, "a restarted kubelet reads what it said");
        assert_eq!(Progress::told(&status), stage.resizing.progress, "a restarted kubelet reads what it said");
        let all = status.conditions.unwrap_or_default().into_iter().filter(|it| it.type_.starts_with("PodResize"));
        all.map(|it| it.last_transition_time.map(|time| time.0)).collect::<Vec<_>>()
    };
    stage.resizing.progress = Some(Progress { generation: 2, error: Some("no".to_owned()) });
    assert_eq!(times(&stage, seconds(9)), [Some(now()), Some(seconds(9))], "another reason is a transition");

    (stage.resizing.pending, stage.resizing.progress) = (None, None);
    assert_eq!(said(&stage), [], "what is over is not told");
}

#[test]
fn progress_goes_its_way() {
    let at = |generation, error: Option<&str>| Some(Progress { generation, error: error.map(str::to_owned) });
    assert_eq!(progress(None, false, 1), (None, None));
    assert_eq!(progress(None, true, 1), (at(1, None), None), "a difference that nobody told of is one");
    assert_eq!(progress(at(2, Some("no")), true, 3), (at(2, Some("no")), None), "an error stays until it is over");
    assert_eq!(progress(at(2, None), false, 3), (None, Some(2)), "done, and for whom");
}

#[test]
fn a_grant_is_kept_apart_from_what_is_asked() {
    let mut asked = super::pod("init:i main:m");
    set(&mut asked, "m", "10/10 20/20");
    let granted = Allocation::of(&asked);
    let again = Allocation::of(&granted.kept("u"));
    assert_eq!(granted, again, "as it is kept, so it is read");
    set(&mut asked, "m", "0/0");
    let container = &mut asked.spec.as_mut().expect("a specification").containers[0];
    let same =
        [("cpu", "0.010"), ("memory", "20480Ki")].map(|(name, text)| (name.to_owned(), Quantity(text.to_owned())));
    let same = Some(BTreeMap::from(same));
    container.resources = Some(ResourceRequirements { requests: same.clone(), limits: same, claims: None });
    assert!(granted.matches(&asked), "the same in other words");
    set(&mut asked, "m", "10/20 20/20");
    assert!(!granted.matches(&asked));
    let applied = granted.apply(&asked);
    let resources = applied.spec.as_ref().and_then(|spec| spec.containers[0].resources.clone());
    assert_eq!(resources, Some(requirements("10/10 20/20")));
    assert!(granted.matches(&applied));
}

#[test]
fn room_decides() {
    let mut shrinking = pod("100/0", 0, "other");
    let had = requirements("500/0");
    let told = typed::api::core::v1::ContainerStatus { resources: Some(had), ..Default::default() };
    shrinking.status = Some(PodStatus { container_statuses: Some(vec![told]), ..Default::default() });
    let room = |other: &Pod, cpu: &str| {
        let room = Room {
            name: "n",
            cpu_milli: 1000,
            memory_bytes: 1 << 30,
            pods_max: 2,
            pods: vec![other],
            ..Room::default()
        };
        admit(&pod(cpu, 0, "p"), &room)
    };
    assert_eq!(room(&pod("500/0", 0, "other"), "500/0"), Ok(()));
    let full = "Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000";
    assert_eq!(room(&pod("500/0", 0, "other"), "600/0"), Err(full.to_owned()));
    assert_eq!(room(&shrinking, "600/0"), Err(full.to_owned()), "what another still has is not free");
}

#[test]
fn turns_are_taken() {
    let waits = |mut pod: Pod, since: i64| {
        let condition = PodCondition {
            type_: "PodResizePending".to_owned(),
            last_transition_time: Some(Time(seconds(since))),
            ..Default::default()
        };
        pod.status = Some(PodStatus { conditions: Some(vec![condition]), ..Default::default() });
        pod
    };
    let granted = || std::sync::Arc::new(pod("50/50 50/50", 0, ""));
    let mut waiting: Vec<_> = [
        waits(pod("60/0", 0, "late"), -1),
        waits(pod("60/0", 0, "early"), -2),
        waits(pod("60/60 60/60", 0, "guaranteed"), -1),
        waits(pod("60/0", 7, "important"), -1),
        waits(pod("40/0", 0, "modest"), -1),
    ]
    .into_iter()
    .map(|pod| (std::sync::Arc::new(pod), granted()))
    .collect();
    in_turn(&mut waiting);
    let order: Vec<_> = waiting.iter().filter_map(|(pod, _)| pod.metadata.uid.as_deref()).collect();
    assert_eq!(order, ["modest", "important", "guaranteed", "early", "late"]);
}

#[test]
fn events_say_what_changes() {
    let mut pod = super::pod("init:i main:m");
    set(&mut pod, "m", "10/20 0/30");
    let said = message(&pod, 4, Happened::Failed("a \"reason\""));
    let expected = "Pod resize error: {\"initContainers\":[{\"name\":\"i\",\"resources\":{}}],\
                    \"containers\":[{\"name\":\"m\",\"resources\":{\"limits\":{\"cpu\":\"20m\",\"memory\":\"30Mi\"},\
                    \"requests\":{\"cpu\":\"10m\"}}}],\"generation\":4,\"error\":\"a \\\"reason\\\"\"}";
    assert_eq!(said, expected);
    assert!(message(&pod, 4, Happened::Started).starts_with("Pod resize started: {"));
    assert!(message(&pod, 4, Happened::Deferred("x")).starts_with("Pod resize Deferred: {"));
}
