//! Carrying a resize out: what differs from what was granted, and the order in which it is put right.

use std::collections::BTreeMap;

use typed::api::core::v1::Container;

use super::Size;
use crate::observed::{Sandbox, Seen, Stage};
use crate::plan::{Role, Situation};
use crate::resources::Limits;
use crate::spec;

/// From one size to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What is in force.
    pub from: Size,
    /// What was granted.
    pub to: Size,
}

/// A running container that changes its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resized {
    /// The runtime's id.
    pub id: String,
    /// Its name in the pod.
    pub name: String,
    /// How it changes.
    pub change: Change,
}

/// What of a pod differs from what it was granted, and can be changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The id of the sandbox.
    pub sandbox: String,
    /// The pod as a whole.
    pub pod: Change,
    /// Its containers, in the order of the specification.
    pub containers: Vec<Resized>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Set these values of the pod's cgroup; `None` leaves one alone, `-1` is no limit.
    Pod {
        /// The values.
        limits: Limits,
        /// What is in force from then on.
        size: Size,
    },
    /// Have the runtime change a container.
    Container {
        /// The runtime's id.
        id: String,
        /// Its name in the pod.
        name: String,
        /// What is in force from then on.
        size: Size,
    },
}

/// Memory in use, in bytes, caches included; `None` when it cannot be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// Of the pod.
    pub pod: Option<u64>,
    /// Of containers by id.
    pub containers: BTreeMap<String, Option<u64>>,
}

/// A change of a container's size, while it is not what was granted.
fn change(s: &Situation<'_>, seen: &Seen, container: &Container) -> Option<Change> {
    let to = Size::of_container(s.pod, container);
    let from = s.resizing.record.size(&seen.id).or(seen.size)?;
    (from != to).then_some(Change { from, to })
}

/// Whether a running container must be started anew to get its size (`resizePolicy`).
pub(crate) fn restarts(s: &Situation<'_>, seen: &Seen, container: &Container) -> bool {
    let Some(Change { from, to }) = change(s, seen, container) else { return false };
    let policies = container.resize_policy.as_deref().unwrap_or_default();
    let anew = |name: &str| {
        let policy = policies.iter().find(|policy| policy.resource_name == name);
        policy.is_some_and(|policy| policy.restart_policy == "RestartContainer")
    };
    let cpu = (from.cpu_request_milli, from.cpu_limit_milli) != (to.cpu_request_milli, to.cpu_limit_milli);
    let memory =
        (from.memory_request_bytes, from.memory_limit_bytes) != (to.memory_request_bytes, to.memory_limit_bytes);
    (cpu && anew("cpu")) || (memory && anew("memory"))
}

/// Whether the container was stopped only to be started again with another size.
pub(crate) fn is_restarting(s: &Situation<'_>, seen: &Seen) -> bool {
    seen.stage == Stage::Exited && s.resizing.record.is_restarting(&seen.id)
}

/// What differs in the pod's present sandbox and needs no container to be started anew.
pub fn need(s: &Situation<'_>) -> Option<Need> {
    let sandbox = s.observed.sandbox().filter(|sandbox| sandbox.ready)?;
    let containers: Vec<Resized> = running(s, sandbox)
        .into_iter()
        .filter(|(_, seen, container)| !restarts(s, seen, container))
        .filter_map(|(_, seen, container)| {
            let change = change(s, seen, &container)?;
            Some(Resized { id: seen.id.clone(), name: seen.name.clone(), change })
        })
        .collect();
    let pod = whole(s, sandbox);
    (pod.from != pod.to || !containers.is_empty()).then(|| Need { sandbox: sandbox.id.clone(), pod, containers })
}

/// Whether something that was granted is not in force yet.
pub fn unfinished(s: &Situation<'_>) -> bool {
    let Some(sandbox) = s.observed.sandbox().filter(|sandbox| sandbox.ready) else { return false };
    let pod = whole(s, sandbox);
    pod.from != pod.to
        || running(s, sandbox).iter().any(|(_, seen, container)| change(s, seen, container).is_some())
        || s.observed.containers.iter().filter(|seen| is_restarting(s, seen)).any(|seen| {
            let latest = s.observed.latest(&seen.name);
            latest.is_some_and(|latest| latest.id == seen.id || latest.stage == Stage::Created)
        })
}

fn whole(s: &Situation<'_>, sandbox: &Sandbox) -> Change {
    let to = Size::of_pod(s.pod);
    let from = s.resizing.record.size(&sandbox.id).or(sandbox.size).unwrap_or(to);
    Change { from, to }
}

/// The containers that run in `sandbox` and can be resized. Ephemeral ones have no resources.
fn running<'a>(s: &Situation<'a>, sandbox: &Sandbox) -> Vec<(Role, &'a Seen, std::borrow::Cow<'a, Container>)> {
    let all = spec::containers(s.pod).into_iter().filter(|(role, _)| *role != Role::Ephemeral);
    all.filter_map(|(role, container)| {
        let seen = s.observed.latest_in(&sandbox.id, &container.name)?;
        (seen.stage == Stage::Running).then_some((role, seen, container))
    })
    .collect()
}

/// One of the two resources that a resize can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    Cpu,
}

impl Kind {
    /// Limit and request.
    fn of(self, size: &Size) -> (i64, i64) {
        match self {
            Kind::Memory => (size.memory_limit_bytes, size.memory_request_bytes),
            Kind::Cpu => (size.cpu_limit_milli, size.cpu_request_milli),
        }
    }

    /// `size` with this resource as in `other`.
    fn taken_from(self, other: &Size, size: Size) -> Size {
        match self {
            Kind::Memory => Size {
                memory_limit_bytes: other.memory_limit_bytes,
                memory_request_bytes: other.memory_request_bytes,
                ..size
            },
            Kind::Cpu => {
                Size { cpu_limit_milli: other.cpu_limit_milli, cpu_request_milli: other.cpu_request_milli, ..size }
            }
        }
    }
}

/// No limit is the highest one.
fn height(limit: i64) -> i64 {
    if limit == 0 { i64::MAX } else { limit }
}

/// What to do, in this order, until something fails.
///
/// Memory first, because of the two it is memory that can fail. At each, the pod's cgroup grows before its containers
/// change and shrinks after them; containers that give back change before those that take; limits grow before requests
/// and requests shrink before limits.
pub fn steps(need: &Need) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pod = need.pod.from;
    let mut sizes: Vec<Size> = need.containers.iter().map(|it| it.change.from).collect();
    for kind in [Kind::Memory, Kind::Cpu] {
        let ((limit, request), (to_limit, to_request)) = (kind.of(&need.pod.from), kind.of(&need.pod.to));
        if height(to_limit) > height(limit) {
            steps.push(kind.set_limit(&mut pod, to_limit));
        }
        if to_request > request {
            steps.push(kind.set_request(&mut pod, to_request));
        }
        for index in in_order(kind, need) {
            let Resized { id, name, change } = &need.containers[index];
            sizes[index] = kind.taken_from(&change.to, sizes[index]);
            steps.push(Step::Container { id: id.clone(), name: name.clone(), size: sizes[index] });
        }
        if to_request < request {
            steps.push(kind.set_request(&mut pod, to_request));
        }
        if height(to_limit) < height(limit) {
            steps.push(kind.set_limit(&mut pod, to_limit));
        }
    }
    steps
}

impl Kind {
    fn set_limit(self, pod: &mut Size, limit: i64) -> Step {
        let mut limits = Limits::default();
        match self {
            Kind::Memory => {
                pod.memory_limit_bytes = limit;
                limits.memory_bytes = Some(if limit == 0 { -1 } else { limit });
            }
            Kind::Cpu => {
                pod.cpu_limit_milli = limit;
                limits.cpu_quota_micros = Some(crate::resources::quota_micros(limit).unwrap_or(-1));
            }
        }
        Step::Pod { limits, size: *pod }
    }

    /// No cgroup holds a request for memory; it is noted all the same.
    fn set_request(self, pod: &mut Size, request: i64) -> Step {
        let mut limits = Limits::default();
        match self {
            Kind::Memory => pod.memory_request_bytes = request,
            Kind::Cpu => {
                pod.cpu_request_milli = request;
                limits.cpu_shares = Some(crate::resources::shares(request));
            }
        }
        Step::Pod { limits, size: *pod }
    }
}

/// The containers that change in this resource: those that give back, the last first; then those that take.
fn in_order(kind: Kind, need: &Need) -> Vec<usize> {
    let shrinks = |index: &usize| {
        let Change { from, to } = need.containers[*index].change;
        let ((limit, request), (to_limit, to_request)) = (kind.of(&from), kind.of(&to));
        if limit == to_limit { to_request < request } else { height(to_limit) < height(limit) }
    };
    let changed = (0..need.containers.len()).filter(|index| {
        let Change { from, to } = need.containers[*index].change;
        kind.of(&from) != kind.of(&to)
    });
    let (mut down, up): (Vec<usize>, Vec<usize>) = changed.partition(shrinks);
    down.reverse();
    down.into_iter().chain(up).collect()
}

/// Whether `to` allows less memory than `from`.
fn lowers_memory(Change { from, to }: &Change) -> bool {
    height(to.memory_limit_bytes) < height(from.memory_limit_bytes)
}

impl Need {
    /// The ids of containers that are to be allowed less memory, and whether the pod is: only then use matters.
    pub fn lowered(&self) -> (bool, Vec<&str>) {
        let containers = self.containers.iter().filter(|it| lowers_memory(&it.change)).map(|it| it.id.as_str());
        (lowers_memory(&self.pod), containers.collect())
    }
}

/// Refuses a memory limit that is not above what is in use already: the kernel would kill for it.
///
/// This catches most of it before anything is changed, not all: memory may grow a moment later.
pub fn below_use(need: &Need, used: &Use) -> Result<(), String> {
    let mut problems = Vec::new();
    let mut check = |what: &str, missing: &str, limit: i64, used: Option<u64>| match used {
        None => problems.push(format!("missing {missing}memory usage")),
        Some(used) if used >= u64::try_from(limit).unwrap_or_default() => {
            problems.push(format!("attempting to set {what} memory limit ({limit}) below current usage ({used})"));
        }
        Some(_) => {}
    };
    if lowers_memory(&need.pod) {
        check("pod", "pod ", need.pod.to.memory_limit_bytes, used.pod);
    }
    for it in need.containers.iter().filter(|it| lowers_memory(&it.change)) {
        let who = format!("container \"{}\"", it.name);
        let of = used.containers.get(&it.id).copied().flatten();
        check(&who, &format!("{who} "), it.change.to.memory_limit_bytes, of);
    }
    match problems.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("cannot decrease memory limits: {one}")),
        many => Err(format!("cannot decrease memory limits: [{}]", many.join(", "))),
    }
}
