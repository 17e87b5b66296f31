//! The security context of a container: the pod's, overridden by its own, in the words of the runtime interface.

use typed::api::core::v1::{
    AppArmorProfile, Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};

/// A seccomp or AppArmor profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// The runtime's own.
    RuntimeDefault,
    /// None.
    Unconfined,
    /// A file (seccomp, below the node's seccomp folder) or a loaded profile (AppArmor).
    Localhost(String),
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Security {
    /// Everything the node may.
    pub privileged: bool,
    /// Capabilities to add.
    pub add: Vec<String>,
    /// Capabilities to drop.
    pub drop: Vec<String>,
    /// The user, where it is given.
    pub user: Option<i64>,
    /// The group, where it is given.
    pub group: Option<i64>,
    /// Further groups, `fsGroup` among them.
    pub groups: Vec<i64>,
    /// Only the further groups count, not those of the image (`supplementalGroupsPolicy: Strict`).
    pub strict_groups: bool,
    /// The image must not run as root, and this has to be looked up in it.
    pub verify_not_root: bool,
    /// The root file system is read only.
    pub read_only_root: bool,
    /// No process gains privileges.
    pub no_new_privileges: bool,
    /// Paths under `/proc` and `/sys` that are hidden.
    pub masked_paths: Vec<&'static str>,
    /// Paths under `/proc` that are read only.
    pub read_only_paths: Vec<&'static str>,
    /// Seccomp.
    pub seccomp: Option<Profile>,
    /// AppArmor.
    pub apparmor: Option<Profile>,
    /// SELinux.
    pub selinux: Option<SELinuxOptions>,
}

/// What `procMount: Default` hides.
const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What `procMount: Default` protects.
const READ_ONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The security context of `container`; `Err` is the message of a `CreateContainerConfigError`.
///
/// `seccomp_default`: what runs without a profile gets the runtime's.
pub fn security(pod: &Pod, container: &Container, seccomp_default: bool) -> Result<Security, String> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let user = own.run_as_user.or(of_pod.run_as_user);
    let not_root = own.run_as_non_root.or(of_pod.run_as_non_root).unwrap_or_default();
    if not_root && user == Some(0) {
        return Err(format!(
            "container's runAsUser breaks non-root policy (pod: \"{}\", container: {})",
            crate::spec::pod_text(pod),
            container.name
        ));
    }
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let unmasked = own.proc_mount.as_deref() == Some("Unmasked");
    let privileged = own.privileged.unwrap_or_default();
    Ok(Security {
        privileged,
        add: capabilities.add.unwrap_or_default(),
        drop: capabilities.drop.unwrap_or_default(),
        user,
        group: own.run_as_group.or(of_pod.run_as_group),
        groups: groups(&of_pod),
        strict_groups: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        verify_not_root: not_root && user.is_none(),
        read_only_root: own.read_only_root_filesystem.unwrap_or_default(),
        no_new_privileges: no_new_privileges(&own),
        masked_paths: if unmasked { Vec::new() } else { MASKED_PATHS.to_vec() },
        read_only_paths: if unmasked { Vec::new() } else { READ_ONLY_PATHS.to_vec() },
        seccomp: seccomp(
            own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref()),
            privileged,
            seccomp_default,
        )?,
        apparmor: own.app_armor_profile.as_ref().or(of_pod.app_armor_profile.as_ref()).map(apparmor).transpose()?,
        selinux: own.se_linux_options.or(of_pod.se_linux_options),
    })
}

/// `fsGroup` and the supplemental groups.
fn groups(of_pod: &PodSecurityContext) -> Vec<i64> {
    of_pod.fs_group.into_iter().chain(of_pod.supplemental_groups.iter().flatten().copied()).collect()
}

fn no_new_privileges(own: &SecurityContext) -> bool {
    own.allow_privilege_escalation == Some(false)
}

fn seccomp(profile: Option<&SeccompProfile>, privileged: bool, default: bool) -> Result<Option<Profile>, String> {
    let Some(profile) = profile else {
        return Ok(Some(if default && !privileged { Profile::RuntimeDefault } else { Profile::Unconfined }));
    };
    named(&profile.type_, profile.localhost_profile.as_deref(), "seccomp").map(Some)
}

fn apparmor(profile: &AppArmorProfile) -> Result<Profile, String> {
    named(&profile.type_, profile.localhost_profile.as_deref(), "AppArmor")
}

fn named(type_: &str, localhost: Option<&str>, what: &str) -> Result<Profile, String> {
    match (type_, localhost) {
        ("RuntimeDefault", _) => Ok(Profile::RuntimeDefault),
        ("Unconfined", _) => Ok(Profile::Unconfined),
        ("Localhost", Some(name)) if !name.is_empty() => Ok(Profile::Localhost(name.to_owned())),
        ("Localhost", _) => Err("localhostProfile must be set if seccompProfile type is Localhost.".to_owned()),
        (other, _) => Err(format!("unknown {what} profile type {other}")),
    }
}

/// The pod's level of a security profile, for its sandbox.
pub fn sandbox_seccomp(pod: &Pod, seccomp_default: bool) -> Result<Option<Profile>, String> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let given = of_pod.and_then(|context| context.seccomp_profile.as_ref());
    match given {
        None if !seccomp_default => Ok(Some(Profile::RuntimeDefault)),
        other => seccomp(other, is_privileged(pod), seccomp_default),
    }
}

/// Whether any container is privileged: then the sandbox is, too.
pub fn is_privileged(pod: &Pod) -> bool {
    crate::spec::containers(pod)
        .iter()
        .any(|(_, container)| container.security_context.as_ref().and_then(|own| own.privileged) == Some(true))
}

/// Sysctls that every pod may set (`pkg/kubelet/sysctl/safe_sysctls.go`, with what each kernel needs checked elsewhere).
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// Refuses a pod with sysctls beyond the safe ones and `allowed` (names, or prefixes ending in `*`); the message is that
/// of a `SysctlForbidden` rejection.
pub fn check_sysctls(pod: &Pod, allowed: &[String]) -> Result<(), String> {
    let context = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    for sysctl in context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten() {
        let name = sysctl.name.replace('/', ".");
        let permitted = allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *pattern,
        });
        if !permitted && !SAFE_SYSCTLS.contains(&name.as_str()) {
            return Err(format!("forbidden sysctl: \"{name}\" not allowlisted"));
        }
    }
    Ok(())
}
