//! What becomes of objects on their way in.

use super::*;

/// The part of an object at `keys` after creation, as JSON.
fn part(api_version: &str, kind: &str, keys: &[&str], text: &str) -> String {
    let (_, object) = created(api_version, kind, text);
    shown(object.at(keys).unwrap_or(&Value::Null))
}

fn shown(value: &Value) -> String {
    let mut text = Vec::new();
    json::write(value, &mut text);
    String::from_utf8(text).expect("JSON is text")
}

#[test]
fn pods_are_completed() {
    let pod = "{metadata: {name: p}, spec: {containers: [{name: c, image: 'r/i:1', resources: {limits: {cpu: 1, memory: 1Gi}}, readinessProbe: {httpGet: {port: 80}}}], volumes: [{name: v}]}}";
    assert_eq!(
        part("v1", "Pod", &["spec"], pod),
        concat!(
            r#"{"containers":[{"image":"r/i:1","imagePullPolicy":"IfNotPresent","name":"c","readinessProbe":{"failureThreshold":3,"#,
            r#""httpGet":{"path":"/","port":80,"scheme":"HTTP"},"periodSeconds":10,"successThreshold":1,"timeoutSeconds":1},"#,
            r#""resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}},"#,
            r#""terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","#,
            r#""enableServiceLinks":true,"restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"#,
            r#""terminationGracePeriodSeconds":30,"volumes":[{"emptyDir":{},"name":"v"}]}"#
        )
    );
    assert_eq!(part("v1", "Pod", &["status"], pod), r#"{"phase":"Pending","qosClass":"Guaranteed"}"#);
    let gated = "{metadata: {name: p}, spec: {schedulingGates: [{name: a/b}], containers: [{name: c, image: i}]}}";
    assert_eq!(part("v1", "Pod", &["status", "qosClass"], gated), r#""BestEffort""#);
    assert!(part("v1", "Pod", &["status", "conditions"], gated).contains("SchedulingGated"), "the gate is told");
}

#[test]
fn images_say_how_they_are_pulled() {
    for (image, policy) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/a/nginx:2", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ] {
        let pod = format!("{{metadata: {{name: p}}, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}");
        let (_, object) = created("v1", "Pod", &pod);
        let container = &object.list_at(&["spec", "containers"])[0];
        assert_eq!(container.str_at(&["imagePullPolicy"]), Some(policy), "{image}");
    }
}

#[test]
fn small_kinds_are_completed() {
    let cases: &[(&str, &str, &[&str], &str, &str)] = &[
        ("v1", "Namespace", &["spec"], "{metadata: {name: x}}", r#"{"finalizers":["kubernetes"]}"#),
        ("v1", "Namespace", &["status"], "{metadata: {name: x}}", r#"{"phase":"Active"}"#),
        ("v1", "Namespace", &["metadata", "labels"], "{metadata: {name: x}}", r#"{"kubernetes.io/metadata.name":"x"}"#),
        ("v1", "Secret", &["data"], "{metadata: {name: x}, stringData: {a: b}}", r#"{"a":"Yg=="}"#),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            &["spec"],
            "{metadata: {name: x}, spec: {podSelector: {}, egress: [{ports: [{port: 53}]}]}}",
            r#"{"egress":[{"ports":[{"port":53,"protocol":"TCP"}]}],"podSelector":{},"policyTypes":["Ingress","Egress"]}"#,
        ),
        (
            "storage.k8s.io/v1",
            "CSIDriver",
            &["spec"],
            "{metadata: {name: x}}",
            r#"{"attachRequired":true,"fsGroupPolicy":"ReadWriteOnceWithFSType","podInfoOnMount":false,"requiresRepublish":false,"seLinuxMount":false,"storageCapacity":false,"volumeLifecycleModes":["Persistent"]}"#,
        ),
    ];
    for (api_version, kind, keys, text, expected) in cases {
        assert_eq!(part(api_version, kind, keys, text), *expected, "{kind} {keys:?}");
    }
}

#[test]
fn services_keep_what_was_allocated() {
    let allocated = "{metadata: {name: s}, spec: {type: NodePort, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{port: 80, nodePort: 30080}]}}";
    let (strategy, old) = created("v1", "Service", allocated);
    let user = User::default();
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    let update = |text: &str| {
        let (_, mut new) = created("v1", "Service", text);
        strategy.prepare_update(&context, &mut new, &old);
        new
    };
    let kept = update("{metadata: {name: s}, spec: {type: NodePort, ports: [{port: 80}]}}");
    assert_eq!(kept.str_at(&["spec", "clusterIP"]), Some("10.0.0.1"));
    assert_eq!(kept.list_at(&["spec", "ports"])[0].int_at(&["nodePort"]), Some(30080));
    let plain = update(&allocated.replace("NodePort, clusterIP", "ClusterIP, clusterIP"));
    assert_eq!(plain.list_at(&["spec", "ports"])[0].int_at(&["nodePort"]), None);
    assert_eq!(plain.str_at(&["spec", "externalTrafficPolicy"]), None);
}

#[test]
fn pods_go_when_nobody_runs_them() {
    use kind::Deletion::Graceful;
    let (strategy, pod) =
        created("v1", "Pod", "{metadata: {name: p}, spec: {nodeName: n1, containers: [{name: c, image: i}]}}");
    assert_eq!(strategy.deletion(&pod, None), Graceful { seconds: 30 });
    assert_eq!(strategy.deletion(&pod, Some(5)), Graceful { seconds: 5 });
    let mut ended = pod.clone();
    ended.set(&["status", "phase"], "Succeeded");
    assert_eq!(strategy.deletion(&ended, None), Graceful { seconds: 0 });
    let mut unscheduled = pod;
    unscheduled.remove(&["spec", "nodeName"]);
    assert_eq!(strategy.deletion(&unscheduled, Some(9)), Graceful { seconds: 0 });
}

#[test]
fn pod_level_amounts_are_completed_once_and_for_all() {
    let container = "{name: c, image: i, resources: {limits: {cpu: 1, memory: 1Gi}}}";
    for own in ["requests: {memory: 64Mi}", "limits: {memory: 2Gi}", "requests: {cpu: 1}, limits: {cpu: 2}"] {
        let text = format!("{{metadata: {{name: x}}, spec: {{resources: {{{own}}}, containers: [{container}]}}}}");
        let (strategy, once) = created("v1", "Pod", &text);
        let mut twice = once.clone();
        strategy.default(&mut twice);
        assert_eq!(twice, once, "{own}");
    }
}
