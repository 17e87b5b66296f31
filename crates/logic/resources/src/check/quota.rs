//! LimitRanges and ResourceQuotas.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::{Quantity, Value, names};

use super::spot::{Problems, Spot};
use super::trail::Trail;
use super::{amounts, over};

/// What is wrong with a ResourceQuota.
pub(crate) fn resource_quota(_context: &Context<'_>, quota: &Value) -> Vec<Problem> {
    over(quota, |quota, out| {
        for (name, amount) in quota.at("spec.hard").entries() {
            for text in names::qualified_name(name) {
                out.push(Problem::invalid(amount.path.clone(), name, text));
            }
            amounts::amount(name, &amount, out);
        }
        scopes(&quota.at("spec"), out);
        selector(&quota.at("spec"), out);
    })
}

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

/// Scopes that exclude each other.
const CONFLICTS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// What a quota counts that is not some extension's.
const STANDARD: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

fn scopes(spec: &Spot<'_>, out: &mut Problems) {
    let list = spec.at("scopes");
    for scope in list.texts() {
        if !SCOPES.contains(&scope) {
            list.invalid(out, "unsupported scope");
        }
        for _ in unscoped(spec, scope) {
            list.invalid(out, "unsupported scope applied to resource");
        }
    }
    conflicting(&list.texts().collect::<Vec<_>>(), &list, out);
}

fn conflicting(scopes: &[&str], shown: &Spot<'_>, out: &mut Problems) {
    for pair in CONFLICTS {
        if pair.iter().all(|scope| scopes.contains(scope)) {
            shown.invalid(out, "conflicting scopes");
        }
    }
}

/// What the quota limits although `scope` says nothing of it.
fn unscoped<'a>(spec: &Spot<'a>, scope: &str) -> Vec<&'a str> {
    let names = spec.at("hard").entries().map(|(name, _)| name);
    let standard = |name: &&str| STANDARD.contains(name) || name.starts_with("hugepages-");
    names.filter(standard).filter(|name| !counts(scope, name.strip_prefix("requests.").unwrap_or(name), name)).collect()
}

fn counts(scope: &str, requested: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        scope if SCOPES.contains(&scope) => {
            name == "pods" || matches!(requested.strip_prefix("limits.").unwrap_or(requested), "cpu" | "memory")
        }
        _ => true,
    }
}

fn selector(spec: &Spot<'_>, out: &mut Problems) {
    let whole = spec.at("scopeSelector");
    let path = whole.path.field("matchExpressions");
    let mut seen = Vec::new();
    for requirement in whole.at("matchExpressions").items() {
        let (scope, operator, values) =
            (requirement.at("scopeName").text(), requirement.at("operator").text(), requirement.at("values"));
        if !SCOPES.contains(&scope) {
            out.push(Problem::invalid(path.field("scopeName"), scope, "unsupported scope"));
        }
        for _ in unscoped(spec, scope) {
            out.push(Problem::invalid(path.clone(), whole.shown(), "unsupported scope applied to resource"));
        }
        let exists_only = SCOPES.contains(&scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass");
        if exists_only && operator != "Exists" {
            let detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                          ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                          ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            out.push(Problem::invalid(path.field("operator"), operator, detail));
        }
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                out.push(Problem::required(path.field("values"), detail));
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                out.push(Problem::invalid(path.field("values"), values.shown(), detail));
            }
            "Exists" | "DoesNotExist" => {}
            _ => out.push(Problem::invalid(path.field("operator"), operator, "not a valid selector operator")),
        }
        seen.push(scope);
    }
    conflicting(&seen, &spec.at("scopes").moved(path), out);
}

/// What is wrong with a changed ResourceQuota.
pub(crate) fn resource_quota_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = resource_quota(context, new);
    let (scopes, before) = (Spot::root(new).at("spec.scopes"), Spot::root(old).at("spec.scopes"));
    if scopes.differs(&before) {
        scopes.invalid(&mut out, "field is immutable");
    }
    out
}

/// What is wrong with a LimitRange.
pub(crate) fn limit_range(_context: &Context<'_>, range: &Value) -> Vec<Problem> {
    over(range, |range, out| {
        let mut kinds = BTreeSet::new();
        for limit in range.at("spec.limits").items() {
            let kind = limit.at("type");
            kind.or_empty().qualified(out);
            if !kinds.insert(kind.text()) {
                kind.duplicate(out);
            }
            if kind.text() == "Pod" {
                for field in ["default", "defaultRequest"] {
                    if !limit.at(field).is_empty() {
                        limit.at(field).forbidden(out, "may not be specified when `type` is 'Pod'");
                    }
                }
            }
            ordered(&limit, out);
        }
    })
}

/// One rule of an order: whose values are less or equal, whose are more, which of the two is shown, and where.
type Order = (&'static str, &'static str, &'static str, &'static str);

/// The least is no more than the defaults, and these no more than the most.
const ORDER: [Order; 6] = [
    ("min", "max", "min", "min"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest"),
    ("min", "default", "min", "default"),
    ("default", "max", "max", "default"),
];

fn ordered(limit: &Spot<'_>, out: &mut Problems) {
    let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let names: BTreeSet<&str> =
        fields.iter().flat_map(|field| limit.at(field).entries().map(|(name, _)| name).collect::<Vec<_>>()).collect();
    for name in names {
        let amount = |field: &str| {
            let ignored = limit.at("type").text() == "Pod" && field.starts_with("default");
            let list = limit.at(field).value.filter(|_| !ignored);
            list.and_then(|list| list.get(name)).and_then(crate::tree::quantity)
        };
        for (less, more, shown, at) in ORDER {
            let (Some(low), Some(high), Some(value)) = (amount(less), amount(more), amount(shown)) else { continue };
            if low > high {
                let (low_words, high_words) = (words(less, more), words(more, less));
                let detail = format!("{low_words} value {low} is greater than {high_words} value {high}");
                out.push(Problem::invalid(limit.at(at).path.key(name), value.text(), detail));
            }
        }
        if let Some(ratio) = amount("maxLimitRequestRatio") {
            let bounds = amount("min").zip(amount("max"));
            check_ratio(&limit.at("maxLimitRequestRatio").path.key(name), &ratio, bounds, out);
        }
    }
}

fn words(field: &str, other: &str) -> &'static str {
    match field {
        "min" => "min",
        "max" => "max",
        "defaultRequest" => "default request",
        _ if other == "defaultRequest" => "default limit",
        _ => "default",
    }
}

/// How far a limit may be from its request: never less than once, and no more than the bounds are from each other.
fn check_ratio(path: &Trail<'_>, ratio: &Quantity, bounds: Option<(Quantity, Quantity)>, out: &mut Problems) {
    const WHOLE: f64 = 1e9;
    let number = |amount: &Quantity| amount.nanos() as f64 / WHOLE;
    if number(ratio) < 1.0 {
        out.push(Problem::invalid(path, ratio.text(), format!("ratio {ratio} is less than 1")));
    }
    let Some((least, most)) = bounds else { return };
    let limit = number(&most) / number(&least);
    if number(ratio) > limit {
        let shown = match limit {
            limit if limit.is_infinite() => if limit > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            limit => format!("{limit:.6}"),
        };
        let detail = format!("ratio {ratio} is greater than max/min = {shown}");
        out.push(Problem::invalid(path, ratio.text(), detail));
    }
}
