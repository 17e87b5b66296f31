//! Names: labels and annotations that tie runtime objects to pods, log paths, hashes, static and mirror pods.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod};

use crate::resize::Size;

/// Labels on sandboxes and containers.
pub mod label {
    /// The pod's name.
    pub const POD_NAME: &str = "io.kubernetes.pod.name";
    /// The pod's namespace.
    pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
    /// The pod's uid.
    pub const POD_UID: &str = "io.kubernetes.pod.uid";
    /// The container's name.
    pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
}

/// Annotations on containers.
pub mod annotation {
    /// The hash of the container's specification, lower-case hexadecimal.
    pub const HASH: &str = "io.kubernetes.container.hash";
    /// How many containers of that name there were before.
    pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
    /// Where in the container the termination message is written.
    pub const TERMINATION_MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
    /// `File` or `FallbackToLogsOnError`.
    pub const TERMINATION_MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
    /// The pod's grace period, in seconds.
    pub const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
    /// How large a container or a sandbox was made ([`crate::resize::Size::text`]).
    pub const SIZE: &str = "ferrokube.io/size";
    /// Where a pod comes from: `file`, `http` or `api`.
    pub const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
    /// The hash of a static pod's manifest.
    pub const CONFIG_HASH: &str = "kubernetes.io/config.hash";
    /// On a mirror pod: the hash of the static pod it shows.
    pub const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";
    /// When the pod was first seen by the node.
    pub const CONFIG_SEEN: &str = "kubernetes.io/config.seen";
}

/// The hash that decides whether a running container still fits its specification.
///
/// FNV-1a over the name and the image alone, in the form that upstream writes: its containers are adopted, and fields
/// that newer versions add do not restart anything.
pub fn container_hash(container: &Container) -> u32 {
    let image = container.image.as_deref().unwrap_or_default();
    fnv1a(format!("{{\"image\":{},\"name\":{}}}", json(image), json(&container.name)).as_bytes())
}

fn json(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Go's encoder keeps these out of HTML.
            '<' | '>' | '&' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The key of a container's crash-loop back-off: another specification starts afresh.
pub fn crash_loop_key(container: &Container) -> String {
    format!("{}_{:x}", container.name, container_hash(container))
}

/// The labels of a pod's sandbox: the pod's own, and who it is.
pub fn sandbox_labels(pod: &Pod) -> BTreeMap<String, String> {
    let mut labels = pod.metadata.labels.clone().unwrap_or_default();
    labels.extend(pod_labels(pod));
    labels
}

/// The annotations of a pod's sandbox: the pod's own, and what a restarted kubelet must know of it.
pub fn sandbox_annotations(pod: &Pod) -> BTreeMap<String, String> {
    let mut annotations = pod.metadata.annotations.clone().unwrap_or_default();
    annotations.insert(annotation::SIZE.to_owned(), Size::of_pod(pod).text());
    annotations
}

/// The labels of a container.
pub fn container_labels(pod: &Pod, container: &Container) -> BTreeMap<String, String> {
    let mut labels = pod_labels(pod);
    labels.insert(label::CONTAINER_NAME.to_owned(), container.name.clone());
    labels
}

fn pod_labels(pod: &Pod) -> BTreeMap<String, String> {
    let meta = &pod.metadata;
    [(label::POD_NAME, &meta.name), (label::POD_NAMESPACE, &meta.namespace), (label::POD_UID, &meta.uid)]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.clone().unwrap_or_default()))
        .collect()
}

/// The annotations of a container: what a restarted kubelet must know of it.
pub fn container_annotations(pod: &Pod, container: &Container, attempt: u32) -> BTreeMap<String, String> {
    let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    let policy = container.termination_message_policy.as_deref().unwrap_or("File");
    let mut annotations = BTreeMap::from([
        (annotation::HASH.to_owned(), format!("{:x}", container_hash(container))),
        (annotation::RESTART_COUNT.to_owned(), attempt.to_string()),
        (annotation::TERMINATION_MESSAGE_PATH.to_owned(), path.to_owned()),
        (annotation::TERMINATION_MESSAGE_POLICY.to_owned(), policy.to_owned()),
        (annotation::SIZE.to_owned(), Size::of_container(pod, container).text()),
    ]);
    if let Some(seconds) = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds) {
        annotations.insert(annotation::GRACE.to_owned(), seconds.to_string());
    }
    annotations
}

/// The folder of a pod's logs below `/var/log/pods`.
pub fn log_folder(namespace: &str, name: &str, uid: &str) -> String {
    format!("{namespace}_{name}_{uid}")
}

/// A container's log within its pod's folder.
pub fn log_file(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

/// The name of the link below `/var/log/containers`. The longest that a file system takes is 255 bytes.
pub fn log_link(namespace: &str, pod: &str, container: &str, id: &str) -> String {
    const LINK_BYTES_MAX: usize = 251;
    let mut stem = format!("{pod}_{namespace}_{container}-{id}");
    stem.truncate(LINK_BYTES_MAX);
    format!("{stem}.log")
}

/// Whether the pod comes from a manifest on the node rather than from the API.
pub fn is_static(pod: &Pod) -> bool {
    let source = pod.metadata.annotations.as_ref().and_then(|all| all.get(annotation::CONFIG_SOURCE));
    source.is_some_and(|source| source != "api")
}

/// Whether the pod is the API's picture of a static pod.
pub fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(annotation::CONFIG_MIRROR))
}

/// Makes a manifest's pod a static pod of `node`: name, namespace, uid and annotations that every restart finds again.
///
/// `hash` is a digest of the manifest's bytes, in hexadecimal; the uid is it, as upstream's is.
pub fn adopt_static(pod: &mut Pod, node: &str, hash: &str, seen_at: jiff::Timestamp) {
    let meta = &mut pod.metadata;
    let name = meta.name.clone().unwrap_or_default();
    meta.name = Some(format!("{name}-{}", node.to_lowercase()));
    meta.namespace.get_or_insert_with(|| "default".to_owned());
    if meta.uid.as_deref().unwrap_or_default().is_empty() {
        meta.uid = Some(hash.to_owned());
    }
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(annotation::CONFIG_SOURCE.to_owned(), "file".to_owned());
    annotations.insert(annotation::CONFIG_HASH.to_owned(), hash.to_owned());
    annotations.insert(annotation::CONFIG_SEEN.to_owned(), seen_at.to_string());
    let spec = pod.spec.get_or_insert_default();
    spec.node_name = Some(node.to_owned());
    // A static pod stays whatever taints come, except those that keep anything from being scheduled.
    let tolerations = spec.tolerations.get_or_insert_default();
    let everything = typed::api::core::v1::Toleration {
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Default::default()
    };
    if !tolerations.contains(&everything) {
        tolerations.push(everything);
    }
}

/// The API's picture of a static pod.
pub fn mirror(pod: &Pod) -> Pod {
    let mut mirror = pod.clone();
    let annotations = mirror.metadata.annotations.get_or_insert_default();
    let hash = annotations.get(annotation::CONFIG_HASH).cloned().unwrap_or_default();
    annotations.insert(annotation::CONFIG_MIRROR.to_owned(), hash);
    mirror.metadata.uid = None;
    mirror
}
