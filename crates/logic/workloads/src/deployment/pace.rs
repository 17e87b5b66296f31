//! How many pods may come and go at once.

use std::sync::Arc;

use plan::{Rounding, meta, percent_or_count};
use typed::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};

use super::family::{self, Family, available, size};

type Sizes = Vec<(Arc<ReplicaSet>, i32)>;

pub(super) fn is_rolling(spec: &DeploymentSpec) -> bool {
    spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) != Some("Recreate")
}

/// `(surge, unavailable)` in pods. They are never both zero, or nothing could ever move.
fn fences(spec: &DeploymentSpec) -> (i32, i32) {
    let total = spec.replicas.unwrap_or(1);
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let count = |value: Option<&typed::intstr::IntOrString>, rounding, default: i32| match value {
        Some(value) => percent_or_count(value, total, rounding).unwrap_or_default(),
        None => default,
    };
    let surge = count(rolling.and_then(|r| r.max_surge.as_ref()), Rounding::Up, (total + 3) / 4);
    let unavailable = count(rolling.and_then(|r| r.max_unavailable.as_ref()), Rounding::Down, total / 4);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// How many pods more than wished may exist during a rollout.
pub(super) fn max_surge(spec: &DeploymentSpec) -> i32 {
    if is_rolling(spec) { fences(spec).0 } else { 0 }
}

/// How many pods fewer than wished may be available during a rollout.
pub(super) fn max_unavailable(spec: &DeploymentSpec) -> i32 {
    let total = spec.replicas.unwrap_or(1);
    if !is_rolling(spec) || total == 0 { 0 } else { fences(spec).1.min(total) }
}

/// How many pods the new ReplicaSet may have in addition to its `size`.
pub(super) fn room_for_new(spec: &DeploymentSpec, family: &Family, size: i32) -> i32 {
    let wanted = spec.replicas.unwrap_or(1);
    let room = wanted + max_surge(spec) - family.total_size();
    room.min(wanted - size).max(0)
}

/// The next sizes of old ReplicaSets: first pods that are not available anyway, then as many more as availability allows.
pub(super) fn shrink_old(spec: &DeploymentSpec, family: &Family) -> Sizes {
    let min_available = spec.replicas.unwrap_or(1) - max_unavailable(spec);
    let new_unavailable = family.new.as_ref().map_or(0, |new| size(new) - available(new));
    let mut may_go = family.total_size() - min_available - new_unavailable;
    let mut sizes: Sizes = family.old.iter().filter(|set| size(set) > 0).map(|set| (set.clone(), size(set))).collect();
    if may_go <= 0 {
        return Vec::new();
    }
    for (set, left) in &mut sizes {
        let gone = (*left - available(set)).clamp(0, may_go);
        *left -= gone;
        may_go -= gone;
    }
    let mut healthy_may_go = family.total_available() - min_available;
    for (_, left) in &mut sizes {
        let gone = (*left).min(healthy_may_go).max(0);
        *left -= gone;
        healthy_may_go -= gone;
    }
    sizes.retain(|(set, left)| size(set) != *left);
    sizes
}

/// The sizes of all ReplicaSets after `spec.replicas` changed in the middle of things: each keeps its share.
pub(super) fn rescale(deployment: &Deployment, family: &Family) -> Sizes {
    let spec = deployment.spec.clone().unwrap_or_default();
    let wanted = spec.replicas.unwrap_or(1);
    if let Some(only) = active_or_latest(family) {
        // Even at the right size: the annotation that says for which size may be out of date.
        return vec![(only, wanted)];
    }
    if family.new.as_ref().is_some_and(|new| is_saturated(new, wanted)) {
        return family.old.iter().filter(|set| size(set) > 0).map(|set| (set.clone(), 0)).collect();
    }
    if is_rolling(&spec) { proportional(deployment, &spec, family) } else { Vec::new() }
}

/// The one ReplicaSet to scale if there is no choice: the only active one, or the latest if none is.
fn active_or_latest(family: &Family) -> Option<Arc<ReplicaSet>> {
    let active: Vec<_> = family.all().filter(|set| size(set) > 0).collect();
    match active.as_slice() {
        [] => family.new.clone().or_else(|| family.old.last().cloned()),
        [only] => Some((*only).clone()),
        _ => None,
    }
}

fn is_saturated(new: &ReplicaSet, wanted: i32) -> bool {
    size(new) == wanted && family::number(new, family::DESIRED) == Some(wanted) && available(new) == wanted
}

fn proportional(deployment: &Deployment, spec: &DeploymentSpec, family: &Family) -> Sizes {
    let wanted = spec.replicas.unwrap_or(1);
    let allowed = if wanted > 0 { wanted + max_surge(spec) } else { 0 };
    let to_add = allowed - family.total_size();
    let mut sets: Vec<_> = family.all().filter(|set| size(set) > 0).cloned().collect();
    let age = |set: &Arc<ReplicaSet>| (meta::created(&set.metadata), meta::name(&set.metadata).to_owned());
    // Growth favours large and new ReplicaSets, shrinking favours large and old ones.
    match to_add {
        1.. => sets.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| age(b).cmp(&age(a)))),
        _ => sets.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| age(a).cmp(&age(b)))),
    }
    let mut added = 0;
    let mut sizes: Sizes = Vec::with_capacity(sets.len());
    for set in sets {
        let share = share(&set, deployment, wanted + max_surge(spec));
        let left = to_add - added;
        let step = if to_add > 0 { share.min(left) } else { share.max(left) };
        let step = if to_add == 0 || left == 0 { 0 } else { step };
        added += step;
        sizes.push((set.clone(), size(&set) + step));
    }
    if let Some((_, first)) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    sizes
}

/// By how many pods a ReplicaSet changes so that its part of the whole stays what it was.
fn share(set: &ReplicaSet, deployment: &Deployment, max_now: i32) -> i32 {
    let (base, wanted) = (size(set), deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1));
    if wanted == 0 {
        return -base;
    }
    let recorded = family::number(set, family::MAX).filter(|max| *max != 0);
    let status = deployment.status.as_ref().and_then(|status| status.replicas);
    let Some(max_before) = recorded.or(status).filter(|max| *max > 0) else { return 0 };
    let doubled = 2 * i64::from(base) * i64::from(max_now);
    let rounded = (doubled + i64::from(max_before)).div_euclid(2 * i64::from(max_before));
    i32::try_from(rounded).unwrap_or(i32::MAX) - base
}
