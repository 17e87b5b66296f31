//! The configuration as text, and an own containerd from its start to the removal of its last trace.

use std::collections::BTreeMap;

use cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode,
    NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
};
use cri::{ContainerCreation, Remote, TimeLimits};

use super::config::Snapshotter;
use super::*;
use crate::cli::PlaceOptions;
use crate::images::{Bundle, ImageRow};

/// A static program that the machine may have; the one under test is linked dynamically in development.
const PROGRAM: &str = "/bin/busybox";
const ROWS: [ImageRow; 1] = [ImageRow { name: crate::images::PAUSE, arguments: &["1000"], ports: &[], user: "0:0" }];

#[test]
fn the_configuration_says_where_everything_is() {
    let settings = Settings {
        root: "/d/containerd".into(),
        state: "/r/containerd".into(),
        socket: "/r/containerd/containerd.sock".into(),
        cni_bin: "/d/cni/bin".into(),
        cni_conf: "/d/a \"b\"\\c".into(),
        pause_image: "ferrokube.io/pause:v1".to_owned(),
        snapshotter: Snapshotter::Overlay,
        may_shield: true,
    };
    let text = settings.render();
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "version = 2",
        r#"root = "/d/containerd""#,
        r#"state = "/r/containerd""#,
        r#"address = "/r/containerd/containerd.sock""#,
        r#"address = "/r/containerd/containerd.ttrpc""#,
        r#"sandbox_image = "ferrokube.io/pause:v1""#,
        r#"bin_dir = "/d/cni/bin""#,
        r#"conf_dir = "/d/a \"b\"\\c""#,
        r#"snapshotter = "overlayfs""#,
    ];
    for line in expected {
        assert!(lines.contains(&line), "{line} is not in\n{text}");
    }
    let native = Settings { snapshotter: Snapshotter::Native, ..settings };
    assert!(native.render().contains(r#"snapshotter = "native""#));
}

/// A place that is taken back with its owner.
struct Machine {
    _folder: tempfile::TempDir,
    place: Place,
}

impl Machine {
    /// `None`, with a word on the output, where this machine cannot run containers.
    fn new() -> Option<Machine> {
        let has = |path: &str| Path::new(path).exists();
        if !nix::unistd::geteuid().is_root() || !has("/usr/bin/containerd") || !has(PROGRAM) {
            eprintln!("skipped: needs root, /usr/bin/containerd and {PROGRAM}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("fk-whole-").tempdir().unwrap();
        let place = Place::of(&PlaceOptions { data_dir: Some(folder.path().to_owned()), kubeconfig: None });
        Some(Machine { _folder: folder, place })
    }

    /// Takes everything back, and says what is found afterwards.
    async fn take_back(&self) {
        crate::down::take_node_back_quietly(&self.place).await.unwrap();
        let left: Vec<PathBuf> = mounts::mount::table().unwrap().into_iter().map(|entry| entry.target).collect();
        let left: Vec<&PathBuf> = left.iter().filter(|target| target.starts_with(&self.place.data_dir)).collect();
        assert!(left.is_empty(), "{left:?}");
        let cgroup = self.place.cgroup_root();
        for controller in ["", "memory", "pids", "cpu", "systemd", "unified"] {
            let path = Path::new("/sys/fs/cgroup").join(controller).join(&cgroup);
            assert!(!path.exists(), "{}", path.display());
        }
    }
}

/// What a failed test leaves.
impl Drop for Machine {
    fn drop(&mut self) {
        let place = self.place.clone();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(crate::down::take_node_back_quietly(&place))
        });
        if let Ok(Err(error)) = ended.join() {
            eprintln!("{error:#}");
        }
    }
}

fn pod(place: &Place) -> PodSandboxConfig {
    let host = NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ..NamespaceOption::default()
    };
    let security =
        LinuxSandboxSecurityContext { namespace_options: Some(host), ..LinuxSandboxSecurityContext::default() };
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata { name: "p".into(), uid: "u".into(), namespace: "n".into(), attempt: 0 }),
        log_directory: place.data_dir.join("logs").display().to_string(),
        labels: BTreeMap::from([("app".to_owned(), "x".to_owned())]),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/{}", place.cgroup_root()),
            security_context: Some(security),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}

/// A process that nobody has buried yet has ended too: it has no command line.
fn has_ended(process: &str) -> bool {
    std::fs::read(Path::new("/proc").join(process).join("cmdline")).unwrap_or_default().is_empty()
}

/// A pod with a container that runs; the answer is the container's id.
async fn run_pod(runtime: &Remote, place: &Place) -> String {
    let sandbox_config = pod(place);
    let sandbox = runtime.sandbox_run(sandbox_config.clone(), String::new()).await.unwrap();
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "c".into(), attempt: 0 }),
        image: Some(ImageSpec { image: crate::images::PAUSE.to_owned(), ..ImageSpec::default() }),
        log_path: "c.log".into(),
        ..ContainerConfig::default()
    };
    let container = runtime.container_create(ContainerCreation { sandbox, config, sandbox_config }).await.unwrap();
    runtime.container_start(container.clone()).await.unwrap();
    container
}

async fn process_of(runtime: &Remote, container: &str) -> String {
    let status = runtime.container_status(container.to_owned(), true).await.unwrap();
    assert_eq!(status.status.unwrap().state(), cri::v1::ContainerState::ContainerRunning);
    let info: serde_json::Value = serde_json::from_str(&status.info["info"]).unwrap();
    info["pid"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_outlive_containerd_and_nothing_outlives_down() {
    let Some(machine) = Machine::new() else { return };
    let place = &machine.place;
    let containerd = Containerd::at(place).unwrap();
    let first = containerd.ensure().await.unwrap();
    assert!(!first.is_adopted);
    let again = containerd.ensure().await.unwrap();
    assert_eq!((again.pid, again.is_adopted), (first.pid, true), "a running one is adopted");

    let bundle = Bundle::of(Path::new(PROGRAM), "sleep", &ROWS).unwrap();
    assert_eq!(crate::images::ensure(&bundle, &first.socket).await.unwrap(), "1 packed and imported");
    assert_eq!(crate::images::ensure(&bundle, &first.socket).await.unwrap(), "1 there already");

    let runtime = Remote::new(&first.socket, TimeLimits::default());
    let container = run_pod(&runtime, place).await;
    let process = process_of(&runtime, &container).await;

    // containerd is killed, as the kernel does when memory is short: the supervisor brings it back.
    let supervisor =
        env::task::spawn(env::task::Fate::Local, "supervisor", containerd.clone().supervise(first.clone()))
            .abort_on_drop();
    kill(Pid::from_raw(first.pid), Signal::SIGKILL).unwrap();
    mounts::process::ended(first.pid).await.unwrap();
    let deadline = Instant::now() + START_TIMEOUT;
    let second = loop {
        match process_behind(&first.socket).await {
            Some(pid) if is_ready(&first.socket).await => break pid,
            _ => assert!(Instant::now() < deadline, "nobody started containerd again"),
        }
        tokio::task::yield_now().await;
    };
    assert_ne!(second, first.pid);
    let runtime = Remote::new(&first.socket, TimeLimits::default());
    assert_eq!(process_of(&runtime, &container).await, process, "the container did not notice");
    drop(supervisor);

    machine.take_back().await;
    assert_eq!(process_behind(&first.socket).await, None);
    assert!(has_ended(&process), "the container's process {process} is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_runtime_is_cleaned_up_by_discovery() {
    let Some(machine) = Machine::new() else { return };
    let place = &machine.place;
    let containerd = Containerd::at(place).unwrap();
    let running = containerd.ensure().await.unwrap();
    let bundle = Bundle::of(Path::new(PROGRAM), "sleep", &ROWS).unwrap();
    crate::images::ensure(&bundle, &running.socket).await.unwrap();
    let runtime = Remote::new(&running.socket, TimeLimits::default());
    let container = run_pod(&runtime, place).await;
    let process = process_of(&runtime, &container).await;
    kill(Pid::from_raw(running.pid), Signal::SIGKILL).unwrap();
    mounts::process::ended(running.pid).await.unwrap();
    machine.take_back().await;
    assert!(has_ended(&process), "the container's process {process} is gone");
}
