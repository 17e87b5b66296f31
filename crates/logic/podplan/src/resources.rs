//! Resources as the kernel takes them: CPU shares and quotas, memory limits, for containers, pods and QoS tiers.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod, ResourceRequirements};
use typed::resource::Quantity;

use crate::plan::Role;
use crate::qos::Class;
use crate::resize::Size;
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

/// The request that a CPU weight stands for, in thousandths of a core, rounded up: the inverse of [`shares`].
pub fn milli_of_shares(shares: u64) -> i64 {
    let milli = if shares < SHARES_MIN { 0 } else { shares.saturating_mul(1000).div_ceil(1024) };
    i64::try_from(milli).unwrap_or(i64::MAX)
}

/// The CPU quota for a limit in thousandths of a core; `None` without a limit.
pub fn quota_micros(milli: i64) -> Option<i64> {
    let period = i64::try_from(PERIOD_MICROS).expect("the period is a small number");
    (milli > 0).then(|| (milli.saturating_mul(period) / 1000).max(QUOTA_MICROS_MIN))
}

/// What a container's cgroup allows.
pub fn container(pod: &Pod, container: &Container) -> Limits {
    let huge_pages = container.resources.as_ref().map(huge_pages).unwrap_or_default();
    Limits { huge_pages, ..Size::of_container(pod, container).limits() }
}

/// What a pod's cgroup allows.
pub fn pod(pod: &Pod) -> Limits {
    Limits { huge_pages: totals(pod).huge_pages, ..Size::of_pod(pod).limits() }
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
    sum(pod, |requirements, _, _| requirements)
}

/// The same of a pod that takes room on the node: what its status says it still has counts, where that is more (KEP-1287).
pub fn held(pod: &Pod) -> Totals {
    let status = pod.status.as_ref();
    sum(pod, |mut requirements, role, name| {
        let told = match (role, name) {
            (_, None) => status.map(|it| (it.resources.as_ref(), it.allocated_resources.as_ref())),
            (Role::Regular | Role::Sidecar, Some(name)) => status
                .and_then(|it| crate::status::container_status(it, name))
                .map(|it| (it.resources.as_ref(), it.allocated_resources.as_ref())),
            _ => None,
        };
        let Some((Some(actual), allocated)) = told else { return requirements };
        let requests = requirements.requests.get_or_insert_default();
        for (resource, amount) in actual.requests.iter().chain(allocated).flatten() {
            let known = requests.get(resource);
            // A pod asks as a whole only for what its specification names; the rest of its status is a sum.
            let counts = name.is_some() || known.is_some();
            if counts && known.is_none_or(|known| quantity::milli(known) < quantity::milli(amount)) {
                requests.insert(resource.clone(), amount.clone());
            }
        }
        requirements
    })
}

/// Sums up what `read` makes of the requirements of each container, and of the pod as a whole (without a name).
fn sum(pod: &Pod, read: impl Fn(ResourceRequirements, Role, Option<&str>) -> ResourceRequirements) -> Totals {
    let zero = Totals { cpu_limit_milli: Some(0), memory_limit_bytes: Some(0), ..Totals::default() };
    let (mut sidecars, mut peak, mut regular) = (zero.clone(), zero.clone(), zero);
    for (role, container) in spec::containers(pod) {
        let requirements = container.resources.clone().unwrap_or_default();
        let one = one(&read(requirements, role, Some(&container.name)));
        match role {
            Role::Regular => regular = add(&regular, &one),
            Role::Sidecar => {
                sidecars = add(&sidecars, &one);
                peak = most(&peak, &sidecars);
            }
            Role::Init => peak = most(&peak, &add(&sidecars, &one)),
            Role::Ephemeral => {}
        }
    }
    let mut result = most(&peak, &add(&regular, &sidecars));
    let spec = pod.spec.as_ref();
    if let Some(whole) = spec.and_then(|spec| spec.resources.clone()) {
        let whole = read(whole, Role::Regular, None);
        result.cpu_request_milli = milli(&whole.requests, "cpu").unwrap_or(result.cpu_request_milli);
        result.memory_request_bytes = bytes(&whole.requests, "memory").unwrap_or(result.memory_request_bytes);
        result.cpu_limit_milli = milli(&whole.limits, "cpu").or(result.cpu_limit_milli);
        result.memory_limit_bytes = bytes(&whole.limits, "memory").or(result.memory_limit_bytes);
    }
    overhead(spec.and_then(|spec| spec.overhead.as_ref()), &mut result);
    result
}

fn one(requirements: &ResourceRequirements) -> Totals {
    let cpu_limit = milli(&requirements.limits, "cpu").filter(|limit| *limit > 0);
    let memory_limit = bytes(&requirements.limits, "memory").filter(|limit| *limit > 0);
    Totals {
        cpu_request_milli: milli(&requirements.requests, "cpu").or(cpu_limit).unwrap_or_default(),
        memory_request_bytes: bytes(&requirements.requests, "memory").or(memory_limit).unwrap_or_default(),
        cpu_limit_milli: cpu_limit,
        memory_limit_bytes: memory_limit,
        huge_pages: huge_pages(requirements),
    }
}

fn overhead(overhead: Option<&BTreeMap<String, Quantity>>, result: &mut Totals) {
    let Some(overhead) = overhead else { return };
    let cpu = overhead.get("cpu").and_then(quantity::milli).unwrap_or_default();
    let memory = overhead.get("memory").and_then(quantity::value).unwrap_or_default();
    result.cpu_request_milli += cpu;
    result.memory_request_bytes += memory;
    result.cpu_limit_milli = result.cpu_limit_milli.map(|limit| limit + cpu);
    result.memory_limit_bytes = result.memory_limit_bytes.map(|limit| limit + memory);
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

/// Everything that a pod asks for, of whatever resource.
pub fn requests(pod: &Pod) -> BTreeMap<String, Quantity> {
    let mut all = lists(pod, |requirements| requirements.requests.as_ref());
    for (name, amount) in pod.spec.iter().flat_map(|spec| spec.overhead.iter().flatten()) {
        let Some(amount) = exact(amount) else { continue };
        let sum = all.get(name).map_or(amount, |known| known.plus(&amount));
        all.insert(name.clone(), sum);
    }
    texts(all)
}

/// Everything that a pod is allowed where a limit is given, of whatever resource.
pub fn limits(pod: &Pod) -> BTreeMap<String, Quantity> {
    let mut all = lists(pod, |requirements| requirements.limits.as_ref());
    for (name, amount) in pod.spec.iter().flat_map(|spec| spec.overhead.iter().flatten()) {
        if let (Some(known), Some(amount)) = (all.get_mut(name).filter(|it| it.nanos() != 0), exact(amount)) {
            *known = known.plus(&amount);
        }
    }
    texts(all)
}

type Exact = BTreeMap<String, object::Quantity>;
type List = fn(&ResourceRequirements) -> Option<&BTreeMap<String, Quantity>>;

fn lists(pod: &Pod, list: List) -> Exact {
    let (mut sum, mut sidecars, mut peak) = (Exact::new(), Exact::new(), Exact::new());
    for (role, container) in spec::containers(pod) {
        let own: Exact = container.resources.as_ref().and_then(list).map(exacts).unwrap_or_default();
        match role {
            Role::Regular => plus(&mut sum, &own),
            Role::Sidecar => {
                plus(&mut sum, &own);
                plus(&mut sidecars, &own);
                raise(&mut peak, &sidecars);
            }
            Role::Init => {
                let mut stage = sidecars.clone();
                plus(&mut stage, &own);
                raise(&mut peak, &stage);
            }
            Role::Ephemeral => {}
        }
    }
    raise(&mut sum, &peak);
    let whole = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()).and_then(list);
    let whole = whole.map(exacts).unwrap_or_default();
    sum.extend(
        whole.into_iter().filter(|(name, _)| matches!(&**name, "cpu" | "memory") || name.starts_with("hugepages-")),
    );
    sum
}

fn exact(quantity: &Quantity) -> Option<object::Quantity> {
    object::Quantity::parse(&quantity.0).ok()
}

fn exacts(amounts: &BTreeMap<String, Quantity>) -> Exact {
    amounts.iter().filter_map(|(name, amount)| Some((name.clone(), exact(amount)?))).collect()
}

fn texts(amounts: Exact) -> BTreeMap<String, Quantity> {
    amounts.into_iter().map(|(name, amount)| (name, Quantity(amount.text().to_string()))).collect()
}

fn plus(sum: &mut Exact, more: &Exact) {
    for (name, amount) in more {
        let total = sum.get(name).map_or(*amount, |known| known.plus(amount));
        sum.insert(name.clone(), total);
    }
}

fn raise(to: &mut Exact, at_least: &Exact) {
    for (name, amount) in at_least {
        if to.get(name).is_none_or(|known| known.nanos() < amount.nanos()) {
            to.insert(name.clone(), *amount);
        }
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

/// The paths of the cgroups that pods' cgroups are in, below `root`.
pub fn tiers(root: &[String]) -> [Vec<String>; 3] {
    [&["kubepods"][..], &["kubepods", "burstable"], &["kubepods", "besteffort"]]
        .map(|names| root.iter().cloned().chain(names.iter().map(|name| (*name).to_owned())).collect())
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
