//! Names: by the Corefile, which is the users' to edit.

use super::single_node;

/// kubeadm's, with a name by hand.
const COREFILE: &str = ".:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods verified
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    hosts {
       192.0.2.9 by.hand.example
       fallthrough
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
";

#[tokio::test]
async fn the_corefile_is_followed() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    m1.sh("kubectl -n kube-system rollout status deploy/coredns --timeout=60s").await.ok();
    let usual = "kubectl -n kube-system get cm coredns -o jsonpath='{.data.Corefile}'";
    m1.sh(usual).await.has("forward . /etc/resolv.conf {\n       max_concurrent 1000");
    m1.sh("kubectl run asks --image=localhost/busybox:1 -- sleep 1d").await.ok();
    m1.sh("kubectl wait pod/asks --for=condition=Ready --timeout=60s").await.ok();
    m1.sh("kubectl exec asks -- nslookup kubernetes.default.svc.cluster.local").await.has("Address: 10.96.0.1");

    m1.write("/root/Corefile", COREFILE)?;
    let made = "kubectl -n kube-system create cm coredns --from-file=/root/Corefile --dry-run=client -o yaml";
    m1.sh(&format!("{made} | kubectl replace -f -")).await.ok();
    m1.sh("kubectl -n kube-system rollout restart deploy/coredns").await.ok();
    m1.sh("kubectl -n kube-system rollout status deploy/coredns --timeout=60s").await.ok();
    m1.sh("kubectl exec asks -- nslookup by.hand.example").await.has("Address: 192.0.2.9");
    // Pods have names where they are, and nowhere else.
    let pod = "$(kubectl get pod asks -o jsonpath='{.status.podIP}')";
    let named = format!("ip={pod}; kubectl exec asks -- nslookup $(echo $ip | tr . -).default.pod.cluster.local");
    m1.sh(&named).await.ok();
    m1.sh("! kubectl exec asks -- nslookup 10-9-9-9.default.pod.cluster.local").await.ok();
    let metrics = "kubectl get --raw /api/v1/namespaces/kube-system/services/kube-dns:metrics/proxy/metrics";
    m1.sh(metrics).await.has("coredns_dns_requests_total{");
    m1.sh("kubectl delete pod asks --now").await.ok();
    cluster.down(&[]).await?;
    Ok(())
}
