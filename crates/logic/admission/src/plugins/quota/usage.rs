//! What an object uses, and which quotas look at it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kind::{Operation, Resource};
use object::quantity::Quantity;
use object::{Meta, Text, Value};

use crate::amounts::{self, Amounts};
use crate::tree::{self, text};

/// Knows how much an object of one kind uses.
#[derive(Debug)]
pub struct Evaluator {
    kind: Counted,
    /// `count/plural.group`.
    count: Text,
    /// The older name of the same number, for the kinds that have one.
    alias: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Pod,
    Service,
    Claim,
    DeviceClaim,
    Other,
}

/// Resources of pods that are counted under their own name and as `requests.`.
const REQUESTED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Resources that every container must name where a quota counts them.
const SPECIFIED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
const CLASS: &str = ".storageclass.storage.k8s.io/";
const DEVICES: &str = ".deviceclass.resource.k8s.io/devices";
/// The most devices that one claim can get, which a request for all of them may come to.
const DEVICES_MAX: i64 = 32;

impl Evaluator {
    /// The evaluator of a resource.
    #[must_use]
    pub fn of(resource: &Resource) -> Evaluator {
        let aliases = ["configmaps", "secrets", "replicationcontrollers", "resourcequotas"];
        let (kind, alias) = match (resource.group.as_str(), resource.plural.as_str()) {
            ("", "pods") => (Counted::Pod, Some("pods")),
            ("", "services") => (Counted::Service, Some("services")),
            ("", "persistentvolumeclaims") => (Counted::Claim, Some("persistentvolumeclaims")),
            ("resource.k8s.io", "resourceclaims") => (Counted::DeviceClaim, None),
            ("", plural) => (Counted::Other, aliases.into_iter().find(|alias| *alias == plural)),
            _ => (Counted::Other, None),
        };
        Evaluator { kind, count: format!("count/{}", resource.group_resource()).into(), alias }
    }

    pub(super) fn handles(&self, operation: Operation, subresource: &str) -> bool {
        matches!(
            (operation, subresource, self.kind),
            (Operation::Create, "", _)
                | (Operation::Update, "", Counted::Service | Counted::Claim | Counted::DeviceClaim)
                | (Operation::Update, "resize", Counted::Pod)
        )
    }

    /// Whether quotas on `name` count objects of this kind.
    #[must_use]
    pub fn counts(&self, name: &str) -> bool {
        if name == self.count || self.alias == Some(name) {
            return true;
        }
        match self.kind {
            Counted::Pod => {
                let bare = name.strip_prefix("requests.").unwrap_or(name);
                let limited = name.strip_prefix("limits.").unwrap_or_default();
                REQUESTED.contains(&bare)
                    || REQUESTED.contains(&limited)
                    || bare.starts_with("hugepages-")
                    || (bare != name && is_extended(bare))
            }
            Counted::Service => matches!(name, "services.nodeports" | "services.loadbalancers"),
            Counted::Claim => name == "requests.storage" || name.contains(CLASS),
            Counted::DeviceClaim => name.ends_with(DEVICES),
            Counted::Other => false,
        }
    }

    /// Whether quotas on `name` need no more of an object than that it is there.
    #[must_use]
    pub fn only_counts(&self, name: &str) -> bool {
        name == self.count || (self.alias == Some(name) && self.kind != Counted::Pod)
    }

    /// What an object uses of the resource `name`.
    #[must_use]
    pub fn amount(&self, name: &str, object: &Value, now: Timestamp) -> Option<Quantity> {
        self.usage(object, now).get(name).copied()
    }

    pub(super) fn usage(&self, object: &Value, now: Timestamp) -> Amounts {
        let mut usage = Amounts::default();
        usage.count(self.count.clone(), 1);
        if self.kind == Counted::Pod && is_over(object, now) {
            return usage;
        }
        if let Some(alias) = self.alias {
            usage.count(alias, 1);
        }
        match self.kind {
            Counted::Pod => {
                let held = |which| amounts::held_by_pod(object, which);
                usage.add(&compute(&held("requests"), &held("limits")));
            }
            Counted::Service => ports(object, &mut usage),
            Counted::Claim => storage(object, &mut usage),
            Counted::DeviceClaim => devices(object, &mut usage),
            Counted::Other => {}
        }
        usage
    }

    /// What a pod's containers leave open and a quota on `names` needs to know.
    pub(super) fn unspecified(&self, names: &[&str], pod: &Value) -> Option<String> {
        if self.kind != Counted::Pod || tree::is_set(pod, &["spec", "resources"]) {
            return None;
        }
        let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for container in ["containers", "initContainers"].iter().flat_map(|field| pod.list_at(&["spec", field])) {
            let of = |which| Amounts::at(container, &["resources", which]);
            let set = compute(&of("requests"), &of("limits"));
            for name in names.iter().filter(|name| SPECIFIED.contains(name) && set.get(name).is_none()) {
                missing.entry(name).or_default().insert(text(container, &["name"]));
            }
        }
        let parts: Vec<String> = missing
            .into_iter()
            .map(|(name, containers)| format!("{name} for: {}", containers.into_iter().collect::<Vec<_>>().join(",")))
            .collect();
        (!parts.is_empty()).then(|| format!("must specify {}", parts.join("; ")))
    }
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.split('/').next().unwrap_or_default().ends_with("kubernetes.io")
}

/// Whether a pod uses nothing any more: it has ended, or should have after its grace period.
fn is_over(pod: &Value, now: Timestamp) -> bool {
    let overdue = || {
        let meta = Meta::of(pod);
        let deleted = meta.deletion_timestamp()?;
        let grace = SignedDuration::from_secs(meta.deletion_grace_seconds()?);
        Some(deleted.checked_add(grace).ok()? < now)
    };
    matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed") || overdue().unwrap_or(false)
}

/// A pod's resources under the names by which quotas count them.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::default();
    for (name, amount) in &requests.0 {
        let named = REQUESTED.contains(&name.as_str()) || name.starts_with("hugepages-");
        if named {
            usage.set(name.clone(), *amount);
        }
        if named || is_extended(name) {
            usage.set(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits.0.iter().filter(|(name, _)| REQUESTED.contains(&name.as_str())) {
        usage.set(format!("limits.{name}"), *amount);
    }
    usage
}

fn ports(service: &Value, usage: &mut Amounts) {
    let ports = service.list_at(&["spec", "ports"]);
    let count = |ports: usize| i64::try_from(ports).unwrap_or(i64::MAX);
    let (balancers, node_ports) = match text(service, &["spec", "type"]) {
        "LoadBalancer" if tree::flag(service, &["spec", "allocateLoadBalancerNodePorts"]) == Some(false) => {
            let given = ports.iter().filter(|port| port.int_at(&["nodePort"]).is_some_and(|number| number > 0));
            (1, count(given.count()))
        }
        "LoadBalancer" => (1, count(ports.len())),
        "NodePort" => (0, count(ports.len())),
        _ => (0, 0),
    };
    usage.count("services.loadbalancers", balancers);
    usage.count("services.nodeports", node_ports);
}

fn storage(claim: &Value, usage: &mut Amounts) {
    let class = Meta::of(claim)
        .annotation("volume.beta.kubernetes.io/storage-class")
        .unwrap_or_else(|| text(claim, &["spec", "storageClassName"]));
    if !class.is_empty() {
        usage.count(format!("{class}{CLASS}persistentvolumeclaims"), 1);
    }
    let mut size = Amounts::at(claim, &["spec", "resources", "requests"]);
    size.raise(&Amounts::at(claim, &["status", "allocatedResources"]));
    if let Some(size) = size.get("storage") {
        usage.set("requests.storage", *size);
        if !class.is_empty() {
            usage.set(format!("{class}{CLASS}requests.storage"), *size);
        }
    }
}

/// Devices by class; of alternatives, the most that each class may have to give.
fn devices(claim: &Value, usage: &mut Amounts) {
    let of = |request: &Value| {
        let mut amounts = Amounts::default();
        let count = match text(request, &["allocationMode"]) {
            "All" => DEVICES_MAX,
            _ => request.int_at(&["count"]).unwrap_or(1),
        };
        amounts.count(format!("{}{DEVICES}", text(request, &["deviceClassName"])), count);
        amounts
    };
    for request in claim.list_at(&["spec", "devices", "requests"]) {
        let mut amounts = request.get("exactly").map(of).unwrap_or_default();
        for alternative in request.list_at(&["firstAvailable"]) {
            amounts.raise(&of(alternative));
        }
        usage.add(&amounts);
    }
}

/// Whether the object is in all scopes of the quota.
#[must_use]
pub fn in_scope(quota: &Value, object: &Value) -> bool {
    let mut plain = quota.list_at(&["spec", "scopes"]).iter().filter_map(Value::as_str);
    let mut selectors = quota.list_at(&["spec", "scopeSelector", "matchExpressions"]).iter();
    plain.all(|scope| matches_scope(scope, "Exists", &[], object))
        && selectors.all(|selector| {
            let values: Vec<&str> = selector.list_at(&["values"]).iter().filter_map(Value::as_str).collect();
            matches_scope(text(selector, &["scopeName"]), text(selector, &["operator"]), &values, object)
        })
}

fn matches_scope(scope: &str, operator: &str, values: &[&str], object: &Value) -> bool {
    let spec = |keys: &[&str]| object.get("spec").is_some_and(|spec| tree::is_set(spec, keys));
    let by_name = |name: &str| match operator {
        "Exists" => !name.is_empty(),
        "DoesNotExist" => name.is_empty(),
        "In" => !name.is_empty() && values.contains(&name),
        "NotIn" => !values.contains(&name),
        _ => false,
    };
    match scope {
        "Terminating" => spec(&["activeDeadlineSeconds"]),
        "NotTerminating" => !spec(&["activeDeadlineSeconds"]),
        "BestEffort" => is_best_effort(object),
        "NotBestEffort" => !is_best_effort(object),
        "PriorityClass" => by_name(text(object, &["spec", "priorityClassName"])),
        "VolumeAttributesClass" => by_name(text(object, &["spec", "volumeAttributesClassName"])),
        "CrossNamespacePodAffinity" => crosses_namespaces(object),
        _ => false,
    }
}

/// Whether no container asks for processor or memory.
fn is_best_effort(pod: &Value) -> bool {
    let Some(spec) = pod.get("spec") else { return true };
    let holders = tree::containers(spec).chain(std::iter::once(spec));
    holders.flat_map(|holder| ["requests", "limits"].map(|which| Amounts::at(holder, &["resources", which]))).all(
        |amounts| ["cpu", "memory"].iter().all(|name| amounts.get(name).is_none_or(|amount| amount.sign().is_eq())),
    )
}

fn crosses_namespaces(pod: &Value) -> bool {
    let terms = |kind: &str| {
        let affinity = ["spec", "affinity", kind];
        let required = [affinity[0], affinity[1], affinity[2], "requiredDuringSchedulingIgnoredDuringExecution"];
        let preferred = [affinity[0], affinity[1], affinity[2], "preferredDuringSchedulingIgnoredDuringExecution"];
        let required = pod.list_at(&required).iter();
        required
            .chain(pod.list_at(&preferred).iter().filter_map(|term| term.get("podAffinityTerm")))
            .any(|term| !term.list_at(&["namespaces"]).is_empty() || tree::is_set(term, &["namespaceSelector"]))
    };
    terms("podAffinity") || terms("podAntiAffinity")
}
