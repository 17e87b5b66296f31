//! A node port, asked from a host outside the cluster.

use super::{C1, seconds, single_node};

#[tokio::test]
async fn node_ports_answer_from_outside() -> anyhow::Result<()> {
    let Some((cluster, fixture)) = single_node().await? else { return Ok(()) };
    let c1 = fixture.host("c1", C1).await?;
    let m1 = cluster.host();
    m1.sh("kubectl create deploy host --image=localhost/web:v1 --replicas=2").await.ok();
    m1.sh("kubectl rollout status deploy/host --timeout=60s").await.ok();
    m1.sh("kubectl expose deploy host --type=NodePort --name=hostnp --port=80").await.ok();
    let port = m1.sh("kubectl get svc hostnp -o jsonpath='{.spec.ports[0].nodePort}'").await.ok();
    let port: u16 = port.trim().parse()?;
    assert!((30000..=32767).contains(&port), "{port}");
    let url = format!("http://{}:{port}", m1.address());
    c1.sh(&format!("curl -s -m3 {url}/")).await.has("v1 host-");
    for _ in 0..20 {
        c1.sh(&format!("curl -s -m3 {url}/who/")).await.has(".");
    }

    let patch = r#"kubectl patch svc hostnp -p '{"spec":{"externalTrafficPolicy":"Local"}}'"#;
    m1.sh(patch).await.ok();
    let mut loops = c1.follow(&format!("sh -c 'while :; do curl -s -m3 {url}/who/; done'"))?;
    let seen = format!("the client's address {}", c1.address());
    loops.until(&seen, seconds(5), |line| line == c1.address()).await;
    drop(loops);
    for _ in 0..20 {
        c1.sh(&format!("curl -s -m3 {url}/who/")).await.says(c1.address());
    }
    c1.sh(&format!("curl -s -m3 -o /dev/null -w '%{{http_code}}' {url}/")).await.says("200");
    // A node without pods of the Service does not answer.
    m1.sh("kubectl scale deploy host --replicas=0").await.ok();
    m1.sh("kubectl wait pod -l app=host --for=delete --timeout=60s").await;
    let said = c1.sh(&format!("curl -s -m3 {url}/")).await;
    assert!(matches!(said.code, Some(7 | 28)), "nobody is there: {said}");

    let complaint = m1.sh("kubectl create svc nodeport bad --tcp=80 --node-port=80").await.fails(1);
    let range = "provided port is not in the valid range. The range of valid ports is 30000-32767";
    assert!(complaint.contains(range), "{complaint}");
    cluster.down(&[]).await?;
    Ok(())
}
