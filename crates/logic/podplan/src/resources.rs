//! Resources as the kernel takes them: CPU shares and quotas, memory limits, for containers, pods and QoS tiers.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod, ResourceRequirements};
use typed::resource::Quantity;

use crate::plan::Role;
use crate::qos::Class;
use crate::{qos, quantity, spec};

/// The least weight that the kernel takes.
pub const SHARES_MIN: u64 = 2;
/// The greatest.
pub const SHARES_MAX: u64 = 262_144;
/// The CPU quota period, in microseconds.
pub const PERIOD_MICROS: u64 = 100_000;
/// The least quota that the kernel takes, in microseconds.
const QUOTA_MICROS_MIN: i64 = 1000;

/// What a cgroup allows; `None` leaves a value alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU weight in cgroup v1 terms (1024 per core).
    pub cpu_shares: Option<u64>,
    /// CPU time per period, in microseconds.
    pub cpu_quota_micros: Option<i64>,
    /// Bytes of memory.
    pub memory_bytes: Option<i64>,
    /// Bytes of huge pages by page size: `2Mi`.
    pub huge_pages: BTreeMap<String, i64>,
}

/// The CPU weight for a request in thousandths of a core.
pub fn shares(milli: i64) -> u64 {
    let shares = u64::try_from(milli.max(0)).unwrap_or_default().saturating_mul(1024) / 1000;
    shares.clamp(SHARES_MIN, SHARES_MAX)
}

/// The CPU quota for a limit in thousandths of a core; `None` without a limit.
pub fn quota_micros(milli: i64) -> Option<i64> {
    let period = i64::try_from(PERIOD_MICROS).expect("the period is a small number");
    (milli > 0).then(|| (milli.saturating_mul(period) / 1000).max(QUOTA_MICROS_MIN))
}

/// What a container's cgroup allows.
pub fn container(pod: &Pod, container: &Container) -> Limits {
    let requirements = container.resources.clone().unwrap_or_default();
    let limit = milli(&requirements.limits, "cpu");
    let request = milli(&requirements.requests, "cpu").or(limit).unwrap_or_default();
    // A container without a limit of its own is held by its pod's.
    let whole = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let of_pod = |name: &str| whole.and_then(|whole| whole.limits.as_ref()?.get(name));
    let memory = bytes(&requirements.limits, "memory").or_else(|| of_pod("memory").and_then(quantity::value));
    let cpu = limit.or_else(|| of_pod("cpu").and_then(quantity::milli)).unwrap_or_default();
    Limits {
        cpu_shares: Some(shares(request)),
        cpu_quota_micros: quota_micros(cpu),
        memory_bytes: memory.filter(|bytes| *bytes > 0),
        huge_pages: huge_pages(&requirements),
    }
}

/// What a pod's cgroup allows.
pub fn pod(pod: &Pod) -> Limits {
    let sum = totals(pod);
    let class = qos::class(pod);
    let cpu_shares = Some(if class == Class::BestEffort { SHARES_MIN } else { shares(sum.cpu_request_milli) });
    Limits {
        cpu_shares,
        cpu_quota_micros: sum.cpu_limit_milli.and_then(quota_micros),
        memory_bytes: sum.memory_limit_bytes.filter(|bytes| *bytes > 0),
        huge_pages: sum.huge_pages,
    }
}

/// What a pod asks for and is allowed, all its containers together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// CPU asked for, in thousandths.
    pub cpu_request_milli: i64,
    /// Memory asked for.
    pub memory_request_bytes: i64,
    /// CPU allowed; `None` when a container has no limit.
    pub cpu_limit_milli: Option<i64>,
    /// Memory allowed; `None` when a container has no limit.
    pub memory_limit_bytes: Option<i64>,
    /// Huge pages allowed.
    pub huge_pages: BTreeMap<String, i64>,
}

/// Sums up a pod: its regular containers and sidecars together, or what its init containers need at their most, with
/// the sidecars that run by then (KEP-753); amounts given for the pod as a whole come first.
pub fn totals(pod: &Pod) -> Totals {
    let one = |container: &Container| {
        let requirements = container.resources.clone().unwrap_or_default();
        let cpu_limit = milli(&requirements.limits, "cpu");
        let memory_limit = bytes(&requirements.limits, "memory");
        Totals {
            cpu_request_milli: milli(&requirements.requests, "cpu").or(cpu_limit).unwrap_or_default(),
            memory_request_bytes: bytes(&requirements.requests, "memory").or(memory_limit).unwrap_or_default(),
            cpu_limit_milli: cpu_limit,
            memory_limit_bytes: memory_limit,
            huge_pages: huge_pages(&requirements),
        }
    };
    let zero = Totals { cpu_limit_milli: Some(0), memory_limit_bytes: Some(0), ..Totals::default() };
    let (mut sidecars, mut peak, mut regular) = (zero.clone(), zero.clone(), zero);
    for (role, container) in spec::containers(pod) {
        match role {
            Role::Regular => regular = add(&regular, &one(&container)),
            Role::Sidecar => {
                sidecars = add(&sidecars, &one(&container));
                peak = most(&peak, &sidecars);
            }
            Role::Init => peak = most(&peak, &add(&sidecars, &one(&container))),
            Role::Ephemeral => {}
        }
    }
    let mut result = most(&peak, &add(&regular, &sidecars));
    let spec = pod.spec.as_ref();
    if let Some(whole) = spec.and_then(|spec| spec.resources.as_ref()) {
        result.cpu_request_milli = milli(&whole.requests, "cpu").unwrap_or(result.cpu_request_milli);
        result.memory_request_bytes = bytes(&whole.requests, "memory").unwrap_or(result.memory_request_bytes);
        result.cpu_limit_milli = milli(&whole.limits, "cpu").or(result.cpu_limit_milli);
        result.memory_limit_bytes = bytes(&whole.limits, "memory").or(result.memory_limit_bytes);
    }
    if let Some(overhead) = spec.and_then(|spec| spec.overhead.clone()) {
        let cpu = overhead.get("cpu").and_then(quantity::milli).unwrap_or_default();
        let memory = overhead.get("memory").and_then(quantity::value).unwrap_or_default();
        result.cpu_request_milli += cpu;
        result.memory_request_bytes += memory;
        result.cpu_limit_milli = result.cpu_limit_milli.map(|limit| limit + cpu);
        result.memory_limit_bytes = result.memory_limit_bytes.map(|limit| limit + memory);
    }
    result
}

fn add(left: &Totals, right: &Totals) -> Totals {
    combine(left, right, i64::saturating_add)
}

fn most(left: &Totals, right: &Totals) -> Totals {
    combine(left, right, i64::max)
}

fn combine(left: &Totals, right: &Totals, with: fn(i64, i64) -> i64) -> Totals {
    let mut huge_pages = left.huge_pages.clone();
    for (size, amount) in &right.huge_pages {
        let sum = with(huge_pages.get(size).copied().unwrap_or_default(), *amount);
        huge_pages.insert(size.clone(), sum);
    }
    let both = |left: Option<i64>, right: Option<i64>| left.zip(right).map(|(left, right)| with(left, right));
    Totals {
        cpu_request_milli: with(left.cpu_request_milli, right.cpu_request_milli),
        memory_request_bytes: with(left.memory_request_bytes, right.memory_request_bytes),
        cpu_limit_milli: both(left.cpu_limit_milli, right.cpu_limit_milli),
        memory_limit_bytes: both(left.memory_limit_bytes, right.memory_limit_bytes),
        huge_pages,
    }
}

/// The path of a pod's cgroup below the root, as names: `["kubepods", "burstable", "pod<uid>"]`.
pub fn cgroup_path(pod: &Pod) -> Vec<String> {
    let mut path = vec!["kubepods".to_owned()];
    match qos::class(pod) {
        Class::Guaranteed => {}
        Class::Burstable => path.push("burstable".to_owned()),
        Class::BestEffort => path.push("besteffort".to_owned()),
    }
    path.push(format!("pod{}", pod.metadata.uid.as_deref().unwrap_or_default()));
    path
}

/// The weight of the burstable tier: what its pods ask for together.
pub fn burstable_shares<'a>(pods: impl Iterator<Item = &'a Pod>) -> u64 {
    let asked = pods.filter(|pod| qos::class(pod) == Class::Burstable).map(|pod| totals(pod).cpu_request_milli);
    shares(asked.fold(0, i64::saturating_add))
}

type Amounts = Option<BTreeMap<String, Quantity>>;

fn milli(amounts: &Amounts, name: &str) -> Option<i64> {
    amounts.as_ref()?.get(name).and_then(quantity::milli)
}

fn bytes(amounts: &Amounts, name: &str) -> Option<i64> {
    amounts.as_ref()?.get(name).and_then(quantity::value)
}

fn huge_pages(requirements: &ResourceRequirements) -> BTreeMap<String, i64> {
    let limits = requirements.limits.iter().flatten();
    limits
        .filter_map(|(name, amount)| Some((name.strip_prefix("hugepages-")?.to_owned(), quantity::value(amount)?)))
        .collect()
}
