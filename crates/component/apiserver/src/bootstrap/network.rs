//! The range of cluster addresses, and the Service `kubernetes` behind which API servers stand.

use http::Method;
use kind::Refusal;
use object::Value;

use super::{Loopback, row};
use crate::config::Config;

pub(super) async fn ensure(loopback: &Loopback, config: &Config) -> Result<(), Refusal> {
    let ranges: Vec<String> = config.service_ranges.iter().map(ToString::to_string).collect();
    let mut range = Value::map();
    range.set(&["metadata", "name"], "kubernetes");
    range.set(&["spec", "cidrs"], ranges);
    loopback.make(row("networking.k8s.io/v1", "ServiceCIDR")?, &range).await?;
    loopback.make(row("v1", "Service")?, &service(config)).await?;
    if config.advertise_address.is_loopback() || config.advertise_address.is_unspecified() {
        // In a pod such an address is the pod's own: no endpoint of anything.
        tracing::warn!(address = %config.advertise_address, "the API server is not reachable from pods");
        return Ok(());
    }
    put(loopback, ("v1", "Endpoints"), &endpoints(config)).await?;
    put(loopback, ("discovery.k8s.io/v1", "EndpointSlice"), &slice(config)).await
}

/// Creates the object, or replaces it when the server has moved.
async fn put(loopback: &Loopback, (api_version, kind): (&str, &str), object: &Value) -> Result<(), Refusal> {
    let resource = row(api_version, kind)?;
    let Some(found) = loopback.find(resource, "default", "kubernetes").await? else {
        return loopback.make(resource, object).await;
    };
    let same = ["subsets", "endpoints", "ports"].iter().all(|key| found.get(key) == object.get(key));
    if same {
        return Ok(());
    }
    loopback.send(Method::PUT, resource.path("default", "kubernetes", ""), Some(object)).await.map(drop)
}

fn named() -> Value {
    let mut object = Value::map();
    object.set(&["metadata", "name"], "kubernetes");
    object.set(&["metadata", "namespace"], "default");
    object
}

fn service(config: &Config) -> Value {
    let mut object = named();
    object.set(&["metadata", "labels", "component"], "apiserver");
    object.set(&["metadata", "labels", "provider"], "kubernetes");
    object.set(&["spec", "type"], "ClusterIP");
    object.set(&["spec", "sessionAffinity"], "None");
    if let Some(address) = config.service_ranges.first().and_then(|range| range.at(0)) {
        object.set(&["spec", "clusterIP"], address.to_string());
    }
    let port = Value::from_pairs([
        ("name", Value::from("https")),
        ("port", Value::from(443)),
        ("protocol", Value::from("TCP")),
        ("targetPort", Value::from(i64::from(config.secure_port))),
    ]);
    object.set(&["spec", "ports"], vec![port]);
    object
}

fn port(config: &Config) -> Value {
    Value::from_pairs([
        ("name", Value::from("https")),
        ("port", Value::from(i64::from(config.secure_port))),
        ("protocol", Value::from("TCP")),
    ])
}

fn endpoints(config: &Config) -> Value {
    let mut object = named();
    object.set(&["metadata", "labels", "endpointslice.kubernetes.io/skip-mirror"], "true");
    let address = Value::from_pairs([("ip", config.advertise_address.to_string())]);
    let subset =
        Value::from_pairs([("addresses", Value::from(vec![address])), ("ports", Value::from(vec![port(config)]))]);
    object.set(&["subsets"], vec![subset]);
    object
}

fn slice(config: &Config) -> Value {
    let mut object = named();
    object.set(&["metadata", "labels", "kubernetes.io/service-name"], "kubernetes");
    object.set(&["addressType"], if config.advertise_address.is_ipv6() { "IPv6" } else { "IPv4" });
    let endpoint = Value::from_pairs([
        ("addresses", Value::from(vec![config.advertise_address.to_string()])),
        ("conditions", Value::from_pairs([("ready", true)])),
    ]);
    object.set(&["endpoints"], vec![endpoint]);
    object.set(&["ports"], vec![port(config)]);
    object
}
