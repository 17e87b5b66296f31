//! The first pod of a new cluster: it runs, is reached, tells what it did, and goes without a trace.

use super::{seconds, single_node};

const EVENTS: &str = "kubectl get events --field-selector involvedObject.name=web --sort-by=.metadata.resourceVersion \
                      -o jsonpath='{.items[*].reason}'";
const SOCKET: &str = "/run/ferrokube/containerd/containerd.sock";

#[tokio::test]
async fn the_first_pod_runs() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    m1.sh("kubectl wait node --all --for=condition=Ready --timeout=120s").await.has("node/m1 condition met");
    m1.sh("kubectl run web --image=localhost/web:v1 --port=80").await.says("pod/web created");
    m1.sh_within(seconds(95), "kubectl wait pod/web --for=condition=Ready --timeout=90s").await.ok();
    m1.sh("kubectl get pods -A").await.has("coredns-");
    let address = m1.sh("kubectl get pod web -o jsonpath='{.status.podIP}'").await.ok();
    assert!(address.starts_with("10.244."), "{address}");
    m1.sh("kubectl get pod web -o wide").await.has(&address);
    m1.sh(&format!("curl -s -m3 http://{address}/")).await.says("v1 web");
    m1.sh("kubectl exec web -- hostname").await.says("web");
    m1.sh("kubectl exec web -- sh -c 'exit 7'").await.fails(7);
    m1.sh("echo words | kubectl exec -i web -- cat").await.says("words");

    let mut forward = m1.follow("kubectl port-forward pod/web 8080:80")?;
    forward.until("a port", seconds(10), |line| line.contains("Forwarding from 127.0.0.1:8080 -> 80")).await;
    m1.sh("curl -s -m3 localhost:8080 | head -4").await.says("v1 web");
    drop(forward);

    m1.sh("kubectl run says --image=localhost/busybox:1 --restart=Never -- sh -c 'echo one; echo two; exit 3'")
        .await
        .ok();
    let mut phases = m1.follow(r#"kubectl get pod says -w -o jsonpath='{.status.phase}{"\n"}'"#)?;
    phases.until("Failed", seconds(30), |line| line == "Failed").await;
    m1.sh("kubectl logs says").await.says("one\ntwo");
    m1.sh("kubectl logs says --tail=1").await.says("two");
    m1.sh("kubectl get pod says -o jsonpath='{.status.containerStatuses[0].state.terminated.exitCode}'")
        .await
        .says("3");

    m1.sh(EVENTS).await.says("Scheduled Pulled Created Started");
    m1.sh("kubectl describe pod web").await.has("Successfully assigned default/web to m1");
    m1.sh("kubectl delete pod web says").await.ok();
    let left = m1.sh(&format!("ctr -a {SOCKET} -n k8s.io containers list")).await.ok();
    assert!(!left.contains("localhost/"), "{left}");
    cluster.down(&[]).await?;
    Ok(())
}
