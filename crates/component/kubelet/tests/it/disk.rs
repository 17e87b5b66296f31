//! Pods that use more of the disk than they may are evicted.

use std::sync::Arc;
use std::time::Duration;

use kubelet::{Config, PodChange};

use crate::Node;
use crate::api::Memory;

/// Three pods: one fills a volume, one its log, one writes less than it may.
const PODS: [(&str, &str, &str); 3] = [
    (
        "volume",
        "  containers:\n  - {name: main, image: '%image%', command: [/bin/sh, -c, 'dd if=/dev/zero of=/v/file bs=1M count=2; \
         sleep 1000'], volumeMounts: [{name: cache, mountPath: /v}]}\n  volumes:\n  - {name: cache, emptyDir: {sizeLimit: \
         1Mi}}\n",
        "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". ",
    ),
    (
        "log",
        "  containers:\n  - {name: main, image: '%image%', command: [/bin/sh, -c, 'head -c 300000 /dev/zero | tr \"\\\\0\" \
         \"\\\\n\"; sleep 1000'], resources: {limits: {ephemeral-storage: 64Ki}}}\n  - {name: other, image: '%image%', \
         resources: {limits: {ephemeral-storage: 64Mi}}}\n",
        "Container main exceeded its local ephemeral storage limit \"64Ki\". ",
    ),
    (
        "both",
        "  containers:\n  - {name: main, image: '%image%', command: [/bin/sh, -c, 'dd if=/dev/zero of=/v/file bs=1M count=2; \
         sleep 1000'], resources: {limits: {ephemeral-storage: 1Mi}}, volumeMounts: [{name: cache, mountPath: /v}]}\n  \
         volumes:\n  - {name: cache, emptyDir: {}}\n",
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
    ),
];

#[tokio::test]
async fn whoever_uses_too_much_goes_and_is_told_why() {
    let Some(node) = Node::start().await else { return };
    let api = Memory::new();
    let config = Config { upkeep_interval: Duration::from_millis(300), ..node.config() };
    let _kubelet = node.kubelet_as(config, api.clone()).await;
    let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, namespace: ns, uid: NAME}\nspec:\n  hostNetwork: true\n  \
                terminationGracePeriodSeconds: 0\n";
    let modest = (
        "modest",
        "  containers:\n  - {name: main, image: '%image%', resources: {limits: {ephemeral-storage: 64Mi}}}\n",
        "",
    );
    let all = PODS.iter().chain([&modest]);
    let pod = |(name, spec, _): &(&str, &str, &str)| {
        let text = format!("{}{spec}", head.replace("NAME", name)).replace("%image%", crate::IMAGE);
        Arc::new(kubelet::decode(text.as_bytes()).expect("a pod"))
    };
    api.changes.send(PodChange::All(all.map(pod).collect())).await.expect("the kubelet lives");
    for (name, _, message) in PODS {
        let failed = |it: &typed::api::core::v1::PodStatus| it.phase.as_deref() == Some("Failed");
        let seen = api.wait(&format!("{name} is evicted"), |seen| seen.statuses.get(name).is_some_and(failed)).await;
        let status = &seen.statuses[name];
        assert_eq!((status.reason.as_deref(), status.message.as_deref()), (Some("Evicted"), Some(message)), "{name}");
        let said = status.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionTarget");
        assert_eq!(said.and_then(|said| said.reason.as_deref()), Some("TerminationByKubelet"), "{name}");
        assert!(seen.events.contains(&"Evicted".to_owned()));
    }
    let seen = api.wait("the others are known", |_| true).await;
    assert_eq!(seen.statuses["modest"].phase.as_deref(), Some("Running"), "who keeps within the limit stays");
}
