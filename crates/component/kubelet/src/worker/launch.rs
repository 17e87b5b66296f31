//! Making sandboxes and starting containers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cri::v1::{Image, ImageSpec, Mount, PodSandboxConfig};
use cri::{ContainerCreation, Failure};
use mounts::cgroup::Values;
use podplan::backoff;
use podplan::environment::{self, Environment, Inputs, Sources};
use podplan::security::Security;
use podplan::{Held, Role, Stage, Start, identity, network, resources};
use typed::api::core::v1::{Container, Pod};

use super::{Worker, hold, hooks, pod_ips};
use crate::api::ApiError;
use crate::events::Notice;
use crate::logs;
use crate::metrics::ImageVolume;
use crate::translate::{self, ContainerInputs, SandboxInputs};

/// An event's reason and message.
pub(super) type Trouble = (&'static str, String);

impl Worker {
    /// Makes everything that a sandbox needs, and the sandbox.
    pub(super) async fn make_sandbox(&mut self, pod: &Arc<Pod>, attempt: u32) -> Result<(), Trouble> {
        let shared = self.shared.clone();
        if let Some(what) = unbuilt(pod) {
            return Err(("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {what} not built")));
        }
        if asks_for_strict_groups(pod) && !self.knows_strict_groups().await {
            let problem = "SupplementalGroupsPolicy=Strict is not supported in this node";
            return Err(("SupplementalGroupsPolicyNotSupported", problem.to_owned()));
        }
        podplan::security::check_sysctls(pod, &shared.config.allowed_sysctls)
            .map_err(|problem| ("SysctlForbidden", problem))?;
        let facts = shared.facts(pod_ips(&shared, &self.look.observed, pod));
        let places = shared.volumes.prepare(pod, &facts).await.map_err(|problem| ("FailedMount", problem))?;
        self.places = Some(places);
        let failed = |problem: String| ("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {problem}"));
        self.make_cgroup(pod)
            .await
            .map_err(|error| failed(format!("failed to ensure that the pod cgroup exists: {error}")))?;
        let config = self.sandbox_config(pod, attempt).map_err(failed)?;
        let logs = PathBuf::from(&config.log_directory);
        env::fs::create_dir_all(&logs).map_err(|error| failed(error.to_string()))?;
        let handler = self.handler(pod).await.map_err(failed)?;
        let runtime = shared.runtime.clone();
        let made = unbroken("sandbox", async move { runtime.sandbox_run(config, handler).await }).await;
        made.map(drop).map_err(|failure| failed(failure.to_string()))
    }

    /// Whether the runtime leaves out the groups that the image gives a user; older ones ignore the wish.
    async fn knows_strict_groups(&self) -> bool {
        let status = self.shared.runtime.status(false).await;
        status.is_ok_and(|status| status.features.is_some_and(|features| features.supplemental_groups_policy))
    }

    /// The runtime's handler that the pod asks for; empty for the usual one.
    async fn handler(&self, pod: &Pod) -> Result<String, String> {
        let class = pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.as_deref()).unwrap_or_default();
        if class.is_empty() {
            return Ok(String::new());
        }
        let found = self.shared.api.runtime_handler(class).await;
        found.map_err(|error| format!("failed to get sandbox runtime: {error}"))
    }

    fn sandbox_config(&self, pod: &Pod, attempt: u32) -> Result<PodSandboxConfig, String> {
        let config = &self.shared.config;
        let (dns, messages) = network::dns(pod, &config.cluster_dns, &config.host_dns);
        for message in messages {
            self.shared.recorder.tell(pod, None, Notice::warning("DNSConfigForming", &message));
        }
        let (host_name, _) = network::host_name(pod, &config.cluster_dns.domain)?;
        translate::sandbox(SandboxInputs {
            pod,
            attempt,
            dns,
            host_name,
            log_folder: logs::pod_folder(config, pod).to_string_lossy().into_owned(),
            cgroup_parent: self.shared.cgroups.parent_text(&config.pod_cgroup(pod)),
            seccomp_default: config.seccomp_default,
        })
    }

    async fn make_cgroup(&self, pod: &Pod) -> std::io::Result<()> {
        let (cgroups, path) = (self.shared.cgroups.clone(), self.shared.config.pod_cgroup(pod));
        let limits = resources::pod(pod);
        let values = Values {
            cpu_shares: limits.cpu_shares,
            cpu_quota_micros: Some(limits.cpu_quota_micros.unwrap_or(-1)),
            cpu_period_micros: resources::PERIOD_MICROS,
            memory_bytes: limits.memory_bytes,
            pids: self.shared.config.pod_pids_max,
            huge_pages: Vec::new(),
        };
        env::task::blocking(move || {
            cgroups.create(&path)?;
            cgroups.set(&path, &values)
        })
        .await
    }

    /// A container that could not be made waits as long as upstream lets a pod wait whose synchronization failed.
    fn hold(&self, reason: &str, message: String) -> Held {
        hold(reason, message, backoff::after_failed_start(self.shared.config.failed_start, env::rand::unit()))
    }

    /// Starts a container; `Err` says why it waits.
    pub(super) async fn start(&mut self, pod: &Arc<Pod>, start: &Start) -> Result<(), Held> {
        let Some((role, container)) = podplan::container(pod, &start.name) else { return Ok(()) };
        let Some(sandbox) = self.look.observed.sandbox().map(|sandbox| sandbox.id.clone()) else { return Ok(()) };
        let (spec, image) = self.shared.images.ensure(pod, &container).await?;
        let configured = self.configure(pod, (role, &container), start.attempt, (spec, &image)).await;
        let config = configured.map_err(|problem| {
            self.tell(pod, &container.name, Notice::warning("Failed", &format!("Error: {problem}")));
            self.hold("CreateContainerConfigError", problem)
        })?;
        let attempt = self.look.observed.sandbox().map(|sandbox| sandbox.attempt).unwrap_or_default();
        let sandbox_config =
            self.sandbox_config(pod, attempt).map_err(|problem| self.hold("CreateContainerConfigError", problem))?;
        if let Some(failed_at) = start.failed_at {
            let key = identity::crash_loop_key(&container);
            self.crash_loops.lengthen(&key, failed_at, env::time::now(), self.shared.config.crash_loop);
        }
        let creation = ContainerCreation { sandbox, config, sandbox_config };
        let runtime = self.shared.runtime.clone();
        let image_volumes = creation.config.mounts.iter().filter(|mount| mount.image.is_some()).count();
        let metrics = &self.shared.metrics;
        metrics.image_volumes(ImageVolume::Requested, image_volumes);
        let created = unbroken("container", async move { runtime.container_create(creation).await }).await;
        metrics.image_volumes(if created.is_ok() { ImageVolume::Mounted } else { ImageVolume::Failed }, image_volumes);
        let id = created.map_err(|failure| {
            self.tell(pod, &container.name, Notice::warning("Failed", &format!("Error: {failure}")));
            self.hold("CreateContainerError", failure.to_string())
        })?;
        self.tell(pod, &container.name, Notice::normal("Created", "Container created"));
        let (runtime, starting) = (self.shared.runtime.clone(), id.clone());
        let started = unbroken("container", async move { runtime.container_start(starting).await }).await;
        if let Err(failure) = started {
            self.tell(pod, &container.name, Notice::warning("Failed", &format!("Error: {failure}")));
            // The runtime may or may not keep a container that did not start; its next attempt backs off as after an end.
            let key = identity::crash_loop_key(&container);
            self.crash_loops.lengthen(&key, env::time::now(), env::time::now(), self.shared.config.crash_loop);
            return Err(self.hold("RunContainerError", failure.to_string()));
        }
        self.tell(pod, &container.name, Notice::normal("Started", "Container started"));
        if let Err(error) = logs::make_link(&self.shared.config, pod, &container.name, start.attempt, &id) {
            tracing::warn!(container = container.name, %error, "a log has no link");
        }
        self.after_start(pod, &container, &id).await
    }

    async fn after_start(&self, pod: &Pod, container: &Container, id: &str) -> Result<(), Held> {
        let subject = hooks::subject(&self.shared, &self.look, pod, container.clone(), id);
        let Err(problem) = hooks::post_start(&subject).await else { return Ok(()) };
        tracing::warn!(container = container.name, problem, "the hook after the start failed");
        // What a hook says may be secret, and events are read by more people than logs.
        self.tell(pod, &container.name, Notice::warning("FailedPostStartHook", "PostStartHook failed"));
        let grace = podplan::termination::pod_grace_seconds(pod);
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
        self.tell(pod, &container.name, Notice::normal("Killing", "FailedPostStartHook"));
        if let Err(failure) = self.shared.runtime.container_stop(id.to_owned(), grace).await {
            tracing::warn!(container = container.name, %failure, "a container whose hook failed was not stopped");
        }
        Err(hold("PostStartHookError", problem, Duration::ZERO))
    }

    async fn configure(
        &mut self,
        pod: &Arc<Pod>,
        (role, container): (Role, &Container),
        attempt: u32,
        (spec, image): (ImageSpec, &Image),
    ) -> Result<cri::v1::ContainerConfig, String> {
        let security = podplan::security::security(pod, container, self.shared.config.seccomp_default)?;
        not_root(pod, container, &security, image)?;
        let environment = self.environment(pod, container).await?;
        for message in &environment.skipped {
            self.tell(pod, &container.name, Notice::warning("InvalidEnvironmentVariableNames", message));
        }
        let mounts = self.mounts(pod, container, attempt, &environment).await?;
        Ok(translate::container(ContainerInputs {
            pod,
            role,
            container,
            attempt,
            image: spec,
            environment: &environment,
            security: &security,
            mounts,
            target: self.target(pod, &container.name),
            memory_bytes: self.shared.machine.memory_bytes,
        }))
    }

    /// The container whose processes an ephemeral one sees.
    fn target(&self, pod: &Pod, name: &str) -> Option<String> {
        let ephemeral = pod.spec.as_ref()?.ephemeral_containers.as_ref()?.iter().find(|it| it.name == name)?;
        let target = ephemeral.target_container_name.as_ref()?;
        let seen = self.look.observed.latest(target).filter(|seen| seen.stage == Stage::Running)?;
        Some(seen.id.clone())
    }

    async fn environment(&self, pod: &Arc<Pod>, container: &Container) -> Result<Environment, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let (config_maps, secrets) = environment::references(container);
        let mut sources = Sources::default();
        for name in config_maps {
            match self.shared.api.config_map(namespace, &name).await {
                Ok(map) => drop(sources.config_maps.insert(name, (*map).clone())),
                Err(ApiError::NotFound(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        for name in secrets {
            match self.shared.api.secret(namespace, &name).await {
                Ok(secret) => drop(sources.secrets.insert(name, (*secret).clone())),
                Err(ApiError::NotFound(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let services = self.shared.api.services().await.map_err(|error| error.to_string())?;
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        let services = environment::services(services.iter().map(|service| &**service), namespace, links);
        let facts = self.shared.facts(pod_ips(&self.shared, &self.look.observed, pod));
        let inputs = Inputs { pod, container, services: &services, sources: &sources, facts: &facts };
        environment::environment(&inputs)
    }

    async fn mounts(
        &mut self,
        pod: &Arc<Pod>,
        container: &Container,
        attempt: u32,
        environment: &Environment,
    ) -> Result<Vec<Mount>, String> {
        let shared = self.shared.clone();
        if self.places.is_none() {
            // A restarted kubelet finds the volumes made and brings them up to date.
            let facts = shared.facts(pod_ips(&shared, &self.look.observed, pod));
            self.places = Some(shared.volumes.prepare(pod, &facts).await?);
        }
        let places = self.places.as_ref().expect("the volumes were just made");
        let mut result = shared.volumes.mounts(pod, container, places, environment).await?;
        let message = self.message_mount(pod, container, attempt).map_err(|error| error.to_string())?;
        result.push(message);
        let own_hosts = result.iter().any(|mount| mount.container_path == "/etc/hosts");
        if !own_hosts {
            result.extend(self.hosts_mount(pod).map_err(|error| error.to_string())?);
        }
        Ok(result)
    }

    fn message_mount(&self, pod: &Pod, container: &Container, attempt: u32) -> std::io::Result<Mount> {
        let file = logs::message_file(&self.shared.config, pod, &container.name, attempt);
        if let Some(folder) = file.parent() {
            env::fs::create_dir_all(folder)?;
        }
        // Whatever user the container has may write its last words.
        env::fs::write_atomic(&file, b"", 0o666)?;
        Ok(Mount {
            container_path: container
                .termination_message_path
                .clone()
                .unwrap_or_else(|| "/dev/termination-log".to_owned()),
            host_path: file.to_string_lossy().into_owned(),
            ..Default::default()
        })
    }

    fn hosts_mount(&self, pod: &Pod) -> std::io::Result<Option<Mount>> {
        let spec = pod.spec.clone().unwrap_or_default();
        let aliases = spec.host_aliases.clone().unwrap_or_default();
        let text = if spec.host_network.unwrap_or_default() {
            network::node_hosts_file(&env::fs::read_to_string("/etc/hosts")?, &aliases)
        } else {
            let ips = pod_ips(&self.shared, &self.look.observed, pod);
            let domain = &self.shared.config.cluster_dns.domain;
            let Ok((name, subdomain)) = network::host_name(pod, domain) else { return Ok(None) };
            network::hosts_file(&ips, &name, subdomain.as_deref(), &aliases)
        };
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let folder = self.shared.config.pod_folder(uid);
        env::fs::create_dir_all(&folder)?;
        let file = folder.join("etc-hosts");
        // Running containers have this very file mounted: it stays the same one, and is written only when it changed.
        match env::fs::read(&file).ok() {
            None => env::fs::write_atomic(&file, text.as_bytes(), env::fs::PUBLIC)?,
            Some(there) if there != text.as_bytes() => env::fs::write_in_place(&file, text.as_bytes())?,
            Some(_) => {}
        }
        let host_path = file.to_string_lossy().into_owned();
        Ok(Some(Mount { container_path: "/etc/hosts".to_owned(), host_path, ..Default::default() }))
    }
}

/// What a pod asks for that this node would otherwise leave out without a word.
fn unbuilt(pod: &Pod) -> Option<&'static str> {
    let spec = pod.spec.as_ref()?;
    let devices =
        podplan::containers(pod).iter().any(|(_, it)| it.volume_devices.as_ref().is_some_and(|it| !it.is_empty()));
    let asked = [
        (spec.host_users == Some(false), "user namespaces are"),
        (spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()), "resource claims are"),
        (devices, "raw block volumes are"),
    ];
    asked.into_iter().find(|(asked, _)| *asked).map(|(_, what)| what)
}

fn asks_for_strict_groups(pod: &Pod) -> bool {
    let context = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    context.and_then(|context| context.supplemental_groups_policy.as_deref()) == Some("Strict")
}

/// Holds an image against `runAsNonRoot`.
fn not_root(pod: &Pod, container: &Container, security: &Security, image: &Image) -> Result<(), String> {
    if !security.verify_not_root {
        return Ok(());
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let meta = &pod.metadata;
    let who = format!(
        "(pod: \"{}_{}({})\", container: {})",
        text(&meta.name),
        text(&meta.namespace),
        text(&meta.uid),
        container.name
    );
    match (&image.uid, image.username.as_str()) {
        (Some(uid), _) if uid.value == 0 => Err(format!("container has runAsNonRoot and image will run as root {who}")),
        (None, "") => Err(format!("container has runAsNonRoot and image will run as root {who}")),
        (None, name) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {who}"
        )),
        _ => Ok(()),
    }
}

/// Asks the runtime for something that it must not be interrupted in: whoever stops waiting leaves the call running. A
/// runtime that is cut off in the middle keeps halves that it does not show, and nobody can end those.
async fn unbroken<T: Send + 'static>(
    name: &'static str,
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let ended = env::task::spawn(env::task::Fate::Local, name, call).await;
    ended.unwrap_or(Err(Failure::Incomplete { call: name, what: "an end" }))
}

#[cfg(test)]
mod tests;
