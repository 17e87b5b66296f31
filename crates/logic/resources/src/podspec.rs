//! Defaults of pod specs, wherever one stands: in a pod, or in the template of a workload.

use object::Value;

use crate::tree::{
    at, blank, default_nonzero, default_text, default_to, each, empty, ensure, put, round_quantities, unset, within,
};

/// Mode of files in volumes that are made from objects: 0644.
const FILE_MODE: i64 = 0o644;
/// Lifetime of a projected service account token.
const TOKEN_SECONDS: i64 = 3600;

/// Defaults of the pod template `template`.
pub(crate) fn default_template(template: &mut Value) {
    within(template, "spec", default_spec);
}

/// Defaults of a pod spec.
pub(crate) fn default_spec(spec: &mut Value) {
    mirror_service_account(spec);
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    ensure(spec, "securityContext");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_text(spec, "schedulerName", "default-scheduler");
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list, default_container);
    }
    each(spec, "volumes", default_volume);
    round_quantities(spec, "overhead");
    within(spec, "resources", default_requirements);
}

/// The old name of `serviceAccountName` says the same.
pub(crate) fn mirror_service_account(spec: &mut Value) {
    let named = |spec: &Value, key: &str| spec.get(key).filter(|name| !blank(Some(name))).cloned();
    match (named(spec, "serviceAccountName"), named(spec, "serviceAccount")) {
        (Some(name), old) if old.as_ref() != Some(&name) => put(spec, "serviceAccount", name),
        (None, Some(old)) => put(spec, "serviceAccountName", old),
        _ => {}
    }
}

fn default_requirements(resources: &mut Value) {
    round_quantities(resources, "limits");
    round_quantities(resources, "requests");
}

fn default_container(container: &mut Value) {
    if blank(container.get("imagePullPolicy")) {
        let policy = pull_policy(container.str_at(&["image"]).unwrap_or_default());
        put(container, "imagePullPolicy", policy);
    }
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    each(container, "ports", |port| default_text(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        at(variable, &["valueFrom", "fieldRef"], |field| default_text(field, "apiVersion", "v1"));
        at(variable, &["valueFrom", "fileKeyRef"], |file| default_to(file, "optional", false));
    });
    within(container, "resources", default_requirements);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        within(container, probe, default_probe);
    }
    for hook in ["postStart", "preStop"] {
        at(container, &["lifecycle", hook, "httpGet"], default_http);
    }
}

fn default_probe(probe: &mut Value) {
    default_nonzero(probe, "timeoutSeconds", 1);
    default_nonzero(probe, "periodSeconds", 10);
    default_nonzero(probe, "successThreshold", 1);
    default_nonzero(probe, "failureThreshold", 3);
    within(probe, "httpGet", default_http);
    within(probe, "grpc", |grpc| default_to(grpc, "service", ""));
}

fn default_http(action: &mut Value) {
    default_text(action, "path", "/");
    default_text(action, "scheme", "HTTP");
}

/// `Always` for the tag `latest`, whether written or meant; an image with a digest has no tag unless it is written.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    let latest = match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none() && is_reference(name),
    };
    if latest { "Always" } else { "IfNotPresent" }
}

/// Whether a name without tag is one that an image reference could be read from.
fn is_reference(name: &str) -> bool {
    let path = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => name,
    };
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !path.is_empty()
        && path.split('/').all(|part| {
            let bytes = part.as_bytes();
            let ends = bytes.first().zip(bytes.last()).is_some_and(|(first, last)| lower(*first) && lower(*last));
            ends && bytes.iter().all(|byte| lower(*byte) || matches!(byte, b'.' | b'_' | b'-'))
        })
}

fn default_volume(volume: &mut Value) {
    let sourceless = volume.as_map().is_some_and(|map| map.iter().all(|(key, value)| key == "name" || value.is_null()));
    if sourceless {
        put(volume, "emptyDir", Value::map());
        return;
    }
    for source in ["secret", "configMap"] {
        within(volume, source, |source| default_to(source, "defaultMode", FILE_MODE));
    }
    within(volume, "downwardAPI", |source| {
        default_to(source, "defaultMode", FILE_MODE);
        default_downward(source);
    });
    within(volume, "projected", default_projected);
    within(volume, "hostPath", |source| default_to(source, "type", ""));
    within(volume, "ephemeral", |source| {
        at(source, &["volumeClaimTemplate", "spec"], default_claim_spec);
    });
    within(volume, "image", |source| {
        if blank(source.get("pullPolicy")) {
            let policy = pull_policy(source.str_at(&["reference"]).unwrap_or_default());
            put(source, "pullPolicy", policy);
        }
    });
    default_volume_source(volume);
}

/// Defaults of the sources that pods and persistent volumes have in common.
pub(crate) fn default_volume_source(volume: &mut Value) {
    within(volume, "iscsi", |source| default_text(source, "iscsiInterface", "default"));
    within(volume, "rbd", |source| {
        default_text(source, "pool", "rbd");
        default_text(source, "user", "admin");
        default_text(source, "keyring", "/etc/ceph/keyring");
    });
    within(volume, "azureDisk", |source| {
        default_to(source, "cachingMode", "ReadWrite");
        default_to(source, "kind", "Shared");
        default_to(source, "fsType", "ext4");
        default_to(source, "readOnly", false);
    });
    within(volume, "scaleIO", |source| {
        default_text(source, "storageMode", "ThinProvisioned");
        default_text(source, "fsType", "xfs");
    });
}

fn default_downward(source: &mut Value) {
    each(source, "items", |item| within(item, "fieldRef", |field| default_text(field, "apiVersion", "v1")));
}

fn default_projected(source: &mut Value) {
    default_to(source, "defaultMode", FILE_MODE);
    each(source, "sources", |projection| {
        within(projection, "downwardAPI", default_downward);
        within(projection, "serviceAccountToken", |token| default_to(token, "expirationSeconds", TOKEN_SECONDS));
    });
}

/// Defaults of a claim's spec.
pub(crate) fn default_claim_spec(spec: &mut Value) {
    default_to(spec, "volumeMode", "Filesystem");
    within(spec, "resources", default_requirements);
}

/// What only pods, not templates, default: requests from limits, service links, host ports.
pub(crate) fn default_pod(spec: &mut Value) {
    let host_network = crate::tree::flag(spec, &["hostNetwork"]);
    for list in ["initContainers", "containers"] {
        each(spec, list, |container| {
            within(container, "resources", requests_from_limits);
            if host_network {
                each(container, "ports", |port| {
                    let number = port.int_at(&["containerPort"]).unwrap_or(0);
                    if number != 0 {
                        default_nonzero(port, "hostPort", number);
                    }
                });
            }
        });
    }
    if !unset(spec.get("resources")) {
        crate::core::podlevel::default_resources(spec);
    }
    default_to(spec, "enableServiceLinks", true);
}

fn requests_from_limits(resources: &mut Value) {
    if empty(resources.get("limits")) {
        return;
    }
    let Some(limits) = resources.get("limits").and_then(Value::as_map) else { return };
    let requested = resources.get("requests").and_then(Value::as_map);
    let missing: Vec<(object::Text, Value)> = limits
        .iter()
        .filter(|(key, _)| requested.is_none_or(|requests| !requests.contains(key)))
        .map(|(key, amount)| (key.into(), amount.clone()))
        .collect();
    if missing.is_empty() {
        return;
    }
    ensure(resources, "requests");
    if let Some(requests) = resources.get_mut("requests").and_then(Value::as_map_mut) {
        requests.extend(missing);
    }
}
