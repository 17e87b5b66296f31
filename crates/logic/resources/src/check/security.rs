//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use kind::Problem;

use super::formats;
use super::podspec::Scope;
use super::spot::{Problems, Spot};

const PROFILE_BYTES_MAX: usize = 4095;
const SYSCTL_BYTES_MAX: usize = 253;
const SYSCTL_REGEX: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// The security context of a container.
pub(crate) fn container(context: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    if !context.is_set() {
        return;
    }
    formats::id(&context.at("runAsUser"), out);
    formats::id(&context.at("runAsGroup"), out);
    let mount = context.at("procMount");
    if mount.is_set() {
        mount.option(out, &["Default", "Unmasked"]);
        if scope.host_users && mount.text() == "Unmasked" {
            mount.invalid(out, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(&context.at("seccompProfile"), out);
    let escalation = context.at("allowPrivilegeEscalation");
    if escalation.is_set() && !escalation.flag() {
        if context.at("privileged").flag() {
            context.invalid(out, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        if context.at("capabilities.add").texts().any(|capability| capability == "CAP_SYS_ADMIN") {
            context.invalid(out, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
        }
    }
    app_armor(&context.at("appArmorProfile"), out);
}

/// The security context of a pod.
pub(crate) fn pod(spec: &Spot<'_>, out: &mut Problems) {
    let context = spec.at("securityContext");
    let shared = spec.at("shareProcessNamespace");
    formats::id(&context.at("fsGroup"), out);
    formats::id(&context.at("runAsUser"), out);
    formats::id(&context.at("runAsGroup"), out);
    for group in context.at("supplementalGroups").items() {
        formats::id(&group, out);
    }
    if shared.flag() && spec.at("hostPID").flag() {
        let path = context.path.field("shareProcessNamespace");
        out.push(Problem::invalid(path, true, "ShareProcessNamespace and HostPID cannot both be enabled"));
    }
    sysctls(&context.at("sysctls"), spec, out);
    context.at("fsGroupChangePolicy").option(out, &["Always", "OnRootMismatch"]);
    seccomp(&context.at("seccompProfile"), out);
    app_armor(&context.at("appArmorProfile"), out);
    context.at("supplementalGroupsPolicy").option(out, &["Merge", "Strict"]);
    context.at("seLinuxChangePolicy").option(out, &["MountOption", "Recursive"]);
}

/// Host namespaces cannot be shared by a pod with users of its own.
pub(crate) fn host_users(spec: &Spot<'_>, out: &mut Problems) {
    let users = spec.at("hostUsers");
    if !users.is_set() || users.flag() {
        return;
    }
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.at(field).flag() {
            out.push(Problem::forbidden(spec.path.field(shown), "when `pod.Spec.HostUsers` is false"));
        }
    }
}

fn seccomp(profile: &Spot<'_>, out: &mut Problems) {
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.at("type"), profile.at("localhostProfile"));
    if kind.text().is_empty() {
        kind.required(out, "type is required when seccompProfile is set");
    } else {
        kind.option(out, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    match (kind.text(), local.is_set()) {
        ("Localhost", true) => formats::descending_path(&local, out),
        ("Localhost", false) => local.required(out, "must be set when seccomp type is Localhost"),
        (_, true) => {
            let detail = "can only be set when seccomp type is Localhost";
            out.push(Problem::invalid(local.path.clone(), profile.shown(), detail));
        }
        (_, false) => {}
    }
}

fn app_armor(profile: &Spot<'_>, out: &mut Problems) {
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.at("type"), profile.at("localhostProfile"));
    match kind.text() {
        "Localhost" => {
            if local.text().trim() != local.text() {
                local.invalid(out, "must not be padded with whitespace");
            } else if local.text().is_empty() {
                local.required(out, "must be set when AppArmor type is Localhost");
            }
            if local.text().len() > PROFILE_BYTES_MAX {
                out.push(Problem::too_long(local.path.clone(), PROFILE_BYTES_MAX));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if local.is_set() {
                local.invalid(out, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => kind.required(out, "type is required when appArmorProfile is set"),
        _ => kind.option(out, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
}

fn sysctls(list: &Spot<'_>, spec: &Spot<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for sysctl in list.items() {
        let name = sysctl.at("name");
        if !name.need(out) {
            continue;
        }
        if !is_sysctl(name.text()) {
            name.invalid(
                out,
                format!("must have at most {SYSCTL_BYTES_MAX} characters and match regex {SYSCTL_REGEX}"),
            );
        } else if !seen.insert(name.text()) {
            name.duplicate(out);
        }
        let dotted = name.text().replace('/', ".");
        let shared_memory = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
        if spec.at("hostNetwork").flag() && dotted.starts_with("net.") {
            name.invalid(out, "may not be specified when 'hostNetwork' is true");
        } else if spec.at("hostIPC").flag() && shared_memory.iter().any(|prefix| dotted.starts_with(prefix)) {
            name.invalid(out, "may not be specified when 'hostIPC' is true");
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let alnum = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= SYSCTL_BYTES_MAX
        && name.split(['.', '/']).all(|part| {
            let bytes = part.as_bytes();
            let ends = bytes.first().zip(bytes.last()).is_some_and(|(first, last)| alnum(*first) && alnum(*last));
            ends && bytes.iter().all(|byte| alnum(*byte) || matches!(byte, b'-' | b'_'))
        })
}
