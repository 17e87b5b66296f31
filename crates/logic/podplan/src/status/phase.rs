//! The phase of a pod, counted from its containers' states.

use typed::api::core::v1::{Container, ContainerStatus, PodSpec, PodStatus};

use crate::observed::Stage;
use crate::plan::{Plan, Role, Situation};
use crate::restart::{Verdict, verdict};
use crate::{identity, resize, spec, status};

/// Where one container stands, as far as the phase goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unknown,
    Waiting,
    Running { started: bool },
    Ended { exit_code: i32 },
}

#[derive(Debug, Default)]
struct Count {
    pending_init: usize,
    pending_sidecars: usize,
    failed_for_good: usize,
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    stopped_for_good: usize,
    succeeded: usize,
}

pub(super) fn phase(s: &Situation<'_>, plan: &Plan, status: &PodStatus) -> &'static str {
    let Some(pod_spec) = &s.pod.spec else { return "Pending" };
    let mut count = Count::default();
    for (role, container) in spec::containers(s.pod) {
        let standing = match s.observed.latest(&container.name) {
            // It has not ended: the next moment it runs, or runs again.
            Some(seen) if resize::is_restarting(s, seen) => Standing::Running { started: false },
            Some(seen) if seen.stage == Stage::Created && seen.attempt > 0 => Standing::Running { started: false },
            Some(seen) if seen.stage == Stage::Created => Standing::Waiting,
            _ => standing(status::container_status(status, &container.name)),
        };
        match role {
            Role::Init => count.init(pod_spec, &container, standing),
            Role::Sidecar => count.sidecar(standing),
            Role::Regular => count.regular(pod_spec, &container, standing),
            Role::Ephemeral => {}
        }
    }
    let initialized = pod_spec.containers.iter().any(|container| s.observed.latest(&container.name).is_some());
    let over = s.ending.is_some() && plan.finished && !identity::is_static(s.pod);
    count.phase(initialized, over)
}

fn standing(status: Option<&ContainerStatus>) -> Standing {
    let Some(status) = status else { return Standing::Unknown };
    let Some(state) = &status.state else { return Standing::Unknown };
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    if state.running.is_some() {
        Standing::Running { started: status.started.unwrap_or_default() }
    } else if let Some(terminated) = &state.terminated {
        Standing::Ended { exit_code: terminated.exit_code }
    } else if state.waiting.is_some() {
        last.map_or(Standing::Waiting, |terminated| Standing::Ended { exit_code: terminated.exit_code })
    } else {
        Standing::Unknown
    }
}

impl Count {
    fn init(&mut self, spec: &PodSpec, container: &Container, standing: Standing) {
        match standing {
            Standing::Ended { exit_code: 0 } => {}
            Standing::Ended { exit_code } => {
                if verdict(spec, Role::Init, container, exit_code) == Verdict::Stay {
                    self.failed_for_good += 1;
                }
            }
            _ => self.pending_init += 1,
        }
    }

    fn sidecar(&mut self, standing: Standing) {
        match standing {
            Standing::Running { started } => {
                self.running += 1;
                self.pending_sidecars += usize::from(!started);
            }
            // A sidecar that ended says nothing about the pod.
            Standing::Ended { .. } => {}
            Standing::Waiting => {
                self.pending_sidecars += 1;
                self.waiting += 1;
            }
            Standing::Unknown => self.unknown += 1,
        }
    }

    fn regular(&mut self, spec: &PodSpec, container: &Container, standing: Standing) {
        match standing {
            Standing::Running { .. } => self.running += 1,
            Standing::Ended { exit_code } => {
                self.stopped += 1;
                self.succeeded += usize::from(exit_code == 0);
                let stays = verdict(spec, Role::Regular, container, exit_code) == Verdict::Stay;
                self.stopped_for_good += usize::from(stays);
            }
            Standing::Waiting => self.waiting += 1,
            Standing::Unknown => self.unknown += 1,
        }
    }

    /// `initialized`: regular containers have been made; `over`: the pod was ended and nothing runs.
    fn phase(&self, initialized: bool, over: bool) -> &'static str {
        let end = if self.stopped == self.succeeded { "Succeeded" } else { "Failed" };
        if self.failed_for_good > 0 {
            "Failed"
        } else if self.pending_init > 0 || (self.pending_sidecars > 0 && !initialized) || self.waiting > 0 {
            // A pod that was ended before it ran has failed: nothing will make it run.
            if over { "Failed" } else { "Pending" }
        } else if self.unknown > 0 {
            "Pending"
        } else if self.running > 0 {
            "Running"
        } else if self.stopped == 0 {
            "Pending"
        } else if over {
            end
        } else if self.stopped != self.stopped_for_good {
            "Running"
        } else {
            end
        }
    }
}
