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
    text.push_str(&view.metrics().encode());
    exposition_response(text)
}

/// `/metrics/cadvisor`: what the machine has, and what containers and pods use, under cAdvisor's names.
pub(super) async fn cadvisor(view: &View) -> Response<Body> {
    const FAMILIES: [(&str, &str, &str); 8] = [
        ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
        ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory."),
        ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
        ("container_memory_rss", "gauge", "Size of RSS in bytes."),
        ("container_memory_swap", "gauge", "Container swap usage in bytes."),
        ("container_processes", "gauge", "Number of processes running inside the container."),
        ("container_memory_failures_total", "counter", "Cumulative count of memory allocation failures."),
        ("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds."),
    ];
    let (pods, now) = stats::pods(view).await;
    let mut text = String::new();
    let mut put = |line: std::fmt::Arguments<'_>| text.write_fmt(line).expect("a string takes everything");
    let machine = view.machine();
    for (name, help, value) in [
        ("machine_cpu_cores", "Number of logical CPU cores.", machine.cpus),
        ("machine_memory_bytes", "Amount of memory installed on the machine.", machine.memory_bytes),
    ] {
        put(format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    }
    for (index, (name, kind, help)) in FAMILIES.iter().enumerate() {
        put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, started, usage) in &pods {
            let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
            let failures = [("pgfault", usage.page_faults), ("pgmajfault", usage.major_page_faults)];
            let value = match index {
                0 => usage.cpu_nanos.map(|nanos| nanos as f64 / 1e9),
                1 => bytes(usage.memory_bytes),
                2 => bytes(usage.working_set_bytes),
                3 => bytes(usage.rss_bytes),
                4 => bytes(usage.swap_bytes),
                5 => bytes(usage.pids),
                6 => {
                    for (failure, count) in failures {
                        let Some(count) = count else { continue };
                        let more = format!("failure_type=\"{failure}\",scope=\"container\"");
                        put(format_args!("{name}{{{labels},{more}}} {count} {}\n", now.as_millisecond()));
                    }
                    continue;
                }
                _ => started.map(|at| at.as_nanosecond() as f64 / 1e9),
            };
            let Some(value) = value else { continue };
            put(format_args!("{name}{{{labels}}} {value} {}\n", now.as_millisecond()));
        }
    }
    exposition_response(text)
}
