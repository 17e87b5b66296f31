//! Budgets and aggregated roles.

use informer::Informers;
use lifecycle::{disruption, roles};
use plan::Key;
use typed::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use typed::api::core::v1::{Pod, ReplicationController};
use typed::api::policy::v1::PodDisruptionBudget;
use typed::api::rbac::v1::ClusterRole;

use crate::controller::Controller;

pub(super) fn disruption(informers: &Informers) -> Controller {
    let (budgets, pods) = (informers.of::<PodDisruptionBudget>(), informers.of::<Pod>());
    let (deployments, sets) = (informers.of::<Deployment>(), informers.of::<ReplicaSet>());
    let (controllers, stateful) = (informers.of::<ReplicationController>(), informers.of::<StatefulSet>());
    let (own, of_pod, by_pod) = (budgets.clone(), budgets.clone(), pods.clone());
    Controller::new("disruption-controller", move |key, moment| {
        let scales = disruption::BuiltIn {
            deployments: &*deployments,
            replica_sets: &*sets,
            controllers: &*controllers,
            stateful_sets: &*stateful,
        };
        disruption::plan(key, &*budgets, &*pods, &scales, moment.now)
    })
    .on_own(&own)
    .on(&by_pod, move |changed| {
        disruption::budgets_to_wake(changed.old.as_deref(), changed.new.as_deref(), &*of_pod)
    })
}

pub(super) fn aggregated_roles(informers: &Informers) -> Controller {
    let roles = informers.of::<ClusterRole>();
    let (own, all) = (roles.clone(), roles.clone());
    Controller::new("clusterrole-aggregation-controller", move |key, _moment| roles::plan(key, &*roles)).on(
        &own,
        move |_changed| {
            // Which roles select it is soon asked: few have a rule.
            let aggregated = all.all().into_iter().filter(|role| role.aggregation_rule.is_some());
            aggregated.map(|role| Key::of(role.as_ref())).collect::<Vec<Key>>()
        },
    )
}
