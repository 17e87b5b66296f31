//! Giving a running pod the resources that it was granted.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use mounts::cgroup::Values;
use podplan::resize::{self, Allocation, Happened, Need, Progress, Size, Step, Use};
use podplan::resources::{self, Limits};
use podplan::{Plan, StopReason};
use typed::api::core::v1::Pod;

use super::{Desired, Worker, kept, later};
use crate::translate;

/// How long to wait after a resize that failed.
const RETRY_SECONDS: i64 = 10;

/// What containerd 2.2 answers, under no code of its own, to a call that it does not implement.
const NOT_IMPLEMENTED: &str = "not implemented";

impl Worker {
    /// Takes over what was decided about the pod's resize since the last time.
    pub(super) fn heed(&mut self, desired: &Desired) {
        if desired.granted_generation != self.granted_generation {
            self.granted_generation = desired.granted_generation;
            if let Some(generation) = desired.granted_generation {
                self.resizing.progress = Some(Progress { generation, error: None });
            }
            self.resizing.not_before = None;
        }
        self.resizing.pending.clone_from(&desired.pending);
    }

    /// Follows how far the resize has come; tells when it is done.
    pub(super) fn follow_resize(&mut self, pod: &Pod, unfinished: bool) {
        let generation = pod.metadata.generation.unwrap_or_default();
        let (progress, completed) = resize::progress(self.resizing.progress.take(), unfinished, generation);
        self.resizing.progress = progress;
        if let Some(generation) = completed {
            self.resizing.not_before = None;
            self.shared.recorder.tell_resize(pod, generation, Happened::Completed);
        }
    }

    /// Keeps on disk what a plan goes by, before it is carried out: a restarted kubelet must not find more than that.
    pub(super) async fn keep_grant(&mut self, pod: &Pod, plan: &Plan) -> io::Result<()> {
        let stops: Vec<&str> =
            plan.stop.iter().filter(|stop| stop.reason == StopReason::Resize).map(|stop| stop.id.as_str()).collect();
        for id in &stops {
            self.resizing.record.restarting(id);
        }
        if !stops.is_empty() {
            self.keep_record(pod).await?;
        }
        if plan.resize.is_some() || !plan.start.is_empty() || !stops.is_empty() {
            let written = self.writing(pod).await?;
            self.kept = written.or_else(|| self.kept.take());
        }
        Ok(())
    }

    /// Writes what the pod was granted, if that does not stand on disk yet: what stands there then.
    pub(super) fn writing(&self, pod: &Pod) -> impl Future<Output = io::Result<Option<Allocation>>> + 'static {
        let allocation = Some(Allocation::of(pod)).filter(|it| self.kept.as_ref() != Some(it));
        let (config, uid) = (self.shared.config.clone(), pod.metadata.uid.clone().unwrap_or_default());
        async move {
            let Some(allocation) = allocation else { return Ok(None) };
            let write = move || kept::keep_allocation(&config, &uid, &allocation).map(|()| Some(allocation));
            env::task::blocking(write).await
        }
    }

    async fn keep_record(&mut self, pod: &Pod) -> io::Result<()> {
        let observed = &self.look.observed;
        let containers = observed.containers.iter().map(|it| it.id.as_str());
        let ids: BTreeSet<&str> = containers.chain(observed.sandboxes.iter().map(|it| it.id.as_str())).collect();
        self.resizing.record.retain(&ids);
        let (config, uid) = (self.shared.config.clone(), pod.metadata.uid.clone().unwrap_or_default());
        let record = self.resizing.record.clone();
        env::task::blocking(move || kept::keep_record(&config, &uid, &record)).await
    }

    /// Carries a resize out, as far as it goes.
    pub(super) async fn resize(&mut self, pod: &Arc<Pod>, need: &Need) {
        let outcome = self.resize_all(pod, need).await;
        if let Err(message) = outcome {
            tracing::warn!(pod = pod.metadata.name, words = message, "a resize failed");
            self.resizing.not_before = Some(later(RETRY_SECONDS));
            let generation = pod.metadata.generation.unwrap_or_default();
            let progress = self.resizing.progress.get_or_insert(Progress { generation, error: None });
            if progress.error.as_ref() != Some(&message) {
                progress.error = Some(message.clone());
                let generation = progress.generation;
                self.shared.recorder.tell_resize(pod, generation, Happened::Failed(&message));
            }
        }
    }

    async fn resize_all(&mut self, pod: &Arc<Pod>, need: &Need) -> Result<(), String> {
        let used = self.used(pod, need).await;
        resize::below_use(need, &used)?;
        for step in resize::steps(need) {
            match step {
                Step::Pod { limits, size } => {
                    self.resize_pod(pod, need, &limits, size).await?;
                    self.resizing.record.resized(&need.sandbox, size);
                }
                Step::Container { id, name, size } => {
                    self.resize_container(pod, &id, &name, size).await?;
                    self.resizing.record.resized(&id, size);
                    // What the runtime tells of it is another now.
                    self.observer.forget(&id);
                }
            }
            // Killed before this is written, the next kubelet does this step once more: that changes nothing.
            self.keep_record(pod).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Memory in use where less is to be allowed.
    async fn used(&self, pod: &Pod, need: &Need) -> Use {
        let (whole, containers) = need.lowered();
        let path = self.shared.config.pod_cgroup(pod);
        let cgroups = self.shared.cgroups.clone();
        let ids: Vec<String> = containers.into_iter().map(str::to_owned).collect();
        env::task::blocking(move || {
            let read = |path: &[String]| cgroups.usage(path).ok().and_then(|usage| usage.memory_bytes);
            let of_container = |id: String| {
                let mut path = path.clone();
                path.push(id.clone());
                let used = read(&path);
                (id, used)
            };
            Use { pod: whole.then(|| read(&path)).flatten(), containers: ids.into_iter().map(of_container).collect() }
        })
        .await
    }

    async fn resize_pod(&self, pod: &Pod, need: &Need, limits: &Limits, size: Size) -> Result<(), String> {
        if *limits == Limits::default() {
            return Ok(());
        }
        let told =
            self.shared.runtime.sandbox_resources(need.sandbox.clone(), translate::pod_resources(pod, size)).await;
        match told {
            Err(failure) if !failure.is_unimplemented() && !failure.to_string().contains(NOT_IMPLEMENTED) => {
                let which = if limits.memory_bytes.is_some() { "memory" } else { "cpu" };
                return Err(format!(
                    "failed to notify runtime for UpdatePodSandboxResources (resource={which}); resize rejected: {failure}"
                ));
            }
            _ => {}
        }
        let values = Values {
            cpu_shares: limits.cpu_shares,
            cpu_quota_micros: limits.cpu_quota_micros,
            cpu_period_micros: resources::PERIOD_MICROS,
            memory_bytes: limits.memory_bytes,
            pids: None,
            huge_pages: Vec::new(),
        };
        let (cgroups, path) = (self.shared.cgroups.clone(), self.shared.config.pod_cgroup(pod));
        env::task::blocking(move || cgroups.set(&path, &values)).await.map_err(|error| error.to_string())
    }

    async fn resize_container(&self, pod: &Pod, id: &str, name: &str, size: Size) -> Result<(), String> {
        let Some((role, container)) = podplan::container(pod, name) else { return Ok(()) };
        let wanted = translate::container_resources(pod, role, &container, size, self.shared.machine.memory_bytes);
        let changed = self.shared.runtime.container_resources(id.to_owned(), wanted).await;
        match changed {
            // It ended in the meantime, and its successor is made as it is to be.
            Err(failure) if failure.is_not_found() => Ok(()),
            other => other.map_err(|failure| failure.to_string()),
        }
    }

    /// What an earlier kubelet kept of the pod, and said of its resize.
    pub(super) fn remember_resize(&mut self, pod: &Pod) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        self.resizing.record = kept::record(&self.shared.config, &uid);
        self.kept = kept::allocation(&self.shared.config, &uid);
        self.resizing.progress = pod.status.as_ref().and_then(Progress::told);
    }
}
