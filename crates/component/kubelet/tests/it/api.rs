//! A kubelet with an API server: one that keeps everything in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubelet::{Answer, Api, ApiError, Config, PodChange, PodStream, Token, TokenOrder};
use podplan::eviction::{Bound, Signal, Threshold};
use tokio::sync::{mpsc, watch};
use typed::api::core::v1::{
    ConfigMap, LocalVolumeSource, Node, PersistentVolume, PersistentVolumeSpec, Pod, PodStatus, Secret, Service,
};
use typed::meta::Time;
use workqueue::Spoken;

use crate::{Node as Host, PATIENCE};

/// What the kubelet did to the API.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) statuses: BTreeMap<String, PodStatus>,
    deleted: Vec<String>,
    nodes: Vec<Node>,
    leases: usize,
    pub(crate) events: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Memory {
    pods: Mutex<Option<mpsc::Receiver<PodChange>>>,
    pub(crate) changes: mpsc::Sender<PodChange>,
    config_map: Mutex<ConfigMap>,
    volume: Mutex<Option<Arc<PersistentVolume>>>,
    seen: watch::Sender<Seen>,
}

impl Memory {
    pub(crate) fn new() -> Arc<Memory> {
        let (changes, pods) = mpsc::channel(16);
        let config_map = Mutex::new(ConfigMap {
            data: Some(BTreeMap::from([("greeting".to_owned(), "hello".to_owned())])),
            ..Default::default()
        });
        let pods = Mutex::new(Some(pods));
        Arc::new(Memory { pods, changes, config_map, volume: Mutex::default(), seen: watch::Sender::default() })
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) -> Answer<'_, ()> {
        self.seen.send_modify(note);
        Box::pin(std::future::ready(Ok(())))
    }

    pub(crate) async fn wait(&self, what: &str, mut holds: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let waited = env::time::timeout(PATIENCE, seen.wait_for(|seen| holds(seen))).await;
        match waited {
            Ok(seen) => seen.expect("the sender lives").clone(),
            Err(_elapsed) => panic!("waited in vain until {what}: {:#?}", self.seen.borrow()),
        }
    }
}

impl Api for Memory {
    fn pods(&self) -> PodStream {
        let mut pods = self.pods.lock().expect("a lock").take().expect("asked for once");
        Box::pin(futures::stream::poll_fn(move |cx| pods.poll_recv(cx)))
    }

    fn pod_status(&self, pod: &Pod, status: PodStatus) -> Answer<'_, ()> {
        let uid = pod.metadata.uid.clone().expect("a uid");
        self.note(|seen| drop(seen.statuses.insert(uid, status)))
    }

    fn pod_delete(&self, pod: &Pod) -> Answer<'_, ()> {
        let (pod, changes) = (Arc::new(pod.clone()), self.changes.clone());
        let uid = pod.metadata.uid.clone().expect("a uid");
        self.seen.send_modify(|seen| seen.deleted.push(uid));
        Box::pin(async move {
            changes.send(PodChange::Gone(pod)).await.expect("the kubelet lives");
            Ok(())
        })
    }

    fn pod_create(&self, _pod: Pod) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Err(ApiError::Failed("no mirror pods here".to_owned()))))
    }

    fn config_map(&self, _namespace: &str, name: &str) -> Answer<'_, Arc<ConfigMap>> {
        let found = (name == "settings").then(|| Arc::new(self.config_map.lock().expect("a lock").clone()));
        let answer = found.ok_or_else(|| ApiError::NotFound(format!("configmaps \"{name}\" not found")));
        Box::pin(std::future::ready(answer))
    }

    fn secret(&self, _namespace: &str, name: &str) -> Answer<'_, Arc<Secret>> {
        if name == "broken" {
            let data = BTreeMap::from([(".dockerconfigjson".to_owned(), typed::ByteString(b"{\"auths\": ".to_vec()))]);
            let type_ = Some("kubernetes.io/dockerconfigjson".to_owned());
            let secret = Secret { data: Some(data), type_, ..Default::default() };
            return Box::pin(std::future::ready(Ok(Arc::new(secret))));
        }
        Box::pin(std::future::ready(Err(ApiError::NotFound(format!("secrets \"{name}\" not found")))))
    }

    fn services(&self) -> Answer<'_, Vec<Arc<Service>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn token(&self, order: TokenOrder) -> Answer<'_, Token> {
        let token = format!("token-for-{}", order.audience);
        Box::pin(std::future::ready(Ok(Token { token, expires_at: Timestamp::MAX })))
    }

    fn runtime_handler(&self, class: &str) -> Answer<'_, String> {
        let answer = Err(ApiError::NotFound(format!("runtimeclasses.node.k8s.io \"{class}\" not found")));
        Box::pin(std::future::ready(if class == "usual" { Ok("runc".to_owned()) } else { answer }))
    }

    fn claimed(&self, namespace: &str, claim: &str) -> Answer<'_, Arc<PersistentVolume>> {
        let answer = Err(ApiError::NotFound(format!("persistentvolumeclaims \"{claim}\" not found")));
        let found = self.volume.lock().expect("a lock").clone().filter(|_| (namespace, claim) == ("ns", "disk"));
        Box::pin(std::future::ready(found.map_or(answer, Ok)))
    }

    fn speak(&self, spoken: Spoken) {
        self.seen.send_modify(|seen| seen.events.push(spoken.reason));
    }

    fn node(&self, node: Node) -> Answer<'_, ()> {
        self.note(|seen| seen.nodes.push(node))
    }

    fn lease(&self, _now: Timestamp) -> Answer<'_, ()> {
        self.note(|seen| seen.leases += 1)
    }
}

const POD: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: web, namespace: ns, uid: uid-1, labels: {color: red}, generation: 3}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, fsGroup: 2000}
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "cat /v/settings/greeting /v/all/token /v/all/labels /v/one; id; ls -ln /v/all/..data/; while :; do sleep 0.1; done"]
    env: [{name: GREETING, valueFrom: {configMapKeyRef: {name: settings, key: greeting}}}]
    volumeMounts:
    - {name: settings, mountPath: /v/settings}
    - {name: all, mountPath: /v/all}
    - {name: settings, mountPath: /v/one, subPath: greeting}
  volumes:
  - {name: settings, configMap: {name: settings}}
  - name: all
    projected:
      sources:
      - serviceAccountToken: {path: token, audience: me}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
      - secret: {name: absent, optional: true}
"#;

#[tokio::test]
async fn a_pod_of_the_api_lives_with_its_volumes_and_is_deleted() {
    let Some(host) = Host::start().await else { return };
    let api = Memory::new();
    let kubelet = host.kubelet_with(api.clone()).await;
    let pod = kubelet::decode(POD.replace("%image%", crate::IMAGE).as_bytes()).expect("a pod");
    api.changes.send(PodChange::All(vec![Arc::new(pod.clone())])).await.expect("the kubelet lives");

    let seen = api
        .wait("the pod runs", |seen| seen.statuses.get("uid-1").and_then(|it| it.phase.as_deref()) == Some("Running"))
        .await;
    assert_eq!(seen.statuses["uid-1"].observed_generation, Some(3));
    let node = seen.nodes.first().expect("the node is registered");
    let ready = node.status.iter().flat_map(|status| status.conditions.iter().flatten()).find(|it| it.type_ == "Ready");
    let ready = ready.expect("a condition");
    assert_eq!(ready.status, "False", "no network plugin is set up here, and the node says so");
    assert!(
        ready
            .message
            .as_deref()
            .is_some_and(|text| text.starts_with("container runtime network not ready: NetworkReady=false reason:")),
        "{ready:?}"
    );
    assert!(seen.leases > 0 && seen.events.contains(&"Started".to_owned()));
    for reason in ["Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure"] {
        assert!(seen.events.contains(&reason.to_owned()), "{reason} is not among {:?}", seen.events);
    }

    let log = host.containerd.folder().join("pods/ns_web_uid-1/main/0.log");
    crate::wait_until("everything is said", PATIENCE, async || {
        env::fs::read_to_string(&log).is_ok_and(|text| text.contains(" token"))
    })
    .await;
    let log = env::fs::read_to_string(&log).expect("the log");
    for said in ["hello", "token-for-me", "color=\"red\"", "uid=1000", "2000"] {
        assert!(log.contains(said), "{said} is missing in: {log}");
    }

    // A change of labels shows in the volume of the running pod.
    let mut changed = pod.clone();
    changed.metadata.labels = Some(BTreeMap::from([("color".to_owned(), "blue".to_owned())]));
    api.changes.send(PodChange::Set(Arc::new(changed.clone()))).await.expect("the kubelet lives");
    let labels = host.containerd.folder().join("kubelet/pods/uid-1/volumes/kubernetes.io~projected/all/labels");
    crate::wait_until("the volume shows it", PATIENCE, async || {
        env::fs::read_to_string(&labels).is_ok_and(|text| text == "color=\"blue\"")
    })
    .await;

    // Deletion: it ends with grace, then the API is told to let go, then nothing is left.
    changed.metadata.deletion_grace_period_seconds = Some(1);
    let at = env::time::now().saturating_add(jiff::SignedDuration::from_secs(1)).expect("near now");
    changed.metadata.deletion_timestamp = Some(Time(at));
    api.changes.send(PodChange::Set(Arc::new(changed))).await.expect("the kubelet lives");
    let seen = api.wait("the pod is deleted", |seen| seen.deleted == ["uid-1"]).await;
    assert_eq!(seen.statuses["uid-1"].phase.as_deref(), Some("Failed"), "killed with 137");
    crate::wait_until("nothing is left", PATIENCE, async || kubelet.view.pods().is_empty() && host.is_empty().await)
        .await;
}

#[tokio::test]
async fn a_node_that_runs_short_evicts() {
    let Some(host) = Host::start().await else { return };
    let api = Memory::new();
    let short = Threshold { signal: Signal::Memory, bound: Bound::Amount(1 << 60), grace: SignedDuration::ZERO };
    let upkeep_interval = Duration::from_millis(300);
    let config = Config { eviction_hard: vec![short], upkeep_interval, ..host.config() };
    let _kubelet = host.kubelet_as(config, api.clone()).await;
    // One that asks for nothing would be turned away at once.
    let modest = format!(
        "{}    resources: {{requests: {{cpu: 1m}}}}\n  volumes:\n",
        POD.split("  volumes:\n").next().expect("a beginning")
    );
    let rest = POD.split("  volumes:\n").nth(1).expect("volumes");
    let pod = kubelet::decode((modest + rest).replace("%image%", crate::IMAGE).as_bytes()).expect("a pod");
    api.changes.send(PodChange::All(vec![Arc::new(pod)])).await.expect("the kubelet lives");
    let seen =
        api.wait("the pod is evicted", |seen| seen.statuses.get("uid-1").is_some_and(|it| it.reason.is_some())).await;
    let status = &seen.statuses["uid-1"];
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("Evicted")));
    let message = status.message.as_deref().expect("a message");
    assert!(
        message.starts_with("The node was low on resource: memory. Threshold quantity: 1Ei, available: "),
        "{message}"
    );
    let said = status.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionTarget");
    let said = said.map(|condition| (condition.status.as_str(), condition.reason.as_deref()));
    assert_eq!(said, Some(("True", Some("TerminationByKubelet"))), "it was not the pod's own fault");
    let node = api.wait("the node says so", |seen| !seen.nodes.is_empty()).await.nodes;
    let conditions = node.iter().flat_map(|node| node.status.iter().flat_map(|it| it.conditions.iter().flatten()));
    assert!(conditions.clone().any(|it| it.type_ == "MemoryPressure" && it.status == "True"));
    crate::wait_until("its containers have ended", PATIENCE, async || {
        let running = cri::v1::ContainerStateValue { state: cri::v1::ContainerState::ContainerRunning.into() };
        let filter = cri::v1::ContainerFilter { state: Some(running), ..Default::default() };
        host.runtime.container_list(filter).await.is_ok_and(|list| list.is_empty())
    })
    .await;
}

const CLAIMING: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: ns, uid: NAME}
spec:
  hostNetwork: true
  runtimeClassName: CLASS
  restartPolicy: Never
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "echo written > /disk/file"]
    resources: {requests: {cpu: CPU}}
    volumeMounts: [{name: disk, mountPath: /disk}]
  volumes:
  - {name: disk, persistentVolumeClaim: {claimName: disk}}
"#;

fn claiming(name: &str, class: &str, cpu: &str) -> Arc<Pod> {
    let text = CLAIMING.replace("NAME", name).replace("CLASS", class).replace("CPU", cpu);
    Arc::new(kubelet::decode(text.replace("%image%", crate::IMAGE).as_bytes()).expect("a pod"))
}

#[tokio::test]
async fn claims_classes_and_what_a_node_has_no_room_for() {
    let Some(host) = Host::start().await else { return };
    let disk = host.containerd.folder().join("disk");
    env::fs::create_dir_all(&disk).expect("the folder is writable");
    let api = Memory::new();
    let local = LocalVolumeSource { path: disk.to_string_lossy().into_owned(), ..Default::default() };
    let spec = Some(PersistentVolumeSpec { local: Some(local), ..Default::default() });
    *api.volume.lock().expect("a lock") = Some(Arc::new(PersistentVolume { spec, ..Default::default() }));
    let _kubelet = host.kubelet_with(api.clone()).await;
    let pods = vec![claiming("fine", "usual", "1m"), claiming("big", "usual", "5k"), claiming("odd", "absent", "1m")];
    api.changes.send(PodChange::All(pods)).await.expect("the kubelet lives");
    let phase = |seen: &Seen, uid: &str| seen.statuses.get(uid).and_then(|status| status.phase.clone());
    let seen = api
        .wait("one is done and one is turned away", |seen| {
            phase(seen, "fine").as_deref() == Some("Succeeded")
                && phase(seen, "big").as_deref() == Some("Failed")
                && seen.events.iter().any(|reason| reason == "FailedCreatePodSandBox")
        })
        .await;
    assert_eq!(env::fs::read_to_string(disk.join("file")).ok().as_deref(), Some("written\n"));
    let big = &seen.statuses["big"];
    assert_eq!(big.reason.as_deref(), Some("OutOfcpu"));
    let message = big.message.as_deref().expect("a message");
    let beginning = "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000000, used: ";
    assert!(message.starts_with(beginning), "{message}");
    assert_eq!(phase(&seen, "odd").as_deref(), Some("Pending"), "its runtime class is not there");
}

const PROBED: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: web, namespace: ns, uid: uid-1}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sleep, '1000']
    readinessProbe: {exec: {command: [/bin/true]}, periodSeconds: 1, initialDelaySeconds: %delay%}
"#;

fn is_ready(status: &PodStatus) -> bool {
    status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[tokio::test]
async fn a_restarted_kubelet_takes_no_pod_out_of_its_services() {
    let Some(host) = Host::start().await else { return };
    let pod = |delay: &str| {
        let text = PROBED.replace("%image%", crate::IMAGE).replace("%delay%", delay);
        kubelet::decode(text.as_bytes()).expect("a pod")
    };
    let api = Memory::new();
    let kubelet = host.kubelet_with(api.clone()).await;
    api.changes.send(PodChange::All(vec![Arc::new(pod("0"))])).await.expect("the kubelet lives");
    let seen = api.wait("the pod is ready", |seen| seen.statuses.get("uid-1").is_some_and(is_ready)).await;
    kubelet.stop().await;

    // The second kubelet will not probe for an hour: what it says comes from what the first one found.
    let api = Memory::new();
    let _kubelet = host.kubelet_with(api.clone()).await;
    let known = Pod { status: seen.statuses.get("uid-1").cloned(), ..pod("3600") };
    api.changes.send(PodChange::All(vec![Arc::new(known)])).await.expect("the kubelet lives");
    let seen = api.wait("the pod is reported", |seen| seen.statuses.contains_key("uid-1")).await;
    assert!(is_ready(&seen.statuses["uid-1"]), "{:#?}", seen.statuses);
}

#[tokio::test]
async fn nothing_is_pulled_past_a_pull_secret_that_cannot_be_read() {
    let Some(host) = Host::start().await else { return };
    let api = Memory::new();
    let _kubelet = host.kubelet_with(api.clone()).await;
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: ns, uid: uid-1}
spec:
  hostNetwork: true
  imagePullSecrets: [{name: broken}]
  containers:
  - {name: main, image: 'localhost:1/absent:1', imagePullPolicy: Always}
"#;
    let pod = kubelet::decode(pod.as_bytes()).expect("a pod");
    api.changes.send(PodChange::All(vec![Arc::new(pod)])).await.expect("the kubelet lives");
    let waiting = |seen: &Seen| {
        let statuses = seen.statuses.get("uid-1").and_then(|status| status.container_statuses.clone());
        statuses.into_iter().flatten().find_map(|main| main.state?.waiting?.message)
    };
    let problem = "unexpected end of JSON input";
    let says = |seen: &Seen| waiting(seen).is_some_and(|message| message.contains(problem));
    let seen = api.wait("the container waits for its secret", says).await;
    assert!(seen.events.contains(&"Failed".to_owned()), "{:?}", seen.events);
    assert!(!seen.events.contains(&"Pulling".to_owned()), "{:?}", seen.events);
}
