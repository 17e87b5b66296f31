//! What nobody needs goes: images, dead containers, what pods left behind.

use std::time::Duration;

use cri::v1::{ContainerFilter, ContainerState, ContainerStateValue};
use jiff::SignedDuration;
use kubelet::{Config, PodChange};
use podplan::eviction::{Bound, Signal, Threshold};
use podplan::garbage::ImageRules;

use crate::api::{Memory, Seen};
use crate::{IMAGE, Node, PATIENCE, log, wait_until};

const UNUSED: &str = "localhost/unused:1";
const KEPT: &str = "localhost/kept:1";
const OFTEN: Duration = Duration::from_millis(300);

async fn tags(node: &Node) -> Vec<String> {
    let images = node.runtime.image_list().await.expect("a list");
    let mut tags: Vec<String> = images.into_iter().flat_map(|image| image.repo_tags).collect();
    tags.sort();
    tags
}

#[tokio::test]
async fn images_go_that_nothing_uses_and_the_node_says_when_that_is_not_enough() {
    let Some(node) = Node::start().await else { return };
    for name in [UNUSED, KEPT] {
        node.containerd.import(name).await;
    }
    let spec = "  containers:\n  - {name: main, image: '%image%', command: [/bin/sleep, '1000']}\n";
    node.write("user", &format!("  terminationGracePeriodSeconds: 0\n{spec}"));
    // Whatever this machine's disk holds is too much.
    let image_rules = ImageRules { high_percent: 0, low_percent: 0, age_min: SignedDuration::ZERO, age_max: None };
    // The pod runs before anything is collected.
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    kubelet.stop().await;
    let images_kept = vec![KEPT.to_owned()];
    let config = Config { image_rules, images_kept, image_collection_interval: OFTEN, ..node.config() };
    let kubelet = node.kubelet_as(config, std::sync::Arc::new(kubelet::Standalone)).await;
    wait_until("images were collected more than once", PATIENCE, async || {
        kubelet.events().iter().any(|event| event.starts_with("ImageGCFailed "))
    })
    .await;
    assert_eq!(tags(&node).await, [IMAGE, KEPT], "what is in use and what is to be kept stays");
    let events = kubelet.events();
    let said =
        |event: &&String| event.starts_with("FreeDiskSpaceFailed Insufficient free disk space on the node's image");
    assert!(events.iter().find(said).is_some(), "{events:#?}");
    env::fs::remove_file(node.manifest("user")).expect("the manifest is removed");
    wait_until("its image goes after it", PATIENCE, async || tags(&node).await == [KEPT]).await;
}

async fn dead(node: &Node) -> usize {
    let state = Some(ContainerStateValue { state: ContainerState::ContainerExited.into() });
    node.runtime.container_list(ContainerFilter { state, ..Default::default() }).await.expect("a list").len()
}

#[tokio::test]
async fn of_a_container_that_restarts_its_last_end_stays() {
    let Some(node) = Node::start().await else { return };
    let spec = "  containers:\n  - {name: main, image: '%image%', command: [/bin/sh, -c, 'echo said; exit 3']}\n";
    node.write("loop", spec);
    let config = Config { relist_interval: OFTEN, ..node.config() };
    let kubelet = node.kubelet_as(config, std::sync::Arc::new(kubelet::Standalone)).await;
    kubelet.wait("it ended often", |it| it.container("main").is_some_and(|main| main.restart_count >= 3)).await;
    wait_until("its earlier logs are gone", PATIENCE, async || {
        (0..2).all(|attempt| log(&node, "loop", "main", attempt).is_empty())
    })
    .await;
    wait_until("one stays", PATIENCE, async || dead(&node).await == 1).await;
    env::fs::remove_file(node.manifest("loop")).expect("the manifest is removed");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
}

#[tokio::test]
async fn what_pods_left_behind_goes() {
    let Some(node) = Node::start().await else { return };
    let at = |path: &str| node.containerd.folder().join(path);
    let (folder, logs, link) = (at("kubelet/pods/gone"), at("pods/ns_pod_gone"), at("containers/pod_ns_main-0.log"));
    for folder in [&folder.join("volumes"), &logs.join("main"), &at("containers")] {
        env::fs::create_dir_all(folder).expect("the folder is writable");
    }
    env::fs::symlink(logs.join("main/0.log"), &link).expect("the folder is writable");
    // A process that no runtime knows.
    let cgroups = mounts::cgroup::Cgroups::at("/sys/fs/cgroup".as_ref(), mounts::cgroup::Driver::Cgroupfs);
    let path: Vec<String> = [node.containerd.cgroup(), "kubepods", "podgone"].map(str::to_owned).to_vec();
    cgroups.create(&path).expect("a cgroup");
    let mut lost = env::process::command("sleep").arg("1000").spawn().expect("it starts");
    let pid = lost.id().expect("it runs").to_string();
    let roots = env::fs::read_dir("/sys/fs/cgroup").expect("hierarchies").flatten().map(|entry| entry.path());
    for root in roots.chain(["/sys/fs/cgroup".into()]) {
        let procs = root.join(path.join("/")).join("cgroup.procs");
        if procs.exists() {
            env::fs::write_in_place(&procs, pid.as_bytes()).expect("it is moved");
        }
    }
    let config = Config { relist_interval: OFTEN, ..node.config() };
    let _kubelet = node.kubelet_as(config, std::sync::Arc::new(kubelet::Standalone)).await;
    let ended = env::time::timeout(PATIENCE, lost.wait()).await.expect("it is ended").expect("it was a child");
    assert!(!ended.success());
    wait_until("nothing is left", PATIENCE, async || {
        !folder.exists() && !logs.exists() && !link.is_symlink() && !cgroups.exists(&path)
    })
    .await;
}

const OVER: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: ns, uid: NAME}
spec:
  hostNetwork: true
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: '%image%', command: [/bin/sleep, 'SECONDS']}
"#;

#[tokio::test]
async fn a_disk_that_runs_short_costs_garbage_first_and_then_a_pod() {
    let Some(node) = Node::start().await else { return };
    node.containerd.import(UNUSED).await;
    let pod = |name: &str, seconds: &str| {
        let text = OVER.replace("NAME", name).replace("SECONDS", seconds).replace("%image%", IMAGE);
        kubelet::decode(text.as_bytes()).expect("a pod")
    };
    let (done, runs) = (pod("done", "0"), pod("runs", "1000"));
    let api = Memory::new();
    let phase =
        |seen: &Seen, uid: &str| seen.statuses.get(uid).and_then(|status| status.phase.clone()).unwrap_or_default();
    let kubelet = node.kubelet_with(api.clone()).await;
    let all = [&done, &runs].map(|pod| std::sync::Arc::new(pod.clone())).to_vec();
    api.changes.send(PodChange::All(all)).await.expect("the kubelet lives");
    let seen = api
        .wait("one runs, one is done", |seen| phase(seen, "done") == "Succeeded" && phase(seen, "runs") == "Running")
        .await;
    kubelet.stop().await;
    assert_eq!((dead(&node).await, tags(&node).await.len()), (1, 2));

    let short = Threshold { signal: Signal::NodeBytes, bound: Bound::Amount(1 << 60), grace: SignedDuration::ZERO };
    let image_rules = ImageRules { age_min: SignedDuration::ZERO, ..ImageRules::default() };
    let config = Config { eviction_hard: vec![short], upkeep_interval: OFTEN, image_rules, ..node.config() };
    let api = Memory::new();
    let _kubelet = node.kubelet_as(config, api.clone()).await;
    let known = |pod: typed::api::core::v1::Pod, uid: &str| {
        std::sync::Arc::new(typed::api::core::v1::Pod { status: seen.statuses.get(uid).cloned(), ..pod })
    };
    api.changes.send(PodChange::All(vec![known(done, "done"), known(runs, "runs")])).await.expect("the kubelet lives");
    let seen = api.wait("the pod is evicted", |seen| phase(seen, "runs") == "Failed").await;
    let message = seen.statuses["runs"].message.clone().unwrap_or_default();
    let beginning = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Ei, available: ";
    assert!(message.starts_with(beginning), "{message}");
    assert_eq!(tags(&node).await, [IMAGE], "the unused image went before it");
    let done = seen.statuses.get("done").expect("it is known");
    let ended = done.container_statuses.iter().flatten().next().and_then(|main| main.state.clone()?.terminated);
    assert_eq!((done.phase.as_deref(), ended.map(|ended| ended.exit_code)), (Some("Succeeded"), Some(0)));
    let labels = std::collections::BTreeMap::from([("io.kubernetes.pod.uid".to_owned(), "done".to_owned())]);
    let of_done = ContainerFilter { label_selector: labels, ..Default::default() };
    assert!(node.runtime.container_list(of_done).await.expect("a list").is_empty(), "its container went as well");
}
