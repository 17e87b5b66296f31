//! The kubelet's server over a node's pods.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use kubelet::{Access, Gatekeeper, NodeServer};
use serving::{Body, Service};

use crate::{Node, PATIENCE, Running};

/// Lets in who says the word.
#[derive(Debug)]
pub(crate) struct Word;

impl Gatekeeper for Word {
    fn admit<'a>(
        &'a self,
        request: &'a http::request::Parts,
        access: Access,
    ) -> BoxFuture<'a, Result<(), Response<Body>>> {
        let known = request.headers.get("word").is_some_and(|word| word == access.subresources[0]);
        Box::pin(async move {
            if known {
                return Ok(());
            }
            let mut refusal = Response::new(Body::empty());
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            Err(refusal)
        })
    }
}

async fn get(server: &NodeServer, path: &str, word: &str) -> (u16, String) {
    let request = Request::get(path).header("word", word).body(Body::empty()).expect("a request");
    let response = server.call(request).await;
    let status = response.status().as_u16();
    let bytes = serving::collect(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn the_server_shows_pods_logs_and_usage_to_whom_it_may() {
    let Some(node) = Node::start().await else { return };
    let script = "echo one; echo two >&2; echo three; trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done";
    node.write(
        "web",
        &format!("  containers:\n  - {{name: main, image: '%image%', command: [/bin/sh, -c, \"{script}\"], readinessProbe: {{exec: {{command: \
             [/bin/true]}}, periodSeconds: 1}}}}\n"),
    );
    let kubelet: Running = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    let server = NodeServer::new(kubelet.view.clone(), Arc::new(Word));

    assert_eq!(get(&server, "/pods", "wrong").await.0, 401);
    assert_eq!(get(&server, "/healthz", "healthz").await, (200, "ok".to_owned()));
    let (status, pods) = get(&server, "/pods", "pods").await;
    assert!(
        status == 200 && pods.contains("\"kind\":\"PodList\"") && pods.contains("\"name\":\"web-node1\""),
        "{pods}"
    );

    let logs = "/containerLogs/default/web-node1/main";
    crate::wait_until("the log is written", PATIENCE, async || {
        get(&server, &format!("{logs}?stream=Stdout"), "proxy").await == (200, "one\nthree\n".to_owned())
    })
    .await;
    assert_eq!(get(&server, &format!("{logs}?stream=Stdout&limitBytes=3"), "proxy").await.1, "one");
    assert_eq!(get(&server, &format!("{logs}?previous=true"), "proxy").await.0, 400);
    assert_eq!(get(&server, "/containerLogs/default/absent/main", "proxy").await.0, 404);

    let (status, summary) = get(&server, "/stats/summary", "stats").await;
    assert!(status == 200 && summary.contains("\"workingSetBytes\":") && summary.contains("\"podRef\":"), "{summary}");
    assert!(summary.contains("\"ephemeral-storage\":") && summary.contains("\"rootfs\":"), "{summary}");
    let (_, metrics) = get(&server, "/metrics/resource", "metrics").await;
    let series = "container_memory_working_set_bytes{container=\"main\",namespace=\"default\",pod=\"web-node1\"}";
    assert!(metrics.contains(series), "{metrics}");
    assert!(metrics.contains("\nresource_scrape_error 0\n"), "{metrics}");
    let (_, metrics) = get(&server, "/metrics", "metrics").await;
    assert!(metrics.contains("kubelet_running_pods 1\n"), "{metrics}");
    assert!(metrics.contains("\nkubelet_image_volume_requested_total 0\n"), "{metrics}");
    assert!(metrics.contains("kubernetes_build_info{"), "{metrics}");
    assert!(metrics.contains("kubelet_running_containers{container_state=\"running\"} 1\n"), "{metrics}");
    let (_, metrics) = get(&server, "/metrics/cadvisor", "metrics").await;
    let labelled = |line: &str| {
        let parts =
            ["{container=\"main\",id=\"/", ",image=\"", ",name=\"", ",namespace=\"default\",pod=\"web-node1\"}"];
        line.starts_with("container_memory_rss") && parts.iter().all(|part| line.contains(part))
    };
    assert!(metrics.lines().any(labelled) && metrics.contains("\nmachine_cpu_cores "), "{metrics}");
    let probed = "prober_probe_total{container=\"main\",namespace=\"default\",pod=\"web-node1\",pod_uid=\"";
    let (_, metrics) = get(&server, "/metrics/probes", "metrics").await;
    let counted =
        |line: &str| line.starts_with(probed) && line.contains(",probe_type=\"Readiness\",result=\"successful\"} ");
    assert!(metrics.lines().any(counted), "{metrics}");
    let (status, configz) = get(&server, "/configz", "configz").await;
    assert!(status == 200 && configz.contains("\"imageGCHighThresholdPercent\":85"), "{configz}");
    assert_eq!(get(&server, "/checkpoint/default/web-node1/main", "checkpoint").await.0, 501);

    // Following ends with the container, and what it said last is still sent.
    let follow = format!("{logs}?follow=true");
    let (followed, ()) = tokio::join!(get(&server, &follow, "proxy"), async {
        env::fs::remove_file(node.manifest("web")).expect("the manifest is removed");
    });
    assert!(followed.1.contains("bye"), "{followed:?}");
    kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
}
