//! How many pods per second the scheduler decides: upstream's `scheduler_perf` workloads in drain form.
//!
//! Nodes and pods are made first; then time runs while each pod is taken in, decided, and its binding is reported back and
//! seen. Everything is counted that the scheduler itself does, and nothing of the API server's work.
//! `cargo run --release -p scheduling --example scheduling_bench [filter]`

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use scheduling::{Change, Config, Input, Output, Scheduler};
use typed::api::core::v1::*;
use typed::meta::{LabelSelector, ObjectMeta};
use typed::resource::Quantity;

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn amounts(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
}

fn selector(pairs: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(pairs)), match_expressions: None }
}

fn node(index: usize, zones: usize) -> Node {
    let (name, zone) = (format!("node-{index:05}"), format!("zone-{}", index % zones));
    let metadata =
        ObjectMeta { labels: Some(labels(&[(HOST, &name), (ZONE, &zone)])), name: Some(name), ..ObjectMeta::default() };
    let allocatable = Some(amounts(&[("cpu", "4"), ("memory", "32Gi"), ("pods", "110")]));
    let status = NodeStatus { allocatable, ..NodeStatus::default() };
    Node { metadata, spec: Some(NodeSpec::default()), status: Some(status) }
}

fn pod(namespace: &str, index: usize, cpu: &str) -> Pod {
    let name = format!("pod-{index:06}");
    let metadata = ObjectMeta {
        uid: Some(format!("{namespace}-{name}")),
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let requests = Some(amounts(&[("cpu", cpu), ("memory", "500Mi")]));
    let container = Container {
        name: "pause".to_owned(),
        image: Some("registry.k8s.io/pause:3.10".to_owned()),
        resources: Some(ResourceRequirements { requests, ..ResourceRequirements::default() }),
        ..Container::default()
    };
    let spec = PodSpec {
        containers: vec![container],
        scheduler_name: Some("default-scheduler".to_owned()),
        ..PodSpec::default()
    };
    Pod { metadata, spec: Some(spec), status: Some(PodStatus::default()) }
}

fn labelled(mut pod: Pod, pairs: &[(&str, &str)]) -> Pod {
    pod.metadata.labels = Some(labels(pairs));
    pod
}

fn term(pairs: &[(&str, &str)], topology_key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        label_selector: Some(selector(pairs)),
        topology_key: topology_key.to_owned(),
        ..PodAffinityTerm::default()
    }
}

fn spec(pod: &mut Pod) -> &mut PodSpec {
    pod.spec.get_or_insert_default()
}

fn anti_affinity(mut pod: Pod, term: PodAffinityTerm) -> Pod {
    let required_during_scheduling_ignored_during_execution = Some(vec![term]);
    let apart = PodAntiAffinity { required_during_scheduling_ignored_during_execution, ..PodAntiAffinity::default() };
    spec(&mut pod).affinity.get_or_insert_default().pod_anti_affinity = Some(apart);
    pod
}

fn affinity(mut pod: Pod, term: PodAffinityTerm) -> Pod {
    let required_during_scheduling_ignored_during_execution = Some(vec![term]);
    let with = PodAffinity { required_during_scheduling_ignored_during_execution, ..PodAffinity::default() };
    spec(&mut pod).affinity.get_or_insert_default().pod_affinity = Some(with);
    pod
}

fn prefers(mut pod: Pod, term: PodAffinityTerm, apart: bool) -> Pod {
    let terms = Some(vec![WeightedPodAffinityTerm { weight: 1, pod_affinity_term: term }]);
    let affinity = spec(&mut pod).affinity.get_or_insert_default();
    if apart {
        affinity.pod_anti_affinity.get_or_insert_default().preferred_during_scheduling_ignored_during_execution = terms;
    } else {
        affinity.pod_affinity.get_or_insert_default().preferred_during_scheduling_ignored_during_execution = terms;
    }
    pod
}

fn spreads(mut pod: Pod, when: &str) -> Pod {
    spec(&mut pod).topology_spread_constraints = Some(vec![TopologySpreadConstraint {
        max_skew: 5,
        topology_key: ZONE.to_owned(),
        when_unsatisfiable: when.to_owned(),
        label_selector: Some(selector(&[("color", "blue")])),
        ..TopologySpreadConstraint::default()
    }]);
    pod
}

fn on_node_field(mut pod: Pod, name: &str) -> Pod {
    let field = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![name.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![field]), match_expressions: None };
    let required = NodeSelector { node_selector_terms: vec![term] };
    spec(&mut pod).affinity.get_or_insert_default().node_affinity = Some(NodeAffinity {
        required_during_scheduling_ignored_during_execution: Some(required),
        ..NodeAffinity::default()
    });
    pod
}

fn in_zones(mut pod: Pod) -> Pod {
    let test = NodeSelectorRequirement {
        key: ZONE.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec!["zone-0".to_owned(), "zone-1".to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![test]), match_fields: None };
    let required = NodeSelector { node_selector_terms: vec![term] };
    spec(&mut pod).affinity.get_or_insert_default().node_affinity = Some(NodeAffinity {
        required_during_scheduling_ignored_during_execution: Some(required),
        ..NodeAffinity::default()
    });
    pod
}

struct Workload {
    name: &'static str,
    nodes: usize,
    zones: usize,
    namespaces: usize,
    /// Placed before the clock starts.
    before: Vec<Pod>,
    measured: Vec<Pod>,
}

fn workload(name: &'static str, nodes: usize, zones: usize, before: Vec<Pod>, measured: Vec<Pod>) -> Workload {
    Workload { name, nodes, zones, namespaces: 0, before, measured }
}

fn many(count: usize, make: impl Fn(usize) -> Pod) -> Vec<Pod> {
    (0..count).map(make).collect()
}

const BLUE: [(&str, &str); 1] = [("color", "blue")];

fn plain(index: usize) -> Pod {
    pod("default", index, "100m")
}

fn init(index: usize) -> Pod {
    pod("init", index, "100m")
}

fn blue(index: usize) -> Pod {
    labelled(plain(index), &BLUE)
}

/// Workloads about nodes and capacity.
fn basic() -> Vec<Workload> {
    let small = |index| pod("default", index, "900m");
    let large = |index| {
        let mut pod = pod("vip", index, "3");
        spec(&mut pod).priority = Some(10);
        pod
    };
    let different = |index: usize| pod("default", index, &format!("{}m", 50 + index % 500));
    let impossible = |index| pod("default", index, "9");
    let daemon = |index| on_node_field(plain(index), &format!("node-{:05}", index % 15_000));
    let mixed = [many(5000, impossible), many(10_000, |index| pod("fits", index, "100m"))].concat();
    vec![
        workload("C1 SchedulingBasic 5000/10000", 5000, 3, many(1000, init), many(10_000, plain)),
        workload("C1' as C1, 500 different templates", 5000, 3, many(1000, init), many(10_000, different)),
        workload("C2 SchedulingNodeAffinity 5000/10000", 5000, 3, vec![], many(10_000, |index| in_zones(plain(index)))),
        workload("C8 PreemptionBasic 1000/4000/1000", 1000, 3, many(4000, small), many(1000, large)),
        workload("C9 Unschedulable 5000, 5000 impossible + 10000", 5000, 3, vec![], mixed),
        workload("C10 SchedulingDaemonset 15000/30000", 15_000, 3, vec![], many(30_000, daemon)),
    ]
}

/// Workloads about other pods.
fn relational() -> Vec<Workload> {
    let apart_across = |index: usize| {
        let mut term = term(&BLUE, HOST);
        term.namespace_selector = Some(selector(&[("team", "devops")]));
        anti_affinity(labelled(pod(&format!("measure-{}", index % 100), index, "100m"), &BLUE), term)
    };
    let hard = |index| spreads(blue(index), "DoNotSchedule");
    let soft = |index| spreads(blue(index), "ScheduleAnyway");
    let apart = |index| anti_affinity(blue(index), term(&BLUE, HOST));
    let beside = |index| affinity(blue(index), term(&BLUE, ZONE));
    let likes = |index| prefers(blue(index), term(&BLUE, HOST), false);
    let dislikes = |index| prefers(blue(index), term(&BLUE, HOST), true);
    let before = || many(5000, init);
    let selecting = "C6 RequiredPodAntiAffinityWithNSSelector 6000/2000";
    vec![
        workload("C3 TopologySpreading 5000/5000", 5000, 3, before(), many(5000, hard)),
        workload("C3 PreferredTopologySpreading 5000/5000", 5000, 3, before(), many(5000, soft)),
        workload("C4 SchedulingPodAntiAffinity 5000/2000", 5000, 3, many(1000, init), many(2000, apart)),
        workload("C5 SchedulingPodAffinity 5000/5000", 5000, 1, before(), many(5000, beside)),
        Workload { namespaces: 100, ..workload(selecting, 6000, 3, vec![], many(2000, apart_across)) },
        workload("C7 PreferredPodAffinity 5000/5000", 5000, 3, before(), many(5000, likes)),
        workload("C7 PreferredPodAntiAffinity 5000/5000", 5000, 3, before(), many(5000, dislikes)),
    ]
}

/// Does at once what the scheduler asks for.
struct World {
    scheduler: Scheduler,
    now: Timestamp,
    pods: BTreeMap<String, Arc<Pod>>,
    bound: usize,
    evicted: usize,
}

impl World {
    fn feed(&mut self, input: Input) {
        let outputs = self.scheduler.observe(input, self.now);
        self.carry_out(outputs);
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Bind { pod, node, .. } => {
                    self.bound += 1;
                    let mut bound = Pod::clone(&self.pods[&pod.uid]);
                    spec(&mut bound).node_name = Some(node);
                    let bound = Arc::new(bound);
                    self.pods.insert(pod.uid.clone(), Arc::clone(&bound));
                    self.feed(Input::Bound { uid: pod.uid });
                    self.feed(Input::Pod(Change::Set(bound)));
                }
                Output::Evict { victim, .. } => {
                    self.evicted += 1;
                    self.feed(Input::Evicted { uid: victim.uid.clone() });
                    if let Some(gone) = self.pods.remove(&victim.uid) {
                        self.feed(Input::Pod(Change::Gone(gone)));
                    }
                }
                Output::Refuse { .. } | Output::Unnominate { .. } | Output::Event { .. } => {}
            }
        }
    }

    fn add(&mut self, pods: &[Pod]) {
        for pod in pods {
            let pod = Arc::new(pod.clone());
            self.pods.insert(pod.metadata.uid.clone().unwrap_or_default(), Arc::clone(&pod));
            self.feed(Input::Pod(Change::Set(pod)));
        }
    }

    fn drain(&mut self) {
        let mut outputs = Vec::new();
        loop {
            while self.scheduler.decide_next(self.now, &mut outputs) {
                let done = std::mem::take(&mut outputs);
                self.carry_out(done);
            }
            let pending = self.scheduler.pending();
            if pending.active + pending.backoff == 0 {
                return;
            }
            self.now += SignedDuration::from_secs(1);
        }
    }
}

fn run(workload: &Workload) {
    let scheduler = Scheduler::new(&Config::default(), 42).expect("the default configuration is valid");
    let now = Timestamp::UNIX_EPOCH;
    let mut world = World { scheduler, now, pods: BTreeMap::new(), bound: 0, evicted: 0 };
    for index in 0..workload.namespaces {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(format!("measure-{index}"));
        namespace.metadata.labels = Some(labels(&[("team", "devops")]));
        world.feed(Input::Namespace(Change::Set(Arc::new(namespace))));
    }
    (0..workload.nodes).for_each(|index| world.feed(Input::Node(Change::Set(Arc::new(node(index, workload.zones))))));
    world.add(&workload.before);
    world.drain();
    let placed_before = world.bound;
    let start = env::time::Instant::now();
    world.add(&workload.measured);
    world.drain();
    let seconds = start.elapsed().as_secs_f64();
    let (placed, total) = (world.bound - placed_before, workload.measured.len());
    let rate = total as f64 / seconds;
    println!(
        "{:55} {rate:9.0} pods/s   {placed} of {total} placed, {} evicted, {seconds:.3} s",
        workload.name, world.evicted
    );
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let all = basic().into_iter().chain(relational());
    all.filter(|workload| workload.name.contains(&filter)).for_each(|workload| run(&workload));
}
