//! Clients that others have written.

use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use pki::kubeconfig::{CLIENTS, Kubeconfig, Target};
use typed::api::core::v1::ConfigMap;

use crate::fixture::{Cluster, DEADLINE, Listening};

/// A kubeconfig of the administrator.
fn kubeconfig(listening: &Listening) -> PathBuf {
    let target =
        Target { cluster: "kubernetes".to_owned(), server: format!("https://127.0.0.1:{}", listening.address.port()) };
    let admin = CLIENTS[1].subject("localhost");
    let validity = (env::time::now(), pki::layout::LEAF_VALIDITY);
    let file = Kubeconfig::issue(&target, &listening.authority, admin, pki::Algorithm::default(), validity);
    let path = listening.folder.path().join("admin.conf");
    file.expect("a kubeconfig can be issued").store(&path).expect("it can be stored");
    path
}

fn named(name: &str, value: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map.data = Some([("key".to_owned(), value.to_owned())].into());
    map
}

#[tokio::test]
async fn kube_rs_works() {
    let listening = Cluster::start().await.listen().await;
    let file = kube::config::Kubeconfig::read_from(kubeconfig(&listening)).expect("kube-rs reads our kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await;
    let client = kube::Client::try_from(config.expect("a configuration")).expect("a client");
    assert_eq!(client.apiserver_version().await.expect("a version").minor.trim_end_matches('+'), "36");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let made = maps.create(&PostParams::default(), &named("one", "a")).await.expect("created");
    let revision = made.metadata.resource_version.expect("it has a revision");
    let mut events = Box::pin(maps.watch(&WatchParams::default(), &revision).await.expect("watched"));
    let apply = PatchParams::apply("it").force();
    let mut config = named("one", "b");
    config.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    let applied = maps.patch("one", &apply, &Patch::Apply(&config)).await.expect("applied");
    assert_eq!(applied.data.expect("it has data")["key"], "b");
    let merged = maps.patch("one", &PatchParams::default(), &Patch::Merge(&named("one", "c"))).await.expect("patched");
    assert_eq!(merged.data.expect("it has data")["key"], "c");
    let listed = maps.list(&ListParams::default().labels("a=b")).await.expect("listed");
    assert_eq!(listed.items.len(), 1);
    maps.delete("one", &DeleteParams::default()).await.expect("deleted");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = env::time::timeout(DEADLINE, events.try_next()).await.expect("an event in time");
        seen.push(match event.expect("the stream is whole").expect("the stream goes on") {
            WatchEvent::Added(_) => "ADDED",
            WatchEvent::Modified(_) => "MODIFIED",
            WatchEvent::Deleted(_) => "DELETED",
            WatchEvent::Bookmark(_) => "BOOKMARK",
            WatchEvent::Error(error) => panic!("{error:?}"),
        });
    }
    assert_eq!(seen, ["MODIFIED", "MODIFIED", "DELETED"]);
    match maps.get("one").await {
        Err(kube::Error::Api(status)) => assert!(status.is_not_found(), "{status:?}"),
        other => panic!("{other:?}"),
    }
}

const SCRIPT: &str = r#"
import sys
from kubernetes import client, config, watch
config.load_kube_config(sys.argv[1])
core = client.CoreV1Api()
made = core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py"), data={"key": "a"}))
patched = core.patch_namespaced_config_map("py", "default", {"data": {"key": "b"}})
assert patched.data["key"] == "b", patched
assert [m.metadata.name for m in core.list_namespaced_config_map("default", field_selector="metadata.name=py").items] == ["py"]
made.data = {"key": "c"}
try:
    core.replace_namespaced_config_map("py", "default", made)
    raise SystemExit("a stale update was accepted")
except client.ApiException as refusal:
    assert refusal.status == 409, refusal
core.delete_namespaced_config_map("py", "default")
seen = []
for event in watch.Watch().stream(core.list_namespaced_config_map, "default", resource_version=made.metadata.resource_version, timeout_seconds=10):
    seen.append(event["type"])
    if event["type"] == "DELETED":
        break
assert seen == ["MODIFIED", "DELETED"], seen
apps = client.AppsV1Api()
labels = {"app": "py"}
pod = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i")]))
spec = client.V1DeploymentSpec(selector=client.V1LabelSelector(match_labels=labels), template=pod, replicas=2)
apps.create_namespaced_deployment("default", client.V1Deployment(metadata=client.V1ObjectMeta(name="py"), spec=spec))
scale = apps.read_namespaced_deployment_scale("py", "default")
assert scale.spec.replicas == 2, scale
apps.patch_namespaced_deployment_scale("py", "default", {"spec": {"replicas": 5}})
assert apps.read_namespaced_deployment("py", "default").spec.replicas == 5
print("the Python client is content")
"#;

/// A Python with the `kubernetes` package below `target/`; `None` where it cannot be had.
async fn python() -> Option<PathBuf> {
    let test = env::process::executable().expect("the test knows where it is");
    let folder =
        test.parent().and_then(Path::parent).expect("tests are two folders below the target").join("python-client");
    let python = folder.join("bin/python");
    let knows = |python: PathBuf| async move {
        let import = env::process::command(python).args(["-c", "import kubernetes"]).output().await;
        import.is_ok_and(|output| output.status.success())
    };
    if knows(python.clone()).await {
        return Some(python);
    }
    let made = env::process::command("python3").args(["-m", "venv"]).arg(&folder).output().await;
    made.ok().filter(|output| output.status.success())?;
    let mut pip = env::process::command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "10", "kubernetes==33.1.0"]);
    pip.output().await.ok().filter(|output| output.status.success())?;
    knows(python.clone()).await.then_some(python)
}

#[tokio::test]
async fn the_python_client_works() {
    let Some(python) = python().await else {
        println!("skipped: no Python with the package kubernetes; it needs python3-venv and a way to PyPI");
        return;
    };
    let listening = Cluster::start().await.listen().await;
    let mut run = env::process::command(python);
    run.args(["-c", SCRIPT]).arg(kubeconfig(&listening));
    let output = env::time::timeout(DEADLINE, run.output()).await.expect("the script ends").expect("the script runs");
    let words = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{}", words.0, words.1);
    listening.shutdown.cancel();
    let drained = env::time::timeout(DEADLINE, listening.running).await.expect("the server ends");
    assert_eq!(drained.expect("it does not panic").connections_cut, 0);
}

#[tokio::test]
async fn kubectl_works() {
    let version = env::process::command("kubectl").args(["version", "--client"]).output().await;
    if version.is_err() {
        println!("skipped: no kubectl in PATH; on Debian: apt-get install kubernetes-client");
        return;
    }
    let listening = Cluster::start().await.listen().await;
    let file = kubeconfig(&listening);
    for (arguments, expected) in [
        ("create configmap one --from-literal=a=b", "configmap/one created"),
        ("get configmap one -o jsonpath={.data.a}", "b"),
        ("label configmap one x=y", "configmap/one labeled"),
        ("get configmaps -l x=y -o name", "configmap/one"),
        ("create deployment web --image=nginx", "deployment.apps/web created"),
        ("scale deployment web --replicas=3", "deployment.apps/web scaled"),
        ("get deployment web -o jsonpath={.spec.replicas}", "3"),
        ("auth can-i create pods", "yes"),
        ("delete configmap one", "configmap \"one\" deleted"),
    ] {
        let mut run = env::process::command("kubectl");
        run.arg("--kubeconfig").arg(&file).args(["--cache-dir"]).arg(listening.folder.path().join("cache"));
        run.args(arguments.split(' '));
        let output = env::time::timeout(DEADLINE, run.output()).await.expect("it ends").expect("it runs");
        let words = String::from_utf8_lossy(&output.stdout);
        let found = words.trim().trim_end_matches(" from default namespace");
        assert_eq!(found, expected, "kubectl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
