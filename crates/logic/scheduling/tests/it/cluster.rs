//! A cluster that does what the scheduler says, at once and without faults, unless a test says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use scheduling::{Change, Config, Input, Nomination, Output, Scheduler};
use typed::api::core::v1::{Node, Pod, PodCondition};

use crate::notation::{node, pod, second};

pub(crate) struct Cluster {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Timestamp,
    pub(crate) pods: BTreeMap<String, Arc<Pod>>,
    pub(crate) nodes: BTreeMap<String, Arc<Node>>,
    /// Everything that was given out, in order.
    pub(crate) outputs: Vec<Output>,
    /// Refuses bindings instead of carrying them out.
    pub(crate) refuse_bindings: bool,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        Self {
            scheduler: Scheduler::new(config, 1).expect("a valid configuration"),
            now: second(1000),
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            outputs: Vec::new(),
            refuse_bindings: false,
        }
    }

    /// A cluster of the nodes and pods in `text`, one per line: `node n1 …` or `pod p1 …`.
    pub(crate) fn of(text: &str) -> Self {
        let mut cluster = Self::new();
        cluster.add(text);
        cluster
    }

    /// Adds nodes and pods, one per line, and lets the scheduler work.
    pub(crate) fn add(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (kind, rest) = line.split_once(' ').expect("kind and words");
            match kind {
                "node" => self.set_node(node(rest)),
                "pod" => self.set_pod(pod(rest)),
                other => panic!("{other} is neither node nor pod"),
            }
        }
    }

    pub(crate) fn set_node(&mut self, node: Node) {
        let node = Arc::new(node);
        self.nodes.insert(node.metadata.name.clone().expect("a name"), Arc::clone(&node));
        self.feed(Input::Node(Change::Set(node)));
    }

    pub(crate) fn remove_node(&mut self, name: &str) {
        let node = self.nodes.remove(name).expect("the node exists");
        self.feed(Input::Node(Change::Gone(node)));
    }

    pub(crate) fn set_pod(&mut self, pod: Pod) {
        let pod = Arc::new(pod);
        self.pods.insert(pod.metadata.name.clone().expect("a name"), Arc::clone(&pod));
        self.feed(Input::Pod(Change::Set(pod)));
    }

    pub(crate) fn remove_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.feed(Input::Pod(Change::Gone(pod)));
        }
    }

    pub(crate) fn update_pod(&mut self, name: &str, change: impl FnOnce(&mut Pod)) {
        let mut pod = Pod::clone(&self.pods[name]);
        change(&mut pod);
        self.set_pod(pod);
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let outputs = self.scheduler.step(input, self.now);
        for output in outputs {
            self.outputs.push(output.clone());
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Bind { pod, .. } if self.refuse_bindings => {
                self.feed(Input::BindFailed { uid: pod.uid, message: "etcd is away".to_owned() });
            }
            Output::Bind { pod, .. } if !self.pods.contains_key(&pod.name) => {
                self.feed(Input::BindFailed { uid: pod.uid, message: format!("pods \"{}\" not found", pod.name) });
            }
            Output::Bind { pod, node, .. } => {
                self.feed(Input::Bound { uid: pod.uid });
                self.update_pod(&pod.name, |pod| pod.spec.get_or_insert_default().node_name = Some(node));
            }
            Output::Refuse { pod, reason, message, nomination } if self.pods.contains_key(&pod.name) => {
                self.update_pod(&pod.name, |pod| refuse(pod, reason, message, nomination));
            }
            Output::Unnominate { pod } if self.pods.contains_key(&pod.name) => {
                self.update_pod(&pod.name, |pod| pod.status.get_or_insert_default().nominated_node_name = None);
            }
            Output::Evict { victim, .. } => {
                self.feed(Input::Evicted { uid: victim.uid });
                self.remove_pod(&victim.name);
            }
            Output::Event { .. } | Output::Refuse { .. } | Output::Unnominate { .. } => {}
        }
    }

    /// Lets time pass, waking the scheduler whenever it asks for it.
    pub(crate) fn pass(&mut self, seconds: i64) {
        let end = self.now + jiff::SignedDuration::from_secs(seconds);
        while let Some(next) = self.scheduler.next_deadline(self.now).filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let mut outputs = Vec::new();
            while self.scheduler.decide_next(self.now, &mut outputs) {}
            for output in outputs {
                self.outputs.push(output.clone());
                self.carry_out(output);
            }
        }
        self.now = end;
    }

    /// Where the pod is.
    pub(crate) fn node_of(&self, name: &str) -> Option<&str> {
        self.pods.get(name)?.spec.as_ref()?.node_name.as_deref()
    }

    /// The pod's `PodScheduled` message.
    pub(crate) fn message(&self, name: &str) -> Option<&str> {
        let conditions = self.pods.get(name)?.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_ == "PodScheduled")?.message.as_deref()
    }

    pub(crate) fn nominated(&self, name: &str) -> Option<&str> {
        self.pods.get(name)?.status.as_ref()?.nominated_node_name.as_deref()
    }

    /// Notes of the events with `reason`.
    pub(crate) fn notes(&self, wanted: &str) -> Vec<&str> {
        let note = |output: &'_ Output| matches!(output, Output::Event { reason, .. } if *reason == wanted);
        let events = self.outputs.iter().filter(|output| note(output));
        events
            .filter_map(|output| if let Output::Event { note, .. } = output { Some(note.as_str()) } else { None })
            .collect()
    }
}

fn refuse(pod: &mut Pod, reason: &str, message: String, nomination: Nomination) {
    let status = pod.status.get_or_insert_default();
    match nomination {
        Nomination::Keep => {}
        Nomination::Clear => status.nominated_node_name = None,
        Nomination::Node(node) => status.nominated_node_name = Some(node),
    }
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "PodScheduled");
    conditions.push(PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        ..PodCondition::default()
    });
}
