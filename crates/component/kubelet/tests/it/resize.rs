//! Pods that get more or less while they run, on a real runtime and in real cgroups.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kubelet::{Config, PodChange};
use podplan::status::container_status;
use typed::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus, ResourceRequirements};
use typed::resource::Quantity;

use crate::api::{Memory, Seen};
use crate::{Node, Running};

const MIB: u64 = 1 << 20;

/// A pod `name` with one container that rests, and its resources as `request/limit` of CPU and of memory in MiB.
fn pod(name: &str, cpu: &str, memory: &str, more: &str) -> Pod {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: ns, uid: uid-{name}, generation: 1}}\n\
         spec:\n  hostNetwork: true\n  restartPolicy: OnFailure\n  terminationGracePeriodSeconds: 1\n  containers:\n\
         \x20 - name: main\n    image: '{}'\n    command: [/bin/sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]\n{more}",
        crate::IMAGE
    );
    let mut pod = kubelet::decode(text.as_bytes()).expect("a pod");
    pod.spec.as_mut().expect("a specification").containers[0].resources = Some(amounts(cpu, memory));
    pod
}

fn amounts(cpu: &str, memory: &str) -> ResourceRequirements {
    let (cpu, memory) = (cpu.split_once('/').expect("a/b"), memory.split_once('/').expect("a/b"));
    let list = |cpu: &str, memory: &str| {
        let pairs = [("cpu", format!("{cpu}m")), ("memory", format!("{memory}Mi"))];
        Some(BTreeMap::from(pairs.map(|(name, amount)| (name.to_owned(), Quantity(amount)))))
    };
    ResourceRequirements { requests: list(cpu.0, memory.0), limits: list(cpu.1, memory.1), claims: None }
}

/// The same pod, asked to have other resources by its `generation`.
fn resized(pod: &Pod, generation: i64, cpu: &str, memory: &str) -> Pod {
    let mut pod = pod.clone();
    pod.metadata.generation = Some(generation);
    pod.spec.as_mut().expect("a specification").containers[0].resources = Some(amounts(cpu, memory));
    pod
}

async fn send(api: &Memory, change: PodChange) {
    api.changes.send(change).await.expect("the kubelet lives");
}

fn status<'a>(seen: &'a Seen, name: &str) -> Option<&'a PodStatus> {
    seen.statuses.get(&format!("uid-{name}"))
}

fn main_of<'a>(seen: &'a Seen, name: &str) -> Option<&'a ContainerStatus> {
    container_status(status(seen, name)?, "main")
}

fn conditions(status: &PodStatus) -> Vec<&PodCondition> {
    let all = status.conditions.iter().flatten();
    all.filter(|it| it.type_ == "PodResizePending" || it.type_ == "PodResizeInProgress").collect()
}

/// Whether the pod runs, has exactly these resources, and nothing is told of a resize.
fn settled(seen: &Seen, name: &str, generation: i64, cpu: &str, memory: &str) -> bool {
    let Some((status, main)) = status(seen, name).zip(main_of(seen, name)) else { return false };
    let wanted = amounts(cpu, memory);
    status.observed_generation == Some(generation)
        && conditions(status).is_empty()
        && main.state.as_ref().is_some_and(|state| state.running.is_some())
        && main.allocated_resources == wanted.requests
        && main.resources.as_ref() == Some(&wanted)
}

/// What the kernel holds the pod's container and the pod itself to: memory, CPU quota and CPU shares.
fn in_kernel(node: &Node, main: &ContainerStatus, name: &str) -> [[u64; 3]; 2] {
    let id = main.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://")).expect("an id").to_owned();
    let below = PathBuf::from(node.containerd.cgroup()).join("kubepods/burstable").join(format!("poduid-{name}"));
    let of = |below: PathBuf| {
        let read = |controller: &str, file: &str| {
            let file = PathBuf::from("/sys/fs/cgroup").join(controller).join(&below).join(file);
            let text = env::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            text.trim().parse().expect("a number")
        };
        [read("memory", "memory.limit_in_bytes") / MIB, read("cpu", "cpu.cfs_quota_us"), read("cpu", "cpu.shares")]
    };
    [of(below.join(&id)), of(below)]
}

fn is_v1() -> bool {
    !PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists()
}

async fn start(node: &Node, api: &Arc<Memory>, pods: &[&Pod]) -> Running {
    let kubelet = node.kubelet_with(api.clone()).await;
    send(api, PodChange::All(pods.iter().map(|pod| Arc::new((*pod).clone())).collect())).await;
    kubelet
}

async fn end(node: &Node, api: &Memory, kubelet: &Running, pods: &[&Pod]) {
    for pod in pods {
        send(api, PodChange::Gone(Arc::new((*pod).clone()))).await;
    }
    kubelet.wait("the pods are gone", |it| it.pod().is_none()).await;
    assert!(node.is_empty().await, "nothing stays in the runtime");
}

#[tokio::test]
async fn a_running_pod_grows_and_shrinks_in_place() {
    let Some(node) = Node::start().await else { return };
    let (api, first) = (Memory::new(), pod("web", "20/30", "35/45", ""));
    let kubelet = start(&node, &api, &[&first]).await;
    let seen = api.wait("it runs", |seen| settled(seen, "web", 1, "20/30", "35/45")).await;
    let before = main_of(&seen, "web").expect("a status").clone();
    if is_v1() {
        assert_eq!(in_kernel(&node, &before, "web"), [[45, 3000, 20]; 2]);
    }
    let mut generation = 1;
    for (cpu, memory, kernel) in [
        ("25/35", "40/50", [50, 3500, 25]),
        ("15/25", "30/40", [40, 2500, 15]),
        ("15/40", "35/40", [40, 4000, 15]),
        ("20/30", "35/45", [45, 3000, 20]),
    ] {
        generation += 1;
        send(&api, PodChange::Set(Arc::new(resized(&first, generation, cpu, memory)))).await;
        let seen = api.wait("it is resized", |seen| settled(seen, "web", generation, cpu, memory)).await;
        let main = main_of(&seen, "web").expect("a status");
        assert_eq!((&main.container_id, main.restart_count), (&before.container_id, 0), "in place");
        if is_v1() {
            assert_eq!(in_kernel(&node, main, "web"), [kernel; 2], "{cpu} {memory}");
        }
        let told = status(&seen, "web").and_then(|it| it.allocated_resources.clone());
        assert_eq!(told, amounts(cpu, memory).requests, "the pod as a whole");
    }
    let events = kubelet.events();
    for (reason, words) in [("ResizeStarted", "started"), ("ResizeCompleted", "completed")] {
        let expected = format!(
            "{reason} Pod resize {words}: {{\"containers\":[{{\"name\":\"main\",\"resources\":{{\"limits\":\
             {{\"cpu\":\"35m\",\"memory\":\"50Mi\"}},\"requests\":{{\"cpu\":\"25m\",\"memory\":\"40Mi\"}}}}}}],\"generation\":2}}"
        );
        assert!(events.contains(&expected), "{expected} is missing in {events:#?}");
    }
    end(&node, &api, &kubelet, &[&first]).await;
}

#[tokio::test]
async fn a_policy_starts_the_container_anew() {
    let Some(node) = Node::start().await else { return };
    let policy = "    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]\n";
    let (api, first) = (Memory::new(), pod("web", "20/30", "35/45", policy));
    let kubelet = start(&node, &api, &[&first]).await;
    api.wait("it runs", |seen| settled(seen, "web", 1, "20/30", "35/45")).await;
    for (generation, cpu, memory, restarts) in
        [(2, "25/35", "35/45", 0), (3, "25/35", "40/50", 1), (4, "25/35", "35/45", 2)]
    {
        send(&api, PodChange::Set(Arc::new(resized(&first, generation, cpu, memory)))).await;
        let seen = api.wait("it is resized", |seen| settled(seen, "web", generation, cpu, memory)).await;
        let main = main_of(&seen, "web").expect("a status");
        assert_eq!(main.restart_count, restarts, "generation {generation}");
        if is_v1() {
            let [container, whole] = in_kernel(&node, main, "web");
            assert_eq!(container, whole, "generation {generation}");
        }
    }
    let events = kubelet.events();
    assert!(events.iter().any(|it| it == "Killing Container main resize requires restart"), "{events:#?}");
    end(&node, &api, &kubelet, &[&first]).await;
}

#[tokio::test]
async fn a_resize_waits_for_room_and_survives_the_kubelet() {
    let Some(node) = Node::start().await else { return };
    let cpus = mounts::machine::machine().expect("a machine").cpus * 1000;
    let (half, most) = (cpus / 2, cpus * 3 / 4);
    let api = Memory::new();
    let (big, small) = (pod("big", &format!("{half}/{half}"), "10/20", ""), pod("small", "10/20", "10/20", ""));
    let kubelet = start(&node, &api, &[&big, &small]).await;
    api.wait("both run", |seen| {
        settled(seen, "small", 1, "10/20", "10/20") && main_of(seen, "big").is_some_and(|it| it.started == Some(true))
    })
    .await;
    let wish = resized(&small, 2, &format!("{most}/{most}"), "10/20");
    send(&api, PodChange::Set(Arc::new(wish.clone()))).await;
    let waits = |seen: &Seen| {
        let all = status(seen, "small").map(conditions).unwrap_or_default();
        let expected =
            format!("Node didn't have enough resource: cpu, requested: {most}, used: {half}, capacity: {cpus}");
        all.len() == 1
            && all[0].type_ == "PodResizePending"
            && all[0].reason.as_deref() == Some("Deferred")
            && all[0].message.as_deref() == Some(&expected)
            && all[0].observed_generation == Some(2)
    };
    let seen = api.wait("it waits for room", waits).await;
    let main = main_of(&seen, "small").expect("a status").clone();
    assert_eq!(main.resources, Some(amounts("10/20", "10/20")), "it has what it had");
    assert!(seen.events.contains(&"ResizeDeferred".to_owned()), "{:?}", seen.events);

    // Another kubelet knows what was granted, whatever the API asks for.
    kubelet.stop().await;
    let again = Memory::new();
    let told = |pod: &Pod| Pod {
        status: status(&seen, &pod.metadata.name.clone().unwrap_or_default()).cloned(),
        ..pod.clone()
    };
    let kubelet = start(&node, &again, &[&told(&big), &told(&wish)]).await;
    let now = again.wait("it still waits", waits).await;
    assert_eq!(main_of(&now, "small").map(|it| &it.container_id), Some(&main.container_id));
    assert_eq!(main_of(&now, "small").and_then(|it| it.resources.clone()), Some(amounts("10/20", "10/20")));
    assert!(!now.events.contains(&"ResizeDeferred".to_owned()), "told once is enough: {:?}", now.events);

    send(&again, PodChange::Gone(Arc::new(big))).await;
    let cpu = format!("{most}/{most}");
    let now = again.wait("there is room", |seen| in_force(seen, &cpu)).await;
    assert_eq!(main_of(&now, "small").map(|it| (&it.container_id, it.restart_count)), Some((&main.container_id, 0)));
    end(&node, &again, &kubelet, &[&small]).await;
}

#[tokio::test]
async fn room_comes_when_another_shrinks() {
    let Some(node) = Node::start().await else { return };
    let cpus = mounts::machine::machine().expect("a machine").cpus * 1000;
    let (half, most) = (cpus / 2, format!("{0}/{0}", cpus * 3 / 4));
    let api = Memory::new();
    let (big, small) = (pod("big", &format!("{half}/{half}"), "10/20", ""), pod("small", "10/20", "10/20", ""));
    let kubelet = start(&node, &api, &[&big, &small]).await;
    api.wait("both run", |seen| ["big", "small"].iter().all(|name| main_of(seen, name).is_some_and(|it| it.ready)))
        .await;
    send(&api, PodChange::Set(Arc::new(resized(&small, 2, &most, "10/20")))).await;
    let waits = |seen: &Seen| {
        let all = status(seen, "small").map(conditions).unwrap_or_default();
        all.iter().any(|it| it.type_ == "PodResizePending")
    };
    let seen = api.wait("it waits for room", waits).await;
    let modest = Pod { status: status(&seen, "big").cloned(), ..resized(&big, 2, "10/20", "10/20") };
    send(&api, PodChange::Set(Arc::new(modest.clone()))).await;
    let seen = api.wait("the other shrinks", |seen| settled(seen, "big", 2, "10/20", "10/20")).await;
    assert!(waits(&seen), "the room is free when the API knows so");
    send(&api, PodChange::Set(Arc::new(Pod { status: status(&seen, "big").cloned(), ..modest }))).await;
    api.wait("there is room", |seen| in_force(seen, &most)).await;
    end(&node, &api, &kubelet, &[&big, &small]).await;
}

/// Amounts may be written in other units.
fn in_force(seen: &Seen, cpu: &str) -> bool {
    let (request, _) = cpu.split_once('/').expect("a/b");
    let wanted = podplan::quantity::milli(&Quantity(format!("{request}m")));
    let of = |main: &ContainerStatus| {
        main.resources.as_ref()?.requests.as_ref()?.get("cpu").and_then(podplan::quantity::milli)
    };
    status(seen, "small").is_some_and(|status| conditions(status).is_empty())
        && main_of(seen, "small").and_then(of) == wanted
}

#[tokio::test]
async fn memory_in_use_is_not_taken_away() {
    let Some(node) = Node::start().await else { return };
    let (api, first) = (Memory::new(), pod("web", "20/30", "35/45", ""));
    let kubelet = start(&node, &api, &[&first]).await;
    api.wait("it runs", |seen| settled(seen, "web", 1, "20/30", "35/45")).await;
    let mut tiny = resized(&first, 2, "20/30", "35/45");
    let resources = tiny.spec.as_mut().and_then(|spec| spec.containers[0].resources.as_mut()).expect("resources");
    for list in [&mut resources.requests, &mut resources.limits].into_iter().flatten() {
        list.insert("memory".to_owned(), Quantity("10Ki".to_owned()));
    }
    send(&api, PodChange::Set(Arc::new(tiny))).await;
    let seen = api
        .wait("it is refused", |seen| {
            let all = status(seen, "web").map(conditions).unwrap_or_default();
            all.iter().any(|it| {
                let message = it.message.as_deref().unwrap_or_default();
                it.type_ == "PodResizeInProgress"
                    && it.reason.as_deref() == Some("Error")
                    && message.contains("attempting to set pod memory limit (10240) below current usage (")
                    && it.observed_generation == Some(2)
            })
        })
        .await;
    assert!(seen.events.contains(&"ResizeError".to_owned()), "{:?}", seen.events);
    let limits = main_of(&seen, "web").and_then(|it| it.resources.clone()?.limits);
    assert_eq!(limits, amounts("20/30", "35/45").limits, "what is in force stays");
    send(&api, PodChange::Set(Arc::new(resized(&first, 3, "20/30", "35/45")))).await;
    api.wait("it is as it was", |seen| settled(seen, "web", 3, "20/30", "35/45")).await;
    end(&node, &api, &kubelet, &[&first]).await;
}

/// A kubelet that is killed between a grant and its end finds out what is left to do.
#[tokio::test]
async fn what_was_granted_is_carried_out_by_the_next_kubelet() {
    let Some(node) = Node::start().await else { return };
    let (api, first) = (Memory::new(), pod("web", "20/30", "35/45", ""));
    let kubelet = start(&node, &api, &[&first]).await;
    let seen = api.wait("it runs", |seen| settled(seen, "web", 1, "20/30", "35/45")).await;
    let main = main_of(&seen, "web").expect("a status").clone();
    kubelet.stop().await;

    let wish = resized(&first, 2, "25/35", "40/50");
    let told = Pod { status: status(&seen, "web").cloned(), ..wish.clone() };
    let config: Config = node.config();
    let folder = config.root.join("pods/uid-web");
    let granted = env::fs::read_to_string(folder.join("allocation.json")).expect("it was kept");
    assert!(granted.contains("\"20m\"") && granted.contains("\"45Mi\""), "{granted}");
    // The grant was kept, nothing was done about it yet.
    let kept = granted.replace("20m", "25m").replace("30m", "35m").replace("35Mi", "40Mi").replace("45Mi", "50Mi");
    env::fs::write_atomic(&folder.join("allocation.json"), kept.as_bytes(), env::fs::PRIVATE).expect("it is written");
    let again = Memory::new();
    let kubelet = start(&node, &again, &[&told]).await;
    let now = again.wait("it is carried out", |seen| settled(seen, "web", 2, "25/35", "40/50")).await;
    assert!(!now.events.contains(&"ResizeStarted".to_owned()), "it was granted before: {:?}", now.events);
    let after = main_of(&now, "web").expect("a status");
    assert_eq!((&after.container_id, after.restart_count), (&main.container_id, 0));
    if is_v1() {
        assert_eq!(in_kernel(&node, after, "web"), [[50, 3500, 25]; 2]);
    }
    end(&node, &again, &kubelet, &[&first]).await;
}
