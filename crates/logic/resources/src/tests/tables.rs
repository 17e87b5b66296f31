//! Objects and their rows, at noon of the first of May 2026.

use codec::{Root, yaml};

use super::*;

/// The cells of an object, joined as a person would see them.
fn row_of(api_version: &str, kind: &str, text: &str) -> String {
    let row = kind::builtin().iter().find(|row| row.kind == kind && row.api_version() == api_version);
    let row = row.expect("the row exists");
    let root = Root::builtin(api_version, kind).expect("the kind exists");
    let mut object = yaml::decode(text.as_bytes(), root).expect("the fixture is valid").value;
    let strategy = strategy_for(row).expect("the row is stored");
    strategy.default(&mut object);
    let now = "2026-05-01T12:00:00Z".parse().expect("the time is valid");
    let cells = strategy.row(&object);
    assert_eq!(cells.len(), strategy.columns().len(), "{kind}: cells and columns");
    let shown = cells.iter().map(|cell| match cell.at(now) {
        Value::String(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    });
    shown.collect::<Vec<_>>().join(" | ")
}

fn check(api_version: &str, kind: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(row_of(api_version, kind, text), *expected, "{kind}: {text}");
    }
}

const POD_HEAD: &str = "
metadata: {name: p, creationTimestamp: 2026-05-01T11:00:00Z}
spec: {nodeName: n1, containers: [{name: a, image: i}, {name: b, image: i}], initContainers: [{name: i1, image: i}, {name: side, image: i, restartPolicy: Always}]}
";

#[test]
fn pods_say_what_they_do() {
    let cases = [
        ("status: {phase: Pending}", "0/3 | Pending | 0 | 60m"),
        (
            "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}",
            "0/3 | SchedulingGated | 0 | 60m",
        ),
        (
            "status: {phase: Pending, initContainerStatuses: [{name: i1, state: {running: {}}}]}",
            "0/3 | Init:0/2 | 0 | 60m",
        ),
        (
            "status: {phase: Pending, initContainerStatuses: [{name: i1, restartCount: 2, state: {terminated: {exitCode: 3}}}]}",
            "0/3 | Init:ExitCode:3 | 2 | 60m",
        ),
        (
            "status: {phase: Pending, initContainerStatuses: [{name: i1, state: {waiting: {reason: ImagePullBackOff}}}]}",
            "0/3 | Init:ImagePullBackOff | 0 | 60m",
        ),
        (
            "status:
  phase: Running
  podIPs: [{ip: 10.0.0.1}]
  initContainerStatuses:
  - {name: i1, restartCount: 5, state: {terminated: {exitCode: 0}}}
  - {name: side, started: true, ready: true, state: {running: {}}}
  containerStatuses:
  - {name: a, ready: true, restartCount: 2, state: {running: {}}, lastState: {terminated: {exitCode: 1, finishedAt: 2026-05-01T11:15:00Z}}}
  - {name: b, ready: false, state: {waiting: {reason: CrashLoopBackOff}}}
",
            "2/3 | CrashLoopBackOff | 2 (45m ago) | 60m",
        ),
        (
            "status:
  phase: Running
  containerStatuses:
  - {name: a, ready: false, state: {terminated: {exitCode: 0, reason: Completed}}}
  - {name: b, ready: true, state: {running: {}}}
",
            "1/3 | NotReady | 0 | 60m",
        ),
        (
            "status: {phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 0, reason: Completed}}}]}",
            "0/3 | Completed | 0 | 60m",
        ),
        ("status: {phase: Failed, reason: Evicted}", "0/3 | Evicted | 0 | 60m"),
    ];
    for (status, expected) in cases {
        let shown = row_of("v1", "Pod", &format!("{POD_HEAD}{status}"));
        let ip = if status.contains("podIPs") { "10.0.0.1" } else { "<none>" };
        assert_eq!(shown, format!("p | {expected} | {ip} | n1 | <none> | <none>"), "{status}");
    }
}

#[test]
fn nodes_show_condition_and_roles() {
    check("v1", "Node", &[(
        "
metadata: {name: n1, creationTimestamp: 2026-04-29T12:00:00Z, labels: {node-role.kubernetes.io/worker: '', node-role.kubernetes.io/control-plane: ''}}
spec: {unschedulable: true}
status:
  conditions: [{type: Ready, status: 'True'}]
  addresses: [{type: InternalIP, address: 10.1.1.1}]
  nodeInfo: {kubeletVersion: v1.36.0, kernelVersion: 6.8.0, architecture: amd64, osImage: Linux, containerRuntimeVersion: 'containerd://2.1.0'}
",
        "n1 | Ready,SchedulingDisabled | control-plane,worker | 2d | v1.36.0 | 10.1.1.1 | <none> | Linux | 6.8.0 (amd64) | containerd://2.1.0",
    )]);
}

#[test]
fn services_show_where_they_answer() {
    check(
        "v1",
        "Service",
        &[
            (
                "metadata: {name: s}\nspec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], selector: {a: b}, ports: [{port: 80}, {port: 53, protocol: UDP}]}",
                "s | ClusterIP | 10.96.0.1 | <none> | 80/TCP,53/UDP | <unknown> | a=b",
            ),
            (
                "metadata: {name: s}\nspec: {type: LoadBalancer, ports: [{port: 80, nodePort: 30080}]}",
                "s | LoadBalancer | <none> | <pending> | 80:30080/TCP | <unknown> | <none>",
            ),
            (
                "metadata: {name: s}\nspec: {type: ExternalName, externalName: a.example}",
                "s | ExternalName | <none> | a.example | <none> | <unknown> | <none>",
            ),
        ],
    );
}

#[test]
fn workloads_count_their_pods() {
    check(
        "apps/v1",
        "Deployment",
        &[(
            "metadata: {name: d}\nspec: {replicas: 3, selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: c, image: i}]}}}\nstatus: {readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1}",
            "d | 1/3 | 2 | 1 | <unknown> | c | i | a=b",
        )],
    );
    check(
        "batch/v1",
        "Job",
        &[(
            "metadata: {name: j}\nspec: {completions: 3, template: {spec: {containers: [{name: c, image: i}]}}}\nstatus: {succeeded: 1, startTime: 2026-05-01T11:58:00Z}",
            "j | Running | 1/3 | 2m | <unknown> | c | i | <none>",
        )],
    );
}

#[test]
fn events_are_seen_in_both_forms() {
    let core = "
metadata: {name: e}
involvedObject: {kind: Pod, name: p}
reason: Started
message: ' Started container '
type: Normal
source: {component: kubelet, host: n1}
firstTimestamp: 2026-05-01T11:50:00Z
lastTimestamp: 2026-05-01T11:59:00Z
count: 3
";
    check(
        "v1",
        "Event",
        &[(core, "60s | Normal | Started | pod/p |  | kubelet, n1 | Started container | 10m | 3 | e")],
    );
    let new = "
metadata: {name: e}
regarding: {kind: Pod, name: p}
reason: Scheduled
note: Bound
type: Normal
eventTime: 2026-05-01T11:59:30.000000Z
reportingController: scheduler
reportingInstance: s-1
";
    check(
        "events.k8s.io/v1",
        "Event",
        &[(new, "30s | Normal | Scheduled | pod/p |  | scheduler, s-1 | Bound | 30s | 1 | e")],
    );
}

#[test]
fn autoscalers_convert_and_show_targets() {
    let v2 = "
metadata: {name: h}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}
  maxReplicas: 5
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}
  - {type: Pods, pods: {metric: {name: qps}, target: {type: AverageValue, averageValue: '10'}}}
";
    let expected = "h | Deployment/d | cpu: <unknown>/60%, <unknown>/10 | 1 | 5 | 0 | <unknown>";
    check("autoscaling/v2", "HorizontalPodAutoscaler", &[(v2, expected)]);
    let rows = kind::builtin().iter().filter(|row| row.kind == "HorizontalPodAutoscaler");
    let old = rows.into_iter().find(|row| row.version == "v1").and_then(strategy_for).expect("the row is stored");
    let root = Root::builtin("autoscaling/v2", "HorizontalPodAutoscaler").expect("the kind exists");
    let stored = yaml::decode(v2.as_bytes(), root).expect("the fixture is valid").value;
    let served = old.served(stored.clone());
    assert_eq!(served.int_at(&["spec", "targetCPUUtilizationPercentage"]), Some(60));
    let annotation = Meta::of(&served).annotation("autoscaling.alpha.kubernetes.io/metrics").unwrap_or_default();
    assert_eq!(annotation, r#"[{"type":"Pods","pods":{"metricName":"qps","targetAverageValue":"10"}}]"#);
    assert_eq!(old.stored(served), stored);
}

#[test]
fn components_are_healthy_or_not() {
    let status = |condition: &str| format!("{{metadata: {{name: c}}, conditions: [{condition}]}}");
    let cases = [
        ("{type: Healthy, status: 'True', message: ok}", "c | Healthy | ok | "),
        ("{type: Healthy, status: 'False', message: refused}", "c | Unhealthy | refused | "),
        ("{type: Healthy, status: Unknown, error: no certificate}", "c | Unhealthy |  | no certificate"),
        ("{type: Other, status: 'True', message: ok}", "c | Unknown |  | "),
    ];
    for (condition, expected) in cases {
        check("v1", "ComponentStatus", &[(&status(condition), expected)]);
    }
}
