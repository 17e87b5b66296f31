//! RuntimeClass: a pod carries the overhead of its runtime, and goes where the runtime is.

use std::sync::Arc;

use kind::Refusal;
use object::{Map, Value};

use crate::amounts::Amounts;
use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
const UNFOUNDED: &str = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";

fn class_of(request: &Request<'_>, facts: &dyn Facts, pod: &Value) -> Result<Option<Arc<Value>>, Refusal> {
    let Some(name) = pod.str_at(&["spec", "runtimeClassName"]) else { return Ok(None) };
    match facts.get(Fact::RuntimeClass, "", name) {
        Some(class) => Ok(Some(class)),
        None => Err(request.forbidden(Some(pod), format!("pod rejected: RuntimeClass {name:?} not found"))),
    }
}

pub(super) fn mutate(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !request.is_whole("", "pods") {
        return Ok(());
    }
    let Some(class) = class_of(request, facts, pod)? else { return Ok(()) };
    if let Some(overhead) = class.at(&["overhead", "podFixed"]).filter(|overhead| !overhead.is_null()) {
        let given = Amounts::at(pod, &["spec", "overhead"]);
        if !given.0.is_empty() && given != Amounts::at(&class, &["overhead", "podFixed"]) {
            return Err(request.forbidden(Some(pod), MISMATCH));
        }
        pod.set(&["spec", "overhead"], overhead.clone());
    }
    let selector = class.at(&["scheduling", "nodeSelector"]).and_then(Value::as_map);
    for (key, value) in selector.into_iter().flat_map(Map::iter) {
        let wanted = value.as_str().unwrap_or_default();
        match pod.str_at(&["spec", "nodeSelector", key]) {
            Some(given) if given != wanted => {
                let text = format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {given}"
                );
                return Err(request.forbidden(Some(pod), text));
            }
            _ => pod.set(&["spec", "nodeSelector", key], wanted),
        }
    }
    for toleration in class.list_at(&["scheduling", "tolerations"]) {
        if !pod.list_at(&["spec", "tolerations"]).contains(toleration) {
            tree::push(pod, &["spec", "tolerations"], toleration.clone());
        }
    }
    Ok(())
}

pub(super) fn validate(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !request.is_whole("", "pods") {
        return Ok(());
    }
    let class = class_of(request, facts, pod)?;
    let given = Amounts::at(pod, &["spec", "overhead"]);
    let defined = class.as_ref().filter(|class| tree::is_set(class, &["overhead", "podFixed"]));
    match defined {
        Some(class) if given != Amounts::at(class, &["overhead", "podFixed"]) => {
            Err(request.forbidden(Some(pod), MISMATCH))
        }
        None if !given.0.is_empty() => Err(request.forbidden(Some(pod), UNFOUNDED)),
        _ => Ok(()),
    }
}
