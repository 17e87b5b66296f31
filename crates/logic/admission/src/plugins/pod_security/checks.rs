//! The checks of the pod security standards, as rows.

use std::collections::BTreeSet;

use object::Value;

use super::standard::{Level, LevelVersion};
use crate::tree::{self, containers, flag, text};

/// The latest release whose standard is known; later ones are read as this one.
const MINOR_MAX: u32 = 36;

/// Why a pod does not meet a standard: the reason, and what is wrong with this pod.
pub(super) type Finding = (&'static str, String);

/// A pod or a pod template, as checks see it.
struct Pod<'a> {
    object: &'a Value,
    spec: &'a Value,
    minor: u32,
}

/// One check.
struct Check {
    id: &'static str,
    /// The first minor release it is part of the standard in.
    since: u32,
    /// The baseline check it replaces.
    replaces: &'static str,
    run: fn(&Pod<'_>) -> Option<Finding>,
}

const fn check(id: &'static str, since: u32, run: fn(&Pod<'_>) -> Option<Finding>) -> Check {
    Check { id, since, replaces: "", run }
}

const fn stricter(id: &'static str, since: u32, replaces: &'static str, run: fn(&Pod<'_>) -> Option<Finding>) -> Check {
    Check { id, since, replaces, run }
}

/// In the order in which findings are listed.
const BASELINE: [Check; 12] = [
    check("appArmorProfile", 0, app_armor),
    check("capabilities_baseline", 0, capabilities_baseline),
    check("hostNamespaces", 0, host_namespaces),
    check("hostPathVolumes", 0, host_paths),
    check("hostPorts", 0, host_ports),
    check("hostProbesAndHostLifecycle", 34, probe_hosts),
    check("privileged", 0, privileged),
    check("procMount", 0, proc_mount_baseline),
    check("seLinuxOptions", 0, se_linux),
    check("seccompProfile_baseline", 0, seccomp_baseline),
    check("sysctls", 0, sysctls),
    check("windowsHostProcess", 0, host_process),
];
const RESTRICTED: [Check; 7] = [
    check("allowPrivilegeEscalation", 8, privilege_escalation),
    stricter("capabilities_restricted", 22, "capabilities_baseline", capabilities_restricted),
    stricter("procMount_restricted", 35, "procMount", proc_mount),
    stricter("restrictedVolumes", 0, "hostPathVolumes", volumes),
    check("runAsNonRoot", 0, non_root),
    check("runAsUser", 23, root_user),
    stricter("seccompProfile_restricted", 19, "seccompProfile_baseline", seccomp_restricted),
];

/// What is wrong with a pod (or a template of pods) by a standard.
pub(super) fn findings(standard: LevelVersion, object: &Value) -> Vec<Finding> {
    let Some(spec) = object.get("spec").filter(|_| standard.level != Level::Privileged) else { return Vec::new() };
    let pod = Pod { object, spec, minor: standard.version.unwrap_or(MINOR_MAX).min(MINOR_MAX) };
    let restricted = RESTRICTED.iter().filter(|_| standard.level == Level::Restricted);
    let restricted: Vec<&Check> = restricted.filter(|check| check.since <= pod.minor).collect();
    let baseline = BASELINE.iter().filter(|check| check.since <= pod.minor);
    baseline
        .filter(|check| !restricted.iter().any(|other| other.replaces == check.id))
        .chain(restricted.iter().copied())
        .filter_map(|check| (check.run)(&pod))
        .collect()
}

/// `reason (detail), reason (detail)`.
pub(super) fn details(findings: &[Finding]) -> String {
    let texts: Vec<String> = findings
        .iter()
        .map(|(reason, detail)| if detail.is_empty() { (*reason).to_owned() } else { format!("{reason} ({detail})") })
        .collect();
    texts.join(", ")
}

/// `reason, reason`.
pub(super) fn reasons(findings: &[Finding]) -> String {
    findings.iter().map(|(reason, _)| *reason).collect::<Vec<_>>().join(", ")
}

impl<'a> Pod<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        containers(self.spec)
    }

    /// The names of the containers that `is_bad` picks.
    fn names(&self, is_bad: impl Fn(&'a Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|container| is_bad(container)).map(|container| text(container, &["name"])).collect()
    }

    fn is_windows(&self) -> bool {
        text(self.spec, &["os", "name"]) == "windows"
    }

    fn has_user_namespace(&self) -> bool {
        flag(self.spec, &["hostUsers"]) == Some(false)
    }
}

fn quoted<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>().join(", ")
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// `container "a"` or `containers "a", "b"`.
fn named(names: &[&str]) -> String {
    format!("{} {}", plural("container", names.len()), quoted(names))
}

fn uses(count: usize) -> &'static str {
    if count == 1 { "uses" } else { "use" }
}

/// `pod and containers "a", "b"`, of those that are bad.
fn setters(pod_is_bad: bool, names: &[&str]) -> Vec<String> {
    let pod = pod_is_bad.then(|| "pod".to_owned());
    pod.into_iter().chain((!names.is_empty()).then(|| named(names))).collect()
}

fn app_armor(pod: &Pod<'_>) -> Option<Finding> {
    let bad_type = |holder: &Value| {
        let found = holder.str_at(&["securityContext", "appArmorProfile", "type"])?;
        (!matches!(found, "RuntimeDefault" | "Localhost")).then(|| found.to_owned())
    };
    let pod_value = bad_type(pod.spec);
    let names = pod.names(|container| bad_type(container).is_some());
    let mut bad_setters = setters(pod_value.is_some(), &names);
    let types: BTreeSet<String> = pod_value.into_iter().chain(pod.containers().filter_map(bad_type)).collect();
    let mut annotations: Vec<String> = Vec::new();
    for (key, value) in
        pod.object.at(&["metadata", "annotations"]).and_then(Value::as_map).into_iter().flat_map(|map| map.iter())
    {
        let value = value.as_str().unwrap_or_default();
        let allowed = value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !allowed {
            annotations.push(format!("{key}={value:?}"));
        }
    }
    if !annotations.is_empty() {
        bad_setters.push(plural("annotation", annotations.len()));
    }
    let values: Vec<String> = types.into_iter().chain(annotations).collect();
    let reason = if values.len() == 1 { "forbidden AppArmor profile" } else { "forbidden AppArmor profiles" };
    (!bad_setters.is_empty()).then(|| {
        (reason, format!("{} must not set AppArmor profile type to {}", bad_setters.join(" and "), quoted(&values)))
    })
}

fn added<'a>(container: &'a Value, allowed: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let added = container.list_at(&["securityContext", "capabilities", "add"]).iter().filter_map(Value::as_str);
    added.filter(move |capability| !allowed.contains(capability))
}

fn capabilities_baseline(pod: &Pod<'_>) -> Option<Finding> {
    const ALLOWED: [&str; 13] = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ];
    let names = pod.names(|container| added(container, &ALLOWED).next().is_some());
    let bad: BTreeSet<&str> = pod.containers().flat_map(|container| added(container, &ALLOWED)).collect();
    (!names.is_empty()).then(|| {
        let detail = format!("{} must not include {} in securityContext.capabilities.add", named(&names), quoted(bad));
        ("non-default capabilities", detail)
    })
}

fn capabilities_restricted(pod: &Pod<'_>) -> Option<Finding> {
    const ALLOWED: [&str; 1] = ["NET_BIND_SERVICE"];
    if pod.is_windows() && pod.minor >= 25 {
        return None;
    }
    let drops_all = |container: &Value| {
        let mut dropped = container.list_at(&["securityContext", "capabilities", "drop"]).iter();
        dropped.any(|capability| capability.as_str() == Some("ALL"))
    };
    let keeping = pod.names(|container| !drops_all(container));
    let adding = pod.names(|container| added(container, &ALLOWED).next().is_some());
    let bad: BTreeSet<&str> = pod.containers().flat_map(|container| added(container, &ALLOWED)).collect();
    let mut parts = Vec::new();
    if !keeping.is_empty() {
        parts.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", named(&keeping)));
    }
    if !adding.is_empty() {
        let (names, bad) = (named(&adding), quoted(bad));
        parts.push(format!("{names} must not include {bad} in securityContext.capabilities.add"));
    }
    (!parts.is_empty()).then(|| ("unrestricted capabilities", parts.join("; ")))
}

fn host_namespaces(pod: &Pod<'_>) -> Option<Finding> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"].into_iter();
    let shared: Vec<String> =
        fields.filter(|field| flag(pod.spec, &[field]) == Some(true)).map(|field| format!("{field}=true")).collect();
    (!shared.is_empty()).then(|| ("host namespaces", shared.join(", ")))
}

fn host_paths(pod: &Pod<'_>) -> Option<Finding> {
    let volumes = pod.spec.list_at(&["volumes"]).iter();
    let names: Vec<&str> =
        volumes.filter(|volume| tree::is_set(volume, &["hostPath"])).map(|volume| text(volume, &["name"])).collect();
    (!names.is_empty()).then(|| ("hostPath volumes", format!("{} {}", plural("volume", names.len()), quoted(&names))))
}

fn host_ports(pod: &Pod<'_>) -> Option<Finding> {
    let ports = |container: &Value| -> Vec<String> {
        let ports = container.list_at(&["ports"]).iter().filter_map(|port| port.int_at(&["hostPort"]));
        ports.filter(|port| *port != 0).map(|port| port.to_string()).collect()
    };
    let names = pod.names(|container| !ports(container).is_empty());
    let all: BTreeSet<String> = pod.containers().flat_map(ports).collect();
    (!names.is_empty()).then(|| {
        let (uses, word) = (uses(names.len()), plural("hostPort", all.len()));
        let ports: Vec<String> = all.into_iter().collect();
        ("hostPort", format!("{} {uses} {word} {}", named(&names), ports.join(", ")))
    })
}

fn probe_hosts(pod: &Pod<'_>) -> Option<Finding> {
    let hosts = |container: &Value| -> Vec<String> {
        [
            ["livenessProbe", ""],
            ["readinessProbe", ""],
            ["startupProbe", ""],
            ["lifecycle", "postStart"],
            ["lifecycle", "preStop"],
        ]
        .iter()
        .filter_map(|path| if path[1].is_empty() { container.get(path[0]) } else { container.at(path) })
        .flat_map(|handler| ["httpGet", "tcpSocket"].into_iter().map(|kind| text(handler, &[kind, "host"])))
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect()
    };
    let mut names = pod.names(|container| !hosts(container).is_empty());
    names.sort_unstable();
    let all: BTreeSet<String> = pod.containers().flat_map(hosts).collect();
    (!names.is_empty()).then(|| {
        let (uses, word) = (uses(names.len()), plural("probe or lifecycle host", all.len()));
        ("probe or lifecycle host", format!("{} {uses} {word} {}", named(&names), quoted(&all)))
    })
}

fn privileged(pod: &Pod<'_>) -> Option<Finding> {
    let names = pod.names(|container| flag(container, &["securityContext", "privileged"]) == Some(true));
    (!names.is_empty())
        .then(|| ("privileged", format!("{} must not set securityContext.privileged=true", named(&names))))
}

fn proc_mount_baseline(pod: &Pod<'_>) -> Option<Finding> {
    if pod.minor >= 35 && pod.has_user_namespace() { None } else { proc_mount(pod) }
}

fn proc_mount(pod: &Pod<'_>) -> Option<Finding> {
    let bad = |container: &Value| {
        let found = container.str_at(&["securityContext", "procMount"])?;
        (found != "Default").then(|| found.to_owned())
    };
    let names = pod.names(|container| bad(container).is_some());
    let types: BTreeSet<String> = pod.containers().filter_map(bad).collect();
    (!names.is_empty()).then(|| {
        ("procMount", format!("{} must not set securityContext.procMount to {}", named(&names), quoted(&types)))
    })
}

fn se_linux(pod: &Pod<'_>) -> Option<Finding> {
    let bad_type = |options: &Value| {
        let found = text(options, &["type"]);
        let known = matches!(found, "" | "container_t" | "container_init_t" | "container_kvm_t")
            || (found == "container_engine_t" && pod.minor >= 31);
        (!known).then(|| found.to_owned())
    };
    let options = |holder: &'_ Value| holder.at(&["securityContext", "seLinuxOptions"]).cloned();
    let sets = |options: &Value, field: &str| !text(options, &[field]).is_empty();
    let is_bad = |holder: &Value| {
        options(holder)
            .is_some_and(|options| bad_type(&options).is_some() || sets(&options, "user") || sets(&options, "role"))
    };
    let bad_setters = setters(is_bad(pod.spec), &pod.names(is_bad));
    if bad_setters.is_empty() {
        return None;
    }
    let all: Vec<Value> = std::iter::once(pod.spec).chain(pod.containers()).filter_map(options).collect();
    let types: BTreeSet<String> = all.iter().filter_map(bad_type).collect();
    let mut parts = Vec::new();
    if !types.is_empty() {
        parts.push(format!("{} {}", plural("type", types.len()), quoted(&types)));
    }
    for field in ["user", "role"] {
        if all.iter().any(|options| sets(options, field)) {
            parts.push(format!("{field} may not be set"));
        }
    }
    let (setters, parts) = (bad_setters.join(" and "), parts.join("; "));
    Some(("seLinuxOptions", format!("{setters} set forbidden securityContext.seLinuxOptions: {parts}")))
}

fn seccomp_type(holder: &Value) -> Option<&str> {
    tree::is_set(holder, &["securityContext", "seccompProfile"])
        .then(|| text(holder, &["securityContext", "seccompProfile", "type"]))
}

fn bad_seccomp_type(holder: &Value) -> Option<&str> {
    seccomp_type(holder).filter(|found| !matches!(*found, "RuntimeDefault" | "Localhost"))
}

fn seccomp_explicit(pod: &Pod<'_>) -> Option<Finding> {
    let names = pod.names(|container| bad_seccomp_type(container).is_some());
    let setters = setters(bad_seccomp_type(pod.spec).is_some(), &names);
    let holders = std::iter::once(pod.spec).chain(pod.containers());
    let types: BTreeSet<&str> = holders.filter_map(bad_seccomp_type).collect();
    (!setters.is_empty()).then(|| {
        let (setters, types) = (setters.join(" and "), quoted(&types));
        ("seccompProfile", format!("{setters} must not set securityContext.seccompProfile.type to {types}"))
    })
}

fn seccomp_baseline(pod: &Pod<'_>) -> Option<Finding> {
    if pod.minor >= 19 {
        return seccomp_explicit(pod);
    }
    let keys = std::iter::once("seccomp.security.alpha.kubernetes.io/pod".to_owned()).chain(
        pod.containers()
            .map(|container| format!("container.seccomp.security.alpha.kubernetes.io/{}", text(container, &["name"]))),
    );
    let bad: BTreeSet<String> = keys
        .filter_map(|key| {
            let value = pod.object.str_at(&["metadata", "annotations", &key])?;
            let allowed = matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
            (!allowed).then(|| format!("{key}={value:?}"))
        })
        .collect();
    (!bad.is_empty()).then(|| {
        let word = plural("annotation", bad.len());
        ("seccompProfile", format!("forbidden {word} {}", bad.into_iter().collect::<Vec<_>>().join(", ")))
    })
}

fn seccomp_restricted(pod: &Pod<'_>) -> Option<Finding> {
    if pod.is_windows() && pod.minor >= 25 {
        return None;
    }
    if let Some(finding) = seccomp_explicit(pod) {
        return Some(finding);
    }
    let pod_sets = seccomp_type(pod.spec).is_some();
    let names = pod.names(|container| !pod_sets && seccomp_type(container).is_none());
    (!names.is_empty()).then(|| {
        let what = "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
        ("seccompProfile", format!("pod or {} {what}", named(&names)))
    })
}

fn sysctls(pod: &Pod<'_>) -> Option<Finding> {
    const SAFE: [(&str, u32); 12] = [
        ("kernel.shm_rmid_forced", 0),
        ("net.ipv4.ip_local_port_range", 0),
        ("net.ipv4.tcp_syncookies", 0),
        ("net.ipv4.ping_group_range", 0),
        ("net.ipv4.ip_unprivileged_port_start", 0),
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_keepalive_time", 29),
        ("net.ipv4.tcp_fin_timeout", 29),
        ("net.ipv4.tcp_keepalive_intvl", 29),
        ("net.ipv4.tcp_keepalive_probes", 29),
        ("net.ipv4.tcp_rmem", 32),
        ("net.ipv4.tcp_wmem", 32),
    ];
    let is_safe = |name: &str| SAFE.iter().any(|(safe, since)| *safe == name && *since <= pod.minor);
    let names = pod.spec.list_at(&["securityContext", "sysctls"]).iter().map(|sysctl| text(sysctl, &["name"]));
    let bad: Vec<&str> = names.filter(|name| !is_safe(name)).collect();
    (!bad.is_empty()).then(|| ("forbidden sysctls", bad.join(", ")))
}

fn host_process(pod: &Pod<'_>) -> Option<Finding> {
    let is_bad = |holder: &Value| flag(holder, &["securityContext", "windowsOptions", "hostProcess"]) == Some(true);
    let setters = setters(is_bad(pod.spec), &pod.names(is_bad));
    let what = "must not set securityContext.windowsOptions.hostProcess=true";
    (!setters.is_empty()).then(|| ("hostProcess", format!("{} {what}", setters.join(" and "))))
}

fn privilege_escalation(pod: &Pod<'_>) -> Option<Finding> {
    if pod.is_windows() && pod.minor >= 25 {
        return None;
    }
    let names = pod.names(|container| flag(container, &["securityContext", "allowPrivilegeEscalation"]) != Some(false));
    let what = "must set securityContext.allowPrivilegeEscalation=false";
    (!names.is_empty()).then(|| ("allowPrivilegeEscalation != false", format!("{} {what}", named(&names))))
}

fn volumes(pod: &Pod<'_>) -> Option<Finding> {
    const ALLOWED: [&str; 9] = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    const KNOWN: [&str; 21] = [
        "hostPath",
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "gitRepo",
        "nfs",
        "iscsi",
        "glusterfs",
        "rbd",
        "flexVolume",
        "cinder",
        "cephfs",
        "flocker",
        "fc",
        "azureFile",
        "vsphereVolume",
        "quobyte",
        "azureDisk",
        "photonPersistentDisk",
        "portworxVolume",
        "scaleIO",
        "storageos",
    ];
    let has = |volume: &Value, kinds: &[&'static str]| kinds.iter().copied().find(|kind| tree::is_set(volume, &[kind]));
    let bad: Vec<&Value> =
        pod.spec.list_at(&["volumes"]).iter().filter(|volume| has(volume, &ALLOWED).is_none()).collect();
    let names: Vec<&str> = bad.iter().map(|volume| text(volume, &["name"])).collect();
    let types: BTreeSet<&str> = bad.iter().map(|volume| has(volume, &KNOWN).unwrap_or("unknown")).collect();
    (!names.is_empty()).then(|| {
        let (count, uses) = (names.len(), uses(names.len()));
        let word = plural("restricted volume type", types.len());
        let detail = format!("{} {} {uses} {word} {}", plural("volume", count), quoted(&names), quoted(&types));
        ("restricted volume types", detail)
    })
}

fn non_root(pod: &Pod<'_>) -> Option<Finding> {
    const REASON: &str = "runAsNonRoot != true";
    if pod.minor >= 35 && pod.has_user_namespace() {
        return None;
    }
    let setting = |holder: &Value| flag(holder, &["securityContext", "runAsNonRoot"]);
    let whole = setting(pod.spec);
    let setters = setters(whole == Some(false), &pod.names(|container| setting(container) == Some(false)));
    if !setters.is_empty() {
        let detail = format!("{} must not set securityContext.runAsNonRoot=false", setters.join(" and "));
        return Some((REASON, detail));
    }
    let names = pod.names(|container| whole != Some(true) && setting(container).is_none());
    (!names.is_empty())
        .then(|| (REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", named(&names))))
}

fn root_user(pod: &Pod<'_>) -> Option<Finding> {
    if pod.minor >= 35 && pod.has_user_namespace() {
        return None;
    }
    let is_root = |holder: &Value| holder.int_at(&["securityContext", "runAsUser"]) == Some(0);
    let setters = setters(is_root(pod.spec), &pod.names(is_root));
    (!setters.is_empty()).then(|| ("runAsUser=0", format!("{} must not set runAsUser=0", setters.join(" and "))))
}
