//! From plans and pods to the messages of the runtime interface.

use std::collections::BTreeMap;

use cri::v1::{
    Capability, ContainerConfig, ContainerMetadata, DnsConfig, HugepageLimit, ImageSpec, Int64Value, KeyValue,
    LinuxContainerConfig, LinuxContainerResources, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, Mount, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    PortMapping, Protocol, SeLinuxOption, SecurityProfile, SupplementalGroupsPolicy, security_profile::ProfileType,
};
use podplan::network::Dns;
use podplan::resize::Size;
use podplan::resources::{self, Limits};
use podplan::security::{self, Profile, Security};
use podplan::{Role, identity};
use typed::api::core::v1::{Container, Pod, SELinuxOptions};

/// Everything that a sandbox's configuration is made of.
#[derive(Debug)]
pub(crate) struct SandboxInputs<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) attempt: u32,
    pub(crate) dns: Dns,
    pub(crate) host_name: String,
    pub(crate) log_folder: String,
    pub(crate) cgroup_parent: String,
    pub(crate) seccomp_default: bool,
}

/// The configuration of a pod's sandbox; `Err` says what of the pod cannot be had.
pub(crate) fn sandbox(inputs: SandboxInputs<'_>) -> Result<PodSandboxConfig, String> {
    let pod = inputs.pod;
    let meta = &pod.metadata;
    let spec = pod.spec.clone().unwrap_or_default();
    let host_network = spec.host_network.unwrap_or_default();
    let context = spec.security_context.clone().unwrap_or_default();
    let security_context = LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod)),
        selinux_options: context.se_linux_options.as_ref().map(selinux),
        run_as_user: context.run_as_user.map(|value| Int64Value { value }),
        run_as_group: context.run_as_user.and(context.run_as_group).map(|value| Int64Value { value }),
        supplemental_groups: context
            .fs_group
            .into_iter()
            .chain(context.supplemental_groups.into_iter().flatten())
            .collect(),
        privileged: security::is_privileged(pod),
        seccomp: security::sandbox_seccomp(pod, inputs.seccomp_default)?.map(|it| profile(&it)),
        ..Default::default()
    };
    let sysctls = context.sysctls.into_iter().flatten().map(|it| (it.name.replace('/', "."), it.value)).collect();
    Ok(PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            attempt: inputs.attempt,
        }),
        // A pod on the node's network has the node's name.
        hostname: if host_network { String::new() } else { inputs.host_name },
        log_directory: inputs.log_folder,
        dns_config: Some(DnsConfig {
            servers: inputs.dns.servers,
            searches: inputs.dns.searches,
            options: inputs.dns.options,
        }),
        port_mappings: if host_network { Vec::new() } else { ports(&spec.containers) },
        labels: identity::sandbox_labels(pod),
        annotations: identity::sandbox_annotations(pod),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: inputs.cgroup_parent,
            security_context: Some(security_context),
            sysctls,
            overhead: None,
            resources: Some(limits(&resources::pod(pod), 0)),
        }),
    })
}

fn ports(containers: &[Container]) -> Vec<PortMapping> {
    let all = containers.iter().flat_map(|container| container.ports.iter().flatten());
    all.filter(|port| port.host_port.is_some_and(|port| port > 0))
        .map(|port| PortMapping {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                _ => Protocol::Tcp,
            }
            .into(),
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or_default(),
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}

fn namespaces(pod: &Pod) -> NamespaceOption {
    let spec = pod.spec.clone().unwrap_or_default();
    let of_node = |yes: Option<bool>, otherwise| if yes == Some(true) { NamespaceMode::Node } else { otherwise };
    let shared = if spec.share_process_namespace == Some(true) { NamespaceMode::Pod } else { NamespaceMode::Container };
    NamespaceOption {
        network: of_node(spec.host_network, NamespaceMode::Pod).into(),
        pid: of_node(spec.host_pid, shared).into(),
        ipc: of_node(spec.host_ipc, NamespaceMode::Pod).into(),
        ..Default::default()
    }
}

/// Everything that a container's configuration is made of.
#[derive(Debug)]
pub(crate) struct ContainerInputs<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) role: Role,
    pub(crate) container: &'a Container,
    pub(crate) attempt: u32,
    pub(crate) image: ImageSpec,
    pub(crate) environment: &'a podplan::environment::Environment,
    pub(crate) security: &'a Security,
    pub(crate) mounts: Vec<Mount>,
    /// The running container whose processes an ephemeral one sees.
    pub(crate) target: Option<String>,
    pub(crate) memory_bytes: u64,
}

/// The configuration of a container.
pub(crate) fn container(inputs: ContainerInputs<'_>) -> ContainerConfig {
    let (pod, container, environment) = (inputs.pod, inputs.container, inputs.environment);
    let expand = |texts: &Option<Vec<String>>| {
        let known = |name: &str| environment.get(name).map(str::to_owned);
        texts.iter().flatten().map(|text| podplan::expansion::expand(text, known)).collect()
    };
    let mut namespaces = namespaces(pod);
    if let Some(target) = inputs.target {
        namespaces.pid = NamespaceMode::Target.into();
        namespaces.target_id = target;
    }
    let score = podplan::qos::oom_score_adj(pod, inputs.role, container, inputs.memory_bytes);
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: inputs.attempt }),
        image: Some(inputs.image),
        command: expand(&container.command),
        args: expand(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: environment
            .variables
            .iter()
            .map(|(key, value)| KeyValue { key: key.clone(), value: value.clone().into_bytes() })
            .collect(),
        mounts: inputs.mounts,
        labels: identity::container_labels(pod, container),
        annotations: identity::container_annotations(pod, container, inputs.attempt),
        log_path: identity::log_file(&container.name, inputs.attempt),
        stdin: container.stdin.unwrap_or_default(),
        stdin_once: container.stdin_once.unwrap_or_default(),
        tty: container.tty.unwrap_or_default(),
        linux: Some(LinuxContainerConfig {
            resources: Some(limits(&resources::container(pod, container), score)),
            security_context: Some(security_context(inputs.security, namespaces)),
        }),
        stop_signal: stop_signal(container).into(),
        ..Default::default()
    }
}

fn stop_signal(container: &Container) -> cri::v1::Signal {
    let name = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    name.and_then(cri::v1::Signal::from_str_name).unwrap_or(cri::v1::Signal::RuntimeDefault)
}

fn security_context(security: &Security, namespaces: NamespaceOption) -> LinuxContainerSecurityContext {
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: security.add.clone(),
            drop_capabilities: security.drop.clone(),
            add_ambient_capabilities: Vec::new(),
        }),
        privileged: security.privileged,
        namespace_options: Some(namespaces),
        selinux_options: security.selinux.as_ref().map(selinux),
        run_as_user: security.user.map(|value| Int64Value { value }),
        run_as_group: security.group.map(|value| Int64Value { value }),
        readonly_rootfs: security.read_only_root,
        supplemental_groups: security.groups.clone(),
        supplemental_groups_policy: if security.strict_groups {
            SupplementalGroupsPolicy::Strict
        } else {
            SupplementalGroupsPolicy::Merge
        }
        .into(),
        no_new_privs: security.no_new_privileges,
        masked_paths: paths(&security.masked_paths),
        readonly_paths: paths(&security.read_only_paths),
        seccomp: security.seccomp.as_ref().map(profile),
        apparmor: security.apparmor.as_ref().map(profile),
        ..Default::default()
    }
}

fn profile(profile: &Profile) -> SecurityProfile {
    let (kind, reference) = match profile {
        Profile::RuntimeDefault => (ProfileType::RuntimeDefault, String::new()),
        Profile::Unconfined => (ProfileType::Unconfined, String::new()),
        Profile::Localhost(name) => (ProfileType::Localhost, name.clone()),
    };
    SecurityProfile { profile_type: kind.into(), localhost_ref: reference }
}

fn selinux(options: &SELinuxOptions) -> SeLinuxOption {
    SeLinuxOption {
        user: options.user.clone().unwrap_or_default(),
        role: options.role.clone().unwrap_or_default(),
        r#type: options.type_.clone().unwrap_or_default(),
        level: options.level.clone().unwrap_or_default(),
    }
}

/// What the runtime is told of a running container that changes its size.
pub(crate) fn container_resources(
    pod: &Pod,
    role: Role,
    container: &Container,
    size: Size,
    memory_bytes: u64,
) -> LinuxContainerResources {
    let score = podplan::qos::oom_score_adj(pod, role, container, memory_bytes);
    let huge_pages = resources::container(pod, container).huge_pages;
    limits(&Limits { huge_pages, ..size.limits() }, score)
}

/// What the runtime is told of a pod whose cgroup changes.
pub(crate) fn pod_resources(pod: &Pod, size: Size) -> LinuxContainerResources {
    limits(&Limits { huge_pages: resources::pod(pod).huge_pages, ..size.limits() }, 0)
}

fn limits(limits: &Limits, oom_score_adj: i64) -> LinuxContainerResources {
    let huge = limits.huge_pages.iter().map(|(size, bytes)| HugepageLimit {
        page_size: huge_page_size(size),
        limit: u64::try_from(*bytes).unwrap_or_default(),
    });
    LinuxContainerResources {
        cpu_period: i64::try_from(resources::PERIOD_MICROS).expect("the period is a small number"),
        cpu_quota: limits.cpu_quota_micros.unwrap_or_default(),
        cpu_shares: limits.cpu_shares.and_then(|shares| i64::try_from(shares).ok()).unwrap_or_default(),
        memory_limit_in_bytes: limits.memory_bytes.unwrap_or_default(),
        oom_score_adj,
        hugepage_limits: huge.collect(),
        unified: BTreeMap::new(),
        // Memory and swap together as high as memory alone: no swap (`NoSwap`).
        memory_swap_limit_in_bytes: limits.memory_bytes.unwrap_or_default(),
        ..Default::default()
    }
}

/// `2Mi` as the kernel names it: `2MB`.
fn huge_page_size(size: &str) -> String {
    format!("{}B", size.trim_end_matches('i'))
}
