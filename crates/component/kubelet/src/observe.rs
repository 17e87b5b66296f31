//! From what the runtime answers to what a plan reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use cri::v1::{
    Container, ContainerFilter, ContainerState, ContainerStatus, LinuxContainerResources, PodSandboxFilter,
    PodSandboxState, PodSandboxStatus,
};
use cri::{Failure, Runtime};
use jiff::Timestamp;
use podplan::identity::{annotation, label};
use podplan::resize::{Size, Told};
use podplan::{Observed, Sandbox, Seen, Stage};

/// Looks at one pod. What cannot change any more is asked for once.
#[derive(Debug)]
pub(crate) struct Observer {
    runtime: Arc<dyn Runtime>,
    uid: String,
    containers: BTreeMap<String, (Stage, Known)>,
    sandboxes: BTreeMap<String, (Sandbox, Option<i32>)>,
}

/// A container and its process.
#[derive(Debug, Clone)]
struct Known {
    seen: Seen,
    pid: Option<i32>,
}

/// A look at a pod.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub(crate) observed: Observed,
    /// Processes of what runs, by id of container or sandbox.
    pub(crate) pids: BTreeMap<String, i32>,
}

impl Observer {
    pub(crate) fn new(runtime: Arc<dyn Runtime>, uid: String) -> Observer {
        Observer { runtime, uid, containers: BTreeMap::new(), sandboxes: BTreeMap::new() }
    }

    pub(crate) async fn look(&mut self) -> Result<Look, Failure> {
        let labels: BTreeMap<String, String> = [(label::POD_UID.to_owned(), self.uid.clone())].into();
        let sandboxes = PodSandboxFilter { label_selector: labels.clone(), ..Default::default() };
        let containers = ContainerFilter { label_selector: labels, ..Default::default() };
        let (sandboxes, containers) =
            futures::try_join!(self.runtime.sandbox_list(sandboxes), self.runtime.container_list(containers))?;
        let mut look = Look::default();
        let (mut seen_sandboxes, mut seen_containers) = (Vec::new(), Vec::new());
        self.sandboxes.retain(|id, _| sandboxes.iter().any(|item| item.id == *id));
        self.containers.retain(|id, _| containers.iter().any(|item| item.id == *id));
        for item in &sandboxes {
            let ready = item.state() == PodSandboxState::SandboxReady;
            if let Some((sandbox, pid)) = self.sandbox(&item.id, ready).await? {
                look.pids.extend(pid.filter(|_| sandbox.ready).map(|pid| (sandbox.id.clone(), pid)));
                seen_sandboxes.push(sandbox);
            }
        }
        for item in &containers {
            if let Some(known) = self.container(item).await? {
                let running = known.seen.stage == Stage::Running;
                look.pids.extend(known.pid.filter(|_| running).map(|pid| (known.seen.id.clone(), pid)));
                seen_containers.push(known.seen);
            }
        }
        look.observed = Observed::new(seen_sandboxes, seen_containers);
        Ok(look)
    }

    /// A sandbox; `None` when it went away in the meantime.
    async fn sandbox(&mut self, id: &str, ready: bool) -> Result<Option<(Sandbox, Option<i32>)>, Failure> {
        if let Some(known) = self.sandboxes.get(id).filter(|(sandbox, _)| sandbox.ready == ready) {
            return Ok(Some(known.clone()));
        }
        let answer = match self.runtime.sandbox_status(id.to_owned(), true).await {
            Err(failure) if failure.is_not_found() => return Ok(None),
            other => other?,
        };
        let missing = Failure::Incomplete { call: "PodSandboxStatus", what: "a status" };
        let known = (sandbox(&answer.status.ok_or(missing)?), pid(&answer.info));
        self.sandboxes.insert(id.to_owned(), known.clone());
        Ok(Some(known))
    }

    async fn container(&mut self, item: &Container) -> Result<Option<Known>, Failure> {
        let stage = stage(item.state());
        if let Some((_, known)) = self.containers.get(&item.id).filter(|(known, _)| *known == stage) {
            return Ok(Some(known.clone()));
        }
        let answer = match self.runtime.container_status(item.id.clone(), stage == Stage::Running).await {
            Err(failure) if failure.is_not_found() => return Ok(None),
            other => other?,
        };
        let missing = Failure::Incomplete { call: "ContainerStatus", what: "a status" };
        let seen = container(&answer.status.ok_or(missing)?, &item.pod_sandbox_id);
        let known = Known { pid: pid(&answer.info), seen };
        // What the status says may be newer than the list; it is the status that is remembered.
        self.containers.insert(item.id.clone(), (known.seen.stage, known.clone()));
        Ok(Some(known))
    }

    /// Completes what is remembered of an ended container: its termination message.
    pub(crate) fn explain(&mut self, id: &str, message: String) {
        if let Some((_, known)) = self.containers.get_mut(id) {
            known.seen.message = message;
        }
    }

    /// Forgets what is remembered of a container, so that it is asked for again.
    pub(crate) fn forget(&mut self, id: &str) {
        self.containers.remove(id);
        self.sandboxes.remove(id);
    }
}

fn stage(state: ContainerState) -> Stage {
    match state {
        ContainerState::ContainerCreated => Stage::Created,
        ContainerState::ContainerRunning => Stage::Running,
        ContainerState::ContainerExited => Stage::Exited,
        ContainerState::ContainerUnknown => Stage::Unknown,
    }
}

fn at(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds > 0).then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()).flatten()
}

fn sandbox(status: &PodSandboxStatus) -> Sandbox {
    let network = status.network.clone().unwrap_or_default();
    let more = network.additional_ips.into_iter().map(|more| more.ip);
    let options = status.linux.as_ref().and_then(|linux| linux.namespaces.as_ref()?.options.clone());
    let host_network = options.is_some_and(|options| options.network() == cri::v1::NamespaceMode::Node);
    Sandbox {
        id: status.id.clone(),
        attempt: status.metadata.as_ref().map(|metadata| metadata.attempt).unwrap_or_default(),
        ready: status.state() == PodSandboxState::SandboxReady,
        host_network,
        ips: std::iter::once(network.ip).chain(more).filter(|ip| !ip.is_empty()).collect(),
        created_at: at(status.created_at).unwrap_or_default(),
        size: status.annotations.get(annotation::SIZE).and_then(|text| Size::parse(text)),
    }
}

fn container(status: &ContainerStatus, sandbox: &str) -> Seen {
    let metadata = status.metadata.clone().unwrap_or_default();
    let note = |name: &str| status.annotations.get(name);
    let image = status.image.clone().unwrap_or_default();
    let asked = if image.user_specified_image.is_empty() { image.image } else { image.user_specified_image };
    Seen {
        id: status.id.clone(),
        name: metadata.name,
        attempt: metadata.attempt,
        sandbox: sandbox.to_owned(),
        stage: stage(status.state()),
        created_at: at(status.created_at).unwrap_or_default(),
        started_at: at(status.started_at),
        finished_at: at(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason.clone(),
        message: status.message.clone(),
        image: asked,
        image_id: status.image_ref.clone(),
        hash: note(annotation::HASH).and_then(|hash| u32::from_str_radix(hash, 16).ok()),
        grace_seconds: note(annotation::GRACE).and_then(|grace| grace.parse().ok()),
        size: note(annotation::SIZE).and_then(|text| Size::parse(text)),
        told: status.resources.as_ref().and_then(|resources| told(resources.linux.as_ref()?)),
    }
}

fn told(linux: &LinuxContainerResources) -> Option<Told> {
    Told::of(linux.cpu_shares, linux.cpu_quota, linux.cpu_period, linux.memory_limit_in_bytes)
}

/// The process that containerd and CRI-O name in the JSON text `info`.
pub(crate) fn pid(info: &BTreeMap<String, String>) -> Option<i32> {
    let tree = codec::yaml::parse(info.get("info")?.as_bytes()).ok()?;
    i32::try_from(tree.int_at(&["pid"])?).ok().filter(|pid| *pid > 0)
}
