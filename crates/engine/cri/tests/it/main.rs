//! The trait [`cri::Runtime`] over a real containerd.

mod containerd;

use std::time::Duration;

use containerd::{Containerd, IMAGE, wait_until};
use cri::v1::{
    ContainerConfig, ContainerFilter, ContainerMetadata, ContainerState, ImageSpec, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxFilter,
    PodSandboxMetadata, PodSandboxState,
};
use cri::{ContainerCreation, Remote, Runtime, TimeLimits};

fn sandbox_config(containerd: &Containerd) -> PodSandboxConfig {
    let namespaces = NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ..Default::default()
    };
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: "one".to_owned(),
            uid: "uid-1".to_owned(),
            namespace: "default".to_owned(),
            attempt: 0,
        }),
        log_directory: containerd.folder().join("logs").to_string_lossy().into_owned(),
        labels: [("app".to_owned(), "one".to_owned())].into(),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/{}/pod1", containerd.cgroup()),
            security_context: Some(LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn container_config(script: &str) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: "main".to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: IMAGE.to_owned(), ..Default::default() }),
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        log_path: "main/0.log".to_owned(),
        ..Default::default()
    }
}

async fn state(runtime: &Remote, id: &str) -> ContainerState {
    let answer = runtime.container_status(id.to_owned(), false).await.expect("the container has a status");
    answer.status.expect("a status").state()
}

#[tokio::test]
async fn a_container_lives_and_ends() {
    let Some(containerd) = Containerd::start().await else { return };
    let runtime = Remote::new(&containerd.socket(), TimeLimits::default());
    assert_eq!(runtime.version().await.expect("a version").runtime_name, "containerd");
    env::fs::create_dir_all(containerd.folder().join("logs/main")).expect("the folder is writable");

    let config = sandbox_config(&containerd);
    let sandbox = runtime.sandbox_run(config.clone(), String::new()).await.expect("the sandbox runs");
    let listed = runtime.sandbox_list(PodSandboxFilter::default()).await.expect("a list");
    assert_eq!(
        listed.iter().map(|item| (&item.id, item.state())).collect::<Vec<_>>(),
        [(&sandbox, PodSandboxState::SandboxReady)]
    );

    let script = "trap 'exit 7' TERM; echo started; while :; do sleep 0.05; done";
    let creation =
        ContainerCreation { sandbox: sandbox.clone(), config: container_config(script), sandbox_config: config };
    let id = runtime.container_create(creation).await.expect("the container is created");
    assert_eq!(state(&runtime, &id).await, ContainerState::ContainerCreated);
    runtime.container_start(id.clone()).await.expect("the container starts");
    assert_eq!(state(&runtime, &id).await, ContainerState::ContainerRunning);

    let log = containerd.folder().join("logs/main/0.log");
    wait_until("the log holds the first line", Duration::from_secs(10), async || {
        env::fs::read_to_string(&log).is_ok_and(|text| text.contains("stdout F started"))
    })
    .await;
    let output = runtime
        .container_exec_sync(
            id.clone(),
            ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"].map(str::to_owned).into(),
            Duration::from_secs(10),
        )
        .await
        .expect("the command runs");
    assert_eq!((&output.stdout[..], &output.stderr[..], output.exit_code), (&b"out\n"[..], &b"err\n"[..], 3));

    runtime.container_stop(id.clone(), Duration::from_secs(10)).await.expect("the container stops");
    let status = runtime.container_status(id.clone(), false).await.expect("a status").status.expect("a status");
    assert_eq!((status.state(), status.exit_code), (ContainerState::ContainerExited, 7));

    runtime.container_remove(id.clone()).await.expect("the container is removed");
    runtime.container_remove(id).await.expect("a second removal is fine");
    assert!(runtime.container_list(ContainerFilter::default()).await.expect("a list").is_empty());
    runtime.sandbox_stop(sandbox.clone()).await.expect("the sandbox stops");
    runtime.sandbox_remove(sandbox.clone()).await.expect("the sandbox is removed");
    runtime.sandbox_remove(sandbox).await.expect("a second removal is fine");
}

#[tokio::test]
async fn what_is_absent_is_told_apart_from_what_failed() {
    let Some(containerd) = Containerd::start().await else { return };
    let runtime = Remote::new(&containerd.socket(), TimeLimits::default());
    let absent = runtime.container_status("absent".to_owned(), false).await.expect_err("there is no such container");
    assert!(absent.is_not_found(), "{absent:?}");
    let image = |name: &str| ImageSpec { image: name.to_owned(), ..Default::default() };
    assert!(runtime.image_status(image("localhost/absent:1")).await.expect("an answer").is_none());
    assert!(runtime.image_status(image(IMAGE)).await.expect("an answer").is_some());
    if runtime.version().await.expect("a version").runtime_version.starts_with("1.6") {
        // gRPC reports an unknown method of a stream at its first message or at once, depending on the server.
        let failure = match runtime.events().await {
            Err(failure) => failure,
            Ok(mut events) => futures::StreamExt::next(&mut events).await.expect("an answer").expect_err("a refusal"),
        };
        assert!(failure.is_unimplemented(), "{failure:?}");
    }
}

#[tokio::test]
async fn a_missing_socket_is_unreachable() {
    let runtime = Remote::new(std::path::Path::new("unix:///nonexistent/cri.sock"), TimeLimits::default());
    let failure = runtime.version().await.expect_err("nobody is there");
    assert!(matches!(failure, cri::Failure::Unreachable { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_connection_outlives_the_runtime() {
    let Some(mut containerd) = Containerd::start().await else { return };
    let runtime = Remote::new(&containerd.socket(), TimeLimits::default());
    let before = runtime.version().await.expect("an answer");
    containerd.crash().await;
    wait_until("the same connection answers again", std::time::Duration::from_secs(10), async || {
        runtime.version().await.is_ok_and(|version| version == before)
    })
    .await;
}
