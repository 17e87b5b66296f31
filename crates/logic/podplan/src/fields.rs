//! The downward API: fields of the pod and resources of its containers as text.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod, ResourceFieldSelector};
use typed::resource::Quantity;

use crate::{quantity, spec};

/// What of the pod only the node knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The node's name.
    pub node_name: String,
    /// The node's addresses, the primary one first.
    pub host_ips: Vec<String>,
    /// The pod's addresses, the primary one first.
    pub pod_ips: Vec<String>,
    /// What the node can give to pods, in thousandths of a core.
    pub allocatable_cpu_milli: i64,
    /// In bytes.
    pub allocatable_memory_bytes: i64,
    /// In bytes.
    pub allocatable_ephemeral_storage_bytes: i64,
}

/// The value of a field; `Err` says in upstream's words why there is none.
pub fn field(pod: &Pod, path: &str, facts: &Facts) -> Result<String, String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = subscript(path) {
        let entries = match map {
            "metadata.annotations" => &meta.annotations,
            "metadata.labels" => &meta.labels,
            _ => return Err(format!("fieldPath \"{path}\" does not support subscript")),
        };
        return Ok(entries.as_ref().and_then(|entries| entries.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.annotations" => lines(&meta.annotations),
        "metadata.labels" => lines(&meta.labels),
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()).unwrap_or_else(|| facts.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default(),
        "status.hostIP" => facts.host_ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => facts.host_ips.join(","),
        "status.podIP" => facts.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => facts.pod_ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// `metadata.labels['key']` taken apart.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// `key="value"` lines, sorted by key, quoted as Go quotes.
fn lines(entries: &Option<BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = entries.iter().flatten().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    lines.join("\n")
}

fn quoted(text: &str) -> String {
    let mut result = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            '\n' => result.push_str("\\n"),
            '\t' => result.push_str("\\t"),
            '\r' => result.push_str("\\r"),
            c if c.is_control() => result.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

/// The value of a container's resource, divided and rounded up; without a limit, what the node can give.
pub fn resource(pod: &Pod, own: &Container, selector: &ResourceFieldSelector, facts: &Facts) -> Result<String, String> {
    let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let found = match named {
        Some(name) => Some(spec::container(pod, name).ok_or_else(|| format!("container {name} not found"))?.1),
        None => None,
    };
    let container = found.as_deref().unwrap_or(own);
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (side, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let amounts = match side {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()),
        _ => return Err(unsupported()),
    };
    let given = amounts.and_then(|amounts| amounts.get(name));
    let limit = resources.and_then(|resources| resources.limits.as_ref()?.get(name));
    // A request that is not given is as high as the limit.
    let given = if side == "requests" { given.or(limit) } else { given };
    let is_cpu = name == "cpu";
    let scale: fn(&Quantity) -> Option<i64> = if is_cpu { quantity::milli } else { quantity::value };
    let amount = given.and_then(scale).filter(|amount| *amount != 0);
    let amount = match (amount, side) {
        (Some(amount), _) => amount,
        (None, "requests") => 0,
        (None, _) => match name {
            "cpu" => facts.allocatable_cpu_milli,
            "memory" => facts.allocatable_memory_bytes,
            "ephemeral-storage" => facts.allocatable_ephemeral_storage_bytes,
            _ if name.starts_with("hugepages-") => 0,
            _ => return Err(unsupported()),
        },
    };
    let divisor = selector.divisor.as_ref().and_then(scale).filter(|divisor| *divisor > 0);
    let divisor = divisor.unwrap_or(if is_cpu { 1000 } else { 1 });
    Ok((amount / divisor + i64::from(amount % divisor > 0)).to_string())
}
