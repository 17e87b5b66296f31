//! Budgets and aggregated roles.

use lifecycle::{disruption, roles};
use plan::Key;
use typed::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use typed::api::core::v1::{Pod, ReplicationController};
use typed::api::policy::v1::PodDisruptionBudget;
use typed::api::rbac::v1::ClusterRole;
use workqueue::Controller;

use crate::controller::{Site, Wakes as _};

pub(super) fn disruption(site: &Site<'_>) -> Controller {
    let (budgets, pods) = (site.informers.of::<PodDisruptionBudget>(), site.informers.of::<Pod>());
    let (deployments, sets) = (site.informers.of::<Deployment>(), site.informers.of::<ReplicaSet>());
    let (controllers, stateful) = (site.informers.of::<ReplicationController>(), site.informers.of::<StatefulSet>());
    let (own, of_pod, by_pod) = (budgets.clone(), budgets.clone(), pods.clone());
    site.controller(move |key, moment| {
        let scales = disruption::BuiltIn {
            deployments: &*deployments,
            replica_sets: &*sets,
            controllers: &*controllers,
            stateful_sets: &*stateful,
        };
        disruption::plan(key, &*budgets, &*pods, &scales, moment.now)
    })
    .on_own(&own)
    .on(&by_pod, move |changed| disruption::budgets_to_wake(changed.old.as_deref(), changed.new.as_deref(), &*of_pod))
}

pub(super) fn aggregated_roles(site: &Site<'_>) -> Controller {
    let roles = site.informers.of::<ClusterRole>();
    let (own, all) = (roles.clone(), roles.clone());
    site.controller(move |key, _moment| roles::plan(key, &*roles)).on(&own, move |_changed| {
        // Which roles select it is soon asked: few have a rule.
        let aggregated = all.all().into_iter().filter(|role| role.aggregation_rule.is_some());
        aggregated.map(|role| Key::of(role.as_ref())).collect::<Vec<Key>>()
    })
}
