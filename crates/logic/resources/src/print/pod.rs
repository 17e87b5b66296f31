//! Tables of pods: what a pod is doing, in one word.

use jiff::Timestamp;
use kind::{AGE, Cell, Column, NAME, Part};
use object::{Meta, Value, timestamp};

use super::{NONE, column, condition, name, number, text_or, wide};
use crate::tree::{flag, text};

pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "string", "Containers that are ready, of all that stay."),
    column("Status", "string", "What the pod as a whole is doing."),
    column("Restarts", "string", "Restarts of its containers, and when the last one was."),
    AGE,
    wide("IP", "string", "The pod's first address."),
    wide("Node", "string", "The node it is bound to."),
    wide("Nominated Node", "string", "The node on which room is being made for it."),
    wide("Readiness Gates", "string", "Readiness gates that are open, of all."),
];

pub(crate) fn cells(pod: &Value) -> Vec<Cell> {
    let summary = Summary::of(pod);
    let ip = pod.list_at(&["status", "podIPs"]).first().map_or("", |ip| text(ip, &["ip"]));
    vec![
        name(pod),
        Cell::from(format!("{}/{}", summary.ready, summary.total)),
        Cell::from(summary.reason),
        summary.restarts.shown(),
        kind::age(pod),
        Cell::from(if ip.is_empty() { NONE } else { ip }),
        text_or(pod, &["spec", "nodeName"], NONE),
        text_or(pod, &["status", "nominatedNodeName"], NONE),
        gates(pod),
    ]
}

fn gates(pod: &Value) -> Cell {
    let gates = pod.list_at(&["spec", "readinessGates"]);
    let open = gates.iter().filter(|gate| condition(pod, text(gate, &["conditionType"])) == Some("True")).count();
    Cell::from(if gates.is_empty() { NONE.to_owned() } else { format!("{open}/{}", gates.len()) })
}

/// Restarts and the end of the run before the last one.
#[derive(Debug, Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += number(status, &["restartCount"]);
        let ended = status.str_at(&["lastState", "terminated", "finishedAt"]).and_then(timestamp::parse);
        self.last = self.last.max(ended);
    }

    fn shown(self) -> Cell {
        match self.last {
            Some(last) if self.count != 0 => Cell::Text(vec![
                Part::Text(format!("{} (", self.count).into()),
                Part::Since(last),
                Part::Text(" ago)".into()),
            ]),
            _ => Cell::from(self.count.to_string()),
        }
    }
}

/// What a pod's statuses come to.
#[derive(Debug, Default)]
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: Restarts,
    sidecar_restarts: Restarts,
}

impl Summary {
    fn of(pod: &Value) -> Summary {
        let own = text(pod, &["status", "reason"]);
        let phase = text(pod, &["status", "phase"]);
        let sidecars = pod.list_at(&["spec", "initContainers"]).iter().filter(|container| is_sidecar(container));
        let mut summary = Summary {
            reason: if own.is_empty() { phase } else { own }.to_owned(),
            total: pod.list_at(&["spec", "containers"]).len() + sidecars.count(),
            ..Summary::default()
        };
        let conditions = pod.list_at(&["status", "conditions"]).iter();
        let gated = |condition: &&Value| {
            text(condition, &["type"]) == "PodScheduled" && text(condition, &["reason"]) == "SchedulingGated"
        };
        if conditions.clone().any(|condition| gated(&condition)) {
            "SchedulingGated".clone_into(&mut summary.reason);
        }
        let initializing = summary.initialize(pod);
        if !initializing || condition(pod, "Initialized") == Some("True") {
            summary.run(pod);
        }
        if Meta::of(pod).is_deleting() {
            if own == "NodeLost" {
                "Unknown".clone_into(&mut summary.reason);
            } else if !matches!(phase, "Failed" | "Succeeded") {
                "Terminating".clone_into(&mut summary.reason);
            }
        }
        summary
    }

    /// Goes through the init containers; `true` when one of them is not done yet.
    fn initialize(&mut self, pod: &Value) -> bool {
        let specs = pod.list_at(&["spec", "initContainers"]);
        for (position, status) in pod.list_at(&["status", "initContainerStatuses"]).iter().enumerate() {
            let sidecar = specs.iter().any(|spec| spec.get("name") == status.get("name") && is_sidecar(spec));
            self.restarts.add(status);
            if sidecar {
                self.sidecar_restarts.add(status);
            }
            let terminated = status.at(&["state", "terminated"]).filter(|state| !state.is_null());
            if terminated.is_some_and(|state| number(state, &["exitCode"]) == 0) {
                continue;
            }
            if sidecar && flag(status, &["started"]) {
                self.ready += usize::from(flag(status, &["ready"]));
                continue;
            }
            let waiting = text(status, &["state", "waiting", "reason"]);
            self.reason = match terminated {
                Some(state) => format!("Init:{}", ended(state)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{position}/{}", specs.len()),
            };
            return true;
        }
        false
    }

    /// Goes through the containers, the first of which has the last word.
    fn run(&mut self, pod: &Value) {
        self.restarts = self.sidecar_restarts;
        let mut running = false;
        for status in pod.list_at(&["status", "containerStatuses"]).iter().rev() {
            self.restarts.add(status);
            let waiting = text(status, &["state", "waiting", "reason"]);
            let terminated = status.at(&["state", "terminated"]).filter(|state| !state.is_null());
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(state) = terminated {
                self.reason = ended(state);
            } else if flag(status, &["ready"]) && status.at(&["state", "running"]).is_some_and(|state| !state.is_null())
            {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(pod, "Ready") == Some("True");
            (if ready { "Running" } else { "NotReady" }).clone_into(&mut self.reason);
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, &["restartPolicy"]) == "Always"
}

/// How a container ended.
fn ended(state: &Value) -> String {
    match (text(state, &["reason"]), number(state, &["signal"])) {
        ("", 0) => format!("ExitCode:{}", number(state, &["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}
