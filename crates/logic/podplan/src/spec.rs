//! Reading pod specifications: one shape for the three kinds of containers.

use std::borrow::Cow;

use typed::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

use crate::plan::Role;

/// An ephemeral container in the shape of the others.
pub fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let e = ephemeral.clone();
    Container {
        args: e.args,
        command: e.command,
        env: e.env,
        env_from: e.env_from,
        image: e.image,
        image_pull_policy: e.image_pull_policy,
        lifecycle: e.lifecycle,
        liveness_probe: e.liveness_probe,
        name: e.name,
        ports: e.ports,
        readiness_probe: e.readiness_probe,
        resize_policy: e.resize_policy,
        resources: e.resources,
        restart_policy: e.restart_policy,
        restart_policy_rules: e.restart_policy_rules,
        security_context: e.security_context,
        startup_probe: e.startup_probe,
        stdin: e.stdin,
        stdin_once: e.stdin_once,
        termination_message_path: e.termination_message_path,
        termination_message_policy: e.termination_message_policy,
        tty: e.tty,
        volume_devices: e.volume_devices,
        volume_mounts: e.volume_mounts,
        working_dir: e.working_dir,
    }
}

/// Whether an init container keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// All containers of a pod with their roles: init containers, regular ones, ephemeral ones.
pub fn containers(pod: &Pod) -> Vec<(Role, Cow<'_, Container>)> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let init = inits(spec).iter().map(|container| {
        let role = if is_sidecar(container) { Role::Sidecar } else { Role::Init };
        (role, Cow::Borrowed(container))
    });
    let regular = spec.containers.iter().map(|container| (Role::Regular, Cow::Borrowed(container)));
    let ephemeral = ephemerals(spec).iter().map(|e| (Role::Ephemeral, Cow::Owned(as_container(e))));
    init.chain(regular).chain(ephemeral).collect()
}

/// The container called `name`.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<(Role, Cow<'a, Container>)> {
    containers(pod).into_iter().find(|(_, container)| container.name == name)
}

pub(crate) fn inits(spec: &PodSpec) -> &[Container] {
    spec.init_containers.as_deref().unwrap_or_default()
}

pub(crate) fn ephemerals(spec: &PodSpec) -> &[EphemeralContainer] {
    spec.ephemeral_containers.as_deref().unwrap_or_default()
}

/// The pod's restart policy, `Always` when unset.
pub(crate) fn restart_policy(spec: &PodSpec) -> &str {
    spec.restart_policy.as_deref().unwrap_or("Always")
}

/// `name_namespace(uid)`, as upstream names a pod in messages.
pub(crate) fn pod_text(pod: &Pod) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let meta = &pod.metadata;
    format!("{}_{}({})", text(&meta.name), text(&meta.namespace), text(&meta.uid))
}
