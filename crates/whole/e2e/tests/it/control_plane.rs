//! Scheduler and controllers against the real API server.

use std::sync::Arc;

use client::Propagation;
use object::Value;
use typed::Kind as _;
use typed::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use typed::api::batch::v1::{Job, JobSpec};
use typed::api::core::v1::{
    ConfigMap, Container, Namespace, Node, Pod, PodSpec, PodTemplateSpec, Service, ServiceAccount, ServicePort, ServiceSpec,
};
use typed::api::discovery::v1::EndpointSlice;
use typed::meta::{LabelSelector, ObjectMeta};

use crate::workshop::{Settings, Workshop, labels};

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

fn template(pairs: &[(&str, &str)], image: &str) -> PodTemplateSpec {
    let container = Container { name: "c".to_owned(), image: Some(image.to_owned()), ..Container::default() };
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels(pairs)), ..ObjectMeta::default() }),
        spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
    }
}

fn deployment(namespace: &str, name: &str, replicas: i32) -> Deployment {
    let selector = LabelSelector { match_labels: Some(labels(&[("app", name)])), ..LabelSelector::default() };
    Deployment {
        metadata: named(namespace, name),
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            selector,
            template: template(&[("app", name)], "img:1"),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// All replicas are there, new and available, and no others.
fn settled(all: &[Arc<Deployment>], name: &str, replicas: i32) -> bool {
    all.iter().any(|one| {
        let status = one.status.clone().unwrap_or_default();
        one.name() == name
            && status.observed_generation == one.metadata.generation
            && status.replicas.unwrap_or(0) == replicas
            && status.updated_replicas.unwrap_or(0) == replicas
            && status.available_replicas.unwrap_or(0) == replicas
    })
}

fn running(pods: &[Arc<Pod>], namespace: &str) -> usize {
    let runs = |pod: &&Arc<Pod>| {
        pod.namespace() == namespace
            && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            && pod.metadata.deletion_timestamp.is_none()
    };
    pods.iter().filter(runs).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives_its_life() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.until::<ServiceAccount>("the default account", |all| all.iter().any(|one| one.namespace() == "default")).await;
    workshop.admin.create(&deployment("default", "web", 3)).await.expect("a deployment can be made");
    workshop.until::<Pod>("three pods run", |pods| running(pods, "default") == 3).await;
    workshop.until::<Deployment>("status is rolled up", |all| settled(all, "web", 3)).await;
    workshop.patch::<Deployment>("default", "web", "", &[(&["spec", "replicas"], Value::from(5))]).await;
    workshop.until::<Deployment>("five replicas", |all| settled(all, "web", 5)).await;
    workshop.patch::<Deployment>("default", "web", "", &[(&["spec", "replicas"], Value::from(2))]).await;
    workshop.until::<Deployment>("two replicas", |all| settled(all, "web", 2)).await;
    let container = Value::from_pairs([("name", "c"), ("image", "img:2")]);
    let path: &[&str] = &["spec", "template", "spec", "containers"];
    workshop.patch::<Deployment>("default", "web", "", &[(path, Value::from(vec![container]))]).await;
    workshop.until::<Deployment>("the new image", |all| settled(all, "web", 2)).await;
    let new_image = |pods: &[Arc<Pod>]| {
        running(pods, "default") == 2
            && pods.iter().all(|pod| pod.spec.as_ref().is_some_and(|spec| spec.containers[0].image.as_deref() == Some("img:2")))
    };
    workshop.until::<Pod>("old pods are gone", new_image).await;
    workshop.until::<ReplicaSet>("two sets", |sets| sets.len() == 2).await;
    workshop.delete::<Deployment>("default", "web", Propagation::Background).await;
    workshop.until::<ReplicaSet>("no sets", <[_]>::is_empty).await;
    workshop.until::<Pod>("no pods", <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_go_first_last_or_alone() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.until::<ServiceAccount>("the default account", |all| all.iter().any(|one| one.namespace() == "default")).await;
    workshop.admin.create(&deployment("default", "front", 2)).await.expect("a deployment can be made");
    workshop.until::<Deployment>("it stands", |all| settled(all, "front", 2)).await;
    workshop.delete::<Deployment>("default", "front", Propagation::Foreground).await;
    workshop.until::<Deployment>("the owner goes", <[_]>::is_empty).await;
    let left = workshop.admin.list::<Pod>(&client::ListOptions::default()).await.expect("pods can be listed");
    assert_eq!(left.items.len(), 0, "dependents went first");
    workshop.admin.create(&deployment("default", "alone", 2)).await.expect("a deployment can be made");
    workshop.until::<Deployment>("it stands", |all| settled(all, "alone", 2)).await;
    workshop.delete::<Deployment>("default", "alone", Propagation::Orphan).await;
    workshop.until::<Deployment>("the owner goes", <[_]>::is_empty).await;
    let free = |sets: &[Arc<ReplicaSet>]| sets.len() == 1 && sets[0].metadata.owner_references.is_none();
    workshop.until::<ReplicaSet>("the set stays", free).await;
    workshop.until::<Pod>("and its pods", |pods| running(pods, "default") == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_begins_and_ends() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some("team".to_owned());
    workshop.admin.create(&namespace).await.expect("a namespace can be made");
    workshop.until::<ServiceAccount>("its account", |all| all.iter().any(|one| one.namespace() == "team")).await;
    let bundle = |map: &Arc<ConfigMap>| map.namespace() == "team" && map.name() == "kube-root-ca.crt";
    workshop.until::<ConfigMap>("its bundle", |all| all.iter().any(bundle)).await;
    workshop.admin.create(&deployment("team", "web", 2)).await.expect("a deployment can be made");
    workshop.until::<Deployment>("it stands", |all| settled(all, "web", 2)).await;
    workshop.delete::<Namespace>("", "team", Propagation::Background).await;
    workshop.until::<Namespace>("the namespace is gone", |all| all.iter().all(|one| one.name() != "team")).await;
    workshop.until::<Pod>("its pods too", |all| all.iter().all(|one| one.namespace() != "team")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_knows_its_pods() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.until::<ServiceAccount>("the default account", |all| all.iter().any(|one| one.namespace() == "default")).await;
    workshop.admin.create(&deployment("default", "web", 3)).await.expect("a deployment can be made");
    let port = ServicePort { port: 80, ..ServicePort::default() };
    let spec = ServiceSpec { selector: Some(labels(&[("app", "web")])), ports: Some(vec![port]), ..ServiceSpec::default() };
    let service = Service { metadata: named("default", "web"), spec: Some(spec), status: None };
    workshop.admin.create(&service).await.expect("a service can be made");
    let ready = |wanted: usize| {
        move |slices: &[Arc<EndpointSlice>]| {
            let mine = slices.iter().filter(|slice| {
                slice.metadata.labels.as_ref().is_some_and(|all| all.get("kubernetes.io/service-name").is_some_and(|name| name == "web"))
            });
            let ready = |one: &&typed::api::discovery::v1::Endpoint| {
                one.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true))
            };
            mine.flat_map(|slice| slice.endpoints.iter().flatten()).filter(ready).count() == wanted
        }
    };
    workshop.until::<EndpointSlice>("three endpoints", ready(3)).await;
    workshop.patch::<Deployment>("default", "web", "", &[(&["spec", "replicas"], Value::from(1))]).await;
    workshop.until::<EndpointSlice>("one endpoint", ready(1)).await;
    workshop.delete::<Service>("default", "web", Propagation::Background).await;
    workshop.until::<EndpointSlice>("none", |slices| {
        slices.iter().all(|slice| !slice.name().starts_with("web-"))
    }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_completes() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.until::<ServiceAccount>("the default account", |all| all.iter().any(|one| one.namespace() == "default")).await;
    let mut pods = template(&[("ends", "well")], "img:1");
    pods.spec.get_or_insert_default().restart_policy = Some("Never".to_owned());
    let spec = JobSpec { completions: Some(3), parallelism: Some(2), template: pods, ..JobSpec::default() };
    let job = Job { metadata: named("default", "sum"), spec: Some(spec), status: None };
    workshop.admin.create(&job).await.expect("a job can be made");
    let complete = |jobs: &[Arc<Job>]| {
        let status = jobs.first().and_then(|job| job.status.clone()).unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        status.succeeded == Some(3) && conditions.iter().any(|one| one.type_ == "Complete" && one.status == "True")
    };
    workshop.until::<Job>("three completions", complete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_left() {
    let patience = controller_manager::NodeHealth { grace_seconds: 2, ..controller_manager::NodeHealth::default() };
    let workshop = Workshop::open(Settings { node_health: patience }).await;
    workshop.node("n1").await;
    let has_range = |nodes: &[Arc<Node>]| {
        nodes.first().and_then(|node| node.spec.as_ref()?.pod_cidr.clone()).as_deref() == Some("10.244.0.0/24")
    };
    workshop.until::<Node>("its pod range", has_range).await;
    let given_up = |nodes: &[Arc<Node>]| {
        let node = &nodes[0];
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let mut unknown = conditions.filter(|one| one.type_ == "Ready" && one.status == "Unknown");
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        let mut unreachable = taints.filter(|taint| taint.key == "node.kubernetes.io/unreachable");
        unknown.next().is_some() && unreachable.any(|taint| taint.effect == "NoExecute")
    };
    workshop.until::<Node>("it is unreachable", given_up).await;
}
