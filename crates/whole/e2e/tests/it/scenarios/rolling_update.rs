//! A new version is rolled out, a bad one stops by itself, and the way back: without one failed request.

use e2e::Host;

use super::{seconds, single_node};

const WEB: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 4
  selector: { matchLabels: { app: web } }
  strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: localhost/web:v1
          ports: [{ containerPort: 80 }]
          readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 }
          lifecycle: { preStop: { exec: { command: [sleep, '5'] } } }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ port: 80 }]
";
/// Debian's static wget dies of its own time limit.
const LOAD: &str = r"kubectl run load --image=localhost/busybox:1 -- sh -c '
    while :; do timeout 2 wget -qO- http://web/ >/dev/null && echo ok || echo FAIL; sleep 0.02; done'";
const DONE: &str = "deployment \"web\" successfully rolled out";
/// Fewer answers than that were no load.
const ANSWERS_MIN: usize = 500;

#[tokio::test]
async fn updates_without_a_failed_request() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    m1.write("/root/web-v1.yaml", WEB)?;
    m1.sh("kubectl -n kube-system rollout status deploy/coredns --timeout=60s").await.ok();
    m1.sh("kubectl apply -f /root/web-v1.yaml").await.ok();
    m1.sh("kubectl rollout status deploy/web --timeout=60s").await.has(DONE);
    m1.sh(LOAD).await.ok();
    m1.sh("kubectl wait pod/load --for=condition=Ready --timeout=60s").await.ok();
    m1.follow("kubectl logs -f load")?.until("an answer", seconds(10), |line| line == "ok").await;

    m1.sh("kubectl set image deploy/web web=localhost/web:v2").await.ok();
    m1.sh_within(seconds(125), "kubectl rollout status deploy/web --timeout=120s").await.has(DONE);
    m1.sh("kubectl exec load -- wget -qO- http://web/").await.has("v2 web-");
    a_bad_image_stops_by_itself(m1).await?;

    let history = m1.sh("kubectl rollout history deploy/web").await.ok();
    let revisions: Vec<&str> = history.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(revisions, ["deployment.apps/web", "REVISION", "1", "2", "3"], "{history}");
    m1.sh("kubectl rollout undo deploy/web").await.has("deployment.apps/web rolled back");
    m1.sh("kubectl rollout status deploy/web --timeout=60s").await.has(DONE);
    m1.sh("kubectl get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}'")
        .await
        .says("localhost/web:v2");
    m1.sh("kubectl exec load -- wget -qO- http://web/").await.has("v2 web-");

    let answers = m1.sh("kubectl logs load").await.ok();
    let failed = answers.lines().filter(|line| *line != "ok").count();
    let all = answers.lines().count();
    println!("{failed} of {all} requests failed");
    assert!(failed == 0 && all > ANSWERS_MIN, "{failed} of {all} requests failed");
    cluster.down(&[]).await?;
    Ok(())
}

async fn a_bad_image_stops_by_itself(m1: &Host) -> anyhow::Result<()> {
    let mut pods = m1.follow("kubectl get pods -l app=web --no-headers -w")?;
    m1.sh("kubectl set image deploy/web web=localhost/nosuch:tag").await.ok();
    m1.sh("kubectl rollout status deploy/web --timeout=30s").await.fails(1);
    pods.until("ErrImagePull", seconds(1), |line| line.contains("ErrImagePull")).await;
    pods.until("ImagePullBackOff", seconds(1), |line| line.contains("ImagePullBackOff")).await;
    let now = m1.sh("kubectl get pods -l app=web --no-headers").await.ok();
    let ready = now.lines().filter(|line| line.contains(" 1/1 ") && line.contains(" Running ")).count();
    assert_eq!(ready, 4, "the old pods stay:\n{now}");
    Ok(())
}
