//! Services: names, variables, requests shared among pods, and endpoints that follow the pods at once.

use std::collections::BTreeMap;

use env::time::Instant;

use super::{seconds, single_node};

/// What a pod sees of a Service, with marks between.
const LOOK: &str = r#"#!/bin/sh
exec kubectl run c --image=localhost/busybox:1 --restart=Never -it --rm -- sh -c '
# What is said before somebody listens is lost to them.
sleep 1
nslookup host.default.svc.cluster.local; echo ----
wget -qO- http://kubernetes.default:443/ 2>&1; echo ----
cat /etc/resolv.conf; echo ----
for i in $(seq 300); do wget -qO- http://host/; done | sort | uniq -c; echo ----
env | grep HOST_SERVICE'
"#;
const READY: &str = r#"kubectl get endpointslices -l kubernetes.io/service-name=host -w -o jsonpath='{.endpoints[*].conditions.ready}{"\n"}'"#;

#[tokio::test]
async fn services_are_found_and_shared() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    m1.sh("kubectl -n kube-system rollout status deploy/coredns --timeout=60s").await.ok();
    m1.sh("kubectl create deploy host --image=localhost/web:v1 --replicas=3").await.ok();
    m1.sh("kubectl expose deploy host --port=80").await.says("service/host exposed");
    m1.sh("kubectl rollout status deploy/host --timeout=60s").await.ok();

    m1.write("/root/look", LOOK)?;
    // A terminal, as somebody has who types this.
    let seen = m1.sh("script -qec 'sh /root/look' /dev/null").await.ok().replace('\r', "");
    let parts: Vec<&str> = seen.split("----\n").collect();
    let [names, api, resolver, shares, variables] = parts[..] else { panic!("five parts: {seen}") };
    let address = m1.sh("kubectl get svc host -o jsonpath='{.spec.clusterIP}'").await.ok();
    let address: std::net::Ipv4Addr = address.parse()?;
    assert!((0x0a60_0000..0x0a70_0000).contains(&u32::from(address)), "{address} is in 10.96.0.0/12");
    assert!(names.contains(&format!("Address: {address}")), "{names}");
    assert!(!api.contains("bad address"), "kubernetes.default has a name: {api}");
    for line in
        ["search default.svc.cluster.local svc.cluster.local cluster.local", "nameserver 10.96.0.10", "options ndots:5"]
    {
        assert!(resolver.lines().any(|other| other.trim() == line), "{line:?} is not in\n{resolver}");
    }
    check_shares(shares);
    assert!(variables.contains(&format!("HOST_SERVICE_HOST={address}\n")), "{variables}");
    assert!(variables.contains("HOST_SERVICE_PORT=80\n"), "{variables}");

    m1.sh("kubectl get svc,endpointslices").await.has("endpointslice.discovery.k8s.io/host-");
    m1.sh("kubectl run asks --image=localhost/busybox:1 -- sleep 1d").await.ok();
    m1.sh("kubectl wait pod/asks --for=condition=Ready --timeout=60s").await.ok();
    let mut ready = m1.follow(READY)?;
    ready.until("three endpoints", seconds(10), |line| line == "true true true").await;
    m1.sh("kubectl scale deploy host --replicas=1").await.ok();
    let scaled = Instant::now();
    let is_alone = |line: &str| line.split(' ').filter(|word| *word == "true").count() == 1;
    ready.until("one endpoint", seconds(2), is_alone).await;
    println!("the EndpointSlice was right after {:?}", scaled.elapsed());
    let asks =
        "kubectl exec asks -- sh -c 'for i in $(seq 100); do timeout 2 wget -qO- http://host/ || echo FAIL; done'";
    let answers = m1.sh(asks).await.ok();
    assert!(answers.lines().count() == 100 && !answers.contains("FAIL"), "{answers}");
    cluster.down(&[]).await?;
    Ok(())
}

/// Three pods answered, each its share of 300 requests.
#[track_caller]
fn check_shares(text: &str) {
    let rows = text.lines().filter_map(|line| line.trim().split_once(' '));
    let shares: BTreeMap<&str, u32> = rows.map(|(count, name)| (name, count.parse().unwrap_or_default())).collect();
    assert_eq!(shares.values().sum::<u32>(), 300, "{text}");
    assert!(shares.len() == 3 && shares.values().all(|share| (60..=140).contains(share)), "{text}");
}
