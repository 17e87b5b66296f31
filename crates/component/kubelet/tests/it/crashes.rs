//! Kill the kubelet, kill the runtime: containers go on, and nothing is started again.

use std::path::Path;

use cri::v1::{Container, ContainerFilter, ContainerState};
use env::process::{Child, Stdio};

use crate::{Node, PATIENCE};

/// A kubelet in a process of its own.
fn spawn(node: &Node) -> Child {
    let tests = env::process::executable().expect("a path");
    let program = tests.parent().and_then(Path::parent).expect("a target folder").join("examples/standalone");
    let mut command = env::process::command(program);
    command.arg(node.containerd.socket()).arg(node.containerd.folder()).arg(node.containerd.cgroup());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it is built along with the tests")
}

async fn running(node: &Node) -> Vec<Container> {
    let mut all = node.runtime.container_list(ContainerFilter::default()).await.unwrap_or_default();
    all.retain(|container| container.state() == ContainerState::ContainerRunning);
    all.sort_by(|left, right| left.id.cmp(&right.id));
    all
}

fn ids(containers: &[Container]) -> Vec<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}

const SLEEPER: &str = "  terminationGracePeriodSeconds: 0\n  containers:\n  - {name: main, image: '%image%', command: [/bin/sleep, '1000']}\n";

#[tokio::test]
async fn a_killed_kubelet_and_a_killed_runtime_restart_nothing() {
    let Some(mut node) = Node::start().await else { return };
    let names = ["a", "b", "c", "d"];
    names.iter().for_each(|name| node.write(name, SLEEPER));
    let mut kubelet = spawn(&node);
    // Killed on the way: some pods run, others do not yet.
    crate::wait_until("something runs", PATIENCE, async || !running(&node).await.is_empty()).await;
    kubelet.kill().await.expect("it runs");
    let begun = ids(&running(&node).await);

    let mut kubelet = spawn(&node);
    crate::wait_until("everything runs", PATIENCE, async || running(&node).await.len() == names.len()).await;
    let all = running(&node).await;
    assert!(begun.iter().all(|id| ids(&all).contains(id)), "what ran before goes on: {begun:?} {all:#?}");
    kubelet.kill().await.expect("it runs");

    let mut kubelet = spawn(&node);
    // A fifth pod shows that the third kubelet has looked around.
    node.write("e", SLEEPER);
    crate::wait_until("the fifth runs", PATIENCE, async || running(&node).await.len() == names.len() + 1).await;
    node.containerd.crash().await;
    // And a sixth that it goes on with the runtime that was started again.
    node.write("f", SLEEPER);
    crate::wait_until("the sixth runs", PATIENCE, async || running(&node).await.len() == names.len() + 2).await;
    let now = running(&node).await;
    assert!(ids(&all).iter().all(|id| ids(&now).contains(id)), "{all:#?} {now:#?}");
    // A start that the kill cut short may have ended as soon as it began, once per pod; nothing that ran has ended.
    let every = node.runtime.container_list(ContainerFilter::default()).await.expect("a list");
    let ended: Vec<_> = every.iter().filter(|it| it.state() == ContainerState::ContainerExited).collect();
    let first_attempts = ended.iter().all(|it| it.metadata.as_ref().is_some_and(|metadata| metadata.attempt == 0));
    assert!(first_attempts && ended.len() < names.len(), "{ended:#?}");
    assert!(ended.iter().all(|it| !begun.contains(&it.id)), "{begun:?} {ended:#?}");

    for name in names.iter().chain(&["e", "f"]) {
        env::fs::remove_file(node.manifest(name)).expect("the manifest is removed");
    }
    crate::wait_until("everything is gone", PATIENCE, async || node.is_empty().await).await;
    kubelet.kill().await.expect("it runs");
}
