//! The objects of the workloads, as the JSON that clients send.
//!
//! Text rather than trees: a load generator that encodes is measured along with the server.

use bytes::Bytes;
use serde_json::{Value, json};

/// The namespace of everything that a row makes.
pub(crate) const NAMESPACE: &str = "bench";

/// The path of a collection of the core group in our namespace.
pub(crate) fn core(plural: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/{plural}")
}

pub(crate) fn namespace() -> Bytes {
    text(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
}

/// The service account that admission gives to every pod.
pub(crate) fn service_account() -> Bytes {
    text(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}))
}

/// A pod as a controller would make it: labels, one container, its resources, an environment, a probe.
pub(crate) fn pod(name: &str) -> Bytes {
    text(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "bench", "tier": "one", "release": "stable"}},
        "spec": pod_spec(),
    }))
}

fn pod_spec() -> Value {
    json!({
        "containers": [{
            "name": "main",
            "image": "registry.example/bench/pause:3.10",
            "env": [{"name": "MODE", "value": "bench"}, {"name": "LEVEL", "value": "3"}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}, "limits": {"memory": "500Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10},
        }],
    })
}

/// The pod of upstream's SchedulingBasic: 100m CPU, 500Mi memory, and no token.
pub(crate) fn small_pod(name: &str) -> Bytes {
    text(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "pause",
                "image": "registry.example/bench/pause:3.10",
                "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
            }],
        },
    }))
}

/// A Deployment without replicas yet.
pub(crate) fn deployment(name: &str) -> Bytes {
    text(&json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec()},
        },
    }))
}

/// A Service with a cluster address; with `selector` false its endpoints are somebody else's business.
pub(crate) fn service(name: &str, selector: bool) -> Bytes {
    let mut spec = json!({"ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]});
    if selector {
        spec["selector"] = json!({"app": name});
    }
    text(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}))
}

/// Any of them, as bytes.
pub(crate) fn text(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
