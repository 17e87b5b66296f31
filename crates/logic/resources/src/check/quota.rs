//! LimitRanges and ResourceQuotas.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::{Value, names};

use super::spot::{Problems, Spot};
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
        for scope in quota.at("spec.scopes").items() {
            let known = [
                "BestEffort",
                "CrossNamespacePodAffinity",
                "NotBestEffort",
                "NotTerminating",
                "PriorityClass",
                "Terminating",
                "VolumeAttributesClass",
            ];
            if !known.contains(&scope.text()) {
                let list = quota.at("spec.scopes");
                out.push(Problem::invalid(list.path.clone(), list.shown(), "unsupported scope"));
            }
        }
    })
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

/// The least is no more than the defaults, and these no more than the most.
fn ordered(limit: &Spot<'_>, out: &mut Problems) {
    const ORDER: [(&str, &str, &str, &str); 6] = [
        ("min", "max", "min", "max"),
        ("min", "defaultRequest", "min", "default request"),
        ("defaultRequest", "max", "default request", "max"),
        ("defaultRequest", "default", "default request", "default limit"),
        ("min", "default", "min", "default"),
        ("default", "max", "default", "max"),
    ];
    for (less, more, less_words, more_words) in ORDER {
        for (name, amount) in limit.at(less).entries() {
            let other = limit.at(more).value.and_then(|list| list.get(name)).and_then(crate::tree::quantity);
            let (Some(amount_here), Some(bound)) = (amount.quantity(), other) else { continue };
            if amount_here > bound {
                let detail = format!("{less_words} value {amount_here} is greater than {more_words} value {bound}");
                out.push(Problem::invalid(amount.path.clone(), amount_here.text(), detail));
            }
        }
    }
}
