//! What a status says of resources: what is in force, by the runtime's account where it gives one.

use std::collections::BTreeMap;

use object::quantity::Format;
use typed::api::core::v1::{Container, ContainerStatus, ResourceRequirements};
use typed::resource::Quantity;

use super::Size;
use crate::observed::{Seen, Stage};
use crate::plan::Situation;
use crate::resources;

type Amounts = BTreeMap<String, Quantity>;

/// A limit at or below this is raised to it: the kernel's least quota.
const CPU_LIMIT_MILLI_MIN: i64 = 10;
/// A request at or below this weighs as the least there is. (Shares and thousandths are near enough here.)
const CPU_REQUEST_MILLI_MIN: i64 = 2;

/// `resources` and `allocatedResources` of a container that the runtime knows.
///
/// What was granted is said, except where the runtime tells what is in force. `old` is the status before.
pub(crate) fn container(
    s: &Situation<'_>,
    container: &Container,
    seen: &Seen,
    old: Option<&ContainerStatus>,
) -> (ResourceRequirements, Option<Amounts>) {
    let mut result = container.resources.clone().unwrap_or_default();
    let allocated = result.requests.clone().filter(|requests| !requests.is_empty());
    if seen.stage != Stage::Running {
        return (result, allocated);
    }
    let same = old.filter(|old| {
        let running = old.state.as_ref().is_some_and(|state| state.running.is_some());
        running && old.container_id.as_deref().is_some_and(|id| id.ends_with(&seen.id))
    });
    let old = same.and_then(|old| old.resources.as_ref());
    let size = s.resizing.record.size(&seen.id).or(seen.size);
    let told = seen.told.clone().or_else(|| size.as_ref().map(Told::assumed)).unwrap_or_default();
    let before = |list: Option<&Amounts>, name: &str| list.and_then(|list| list.get(name)).cloned();
    if let Some(limits) = &mut result.limits {
        let old = old.and_then(|old| old.limits.as_ref());
        let cpu = told.cpu_limit_milli.map(|milli| (milli, CPU_LIMIT_MILLI_MIN));
        set_cpu(limits, cpu, before(old, "cpu"));
        set(limits, "memory", told.memory_limit_bytes.map(bytes).or_else(|| before(old, "memory")));
    }
    if let Some(requests) = &mut result.requests {
        let old = old.and_then(|old| old.requests.as_ref());
        let cpu = told.cpu_request_milli.map(|milli| (milli, CPU_REQUEST_MILLI_MIN));
        set_cpu(requests, cpu, before(old, "cpu"));
        // No runtime tells a request for memory; it is as large as the container was made or changed to.
        let memory = size.map(|size| size.memory_request_bytes).filter(|amount| *amount > 0);
        if requests.contains_key("memory") {
            set(requests, "memory", memory.map(bytes).or_else(|| before(old, "memory")));
        }
    }
    (result, allocated)
}

/// `resources` and `allocatedResources` of a pod.
pub(crate) fn pod(s: &Situation<'_>) -> (ResourceRequirements, Option<Amounts>) {
    let requests = resources::requests(s.pod);
    let allocated = (!requests.is_empty()).then(|| requests.clone());
    let running = s.previous.phase.as_deref() == Some("Running");
    let sandbox = s.observed.sandbox().filter(|_| running);
    let in_force = sandbox.and_then(|sandbox| s.resizing.record.size(&sandbox.id).or(sandbox.size));
    let Some(size) = in_force else {
        let limits = resources::limits(s.pod);
        let limits = (!limits.is_empty()).then_some(limits);
        let claims = s.pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.claims.clone());
        return (ResourceRequirements { claims, limits, requests: allocated.clone() }, allocated);
    };
    let mut result = s.pod.spec.as_ref().and_then(|spec| spec.resources.clone()).unwrap_or_default();
    let mut asked = result.requests.take().unwrap_or_default();
    let mut allowed = result.limits.take().unwrap_or_default();
    set_cpu(&mut asked, Some((weighed(size.cpu_request_milli), CPU_REQUEST_MILLI_MIN)), None);
    set(&mut asked, "memory", (size.memory_request_bytes > 0).then(|| bytes(size.memory_request_bytes)));
    let quota = resources::quota_micros(size.cpu_limit_milli).map(|quota| quota.saturating_mul(1000) / period());
    set_cpu(&mut allowed, quota.map(|milli| (milli, CPU_LIMIT_MILLI_MIN)), None);
    set(&mut allowed, "memory", (size.memory_limit_bytes > 0).then(|| bytes(size.memory_limit_bytes)));
    result.requests = (!asked.is_empty()).then_some(asked);
    result.limits = (!allowed.is_empty()).then_some(allowed);
    (result, allocated)
}

fn period() -> i64 {
    i64::try_from(resources::PERIOD_MICROS).expect("the period is a small number")
}

/// What a request comes to as a weight: thousandths of a core, rounded as the kernel's unit asks for.
fn weighed(milli: i64) -> i64 {
    resources::milli_of_shares(resources::shares(milli))
}

/// Sets CPU to the `told` amount, unless that and what was granted are both at most the least there is: then the kernel
/// could not tell them apart, and what was granted stays. Without an amount, to the one `before`.
fn set_cpu(amounts: &mut Amounts, told: Option<(i64, i64)>, before: Option<Quantity>) {
    match told {
        Some((milli, least)) => {
            let granted = amounts.get("cpu").and_then(crate::quantity::milli).unwrap_or_default();
            if milli > least || granted > least {
                let text = object::Quantity::milli(milli).text().to_string();
                set(amounts, "cpu", Some(Quantity(text)));
            }
        }
        None => set(amounts, "cpu", before),
    }
}

/// Sets an amount that is another; the text of an equal one stays as it was written.
fn set(amounts: &mut Amounts, name: &str, amount: Option<Quantity>) {
    let Some(amount) = amount else { return };
    let exact = |quantity: &Quantity| object::Quantity::parse(&quantity.0).map(|it| it.nanos()).ok();
    if amounts.get(name).is_none_or(|known| exact(known) != exact(&amount)) {
        amounts.insert(name.to_owned(), amount);
    }
}

fn bytes(amount: i64) -> Quantity {
    Quantity(object::Quantity::whole(amount, Format::BinarySi).text().to_string())
}

/// What a runtime tells of a running container; `None` where it tells nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// CPU asked for, in thousandths of a core.
    pub cpu_request_milli: Option<i64>,
    /// CPU allowed, in thousandths of a core.
    pub cpu_limit_milli: Option<i64>,
    /// Memory allowed.
    pub memory_limit_bytes: Option<i64>,
}

impl Told {
    /// From the kernel's terms; zero and less are nothing told. `None` when nothing is.
    pub fn of(shares: i64, quota_micros: i64, period_micros: i64, memory_bytes: i64) -> Option<Told> {
        let positive = |amount: i64| (amount > 0).then_some(amount);
        let told = Told {
            cpu_request_milli: u64::try_from(shares).ok().map(resources::milli_of_shares).and_then(positive),
            cpu_limit_milli: positive(period_micros)
                .and_then(|period| positive(quota_micros.max(0).saturating_mul(1000) / period)),
            memory_limit_bytes: positive(memory_bytes),
        };
        (told != Told::default()).then_some(told)
    }

    /// What must be in force when a runtime tells nothing.
    fn assumed(size: &Size) -> Told {
        let positive = |amount: i64| (amount > 0).then_some(amount);
        Told {
            cpu_request_milli: positive(size.cpu_request_milli),
            cpu_limit_milli: positive(size.cpu_limit_milli),
            memory_limit_bytes: positive(size.memory_limit_bytes),
        }
    }
}
