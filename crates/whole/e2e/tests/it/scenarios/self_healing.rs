//! Containers that end are started again, later and later; pods that are deleted are replaced; what runs outlives the
//! node's own programs.

use std::collections::BTreeSet;

use e2e::{Cluster, Host};
use jiff::Timestamp;

use super::{seconds, single_node};

/// Ends at once; and turns ill after ten seconds.
const PODS: &str = r"
apiVersion: v1
kind: Pod
metadata: { name: ends }
spec:
  containers:
    - name: c
      image: localhost/busybox:1
      command: [sh, -c, exit 3]
---
apiVersion: v1
kind: Pod
metadata: { name: ill }
spec:
  containers:
    - name: c
      image: localhost/web:v1
      livenessProbe:
        httpGet: { path: /fail, port: 80 }
        periodSeconds: 1
        failureThreshold: 2
";

/// How often it was started again, the beginning and the end of the last run that is over, and what it waits for.
const RESTARTS: &str = r#"kubectl get pod ends -w -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.startedAt} {.status.containerStatuses[0].lastState.terminated.finishedAt} {.status.containerStatuses[0].state.waiting.reason}{"\n"}'"#;

#[tokio::test]
async fn self_healing() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    m1.write("/root/pods.yaml", PODS)?;
    m1.sh("kubectl apply -f /root/pods.yaml").await.ok();
    let mut restarts = m1.follow(RESTARTS)?;

    m1.sh("kubectl create deploy heal --image=localhost/web:v1 --replicas=2")
        .await
        .says("deployment.apps/heal created");
    m1.sh("kubectl rollout status deploy/heal --timeout=60s").await.ok();
    a_container_that_ends_is_started_again(m1).await?;
    deleted_pods_are_replaced(m1).await;
    an_ill_container_is_ended(m1).await?;

    let third = |line: &str| line.starts_with("3 ") && line.ends_with("CrashLoopBackOff");
    restarts.until("the end of the third restart", seconds(60), third).await;
    check_delays(restarts.seen());
    m1.sh("kubectl get events --field-selector involvedObject.name=ends,reason=BackOff")
        .await
        .has("Back-off restarting");
    m1.sh("kubectl delete -f /root/pods.yaml").await.ok();
    containers_outlive_the_programs_of_the_node(&cluster).await?;
    cluster.down(&[]).await?;
    Ok(())
}

async fn a_container_that_ends_is_started_again(m1: &Host) -> anyhow::Result<()> {
    let mut pods = m1.follow("kubectl get pods -l app=heal --no-headers -w")?;
    // The end of the container is the end of what runs in it.
    let _ended = m1.sh("kubectl exec deploy/heal -- kill 1").await;
    // NAME 1/1 Running 1 (2s ago) 8s
    let is_restarted = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], [_, "1/1", "Running", "1", _, "ago)", _])
    };
    pods.until("RESTARTS is 1", seconds(20), is_restarted).await;
    Ok(())
}

async fn deleted_pods_are_replaced(m1: &Host) {
    let names = "kubectl get pods -l app=heal -o name --field-selector=status.phase=Running";
    let before = m1.sh(names).await.ok();
    m1.sh("kubectl delete pod -l app=heal --wait=false").await.ok();
    m1.sh("kubectl get rs,pods -l app=heal").await.has("replicaset.apps/heal-");
    for name in before.lines() {
        m1.sh(&format!("kubectl wait {name} --for=delete --timeout=30s")).await;
    }
    m1.sh("kubectl rollout status deploy/heal --timeout=30s").await.ok();
    let after = m1.sh(names).await.ok();
    assert_eq!(after.lines().count(), 2, "{after}");
    assert!(!after.lines().any(|name| before.contains(name)), "{before} became {after}");
}

async fn an_ill_container_is_ended(m1: &Host) -> anyhow::Result<()> {
    let mut events = m1.follow("kubectl get events -w --no-headers --field-selector involvedObject.name=ill")?;
    events.until("Unhealthy", seconds(30), |line| line.contains("Unhealthy") && line.contains("404")).await;
    events.until("Killing", seconds(10), |line| line.contains("Killing")).await;
    events.until("BackOff", seconds(60), |line| line.contains("BackOff")).await;
    Ok(())
}

/// The first restart is at once, the second begins ten seconds after the end of the run before it, the third twenty.
#[track_caller]
fn check_delays(lines: &[String]) {
    let time = |text: &str| text.parse::<Timestamp>().expect("the API writes times of RFC 3339");
    let runs = lines.iter().filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_count, began, ended, ..] => Some((time(began), time(ended))),
        _ => None,
    });
    let runs: Vec<(Timestamp, Timestamp)> = runs.collect::<BTreeSet<_>>().into_iter().collect();
    let delays: Vec<i64> = runs.windows(2).map(|pair| pair[1].0.duration_since(pair[0].1).as_secs()).collect();
    // The first two runs may be of one second.
    let later: Vec<i64> = delays.iter().copied().skip_while(|delay| *delay <= 3).collect();
    let fits = matches!(later[..], [second, third] if (9..=13).contains(&second) && (19..=24).contains(&third));
    assert!(fits, "delays of {delays:?} seconds, expected none, 10 and 20:\n{}", lines.join("\n"));
}

async fn containers_outlive_the_programs_of_the_node(cluster: &Cluster) -> anyhow::Result<()> {
    let m1 = cluster.host();
    let runs = r#"kubectl get pods -A -o jsonpath='{range .items[*]}{.metadata.name} {range .status.containerStatuses[*]}{.containerID} {.restartCount} {.state.running.startedAt} {end}{"\n"}{end}'"#;
    let before = m1.sh(runs).await.ok();
    m1.sh("kill -9 $(cat /var/lib/ferrokube/lock)").await.ok();
    m1.sh_within(seconds(60), "ferrokube up --detach").await.ok();
    m1.sh("kill -9 $(busybox pidof containerd)").await.ok();
    // A new pod needs everybody.
    m1.sh("kubectl run after --image=localhost/web:v1").await.ok();
    m1.sh("kubectl wait pod/after --for=condition=Ready --timeout=60s").await.ok();
    m1.sh("kubectl delete pod after").await.ok();
    let after = m1.sh(runs).await.ok();
    assert_eq!(before, after, "a container was started again");
    assert_eq!(before.lines().count(), 3, "two pods and the name service: {before}");
    Ok(())
}
