//! `/metrics` and `/metrics/cadvisor`: counted and measured when asked for.

use std::collections::BTreeMap;
use std::fmt::Write;

use http::Response;
use serving::Body;

use super::stats::{self, exposition_response};
use crate::node::View;

/// `/metrics`: the kubelet itself.
pub(super) fn own(view: &View) -> Response<Body> {
    let pods = view.pods();
    let (mut running, mut states) = (0_u64, BTreeMap::from([("created", 0_u64), ("exited", 0), ("running", 0)]));
    for pod in &pods {
        let Some(status) = &pod.status else { continue };
        let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
        let mut alive = false;
        for state in lists.into_iter().flatten().flatten().filter_map(|container| container.state.as_ref()) {
            let name = if state.running.is_some() {
                alive = true;
                "running"
            } else if state.terminated.is_some() {
                "exited"
            } else {
                continue;
            };
            *states.entry(name).or_default() += 1;
        }
        running += u64::from(alive);
    }
    let mut text = String::new();
    let mut family = |name: &str, help: &str, rows: &[(String, u64)]| {
        let head = write!(text, "# HELP {name} [ALPHA] {help}\n# TYPE {name} gauge\n");
        head.expect("a string takes everything");
        for (labels, value) in rows {
            writeln!(text, "{name}{labels} {value}").expect("a string takes everything");
        }
    };
    let node = format!("{{node=\"{}\"}}", view.config().node_name);
    family("kubelet_node_name", "The node's name. The count is always 1.", &[(node, 1)]);
    family("kubelet_running_pods", "Number of pods that have a running container", &[(String::new(), running)]);
    let rows: Vec<_> =
        states.into_iter().map(|(state, count)| (format!("{{container_state=\"{state}\"}}"), count)).collect();
    family("kubelet_running_containers", "Number of containers by state", &rows);
    family("kubelet_desired_pods", "Number of pods that the node works for", &[(String::new(), pods.len() as u64)]);
    exposition_response(text)
}

/// `/metrics/cadvisor`: what containers and pods use, under cAdvisor's names.
pub(super) async fn cadvisor(view: &View) -> Response<Body> {
    const FAMILIES: [(&str, &str, &str); 5] = [
        ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
        ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory."),
        ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
        ("container_memory_rss", "gauge", "Size of RSS in bytes."),
        ("container_processes", "gauge", "Number of processes running inside the container."),
    ];
    let (pods, now) = stats::pods(view).await;
    let mut text = String::new();
    for (index, (name, kind, help)) in FAMILIES.iter().enumerate() {
        let head = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        head.expect("a string takes everything");
        for (labels, usage) in &pods {
            let value = match index {
                0 => usage.cpu_nanos.map(|nanos| nanos as f64 / 1e9),
                1 => usage.memory_bytes.map(|bytes| bytes as f64),
                2 => usage.working_set_bytes.map(|bytes| bytes as f64),
                3 => usage.rss_bytes.map(|bytes| bytes as f64),
                _ => usage.pids.map(|pids| pids as f64),
            };
            let Some(value) = value else { continue };
            writeln!(text, "{name}{labels} {value} {}", now.as_millisecond()).expect("a string takes everything");
        }
    }
    exposition_response(text)
}
