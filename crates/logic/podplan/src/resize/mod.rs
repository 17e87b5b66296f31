//! In-place resize (KEP-1287): a pod that runs gets more, or less, CPU and memory.
//!
//! ```text
//! what the API wants ─► admit ─► Allocation ─► needs ─► steps ─► the runtime, the pod's cgroup
//!                         │ no room              ▲                       │
//!                         └─► Pending            └──── Record ◄──────────┘
//! ```
//!
//! [`Allocation`] is what the node granted; everything else in this crate plans with the pod as it was granted. A
//! container's [`Size`] is noted in its annotations when it is made, and in the [`Record`] when it is changed: what is
//! granted and what is in force are compared, and what differs is carried out.
//!
//! What is deliberately not here: the API's own checks of a resize, and the scheduler's view of it.
//!
//! Invariants
//! - A grant never exceeds what the node has left beside what others were granted or still have.
//! - Memory changes before CPU; a pod's cgroup grows before its containers do and shrinks after them.
//! - A resize that was carried out leaves nothing to carry out, whenever the kubelet was killed on the way.

mod actuation;
mod admission;
mod allocation;
mod notice;
mod progress;
mod record;
mod report;

use typed::api::core::v1::{Container, Pod};

use crate::quantity;
use crate::resources::{self, Limits};

pub use actuation::{Change, Need, Resized, Step, Use, below_use, need, steps, unfinished};
pub use admission::{admit, in_turn};
pub use allocation::Allocation;
pub use notice::{Happened, message};
pub use progress::{Pending, Progress, progress};
pub use record::Record;
pub use report::Told;

pub(crate) use actuation::{is_restarting, restarts};
pub(crate) use progress::conditions;
pub(crate) use report::{container as container_report, pod as pod_report};

/// The types of the conditions that tell of a resize. They are there only while there is something to tell.
pub const CONDITIONS: [&str; 2] = [PENDING, IN_PROGRESS];

const PENDING: &str = "PodResizePending";
const IN_PROGRESS: &str = "PodResizeInProgress";

/// The resources of a container, or of a pod as a whole, that a resize can change; zero is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// CPU asked for, in thousandths of a core.
    pub cpu_request_milli: i64,
    /// CPU allowed, in thousandths of a core.
    pub cpu_limit_milli: i64,
    /// Memory asked for.
    pub memory_request_bytes: i64,
    /// Memory allowed.
    pub memory_limit_bytes: i64,
}

/// Everything about a pod's resize that neither the pod nor the runtime says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resizing {
    /// What was carried out.
    pub record: Record,
    /// What the API wants and the node has not granted.
    pub pending: Option<Pending>,
    /// What was granted and is not finished.
    pub progress: Option<Progress>,
    /// Nothing is tried before: the last attempt failed.
    pub not_before: Option<jiff::Timestamp>,
}

impl Size {
    /// What a container is to have. Without a limit of its own it is held by its pod's.
    pub fn of_container(pod: &Pod, container: &Container) -> Size {
        let whole = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.limits.as_ref());
        let requirements = container.resources.as_ref();
        let limits = requirements.and_then(|it| it.limits.as_ref());
        let requests = requirements.and_then(|it| it.requests.as_ref());
        let amount = |name: &str, read: fn(&typed::resource::Quantity) -> Option<i64>| {
            let own = limits.and_then(|all| all.get(name)).and_then(read).filter(|amount| *amount > 0);
            let request = requests.and_then(|all| all.get(name)).and_then(read).or(own);
            let limit = own.or_else(|| whole.and_then(|all| all.get(name)).and_then(read));
            (request.unwrap_or_default(), limit.unwrap_or_default())
        };
        let (cpu_request_milli, cpu_limit_milli) = amount("cpu", quantity::milli);
        let (memory_request_bytes, memory_limit_bytes) = amount("memory", quantity::value);
        Size { cpu_request_milli, cpu_limit_milli, memory_request_bytes, memory_limit_bytes }
    }

    /// What a pod as a whole is to have.
    pub fn of_pod(pod: &Pod) -> Size {
        let sum = resources::totals(pod);
        Size {
            cpu_request_milli: sum.cpu_request_milli,
            cpu_limit_milli: sum.cpu_limit_milli.unwrap_or_default(),
            memory_request_bytes: sum.memory_request_bytes,
            memory_limit_bytes: sum.memory_limit_bytes.unwrap_or_default(),
        }
    }

    /// As the kernel takes it. Huge pages are not resized and left out.
    pub fn limits(&self) -> Limits {
        Limits {
            cpu_shares: Some(resources::shares(self.cpu_request_milli)),
            cpu_quota_micros: resources::quota_micros(self.cpu_limit_milli),
            memory_bytes: (self.memory_limit_bytes > 0).then_some(self.memory_limit_bytes),
            ..Limits::default()
        }
    }

    /// As text that [`Size::parse`] reads: `CPU request/CPU limit/memory request/memory limit`.
    pub fn text(&self) -> String {
        let Size { cpu_request_milli, cpu_limit_milli, memory_request_bytes, memory_limit_bytes } = self;
        format!("{cpu_request_milli}/{cpu_limit_milli}/{memory_request_bytes}/{memory_limit_bytes}")
    }

    /// Reads a size; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Size> {
        let mut parts = text.split('/').map(|part| part.parse::<i64>().ok().filter(|amount| *amount >= 0));
        let mut next = || parts.next().flatten();
        let size = Size {
            cpu_request_milli: next()?,
            cpu_limit_milli: next()?,
            memory_request_bytes: next()?,
            memory_limit_bytes: next()?,
        };
        parts.next().is_none().then_some(size)
    }
}
