//! A resize of a pod: CPU and memory may become more or less, and nothing else may change (KEP-1287).

use kind::Problem;
use object::{Map, Path, Value};

use super::pod;
use super::spot::{Problems, Spot};
use crate::tree::{blank, empty, quantity};

/// What can be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];
const AMOUNTS: [&str; 2] = ["requests", "limits"];
const LISTS: [&str; 2] = ["initContainers", "containers"];

/// What is wrong with the resize of `old` to `new`.
pub(crate) fn resize(new: &Value, old: &Value, out: &mut Problems) {
    if let Some(whole) = refusal(old) {
        out.push(Problem::forbidden(Path::root(), whole));
        return;
    }
    let (spec, before) = (Spot::root(new).at("spec"), Spot::root(old).at("spec"));
    pod::whole(&spec, out);
    let quality = crate::core::podlevel::quality(new.get("spec").unwrap_or(&Value::Null));
    let was = old.str_at(&["status", "qosClass"]).filter(|class| !class.is_empty());
    if was.is_some_and(|was| was != quality) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        out.push(Problem::invalid(spec.path.clone(), was.unwrap_or_default(), detail));
    }
    if !is_supported(old) {
        spec.forbidden(out, "Pod running on node without support for resize");
    }
    as_a_whole(&spec, &before, out);
    if !empty(old.at(&["status", "nodeAllocatableResourceClaimStatuses"])) {
        spec.forbidden(out, "pods with node allocatable resource claims cannot be resized");
    }
    if !are_the_same(&spec, &before, out) {
        return;
    }
    for list in LISTS {
        for (container, known) in spec.at(list).items().zip(before.at(list).items()) {
            removed(&container.at("resources"), &known.at("resources"), ["resource requests", "resource limits"], out);
        }
    }
    containers(&spec, &before, out);
    if out.is_empty() && masked(new, old) != plain(old) {
        spec.forbidden(out, "only cpu and memory resources are mutable");
    }
}

/// Why a pod cannot be resized whatever is asked.
fn refusal(old: &Value) -> Option<&'static str> {
    if old.at(&["metadata", "annotations", "kubernetes.io/config.mirror"]).is_some() {
        return Some("static pods cannot be resized");
    }
    (old.str_at(&["spec", "os", "name"]) == Some("windows")).then_some("windows pods cannot be resized")
}

/// A kubelet that can resize reports the resources of what it runs.
fn is_supported(old: &Value) -> bool {
    let mut running = old.list_at(&["status", "containerStatuses"]).iter();
    let first = running.find(|status| !blank(status.at(&["state", "running"])));
    first.is_none_or(|status| status.get("resources").is_some_and(|resources| !resources.is_null()))
}

/// The resources of the pod as a whole.
fn as_a_whole(spec: &Spot<'_>, before: &Spot<'_>, out: &mut Problems) {
    let (now, then) = (spec.at("resources"), before.at("resources"));
    let any = |it: &Spot<'_>| AMOUNTS.iter().any(|amounts| !it.at(amounts).is_empty());
    if !any(&now) && !any(&then) {
        return;
    }
    if then.is_set() && !now.is_set() {
        now.forbidden(out, "pod-level resources cannot be removed");
        return;
    }
    removed(&now, &then, ["pod-level resource requests", "pod-level resource limits"], out);
    if kept(now.value, then.value) != kept(then.value, then.value) {
        spec.forbidden(out, "only cpu and memory resources are mutable at pod-level");
    }
}

/// Whether the containers are the same ones in the same order.
fn are_the_same(spec: &Spot<'_>, before: &Spot<'_>, out: &mut Problems) -> bool {
    let count = out.len();
    for list in ["containers", "initContainers"] {
        let (now, then) = (spec.at(list), before.at(list));
        if now.len() != then.len() {
            now.forbidden(out, format!("{list} may not be added or removed on resize"));
            continue;
        }
        for (container, known) in now.items().zip(then.items()) {
            if container.at("name").text() != known.at("name").text() {
                container.at("name").forbidden(out, format!("{list} may not be renamed or reordered on resize"));
            }
        }
    }
    out.len() == count
}

/// Amounts can be changed, not taken back.
fn removed(now: &Spot<'_>, then: &Spot<'_>, names: [&str; 2], out: &mut Problems) {
    for (amounts, name) in AMOUNTS.into_iter().zip(names) {
        let (now, then) = (now.at(amounts), then.at(amounts));
        if then.entries().any(|(key, _)| now.value.is_none_or(|now| now.get(key).is_none())) {
            now.forbidden(out, format!("{name} cannot be removed"));
        }
    }
}

fn containers(spec: &Spot<'_>, before: &Spot<'_>, out: &mut Problems) {
    let same = |container: &Spot<'_>, known: &Spot<'_>| {
        let value = |spot: &Spot<'_>| spot.value.cloned().unwrap_or_default();
        let (container, known) = (value(container), value(known));
        masked_container(&container, &known) == masked_container(&known, &known)
    };
    for (container, known) in spec.at("containers").items().zip(before.at("containers").items()) {
        if !same(&container, &known) {
            spec.forbidden(out, "only cpu and memory resources are mutable");
        }
    }
    for (container, known) in spec.at("initContainers").items().zip(before.at("initContainers").items()) {
        if !same(&container, &known) {
            container.forbidden(out, "only cpu and memory resources for init or sidecar containers are mutable");
        }
        let restarts =
            container.at("resizePolicy").items().any(|policy| policy.at("restartPolicy").text() == "RestartContainer");
        if container.value != known.value && container.at("restartPolicy").text() != "Always" && restarts {
            let detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
            container.forbidden(out, detail);
        }
    }
}

/// The specification of `new` with everything put back that a resize may change.
fn masked(new: &Value, old: &Value) -> Value {
    let mut spec = new.get("spec").cloned().unwrap_or_default();
    let before = old.get("spec").cloned().unwrap_or_default();
    for list in LISTS {
        let Some(Value::List(containers)) = spec.get_mut(list) else { continue };
        for (container, known) in containers.iter_mut().zip(before.list_at(&[list])) {
            *container = masked_container(container, known);
        }
    }
    put_kept(&mut spec, &before);
    spec
}

/// The same of `old` itself, so that both are written alike.
fn plain(old: &Value) -> Value {
    masked(old, old)
}

fn masked_container(container: &Value, known: &Value) -> Value {
    let mut container = container.clone();
    put_kept(&mut container, known);
    container
}

/// Replaces the resources of `holder` by those that a resize leaves; none at all are left out.
fn put_kept(holder: &mut Value, known: &Value) {
    match kept(holder.get("resources"), known.get("resources")) {
        Some(resources) => holder.set(&["resources"], resources),
        None => drop(holder.remove(&["resources"])),
    }
}

/// What stays of the resources `now` when CPU and memory are put back to `then`; `None` for nothing.
fn kept(now: Option<&Value>, then: Option<&Value>) -> Option<Value> {
    let mut resources = now.cloned().filter(|it| !it.is_null()).unwrap_or_else(|| Value::Map(Map::new()));
    for amounts in AMOUNTS {
        let before = then.and_then(|then| then.get(amounts)).and_then(Value::as_map).cloned().unwrap_or_default();
        let mut list = resources.get(amounts).and_then(Value::as_map).cloned().unwrap_or_default();
        let names: Vec<String> = list.keys().chain(before.keys()).map(str::to_owned).collect();
        for name in names {
            let (amount, known) = (list.get(&name), before.get(&name));
            // The same amount in other words is no change.
            let equal = amount.and_then(quantity).zip(known.and_then(quantity));
            if !RESIZABLE.contains(&name.as_str())
                && equal.is_none_or(|(amount, known)| amount.nanos() != known.nanos())
            {
                continue;
            }
            match known.cloned() {
                Some(known) => drop(list.insert(name.as_str(), known)),
                None => drop(list.remove(&name)),
            }
        }
        if list.is_empty() {
            resources.remove(&[amounts]);
        } else {
            resources.set(&[amounts], Value::Map(list));
        }
    }
    (!empty(Some(&resources))).then_some(resources)
}
