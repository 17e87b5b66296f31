//! LimitRanges and ResourceQuotas.

use object::{Meta, MetaMut, Text, Value};

use crate::promises::Promises;
use crate::tree::{at, each, ensure, round_quantities, within};

/// A LimitRange.
pub(crate) const LIMIT_RANGE: Promises = Promises {
    default: |range| at(range, &["spec"], |spec| each(spec, "limits", default_item)),
    create: |_, range| {
        // A range without a name gets one that nobody has: its own UID's.
        if Meta::of(range).name().is_empty() {
            let name = Meta::of(range).uid().to_owned();
            MetaMut::of(range).set("name", name);
        }
    },
    check_create: crate::check::quota::limit_range,
    check_update: |context, new, _| crate::check::quota::limit_range(context, new),
    columns: crate::print::core::CREATED_AT,
    cells: crate::print::core::created_at,
    ..Promises::DATA.created_on_update()
};

/// A ResourceQuota.
pub(crate) const RESOURCE_QUOTA: Promises = Promises {
    default: |quota| {
        within(quota, "spec", |spec| round_quantities(spec, "hard"));
        within(quota, "status", |status| {
            round_quantities(status, "hard");
            round_quantities(status, "used");
        });
    },
    check_create: crate::check::quota::resource_quota,
    check_update: crate::check::quota::resource_quota_update,
    warn: crate::check::warnings::resource_quota,
    columns: crate::print::core::RESOURCE_QUOTA,
    cells: crate::print::core::resource_quota,
    ..Promises::STATUS
};

/// A container's limit defaults to the most it may have, its request to its limit, then to the least.
fn default_item(item: &mut Value) {
    for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        round_quantities(item, list);
    }
    if item.str_at(&["type"]) != Some("Container") {
        return;
    }
    fill(item, "default", "max");
    fill(item, "defaultRequest", "default");
    fill(item, "defaultRequest", "min");
}

fn fill(item: &mut Value, target: &str, source: &str) {
    let held = item.get(target).and_then(Value::as_map);
    let pairs = item.get(source).and_then(Value::as_map).into_iter().flat_map(object::Map::iter);
    let missing: Vec<(Text, Value)> = pairs
        .filter(|(key, _)| held.is_none_or(|held| !held.contains(key)))
        .map(|(key, amount)| (key.into(), amount.clone()))
        .collect();
    if missing.is_empty() {
        return;
    }
    ensure(item, target);
    if let Some(map) = item.get_mut(target).and_then(Value::as_map_mut) {
        map.extend(missing);
    }
}
