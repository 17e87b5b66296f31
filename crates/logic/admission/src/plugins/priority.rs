//! Priority: a pod's priority is its class's, and one class at most is everybody's.

use std::sync::Arc;

use kind::{Operation, Refusal};
use object::Value;

use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

pub(super) fn mutate(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !request.is_whole("", "pods") {
        return Ok(());
    }
    match (request.operation, request.old) {
        (Operation::Create, _) => resolve(request, facts, pod),
        (Operation::Update, Some(old)) => {
            // Clients of old versions leave out what they do not know.
            for field in ["priority", "preemptionPolicy"] {
                if let Some(value) = old.at(&["spec", field]).filter(|_| !tree::is_set(pod, &["spec", field])) {
                    pod.set(&["spec", field], value.clone());
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn resolve(request: &Request<'_>, facts: &dyn Facts, pod: &mut Value) -> Result<(), Refusal> {
    let name = tree::text(pod, &["spec", "priorityClassName"]);
    let class = if name.is_empty() {
        default_class(facts)
    } else {
        let found = facts.get(Fact::PriorityClass, "", name);
        let text = || format!("no PriorityClass with name {name} was found");
        Some(found.ok_or_else(|| request.forbidden(Some(pod), text()))?)
    };
    let class = class.as_deref();
    let value = class.and_then(|class| class.int_at(&["value"])).unwrap_or(0);
    let policy = match class {
        Some(class) => class.str_at(&["preemptionPolicy"]),
        None => Some("PreemptLowerPriority"),
    };
    if let Some(given) = pod.int_at(&["spec", "priority"]).filter(|given| *given != value) {
        let text = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed \
             {value} from the given PriorityClass name"
        );
        return Err(request.forbidden(Some(pod), text));
    }
    if let (Some(given), Some(policy)) = (pod.str_at(&["spec", "preemptionPolicy"]), policy)
        && given != policy
    {
        let text = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller \
             computed {policy} from the given PriorityClass name"
        );
        return Err(request.forbidden(Some(pod), text));
    }
    if let Some(class) = class {
        pod.set(&["spec", "priorityClassName"], tree::text(class, &["metadata", "name"]));
    }
    pod.set(&["spec", "priority"], value);
    if let Some(policy) = policy {
        pod.set(&["spec", "preemptionPolicy"], policy);
    }
    Ok(())
}

/// The class of pods that name none: of several, the one of least value.
fn default_class(facts: &dyn Facts) -> Option<Arc<Value>> {
    let classes = facts.list(Fact::PriorityClass, "").into_iter();
    classes.filter(|class| is_default(class)).min_by_key(|class| class.int_at(&["value"]).unwrap_or(0))
}

fn is_default(class: &Value) -> bool {
    tree::flag(class, &["globalDefault"]).unwrap_or(false)
}

pub(super) fn validate(
    request: &Request<'_>,
    facts: &dyn Facts,
    class: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !request.is_whole("scheduling.k8s.io", "priorityclasses") || !is_default(class) {
        return Ok(());
    }
    let Some(held) = default_class(facts) else { return Ok(()) };
    let name = |class| tree::text(class, &["metadata", "name"]);
    if request.operation == Operation::Create || name(&held) != name(class) {
        let text = format!("PriorityClass {} is already marked as default. Only one default can exist", name(&held));
        return Err(request.forbidden(Some(class), text));
    }
    Ok(())
}
