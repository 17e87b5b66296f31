//! Scheduler and controllers against the real API server.

use std::collections::BTreeSet;
use std::sync::Arc;

use client::Propagation;
use object::Value;
use serving::{Body, Door};
use typed::ByteString;
use typed::Kind as _;
use typed::api::apps::v1::{
    DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, ReplicaSet, StatefulSet, StatefulSetSpec,
};
use typed::api::batch::v1::{Job, JobSpec};
use typed::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
};
use typed::api::core::v1::{
    ConfigMap, Container, Namespace, Node, Pod, PodSpec, PodTemplateSpec, ResourceQuota, ResourceQuotaSpec,
    ResourceRequirements, Service, ServiceAccount, ServicePort, ServiceSpec, Toleration,
};
use typed::api::discovery::v1::EndpointSlice;
use typed::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use typed::api::scheduling::v1::PriorityClass;
use typed::intstr::IntOrString;
use typed::meta::{LabelSelector, ObjectMeta};
use typed::resource::Quantity;
use vitals::Port;

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
    workshop.account("default").await;
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
            && pods
                .iter()
                .all(|pod| pod.spec.as_ref().is_some_and(|spec| spec.containers[0].image.as_deref() == Some("img:2")))
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
    workshop.account("default").await;
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
    workshop.account("team").await;
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
    workshop.account("default").await;
    workshop.admin.create(&deployment("default", "web", 3)).await.expect("a deployment can be made");
    let port = ServicePort { port: 80, ..ServicePort::default() };
    let spec =
        ServiceSpec { selector: Some(labels(&[("app", "web")])), ports: Some(vec![port]), ..ServiceSpec::default() };
    let service = Service { metadata: named("default", "web"), spec: Some(spec), status: None };
    workshop.admin.create(&service).await.expect("a service can be made");
    let ready = |wanted: usize| {
        move |slices: &[Arc<EndpointSlice>]| {
            let mine = slices.iter().filter(|slice| {
                slice
                    .metadata
                    .labels
                    .as_ref()
                    .is_some_and(|all| all.get("kubernetes.io/service-name").is_some_and(|name| name == "web"))
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
    workshop
        .until::<EndpointSlice>("none", |slices| slices.iter().all(|slice| !slice.name().starts_with("web-")))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_completes() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.account("default").await;
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
    workshop.node("n2").await;
    workshop.silent_node("mute").await;
    let ranges = |nodes: &[Arc<Node>]| {
        let range = |node: &Arc<Node>| node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone());
        let ranges: BTreeSet<String> = nodes.iter().filter_map(range).collect();
        ranges.len() == 3 && ranges.iter().all(|range| range.starts_with("10.244.") && range.ends_with(".0/24"))
    };
    workshop.until::<Node>("each has a range of its own", ranges).await;
    let mut spec = template(&[], "img:1").spec.unwrap_or_default();
    spec.node_name = Some("mute".to_owned());
    spec.tolerations = Some(vec![Toleration {
        key: Some("node.kubernetes.io/unreachable".to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(1),
        ..Toleration::default()
    }]);
    workshop.account("default").await;
    let pod = Pod { metadata: named("default", "left"), spec: Some(spec), status: None };
    workshop.admin.create(&pod).await.expect("a pod can be made");
    let given_up = |nodes: &[Arc<Node>]| {
        nodes.iter().any(|node| {
            let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let mut unknown = conditions.filter(|one| one.type_ == "Ready" && one.status == "Unknown");
            let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
            let mut unreachable = taints.filter(|taint| taint.key == "node.kubernetes.io/unreachable");
            unknown.next().is_some() && unreachable.any(|taint| taint.effect == "NoExecute")
        })
    };
    workshop.until::<Node>("one is unreachable", given_up).await;
    let ready = |node: &&Arc<Node>| node.spec.as_ref().is_none_or(|spec| spec.taints.iter().flatten().next().is_none());
    assert_eq!(workshop.informers.of::<Node>().all().iter().filter(ready).count(), 2, "the others stay");
    workshop
        .until::<Pod>("its pod is sent away", |pods| pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some()))
        .await;
    workshop.delete::<Node>("", "mute", Propagation::Background).await;
    workshop.until::<Pod>("and forgotten with its node", <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_run_on_every_node() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.node("n2").await;
    workshop.account("default").await;
    let selector = LabelSelector { match_labels: Some(labels(&[("app", "log")])), ..LabelSelector::default() };
    let spec = DaemonSetSpec { selector, template: template(&[("app", "log")], "img:1"), ..DaemonSetSpec::default() };
    let set = DaemonSet { metadata: named("default", "log"), spec: Some(spec), status: None };
    workshop.admin.create(&set).await.expect("a daemon set can be made");
    let everywhere = |wanted: i32| {
        move |sets: &[Arc<DaemonSet>]| {
            let status = sets.first().and_then(|set| set.status.clone()).unwrap_or_default();
            (status.desired_number_scheduled, status.number_ready) == (wanted, wanted)
        }
    };
    workshop.until::<DaemonSet>("two daemons", everywhere(2)).await;
    workshop.node("n3").await;
    workshop.until::<DaemonSet>("three daemons", everywhere(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stateful_pods_come_in_order() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.account("default").await;
    let selector = LabelSelector { match_labels: Some(labels(&[("app", "db")])), ..LabelSelector::default() };
    let spec = StatefulSetSpec {
        replicas: Some(3),
        selector,
        service_name: Some("db".to_owned()),
        template: template(&[("app", "db")], "img:1"),
        ..StatefulSetSpec::default()
    };
    let set = StatefulSet { metadata: named("default", "db"), spec: Some(spec), status: None };
    workshop.admin.create(&set).await.expect("a stateful set can be made");
    let ready = |sets: &[Arc<StatefulSet>]| {
        sets.iter().any(|set| set.status.as_ref().is_some_and(|status| status.ready_replicas == Some(3)))
    };
    workshop.until::<StatefulSet>("three are ready", ready).await;
    let mut names: Vec<String> = workshop.informers.of::<Pod>().all().iter().map(|pod| pod.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["db-0", "db-1", "db-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_counts_and_a_request_is_signed() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.account("default").await;
    workshop.admin.create(&deployment("default", "web", 3)).await.expect("a deployment can be made");
    let selector = LabelSelector { match_labels: Some(labels(&[("app", "web")])), ..LabelSelector::default() };
    let spec = PodDisruptionBudgetSpec {
        min_available: Some(IntOrString::Int(2)),
        selector: Some(selector),
        ..PodDisruptionBudgetSpec::default()
    };
    let budget = PodDisruptionBudget { metadata: named("default", "web"), spec: Some(spec), status: None };
    workshop.admin.create(&budget).await.expect("a budget can be made");
    let one_allowed = |all: &[Arc<PodDisruptionBudget>]| {
        all.iter().any(|one| one.status.as_ref().is_some_and(|status| status.disruptions_allowed == Some(1)))
    };
    workshop.until::<PodDisruptionBudget>("one may be disturbed", one_allowed).await;
    let key = pki::PrivateKey::generate(pki::Algorithm::default()).expect("a key can be made");
    let subject = pki::Subject::new("jane", &["team"]);
    let text = pki::csr::create(&subject, &pki::AlternativeNames::default(), &key).expect("a request can be written");
    let spec = CertificateSigningRequestSpec {
        request: ByteString(text.into_bytes()),
        signer_name: "kubernetes.io/kube-apiserver-client".to_owned(),
        usages: Some(vec!["client auth".to_owned()]),
        ..CertificateSigningRequestSpec::default()
    };
    let metadata = ObjectMeta { name: Some("jane".to_owned()), ..ObjectMeta::default() };
    let request = CertificateSigningRequest { metadata, spec, status: None };
    let mut request = workshop.admin.create(&request).await.expect("a request can be made");
    let approved = CertificateSigningRequestCondition {
        type_: "Approved".to_owned(),
        status: "True".to_owned(),
        reason: Some("ByHand".to_owned()),
        ..CertificateSigningRequestCondition::default()
    };
    request.status.get_or_insert_default().conditions = Some(vec![approved]);
    workshop.admin.update_part(&request, "approval").await.expect("it can be approved");
    let issued = |all: &[Arc<CertificateSigningRequest>]| {
        let bytes = all.first().and_then(|one| one.status.clone()?.certificate).unwrap_or_default();
        let chain = pki::Certificate::all_from_pem(&bytes.0).unwrap_or_default();
        chain.first().is_some_and(|certificate| certificate.subject.common_name == "jane")
    };
    workshop.until::<CertificateSigningRequest>("it is issued", issued).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn important_pods_push_others_out() {
    let workshop = Workshop::open(Settings::default()).await;
    workshop.node("n1").await;
    workshop.account("default").await;
    let class = PriorityClass {
        metadata: ObjectMeta { name: Some("high".to_owned()), ..ObjectMeta::default() },
        value: Some(1000),
        ..PriorityClass::default()
    };
    workshop.admin.create(&class).await.expect("a class can be made");
    let pod = |name: &str, class: Option<&str>| {
        let mut spec = template(&[], "img:1").spec.unwrap_or_default();
        let requests = std::collections::BTreeMap::from([("cpu".to_owned(), Quantity("6".to_owned()))]);
        spec.containers[0].resources =
            Some(ResourceRequirements { requests: Some(requests), ..ResourceRequirements::default() });
        spec.priority_class_name = class.map(str::to_owned);
        Pod { metadata: named("default", name), spec: Some(spec), status: None }
    };
    workshop.admin.create(&pod("low", None)).await.expect("a pod can be made");
    workshop.until::<Pod>("it runs", |pods| running(pods, "default") == 1).await;
    workshop.admin.create(&pod("high", Some("high"))).await.expect("a pod can be made");
    let pushed = |pods: &[Arc<Pod>]| running(pods, "default") == 1 && pods.len() == 1 && pods[0].name() == "high";
    workshop.until::<Pod>("the important one runs", pushed).await;
    workshop.admin.create(&pod("late", None)).await.expect("a pod can be made");
    let refused = |pods: &[Arc<Pod>]| {
        let late = pods.iter().find(|pod| pod.name() == "late");
        let conditions = late.and_then(|pod| pod.status.clone()?.conditions).unwrap_or_default();
        conditions.iter().any(|one| one.type_ == "PodScheduled" && one.reason.as_deref() == Some("Unschedulable"))
    };
    workshop.until::<Pod>("and says why another waits", refused).await;
}

#[tokio::test]
async fn a_quota_knows_what_is_used_and_lets_no_more_in() {
    let shop = Workshop::open(Settings::default()).await;
    shop.node("n1").await;
    shop.account("default").await;
    let limits = [("pods", "1"), ("requests.cpu", "1"), ("count/configmaps", "10")];
    let hard = limits.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())));
    let mut quota = ResourceQuota { metadata: named("default", "q"), ..ResourceQuota::default() };
    quota.spec = Some(ResourceQuotaSpec { hard: Some(hard.into()), ..ResourceQuotaSpec::default() });
    shop.admin.create(&quota).await.expect("a quota");
    let uses = |pods: &'static str, cpu: &'static str, maps: &'static str| {
        move |all: &[Arc<ResourceQuota>]| {
            let used = all.first().and_then(|quota| quota.status.as_ref()?.used.clone()).unwrap_or_default();
            let of = |name: &str| used.get(name).map(|amount| amount.0.as_str());
            (of("pods"), of("requests.cpu"), of("count/configmaps")) == (Some(pods), Some(cpu), Some(maps))
        }
    };
    shop.until::<ResourceQuota>("the books are opened: kube-root-ca.crt is a ConfigMap", uses("0", "0", "1")).await;

    let pod = |name: &str| {
        let requests = [("cpu".to_owned(), Quantity("250m".to_owned()))].into();
        let resources = ResourceRequirements { requests: Some(requests), ..ResourceRequirements::default() };
        let mut spec = template(&[], "img:1").spec.unwrap_or_default();
        spec.containers[0].resources = Some(resources);
        Pod { metadata: named("default", name), spec: Some(spec), status: None }
    };
    shop.admin.create(&pod("one")).await.expect("there is room for one");
    shop.until::<ResourceQuota>("one is counted", uses("1", "250m", "1")).await;
    let refused = shop.admin.create(&pod("two")).await.expect_err("there is no room for two");
    assert_eq!(refused.code(), Some(403), "{refused}");
    assert!(
        refused.to_string().contains("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
        "{refused}"
    );
    shop.admin.delete::<Pod>("default", "one", &client::DeleteOptions::default()).await.expect("it can go");
    shop.until::<ResourceQuota>("what goes is given back", uses("0", "0", "1")).await;
}

async fn look(door: &Door, path: &str, token: Option<&str>) -> (u16, String) {
    let mut request = http::Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = door.call(request.body(Body::empty()).expect("a request")).await;
    let code = answer.status().as_u16();
    let body = serving::collect(answer.into_body(), 1 << 20).await.expect("a body");
    (code, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn components_tell_how_they_are_to_whom_the_api_server_lets_in() {
    let shop = Workshop::open(Settings::default()).await;
    shop.node("n1").await;
    shop.account("default").await;
    shop.admin.create(&deployment("default", "web", 2)).await.expect("a deployment");
    shop.until::<Deployment>("two replicas", |all| settled(all, "web", 2)).await;

    let order = Value::from_pairs([("spec", Value::map())]);
    let made = shop.admin.create_subresource::<ServiceAccount>("default", "default", "token", &order).await;
    let token = made.expect("a token").str_at(&["status", "token"]).expect("it is told").to_owned();
    let [scheduler, controllers] = &shop.ports;
    let forbidden = |user: &str| format!("forbidden: User \\\"{user}\\\" cannot get path \\\"/metrics\\\"\"");
    for port in [scheduler, controllers] {
        let nobody = shop.look_at(port, "", &[]);
        let (jane, watcher) = (shop.look_at(port, "jane", &[]), shop.look_at(port, "prom", &["system:monitoring"]));
        let cases = [
            (&nobody, "/healthz", None, 200, "ok".to_owned()),
            (&nobody, "/livez", None, 200, "ok".to_owned()),
            (&nobody, "/readyz", None, 200, "ok".to_owned()),
            (&nobody, "/metrics", None, 403, forbidden("system:anonymous")),
            (&nobody, "/healthz", Some("nonsense"), 401, "Unauthorized".to_owned()),
            (&nobody, "/metrics", Some(token.as_str()), 403, forbidden("system:serviceaccount:default:default")),
            (&jane, "/metrics", None, 403, forbidden("jane")),
            (&watcher, "/metrics", None, 200, "process_resident_memory_bytes".to_owned()),
            (&watcher, "/configz", None, 403, "cannot get path".to_owned()),
        ];
        for (door, path, token, code, words) in cases {
            let (status, text) = look(door, path, token).await;
            assert_eq!(status, code, "{path}: {text}");
            assert!(text.contains(&words), "{path}: {text} has {words}");
        }
    }
    let told = async |port: &Arc<Port>, path: &str, all: &[&str]| {
        let (code, text) = look(&shop.look_at(port, "root", &["system:masters"]), path, None).await;
        assert_eq!(code, 200, "{path}: {text}");
        all.iter().for_each(|words| assert!(text.contains(words), "{path} has {words}: {text}"));
    };
    let counts = [
        "scheduler_schedule_attempts_total{result=\"scheduled\"} 2\n",
        "scheduler_pod_scheduling_attempts_count 2\n",
        "scheduler_scheduling_algorithm_duration_seconds_count ",
        "scheduler_pending_pods{queue=\"active\"} 0\n",
        "leader_election_master_status{name=\"kube-scheduler\"} 1\n",
    ];
    told(scheduler, "/metrics", &counts).await;
    told(scheduler, "/configz", &["\"schedulerName\":\"default-scheduler\"", "\"leaderElect\":true"]).await;
    told(scheduler, "/livez?verbose", &["[+]scheduling-loop ok\n", "[+]leaderElection ok\n"]).await;
    told(scheduler, "/readyz?verbose", &["[+]informer-sync ok\n"]).await;
    let counts = [
        "workqueue_adds_total{name=\"deployment-controller\"} ",
        "workqueue_work_duration_seconds_count{name=\"replicaset-controller\"} ",
        "leader_election_master_status{name=\"kube-controller-manager\"} 1\n",
    ];
    told(controllers, "/metrics", &counts).await;
    told(controllers, "/configz", &["\"ClusterCIDR\":\"10.244.0.0/16\"", "\"TerminatedPodGCThreshold\":12500"]).await;
    told(controllers, "/healthz?verbose", &["[+]deployment-controller ok\n", "[+]job-controller ok\n"]).await;
}
