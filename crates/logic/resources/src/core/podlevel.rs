//! Resources of a pod as a whole: sums over containers, defaults of pod-level resources, the quality of service.
//!
//! Rules: KEP-2837 (pod-level resources), KEP-753 (sidecars), and the three classes of `status.qosClass`.

use std::collections::BTreeMap;

use object::{Quantity, Value};

use crate::tree::{empty, ensure, quantity, text, unset};

type Amounts = BTreeMap<String, Quantity>;

/// Whether a resource may be asked for by a pod as a whole.
pub(crate) fn pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || huge_pages(name)
}

/// Whether a resource is pages of one size.
pub(crate) fn huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn amounts(container: &Value, list: &str) -> Amounts {
    let map = container.at(&["resources", list]).and_then(Value::as_map);
    let pairs = map.into_iter().flat_map(object::Map::iter);
    pairs.filter_map(|(key, amount)| Some((key.to_owned(), quantity(amount)?))).collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (key, amount) in more {
        let total = sum.get(key).map_or(*amount, |sum| sum.plus(amount));
        sum.insert(key.clone(), total);
    }
}

fn raise(sum: &mut Amounts, other: &Amounts) {
    for (key, amount) in other {
        if sum.get(key).is_none_or(|held| held < amount) {
            sum.insert(key.clone(), *amount);
        }
    }
}

/// What all containers ask for together: init containers one after the other, sidecars on top of what follows them.
fn aggregate(spec: &Value, list: &str) -> Amounts {
    let mut total = Amounts::new();
    for container in spec.list_at(&["containers"]) {
        add(&mut total, &amounts(container, list));
    }
    let (mut sidecars, mut initial) = (Amounts::new(), Amounts::new());
    for container in spec.list_at(&["initContainers"]) {
        let mut own = amounts(container, list);
        if text(container, &["restartPolicy"]) == "Always" {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            own.clone_from(&sidecars);
        } else {
            add(&mut own, &sidecars);
        }
        raise(&mut initial, &own);
    }
    raise(&mut total, &initial);
    total
}

fn all_limited(spec: &Value, name: &str) -> bool {
    let limited = |container: &Value| container.at(&["resources", "limits", name]).is_some();
    let sidecars = spec.list_at(&["initContainers"]).iter();
    spec.list_at(&["containers"]).iter().chain(sidecars).all(limited)
}

/// Defaults of `spec.resources`, from what its containers and its other half say.
pub(crate) fn default_resources(spec: &mut Value) {
    let has = |spec: &Value, list: &str| !empty(spec.at(&["resources", list]));
    if !has(spec, "limits") && !has(spec, "requests") {
        return;
    }
    let requests = aggregate(spec, "requests");
    let limits = aggregate(spec, "limits");
    for (name, amount) in limits.iter().filter(|(name, _)| huge_pages(name)) {
        if spec.at(&["resources", "requests", name]).is_none() {
            fill(spec, "limits", name, *amount);
        }
    }
    let plain = |amounts: &Amounts| -> Vec<(String, Quantity)> {
        let wanted = amounts.iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"));
        wanted.map(|(name, amount)| (name.clone(), *amount)).collect()
    };
    if !has(spec, "limits") {
        for (name, amount) in plain(&limits) {
            if all_limited(spec, &name) {
                fill(spec, "limits", &name, amount);
            }
        }
    }
    // Limits that were filled in just now count: read again from the store, they would.
    if has(spec, "limits") {
        for (name, amount) in plain(&requests) {
            fill(spec, "requests", &name, amount);
        }
        let own = pod_amounts(spec, "limits");
        for (name, amount) in own.iter().filter(|(name, _)| pod_level(name)) {
            fill(spec, "requests", name, *amount);
        }
    }
}

fn pod_amounts(spec: &Value, list: &str) -> Amounts {
    amounts(spec, list)
}

fn fill(spec: &mut Value, list: &str, name: &str, amount: Quantity) {
    let Some(resources) = spec.get_mut("resources") else { return };
    ensure(resources, list);
    if unset(resources.at(&[list, name])) {
        resources.set(&[list, name], amount.text());
    }
}

/// The quality of service class of a pod.
pub(crate) fn quality(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut guaranteed = true;
    let mut count = |holder: &Value| {
        let compute = |(name, amount): (String, Quantity)| {
            (matches!(name.as_str(), "cpu" | "memory") && amount.sign().is_gt()).then_some((name, amount))
        };
        let asked: Amounts = amounts(holder, "requests").into_iter().filter_map(compute).collect();
        let limited: Amounts = amounts(holder, "limits").into_iter().filter_map(compute).collect();
        guaranteed &= limited.len() == 2;
        add(&mut requests, &asked);
        add(&mut limits, &limited);
    };
    let has_own = ["requests", "limits"].iter().any(|list| pod_amounts(spec, list).keys().any(|name| pod_level(name)));
    if has_own {
        count(spec);
    } else {
        let initial = spec.list_at(&["initContainers"]).iter();
        spec.list_at(&["containers"]).iter().chain(initial).for_each(&mut count);
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
