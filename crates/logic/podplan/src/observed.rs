//! What the runtime reports about one pod, as plain data.

use jiff::Timestamp;

use crate::resize::{Size, Told};

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Made, not started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

/// A container that the runtime reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The runtime's id, without scheme.
    pub id: String,
    /// The container's name in the pod.
    pub name: String,
    /// How many of that name there were before.
    pub attempt: u32,
    /// The sandbox it is in.
    pub sandbox: String,
    /// Where it stands.
    pub stage: Stage,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it started to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its exit code, once it ended.
    pub exit_code: i32,
    /// The runtime's word for its end: `Completed`, `Error`, `OOMKilled`, ...
    pub reason: String,
    /// The runtime's message, or the termination message.
    pub message: String,
    /// The image as it was asked for.
    pub image: String,
    /// The image's reference in the runtime (a digest).
    pub image_id: String,
    /// The hash of the specification it was made from ([`crate::identity::container_hash`]).
    pub hash: Option<u32>,
    /// The grace period of the pod when the container was made, in seconds, for a pod whose specification is gone.
    pub grace_seconds: Option<i64>,
    /// How large it was made; `None` of one that was made before sizes were noted, and such a one is as it should be.
    pub size: Option<Size>,
    /// What the runtime tells of its resources.
    pub told: Option<Told>,
}

/// A sandbox that the runtime reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: String,
    /// How many there were before.
    pub attempt: u32,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it lives in the node's network namespace.
    pub host_network: bool,
    /// Its addresses, the primary one first.
    pub ips: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How large its pod's cgroup was made; `None` as for a container.
    pub size: Option<Size>,
}

/// Everything that the runtime reports about one pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Sandboxes, the newest first.
    pub sandboxes: Vec<Sandbox>,
    /// Containers, the newest first.
    pub containers: Vec<Seen>,
}

impl Observed {
    /// Puts a report in order, whatever order it came in.
    pub fn new(mut sandboxes: Vec<Sandbox>, mut containers: Vec<Seen>) -> Observed {
        sandboxes.sort_by_key(|sandbox| std::cmp::Reverse((sandbox.created_at, sandbox.attempt)));
        containers.sort_by_key(|container| std::cmp::Reverse((container.created_at, container.attempt)));
        Observed { sandboxes, containers }
    }

    /// The newest sandbox.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first()
    }

    /// The newest container called `name`.
    pub fn latest(&self, name: &str) -> Option<&Seen> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The container called `name` before the newest one.
    pub fn previous(&self, name: &str) -> Option<&Seen> {
        self.containers.iter().filter(|container| container.name == name).nth(1)
    }

    /// The newest container called `name`, if it is in the sandbox `sandbox`.
    pub fn latest_in(&self, sandbox: &str, name: &str) -> Option<&Seen> {
        self.latest(name).filter(|container| container.sandbox == sandbox)
    }

    /// The containers that run, or may.
    pub fn alive(&self) -> impl Iterator<Item = &Seen> {
        self.containers.iter().filter(|container| matches!(container.stage, Stage::Running | Stage::Unknown))
    }

    /// Whether nothing runs any more.
    pub fn is_quiet(&self) -> bool {
        self.alive().next().is_none() && self.sandboxes.iter().all(|sandbox| !sandbox.ready)
    }
}
