//! Workloads: what runs, how many of it, and what becomes of it when it has ended.

use plan::Key;
use typed::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use typed::api::batch::v1::{CronJob, Job};
use typed::api::core::v1::{Node, PersistentVolumeClaim, Pod, ReplicationController};
use workloads::{cronjob, daemon, deployment, job, replicas, stateful, ttl, wake};
use workqueue::Controller;

use crate::controller::{Site, Wakes as _, metas};

pub(super) fn replica_sets(site: &Site<'_>) -> Controller {
    let (sets, pods) = (site.informers.of::<ReplicaSet>(), site.informers.of::<Pod>());
    let (own, of_pod) = (sets.clone(), sets.clone());
    let by = pods.clone();
    site.controller(move |key, moment| {
        let world = replicas::World { sets: &*sets, pods: &*pods, refusal: moment.refusal };
        replicas::plan_replica_set(key, &world, moment.now)
    })
    .workers(5)
    .on_own(&own)
    .on(&by, move |changed| wake::replicators::<ReplicaSet>(metas(changed), &*of_pod))
}

pub(super) fn replication_controllers(site: &Site<'_>) -> Controller {
    let (sets, pods) = (site.informers.of::<ReplicationController>(), site.informers.of::<Pod>());
    let (own, of_pod) = (sets.clone(), sets.clone());
    let by = pods.clone();
    site.controller(move |key, moment| {
        let world = replicas::World { sets: &*sets, pods: &*pods, refusal: moment.refusal };
        replicas::plan_replication_controller(key, &world, moment.now)
    })
    .workers(5)
    .on_own(&own)
    .on(&by, move |changed| wake::replicators::<ReplicationController>(metas(changed), &*of_pod))
}

pub(super) fn deployments(site: &Site<'_>) -> Controller {
    let (all, sets, pods) =
        (site.informers.of::<Deployment>(), site.informers.of::<ReplicaSet>(), site.informers.of::<Pod>());
    let (own, of_set) = (all.clone(), all.clone());
    let (by_set, of_pod, by_pod) = (sets.clone(), sets.clone(), pods.clone());
    site.controller(move |key, moment| {
        let refusal = moment.refusal;
        let world = deployment::World { deployments: &*all, replica_sets: &*sets, pods: &*pods, refusal };
        deployment::plan(key, &world, moment.now)
    })
    .workers(5)
    .on_own(&own)
    .on(&by_set, move |changed| wake::deployments(metas(changed), &*of_set))
    .on(&by_pod, move |changed| {
        let gone = changed.old.as_ref().filter(|_| changed.new.is_none());
        gone.and_then(|pod| wake::deployment_of_gone_pod(pod, &*of_pod))
    })
}

pub(super) fn stateful_sets(site: &Site<'_>) -> Controller {
    let (sets, revisions) = (site.informers.of::<StatefulSet>(), site.informers.of::<ControllerRevision>());
    let (pods, claims) = (site.informers.of::<Pod>(), site.informers.of::<PersistentVolumeClaim>());
    let (own, of_pod, of_revision) = (sets.clone(), sets.clone(), sets.clone());
    let (by_pod, by_revision) = (pods.clone(), revisions.clone());
    site.controller(move |key, moment| {
        let world = stateful::World {
            sets: &*sets,
            revisions: &*revisions,
            pods: &*pods,
            claims: &*claims,
            max_unavailable_enabled: true,
        };
        stateful::plan(key, &world, moment.now)
    })
    .workers(5)
    .on_own(&own)
    .on(&by_pod, move |changed| wake::stateful_sets(metas(changed), &*of_pod))
    .on(&by_revision, move |changed| wake::stateful_sets(metas(changed), &*of_revision))
}

pub(super) fn daemon_sets(site: &Site<'_>) -> Controller {
    let (sets, revisions) = (site.informers.of::<DaemonSet>(), site.informers.of::<ControllerRevision>());
    let (pods, nodes) = (site.informers.of::<Pod>(), site.informers.of::<Node>());
    let (own, of_pod, of_revision, of_node) = (sets.clone(), sets.clone(), sets.clone(), sets.clone());
    let (by_pod, by_revision, by_node) = (pods.clone(), revisions.clone(), nodes.clone());
    site.controller(move |key, moment| {
        let world = daemon::World { sets: &*sets, revisions: &*revisions, pods: &*pods, nodes: &*nodes };
        daemon::plan(key, &world, moment.now)
    })
    .workers(2)
    .on_own(&own)
    .on(&by_pod, move |changed| wake::daemon_sets(metas(changed), &*of_pod))
    .on(&by_revision, move |changed| wake::daemon_sets(metas(changed), &*of_revision))
    .on(&by_node, move |changed| wake::daemon_sets_of_node(changed.old.as_deref(), changed.new.as_deref(), &*of_node))
}

pub(super) fn jobs(site: &Site<'_>) -> Controller {
    let (jobs, pods) = (site.informers.of::<Job>(), site.informers.of::<Pod>());
    let (own, of_pod, by_pod) = (jobs.clone(), jobs.clone(), pods.clone());
    site.controller(move |key, moment| {
        job::plan(key, &job::World { jobs: &*jobs, pods: &*pods, refusal: moment.refusal }, moment.now)
    })
    .workers(5)
    .on_own(&own)
    .on(&by_pod, move |changed| wake::jobs(metas(changed), &*of_pod))
}

/// The second half of the job controller: pods whose job is gone give back their finalizer.
pub(super) fn orphans_of_jobs(site: &Site<'_>) -> Controller {
    let (jobs, pods) = (site.informers.of::<Job>(), site.informers.of::<Pod>());
    let (of_pod, by_pod) = (jobs.clone(), pods.clone());
    let (of_job, by_job) = (pods.clone(), jobs.clone());
    site.controller(move |key, _moment| {
        job::plan_orphan(key, &job::World { jobs: &*jobs, pods: &*pods, refusal: None })
    })
    .on(&by_pod, move |changed| {
        let tracked = changed.new.as_ref().filter(|pod| wake::is_tracked_orphan(pod, &*of_pod));
        tracked.map(|pod| Key::of(pod.as_ref()))
    })
    .on(&by_job, move |changed| {
        let gone = changed.old.as_ref().filter(|_| changed.new.is_none());
        let uid = gone.and_then(|job| job.metadata.uid.clone());
        let left = uid.map(|uid| of_job.by(plan::Index::Controller, &uid)).unwrap_or_default();
        left.iter().map(|pod| Key::of(pod.as_ref())).collect::<Vec<Key>>()
    })
}

pub(super) fn cron_jobs(site: &Site<'_>) -> Controller {
    let (cron_jobs, jobs) = (site.informers.of::<CronJob>(), site.informers.of::<Job>());
    let (own, by_job) = (cron_jobs.clone(), jobs.clone());
    site.controller(move |key, moment| {
        cronjob::plan(key, &cronjob::World { cron_jobs: &*cron_jobs, jobs: &*jobs }, moment.now)
    })
    .workers(5)
    .on_own(&own)
    .on(&by_job, |changed| changed.latest().and_then(|job| wake::cron_job(job)))
}

pub(super) fn ended_jobs(site: &Site<'_>) -> Controller {
    let jobs = site.informers.of::<Job>();
    let own = jobs.clone();
    site.controller(move |key, moment| ttl::plan(key, &*jobs, moment.now)).workers(5).on_own(&own)
}
