//! A kubelet without an API server, on a real containerd: static pods from a folder of manifests.

#[path = "../../../../engine/cri/tests/it/containerd.rs"]
mod containerd;

mod api;
mod crashes;
mod disk;
mod garbage;
mod network;
mod resize;
mod server;
mod streams;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use containerd::{Containerd, IMAGE, wait_until};
use cri::{Remote, Runtime, TimeLimits};
use jiff::SignedDuration;
use kubelet::{Api, Config, Kubelet, Standalone, View};
use podplan::backoff::Bounds;
use typed::api::core::v1::{ContainerStatus, Pod};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node of the test's own.
struct Node {
    containerd: Containerd,
    runtime: Arc<dyn Runtime>,
}

/// A kubelet that runs until this is dropped.
struct Running {
    view: View,
    shutdown: env::task::Shutdown,
    task: env::task::Task<()>,
}

impl Node {
    async fn start() -> Option<Node> {
        let containerd = Containerd::start().await?;
        let runtime = Arc::new(Remote::new(&containerd.socket(), TimeLimits::default()));
        env::fs::create_dir_all(containerd.folder().join("manifests")).expect("the folder is writable");
        Some(Node { containerd, runtime })
    }

    fn config(&self) -> Config {
        let at = |name: &str| self.containerd.folder().join(name);
        Config {
            node_ips: vec!["127.0.0.1".to_owned()],
            root: at("kubelet"),
            pod_logs: at("pods"),
            container_logs: at("containers"),
            manifests: Some(at("manifests")),
            cgroup_root: vec![self.containerd.cgroup().to_owned()],
            // How full this machine is has no say here.
            eviction_hard: Vec::new(),
            crash_loop: Bounds { base: SignedDuration::from_millis(300), max: SignedDuration::from_secs(2) },
            ..Config::new("node1")
        }
    }

    async fn kubelet(&self) -> Running {
        self.kubelet_with(Arc::new(Standalone)).await
    }

    async fn kubelet_with(&self, api: Arc<dyn Api>) -> Running {
        self.kubelet_as(self.config(), api).await
    }

    async fn kubelet_as(&self, config: Config, api: Arc<dyn Api>) -> Running {
        let kubelet = Kubelet::new(config, self.runtime.clone(), api).await.expect("it starts");
        let (view, shutdown) = (kubelet.view(), env::task::Shutdown::new());
        let task = env::task::spawn(env::task::Fate::Local, "kubelet", kubelet.run(shutdown.clone()));
        Running { view, shutdown, task }
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.containerd.folder().join("manifests").join(format!("{name}.yaml"))
    }

    /// Writes the manifest of a pod on the node's network with `spec` (containers and the like, indented by two).
    fn write(&self, name: &str, spec: &str) {
        let spec = spec.replace("%image%", IMAGE);
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  hostNetwork: true\n{spec}");
        env::fs::write_atomic(&self.manifest(name), text.as_bytes(), env::fs::PUBLIC).expect("the folder is writable");
    }

    async fn is_empty(&self) -> bool {
        let containers = self.runtime.container_list(cri::v1::ContainerFilter::default()).await.expect("a list");
        let sandboxes = self.runtime.sandbox_list(cri::v1::PodSandboxFilter::default()).await.expect("a list");
        containers.is_empty() && sandboxes.is_empty()
    }
}

impl Running {
    fn pod(&self) -> Option<Pod> {
        self.view.pods().into_iter().next()
    }

    fn container(&self, name: &str) -> Option<ContainerStatus> {
        let status = self.pod()?.status?;
        let all = [status.init_container_statuses, status.container_statuses];
        all.into_iter().flatten().flatten().find(|status| status.name == name)
    }

    fn condition(&self, name: &str) -> Option<String> {
        let conditions = self.pod()?.status?.conditions?;
        conditions.into_iter().find(|condition| condition.type_ == name).map(|condition| condition.status)
    }

    fn events(&self) -> Vec<String> {
        self.view.events().into_iter().map(|told| format!("{} {}", told.reason, told.message)).collect()
    }

    /// Waits until the board of statuses shows `what`.
    async fn wait(&self, what: &str, holds: impl Fn(&Running) -> bool) {
        let mut changes = self.view.watch();
        let waited = env::time::timeout(PATIENCE, async {
            while !holds(self) {
                changes.changed().await.expect("the kubelet lives");
            }
        });
        if waited.await.is_err() {
            panic!(
                "waited in vain until {what}; pod: {:#?}; events: {:#?}",
                self.pod().and_then(|pod| pod.status),
                self.events()
            );
        }
    }

    /// Ends the kubelet as a crash would: nothing is told to the runtime.
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await;
    }
}

fn log(node: &Node, pod: &str, container: &str, attempt: u32) -> String {
    let pods = node.containerd.folder().join("pods");
    let Ok(mut entries) = env::fs::read_dir(&pods) else { return String::new() };
    let folder = entries.find_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_string_lossy().starts_with(&format!("default_{pod}-node1_")).then(|| entry.path())
    });
    let file = folder.map(|folder| folder.join(container).join(format!("{attempt}.log")));
    file.and_then(|file| env::fs::read_to_string(file).ok()).unwrap_or_default()
}

fn cgroup_is_gone(node: &Node) -> bool {
    let root = Path::new("/sys/fs/cgroup/memory").join(node.containerd.cgroup()).join("kubepods/besteffort");
    env::fs::read_dir(root).map_or(true, |mut entries| !entries.any(|entry| entry.is_ok_and(|it| it.path().is_dir())))
}

#[tokio::test]
async fn a_static_pod_runs_survives_the_kubelet_and_goes() {
    let Some(node) = Node::start().await else { return };
    let spec = r#"  initContainers:
  - {name: first, image: '%image%', command: [/bin/sh, -c, "echo hello > /data/greeting"], volumeMounts: [{name: data, mountPath: /data}]}
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "trap 'echo bye; exit 0' TERM; cat /data/greeting; echo $(WHO) $FROM_IMAGE; while :; do sleep 0.1; done"]
    env:
    - {name: WHO, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    volumeMounts: [{name: data, mountPath: /data}]
    resources: {limits: {memory: 32Mi}}
  volumes:
  - {name: data, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
"#;
    node.write("web", spec);
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    let status = kubelet.pod().and_then(|pod| pod.status).expect("a status");
    assert_eq!((status.phase.as_deref(), status.qos_class.as_deref()), (Some("Running"), Some("Burstable")));
    assert_eq!(status.pod_ip.as_deref(), Some("127.0.0.1"));
    wait_until("the log holds what was said", PATIENCE, async || {
        let log = log(&node, "web", "main", 0);
        log.contains("stdout F hello") && log.contains("stdout F web-node1 yes")
    })
    .await;
    let links = env::fs::read_dir(node.containerd.folder().join("containers")).expect("links").count();
    assert_eq!(links, 2, "one link for each container");
    let before = kubelet.container("main").expect("a status").container_id;

    kubelet.stop().await;
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is known again", |it| it.condition("Ready").as_deref() == Some("True")).await;
    let main = kubelet.container("main").expect("a status");
    assert_eq!((main.container_id, main.restart_count), (before, 0), "a restarted kubelet restarts nothing");

    env::fs::remove_file(node.manifest("web")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
    assert!(node.is_empty().await, "nothing stays in the runtime");
    let left = env::fs::read_dir(node.containerd.folder().join("kubelet/pods")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no pod folder stays, nor what is mounted in it");
    assert!(cgroup_is_gone(&node), "no cgroup stays");
}

#[tokio::test]
async fn a_crash_loop_backs_off_and_tells() {
    let Some(node) = Node::start().await else { return };
    let spec = r#"  containers:
  - {name: main, image: '%image%', command: [/bin/sh, -c, "echo again; echo last words > /dev/termination-log; exit 3"]}
"#;
    node.write("loop", spec);
    let kubelet = node.kubelet().await;
    kubelet
        .wait("it waits for its third start", |it| {
            let Some(main) = it.container("main") else { return false };
            let waiting = main.state.and_then(|state| state.waiting).and_then(|waiting| waiting.reason);
            main.restart_count >= 2 && waiting.as_deref() == Some("CrashLoopBackOff")
        })
        .await;
    let main = kubelet.container("main").expect("a status");
    let last = main.last_state.and_then(|state| state.terminated).expect("it ended before");
    assert_eq!(
        (last.exit_code, last.reason.as_deref(), last.message.as_deref()),
        (3, Some("Error"), Some("last words\n"))
    );
    assert!(kubelet.events().iter().any(|event| {
        event.starts_with("BackOff Back-off restarting failed container main in pod loop-node1_default(")
    }));
    assert!(log(&node, "loop", "main", 1).contains("stdout F again"));
    env::fs::remove_file(node.manifest("loop")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
    assert!(node.is_empty().await);
}

#[tokio::test]
async fn probes_gate_kill_and_make_ready() {
    let Some(node) = Node::start().await else { return };
    let spec = r#"  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "touch /tmp/alive; while :; do sleep 0.1; done"]
    startupProbe: {exec: {command: [/bin/test, -e, /tmp/alive]}, periodSeconds: 1}
    readinessProbe: {exec: {command: [/bin/test, -e, /tmp/alive]}, periodSeconds: 1}
    livenessProbe: {exec: {command: [/bin/test, -e, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1}
"#;
    node.write("probed", spec);
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    let id = kubelet.container("main").and_then(|main| main.container_id).expect("an id");
    let id = id.strip_prefix("containerd://").expect("the runtime's scheme").to_owned();
    let command = ["/bin/rm", "/tmp/alive"].map(str::to_owned).to_vec();
    node.runtime.container_exec_sync(id, command, PATIENCE).await.expect("the file is removed");
    kubelet
        .wait("it was restarted and is ready again", |it| {
            let restarted = it.container("main").is_some_and(|main| main.restart_count == 1);
            restarted && it.condition("Ready").as_deref() == Some("True")
        })
        .await;
    let events = kubelet.events();
    assert!(
        events.iter().any(|event| event == "Killing Container main failed liveness probe, will be restarted"),
        "{events:#?}"
    );
    assert!(events.iter().any(|event| event.starts_with("Unhealthy Liveness probe failed")), "{events:#?}");
    env::fs::remove_file(node.manifest("probed")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
}

#[tokio::test]
async fn sidecars_hooks_and_a_graceful_end() {
    let Some(node) = Node::start().await else { return };
    let spec = r#"  restartPolicy: Never
  initContainers:
  - name: side
    restartPolicy: Always
    image: '%image%'
    command: [/bin/sh, -c, "trap 'echo side >> /shared/order; exit 0' TERM; while :; do sleep 0.05; done"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "trap 'echo main >> /shared/order; exit 0' TERM; while :; do sleep 0.05; done"]
    lifecycle:
      postStart: {exec: {command: [/bin/touch, /shared/started]}}
      preStop: {exec: {command: [/bin/sh, -c, "echo hook >> /shared/order"]}}
    volumeMounts: [{name: shared, mountPath: /shared}]
  volumes:
  - {name: shared, hostPath: {path: HOSTPATH, type: DirectoryOrCreate}}
"#;
    let shared = node.containerd.folder().join("shared");
    node.write("pair", &spec.replace("HOSTPATH", &shared.to_string_lossy()));
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    wait_until("the hook after the start has run", PATIENCE, async || shared.join("started").exists()).await;
    env::fs::remove_file(node.manifest("pair")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
    let order = env::fs::read_to_string(shared.join("order")).expect("it was written");
    assert_eq!(order, "hook\nmain\nside\n");
    assert!(node.is_empty().await);
}

#[tokio::test]
async fn a_hook_that_outlasts_the_grace_is_told() {
    let Some(node) = Node::start().await else { return };
    let spec = r#"  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
    lifecycle:
      preStop: {exec: {command: [/bin/sleep, "600"]}}
"#;
    node.write("slow", spec);
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    env::fs::remove_file(node.manifest("slow")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
    let events = kubelet.events();
    assert!(events.iter().any(|event| event == "FailedPreStopHook PreStopHook failed"), "{events:#?}");
    assert!(node.is_empty().await);
}

#[tokio::test]
async fn an_absent_image_is_an_error_that_is_told() {
    let Some(node) = Node::start().await else { return };
    node.write("absent", "  containers:\n  - {name: main, image: 'localhost:1/absent:1', imagePullPolicy: Never}\n");
    let kubelet = node.kubelet().await;
    kubelet
        .wait("the image is refused", |it| {
            let waiting = it.container("main").and_then(|main| main.state?.waiting);
            waiting.is_some_and(|waiting| {
                waiting.reason.as_deref() == Some("ErrImageNeverPull")
                    && waiting.message.as_deref()
                        == Some("Container image \"localhost:1/absent:1\" is not present with pull policy of Never")
            })
        })
        .await;
    env::fs::remove_file(node.manifest("absent")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
    assert!(node.is_empty().await);
}

#[tokio::test]
async fn a_container_that_cannot_be_made_is_tried_again_after_a_while() {
    let Some(node) = Node::start().await else { return };
    let spec = "  containers:\n  - {name: main, image: '%image%', securityContext: {runAsNonRoot: true}}\n";
    node.write("rootless", spec);
    let failed_start = Duration::from_secs(1);
    let config = Config { failed_start, ..node.config() };
    let kubelet = node.kubelet_as(config, Arc::new(Standalone)).await;
    let began = env::time::Instant::now();
    let attempts = |it: &Running| it.events().iter().filter(|event| event.starts_with("Failed Error: ")).count();
    let mut board = kubelet.view.watch();
    let third = async {
        while attempts(&kubelet) < 3 {
            board.changed().await.expect("the kubelet lives");
        }
    };
    env::time::timeout(PATIENCE, third).await.expect("it is tried again and again");
    assert!(began.elapsed() >= failed_start * 2, "two waits lie between three attempts: {:?}", began.elapsed());
    let waiting = kubelet.container("main").and_then(|main| main.state?.waiting);
    assert_eq!(waiting.and_then(|waiting| waiting.reason).as_deref(), Some("CreateContainerConfigError"));
    env::fs::remove_file(node.manifest("rootless")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
}
