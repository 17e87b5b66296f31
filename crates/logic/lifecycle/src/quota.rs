//! ResourceQuota status: what a namespace uses of what it may use.
//!
//! Admission enforces quotas; this planner keeps the books right when usage falls or is counted late. How much a pod, a claim
//! or a count (`count/<resource>.<group>`) uses is measured by the evaluators that admission has, handed in as [`Usage`].

use std::collections::BTreeMap;
use std::fmt::Debug;

use jiff::{SignedDuration, Timestamp};
use object::Quantity;
use plan::{Action, Key, Plan, View, meta};
use typed::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use typed::resource::Quantity as Amount;

/// How often the books are looked over without an occasion: what admission charged for a write that then failed comes back.
/// (`--resource-quota-sync-period`)
const LOOK_OVER: SignedDuration = SignedDuration::from_mins(5);

/// What a namespace uses, measured by the evaluators that admission shares.
pub trait Usage: Debug {
    /// The use of one resource name (`pods`, `requests.cpu`, `count/jobs.batch`, ...) within the quota's scopes; none if nobody
    /// measures it.
    fn used(&self, quota: &ResourceQuota, resource: &str) -> Option<Quantity>;
}

/// Plans one quota.
#[must_use]
pub fn plan(key: &Key, quotas: &dyn View<ResourceQuota>, usage: &dyn Usage, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(quota) = quotas.get(&key.namespace, &key.name).filter(|quota| !meta::is_deleting(&quota.metadata)) else {
        return plan;
    };
    plan.look_again_at(now.saturating_add(LOOK_OVER).unwrap_or(Timestamp::MAX));
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.clone()).unwrap_or_default();
    let measured = hard.keys().filter_map(|name| Some((name.clone(), usage.used(&quota, name)?)));
    let used: BTreeMap<String, Quantity> = measured.collect();
    let old = quota.status.clone().unwrap_or_default();
    if same_amounts(old.hard.as_ref(), &parse(&hard)) && same_amounts(old.used.as_ref(), &used) {
        return plan;
    }
    let write = |amounts: &BTreeMap<String, Quantity>| -> BTreeMap<String, Amount> {
        amounts.iter().map(|(name, amount)| (name.clone(), Amount(amount.text().to_string()))).collect()
    };
    let mut changed = quota.as_ref().clone();
    changed.status = Some(ResourceQuotaStatus { hard: Some(hard), used: Some(write(&used)) });
    plan.then_do(Action::update_status(changed));
    plan
}

fn parse(amounts: &BTreeMap<String, Amount>) -> BTreeMap<String, Quantity> {
    amounts.iter().filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(&amount.0).ok()?))).collect()
}

/// Equal as amounts: `1` is `1000m`.
fn same_amounts(known: Option<&BTreeMap<String, Amount>>, wanted: &BTreeMap<String, Quantity>) -> bool {
    let known = parse(known.unwrap_or(&BTreeMap::new()));
    let nanos = |amounts: &BTreeMap<String, Quantity>| -> Vec<(String, i128)> {
        amounts.iter().map(|(name, amount)| (name.clone(), amount.nanos())).collect()
    };
    nanos(&known) == nanos(wanted)
}

#[cfg(test)]
mod tests;
