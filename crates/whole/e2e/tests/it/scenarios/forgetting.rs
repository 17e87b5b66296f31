//! A cluster that is taken down is the same when it comes back; one that is forgotten is gone, and another takes its place.

use super::{seconds, single_node};

const UID: &str = "kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'";
/// What is left in the folders of a cluster's data, credentials and logs.
const LEFT: &str = "find /var/lib/ferrokube /var/lib/kubelet /etc/kubernetes /var/log/pods /var/log/containers \
                    -mindepth 1 -maxdepth 1 ! -name lost+found";

#[tokio::test]
async fn a_cluster_resumes_until_it_is_forgotten() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    let first = m1.sh(UID).await.ok();
    m1.sh("kubectl create configmap kept --from-literal=a=b").await.ok();
    cluster.down(&[]).await?;

    m1.sh_within(seconds(60), "ferrokube up --detach").await.ok();
    m1.sh(UID).await.says(first.trim());
    m1.sh("kubectl get configmap kept -o jsonpath='{.data.a}'").await.says("b");

    m1.sh("ferrokube down --purge").await.has("The cluster is forgotten.");
    m1.sh(LEFT).await.says("");
    m1.sh("ferrokube status").await.fails(1);

    m1.sh_within(seconds(60), "ferrokube up --detach").await.ok();
    let second = m1.sh(UID).await.ok();
    assert_ne!(second, first, "the cluster was not forgotten");
    m1.sh("kubectl get configmap kept").await.fails(1);
    m1.sh("ferrokube down --purge").await.has("The cluster is forgotten.");
    Ok(())
}
