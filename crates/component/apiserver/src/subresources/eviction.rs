//! `eviction`: a deletion that disruption budgets may refuse.

use http::{Response, StatusCode};
use jiff::Timestamp;
use kind::{Cause, GroupKind, Refusal};
use object::selector::LabelSelector;
use object::{Meta, Value, timestamp};
use registry::{DeleteOptions, Edit, Freshness, ListOptions, Preconditions, Selection};
use serving::Body;

use super::Asked;
use crate::routes::Routes;

/// The older version has the same shape; clients up to 1.21 send it, and it is accepted for good.
const EVICTIONS: [(&str, &str); 2] = [("policy/v1", "Eviction"), ("policy/v1beta1", "Eviction")];
/// How long clients should wait before they try a refused eviction again.
const RETRY_SECONDS: u32 = 10;
/// Most pods that a budget remembers as being disrupted.
const DISRUPTED_PODS_MAX: usize = 2_000;

pub(super) async fn evict(asked: &Asked<'_>, routes: &Routes, body: Body) -> Result<Response<Body>, Refusal> {
    let eviction = super::read(asked.by, body, &EVICTIONS).await?;
    let (namespace, name) = asked.address();
    let cached = asked.registry.get(namespace, name, Freshness::Consistent).await?;
    let pod = asked.registry.tree(&cached)?;
    let mut options = deletion(&eviction, asked)?;
    if !is_free_to_go(&pod) {
        spend_budget(asked, routes, &pod, options.dry_run).await?;
    }
    if !options.dry_run {
        // Whoever looks at the pod's end, such as a Job's policy for failures, sees that it was not its own fault.
        let edit = Disrupt(options.preconditions.clone());
        let (told, _) =
            asked.registry.update(asked.by, asked.address(), "status", &edit, &asked.write_options()?).await?;
        if let Some(version) = &mut options.preconditions.resource_version {
            *version = Meta::of(&told).resource_version().to_owned();
        }
    }
    asked.registry.delete(asked.by, asked.address(), &options).await?;
    let mut status = Value::map();
    status.set(&["metadata"], Value::map());
    status.set(&["status"], "Success");
    status.set(&["code"], 201);
    asked.answer(&status, ("v1", "Status"), StatusCode::CREATED)
}

fn deletion(eviction: &Value, asked: &Asked<'_>) -> Result<DeleteOptions, Refusal> {
    let options = eviction.get("deleteOptions");
    let text = |keys: &[&str]| options.and_then(|options| options.str_at(keys)).map(str::to_owned);
    let dry = options.is_some_and(|options| options.list_at(&["dryRun"]).iter().any(|v| v.as_str() == Some("All")));
    Ok(DeleteOptions {
        preconditions: Preconditions {
            uid: text(&["preconditions", "uid"]),
            resource_version: text(&["preconditions", "resourceVersion"]),
        },
        grace_seconds: options.and_then(|options| options.int_at(&["gracePeriodSeconds"])),
        propagation: text(&["propagationPolicy"]),
        dry_run: dry || asked.write_options()?.dry_run,
    })
}

/// Pods that serve nobody are no disruption.
fn is_free_to_go(pod: &Value) -> bool {
    let phase = pod.str_at(&["status", "phase"]).unwrap_or_default();
    matches!(phase, "Succeeded" | "Failed" | "Pending") || Meta::of(pod).is_deleting()
}

async fn spend_budget(asked: &Asked<'_>, routes: &Routes, pod: &Value, dry_run: bool) -> Result<(), Refusal> {
    let Some(budgets) = routes.registry("policy", "poddisruptionbudgets") else { return Ok(()) };
    let selection = Selection { namespace: asked.target.namespace.clone(), ..Selection::default() };
    let page = budgets.list(&ListOptions { selection, ..ListOptions::default() }).await?;
    let mut matching = Vec::new();
    for item in &page.items {
        let budget = budgets.tree(item)?;
        if selects(&budget, pod) {
            matching.push(budget);
        }
    }
    let budget = match matching.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let text =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refusal::Internal(text.to_owned()));
        }
    };
    if unready_may_go(budget, pod) {
        return Ok(());
    }
    let edit = Spend { pod: Meta::of(pod).name().to_owned() };
    let address = (asked.target.namespace.as_str(), Meta::of(budget).name());
    let mut options = asked.write_options()?;
    options.dry_run = dry_run;
    budgets.update(asked.by, address, "status", &edit, &options).await.map(drop)
}

/// A pod that is not ready may go when the budget says so, or when the application is healthy without it.
fn unready_may_go(budget: &Value, pod: &Value) -> bool {
    let ready = pod
        .list_at(&["status", "conditions"])
        .iter()
        .any(|condition| condition.str_at(&["type"]) == Some("Ready") && condition.str_at(&["status"]) == Some("True"));
    if ready {
        return false;
    }
    let always = budget.str_at(&["spec", "unhealthyPodEvictionPolicy"]) == Some("AlwaysAllow");
    let number = |key: &str| budget.int_at(&["status", key]).unwrap_or(0);
    always || (number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0)
}

fn selects(budget: &Value, pod: &Value) -> bool {
    let selector = budget.at(&["spec", "selector"]).map(LabelSelector::from_tree);
    selector.is_some_and(|selector| selector.matches(|key| Meta::of(pod).label(key)))
}

/// Says of the pod that it is evicted.
struct Disrupt(Preconditions);

impl Edit for Disrupt {
    fn edit(&self, old: Option<&Value>, now: Timestamp) -> Result<Value, Refusal> {
        let Some(old) = old else { return Err(Refusal::Internal("a pod is evicted that is not there".to_owned())) };
        let mut pod = old.clone();
        let mut conditions = pod.list_at(&["status", "conditions"]).to_vec();
        conditions.retain(|condition| condition.str_at(&["type"]) != Some("DisruptionTarget"));
        conditions.push(Value::from_pairs([
            ("type", Value::from("DisruptionTarget")),
            ("status", Value::from("True")),
            ("reason", Value::from("EvictionByEvictionAPI")),
            ("message", Value::from("Eviction API: evicting")),
            ("lastTransitionTime", Value::from(timestamp::seconds(now))),
            ("observedGeneration", Value::from(Meta::of(old).generation())),
        ]));
        pod.set(&["status", "conditions"], conditions);
        Ok(pod)
    }

    fn is_trusted(&self) -> bool {
        true
    }

    fn preconditions(&self) -> Preconditions {
        self.0.clone()
    }
}

/// Takes one disruption from the budget, and remembers for which pod.
struct Spend {
    pod: String,
}

impl Edit for Spend {
    fn edit(&self, old: Option<&Value>, now: Timestamp) -> Result<Value, Refusal> {
        let Some(old) = old else { return Err(Refusal::Internal("a budget is spent that is not there".to_owned())) };
        let number = |keys: &[&str]| old.int_at(keys).unwrap_or(0);
        let meta = Meta::of(old);
        let refuse = |message: &str, cause: Option<String>| {
            let causes = cause
                .map(|message| Cause { reason: "DisruptionBudget".to_owned(), message, field: String::new() })
                .into_iter()
                .collect();
            Err(Refusal::TooManyRequests { message: message.to_owned(), retry_after_seconds: RETRY_SECONDS, causes })
        };
        let violates = "Cannot evict pod as it would violate the pod's disruption budget.";
        if number(&["status", "observedGeneration"]) < meta.generation() {
            let cause = format!("The disruption budget {} is still being processed by the server.", meta.name());
            return refuse(violates, Some(cause));
        }
        let allowed = number(&["status", "disruptionsAllowed"]);
        if allowed < 0 {
            return Err(Refusal::Forbidden {
                resource: GroupKind { group: "policy".into(), name: "poddisruptionbudgets".into() },
                name: meta.name().to_owned(),
                message: "pdb disruptions allowed is negative".to_owned(),
            });
        }
        let disrupted = old.at(&["status", "disruptedPods"]).and_then(Value::as_map).map_or(0, object::Map::len);
        if disrupted > DISRUPTED_PODS_MAX {
            return refuse("DisruptedPods map too big - too many evictions not confirmed by PDB controller", None);
        }
        if allowed == 0 {
            let cause = format!(
                "The disruption budget {} needs {} healthy pods and has {} currently",
                meta.name(),
                number(&["status", "desiredHealthy"]),
                number(&["status", "currentHealthy"])
            );
            return refuse(violates, Some(cause));
        }
        let mut budget = old.clone();
        budget.set(&["status", "disruptionsAllowed"], allowed - 1);
        budget.set(&["status", "disruptedPods", &self.pod], timestamp::seconds(now));
        Ok(budget)
    }
}
