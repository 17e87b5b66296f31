//! `/stats/summary` and `/metrics/resource`: what the node, its pods and their containers use, read from their cgroups.

use std::fmt::Write;
use std::sync::Arc;

use http::Response;
use jiff::Timestamp;
use mounts::cgroup::{Cgroups, Pressure, PressureKind, Usage};
use mounts::filesystem::{self, Space};
use object::Value;
use podplan::storage::Usage as Disk;
use serving::Body;
use typed::api::core::v1::Pod;

use crate::config::Config;
use crate::node::View;
use crate::server::json;
use crate::storage;

/// The use of a pod and of its running containers.
struct PodUse {
    pod: Pod,
    usage: Usage,
    containers: Vec<(String, Option<Timestamp>, Usage)>,
}

async fn uses(view: &View) -> (Usage, Vec<PodUse>, Timestamp) {
    let (cgroups, config, pods) = (view.cgroups().clone(), Arc::new(view.config().clone()), view.pods());
    env::task::blocking(move || {
        let of_pod = |pod: Pod| {
            let path = config.pod_cgroup(&pod);
            let usage = read(&cgroups, &path);
            PodUse { containers: containers(&cgroups, &config, &pod), usage, pod }
        };
        let all = pods.into_iter().map(of_pod).collect();
        (read(&cgroups, &[]), all, env::time::now())
    })
    .await
}

/// What cannot be read is not said, rather than said to be nothing.
fn read(cgroups: &Cgroups, path: &[String]) -> Usage {
    cgroups.usage(path).unwrap_or_else(|error| {
        tracing::debug!(?path, %error, "a cgroup cannot be read");
        Usage::default()
    })
}

/// The runtime makes a container's cgroup below its pod's and names it by the container's id.
fn containers(cgroups: &Cgroups, config: &Config, pod: &Pod) -> Vec<(String, Option<Timestamp>, Usage)> {
    let Some(status) = &pod.status else { return Vec::new() };
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let all = lists.into_iter().flatten().flatten();
    all.filter_map(|container| {
        let started = container.state.as_ref()?.running.as_ref()?.started_at.as_ref().map(|time| time.0);
        let (_, id) = container.container_id.as_deref()?.split_once("://")?;
        let mut path = config.pod_cgroup(pod);
        path.push(id.to_owned());
        Some((container.name.clone(), started, read(cgroups, &path)))
    })
    .collect()
}

pub(super) async fn summary(view: &View) -> Response<Body> {
    let (node, pods, now) = uses(view).await;
    let layers = storage::layers(view.shared()).await;
    let shared = view.shared().clone();
    let (space, images, pods, disks) = env::task::blocking(move || {
        let disks: Vec<Disk> = pods.iter().map(|it| storage::measure(&shared, &it.pod, &layers)).collect();
        let images = shared.garbage.known_image_folder().and_then(|folder| filesystem::space(folder).ok());
        (filesystem::space(&shared.config.root).ok(), images, pods, disks)
    })
    .await;
    let mut about_node = vec![("nodeName", Value::from(view.config().node_name.clone()))];
    about_node.extend(usage(&node, now));
    about_node.extend(space.map(|space| ("fs", file_system(space, now))));
    let runtime = |space| ("runtime", Value::from_pairs([("imageFs", file_system(space, now))]));
    about_node.extend(images.map(runtime));
    let pods: Vec<Value> = pods.iter().zip(&disks).map(|(it, disk)| pod(it, disk, now)).collect();
    json(&Value::from_pairs([("node", Value::from_pairs(about_node)), ("pods", Value::from(pods))]))
}

fn pod(it: &PodUse, disk: &Disk, now: Timestamp) -> Value {
    let text = |value: &Option<String>| Value::from(value.clone().unwrap_or_default());
    let meta = &it.pod.metadata;
    let reference =
        Value::from_pairs([("name", text(&meta.name)), ("namespace", text(&meta.namespace)), ("uid", text(&meta.uid))]);
    let containers: Vec<Value> = it
        .containers
        .iter()
        .map(|(name, started, of)| {
            let mut fields = vec![("name", Value::from(name.clone()))];
            fields.extend(started.map(|at| ("startTime", time(at))));
            fields.extend(usage(of, now));
            if let Some(disk) = disk.containers.get(name) {
                fields.push(("rootfs", used(disk.layer_bytes, now)));
                fields.push(("logs", used(disk.log_bytes, now)));
            }
            Value::from_pairs(fields)
        })
        .collect();
    let mut fields = vec![("podRef", reference)];
    let started = it.pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    fields.extend(started.map(|started| ("startTime", time(started.0))));
    fields.push(("containers", Value::from(containers)));
    fields.extend(usage(&it.usage, now));
    let volume = |(name, bytes): (&String, &u64)| {
        Value::from_pairs([("time", time(now)), ("usedBytes", number(*bytes)), ("name", Value::from(name.clone()))])
    };
    let volumes: Vec<Value> = disk.volumes.iter().map(volume).collect();
    fields.push(("volume", Value::from(volumes)));
    fields.push(("ephemeral-storage", used(disk.bytes(&it.pod, false), now)));
    Value::from_pairs(fields)
}

fn used(bytes: u64, now: Timestamp) -> Value {
    Value::from_pairs([("time", time(now)), ("usedBytes", number(bytes))])
}

fn usage(of: &Usage, now: Timestamp) -> Vec<(&'static str, Value)> {
    let mut cpu = vec![("time", time(now))];
    cpu.extend(of.cpu_nanos.map(|nanos| ("usageCoreNanoSeconds", number(nanos))));
    cpu.extend(of.cpu_pressure.map(|pressure| ("psi", psi(pressure))));
    let mut memory = vec![("time", time(now))];
    let readings = [
        ("usageBytes", of.memory_bytes),
        ("workingSetBytes", of.working_set_bytes),
        ("rssBytes", of.rss_bytes),
        ("pageFaults", of.page_faults),
        ("majorPageFaults", of.major_page_faults),
    ];
    memory.extend(readings.into_iter().filter_map(|(name, reading)| Some((name, number(reading?)))));
    memory.extend(of.memory_pressure.map(|pressure| ("psi", psi(pressure))));
    let mut fields = vec![("cpu", Value::from_pairs(cpu)), ("memory", Value::from_pairs(memory))];
    fields.extend(of.pids.map(|pids| ("process_stats", Value::from_pairs([("process_count", number(pids))]))));
    fields
}

fn psi(pressure: Pressure) -> Value {
    let kind = |kind: PressureKind| {
        Value::from_pairs([
            ("total", number(kind.total_micros)),
            ("avg10", Value::from(kind.avg10)),
            ("avg60", Value::from(kind.avg60)),
            ("avg300", Value::from(kind.avg300)),
        ])
    };
    Value::from_pairs([("full", kind(pressure.full)), ("some", kind(pressure.some))])
}

fn file_system(space: Space, now: Timestamp) -> Value {
    Value::from_pairs([
        ("time", time(now)),
        ("availableBytes", number(space.available_bytes)),
        ("capacityBytes", number(space.capacity_bytes)),
        ("usedBytes", number(space.capacity_bytes.saturating_sub(space.available_bytes))),
        ("inodesFree", number(space.inodes_free)),
        ("inodes", number(space.inodes)),
        ("inodesUsed", number(space.inodes.saturating_sub(space.inodes_free))),
    ])
}

fn number(amount: u64) -> Value {
    Value::from(i64::try_from(amount).unwrap_or(i64::MAX))
}

fn time(at: Timestamp) -> Value {
    Value::from(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A metric: its name, its help, and its values by labels.
type Series = (&'static str, &'static str, Vec<(String, f64)>);

pub(super) async fn resource_metrics(view: &View) -> Response<Body> {
    let (node, pods, now) = uses(view).await;
    let mut lines: [Series; 10] = [
        (
            "container_cpu_usage_seconds_total",
            "Cumulative cpu time consumed by the container in core-seconds",
            Vec::new(),
        ),
        ("container_memory_working_set_bytes", "Current working set of the container in bytes", Vec::new()),
        ("container_start_time_seconds", "Start time of the container since unix epoch in seconds", Vec::new()),
        ("node_cpu_usage_seconds_total", "Cumulative cpu time consumed by the node in core-seconds", Vec::new()),
        ("node_memory_working_set_bytes", "Current working set of the node in bytes", Vec::new()),
        ("pod_cpu_usage_seconds_total", "Cumulative cpu time consumed by the pod in core-seconds", Vec::new()),
        ("pod_memory_working_set_bytes", "Current working set of the pod in bytes", Vec::new()),
        ("container_swap_usage_bytes", "Current amount of the container swap usage in bytes.", Vec::new()),
        ("node_swap_usage_bytes", "Current swap usage of the node in bytes.", Vec::new()),
        ("pod_swap_usage_bytes", "Current amount of the pod swap usage in bytes.", Vec::new()),
    ];
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let mut put = |index: usize, labels: String, value: Option<f64>| {
        let (_, _, rows) = &mut lines[index];
        rows.extend(value.map(|value| (labels, value)));
    };
    put(3, String::new(), node.cpu_nanos.map(seconds));
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    put(4, String::new(), bytes(node.working_set_bytes));
    put(8, String::new(), bytes(node.swap_bytes));
    for it in &pods {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (namespace, pod) = (text(&it.pod.metadata.namespace), text(&it.pod.metadata.name));
        let of_pod = format!("{{namespace=\"{namespace}\",pod=\"{pod}\"}}");
        put(5, of_pod.clone(), it.usage.cpu_nanos.map(seconds));
        put(6, of_pod.clone(), bytes(it.usage.working_set_bytes));
        put(9, of_pod, bytes(it.usage.swap_bytes));
        for (name, started, of) in &it.containers {
            let labels = format!("{{container=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"}}");
            put(0, labels.clone(), of.cpu_nanos.map(seconds));
            put(1, labels.clone(), bytes(of.working_set_bytes));
            put(7, labels.clone(), bytes(of.swap_bytes));
            put(2, labels, started.map(|at| at.as_nanosecond() as f64 / 1e9));
        }
    }
    let failed = u8::from(node.cpu_nanos.is_none());
    let mut text = exposition(&lines, now);
    let name = "resource_scrape_error";
    let help = "1 if there was an error while getting container metrics, 0 otherwise";
    writeln!(text, "# HELP {name} [STABLE] {help}\n# TYPE {name} gauge\n{name} {failed}")
        .expect("a string takes everything");
    exposition_response(text)
}

/// Metrics as text.
pub(super) fn exposition_response(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let kind = http::HeaderValue::from_static(observe::metrics::CONTENT_TYPE);
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// What cAdvisor would label somebody's use with, since when it runs, and the use.
pub(super) type Labelled = (String, Option<Timestamp>, Usage);

/// The use of every pod, and of every running container, by cAdvisor's labels: `id` is the cgroup.
pub(super) async fn pods(view: &View) -> (Vec<Labelled>, Timestamp) {
    let (node, pods, now) = uses(view).await;
    let mut all = vec![(r#"container="",id="/",image="",name="",namespace="",pod="""#.to_owned(), None, node)];
    for it in pods {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (namespace, pod) = (text(&it.pod.metadata.namespace), text(&it.pod.metadata.name));
        let cgroup = format!("/{}", view.config().pod_cgroup(&it.pod).join("/"));
        let labels = |container: &str, id: &str, image: &str, name: &str| {
            let rest = format!("namespace=\"{namespace}\",pod=\"{pod}\"");
            format!("container=\"{container}\",id=\"{id}\",image=\"{image}\",name=\"{name}\",{rest}")
        };
        let status = it.pod.status.clone().unwrap_or_default();
        let lists = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        let statuses: Vec<_> = lists.into_iter().flatten().flatten().collect();
        all.extend(it.containers.into_iter().map(|(name, started, usage)| {
            let status = statuses.iter().find(|status| status.name == name);
            let id = status.and_then(|it| it.container_id.as_deref()?.split_once("://")).map_or("", |(_, id)| id);
            let image = status.map(|it| it.image_id.as_str()).unwrap_or_default();
            (labels(&name, &format!("{cgroup}/{id}"), image, id), started, usage)
        }));
        all.push((labels("", &cgroup, "", ""), None, it.usage));
    }
    (all, now)
}

/// The text format, each value with its time.
fn exposition(lines: &[Series], now: Timestamp) -> String {
    let mut text = String::new();
    for (index, (name, help, rows)) in lines.iter().enumerate().filter(|(_, (_, _, rows))| !rows.is_empty()) {
        let kind = if matches!(index, 0 | 3 | 5) { "counter" } else { "gauge" };
        let written = write!(text, "# HELP {name} [STABLE] {help}\n# TYPE {name} {kind}\n");
        written.expect("a string takes everything");
        for (labels, value) in rows {
            writeln!(text, "{name}{labels} {value} {}", now.as_millisecond()).expect("a string takes everything");
        }
    }
    text
}
