//! LimitRanger.

use super::world::{Asked, World, read};

fn world(limit: &str) -> World {
    World::of(&format!("# LimitRange\nmetadata: {{name: l, namespace: a}}\nspec: {{limits: [{limit}]}}"))
}

#[test]
fn defaults_are_noted() {
    let world = world("{type: Container, default: {cpu: 2, memory: 1Gi}, defaultRequest: {cpu: 500m}}");
    let pod = "metadata: {name: p}\nspec: {containers: [{name: c, resources: {limits: {cpu: 1}}}], initContainers: [{name: i}]}";
    let (pod, _) = Asked::create("pods").admit(&world, pod).expect("it comes in");
    let containers = pod.list_at(&["spec", "containers"]);
    assert_eq!(containers[0].get("resources"), Some(&read("{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}")));
    assert_eq!(
        pod.str_at(&["metadata", "annotations", "kubernetes.io/limit-ranger"]),
        Some(
            "LimitRanger plugin set: cpu request for container c; memory limit for container c; cpu request for init container \
             i; cpu, memory limit for init container i"
        )
    );
}

#[test]
fn bounds() {
    for (limit, resources, expected) in [
        ("{type: Container, min: {cpu: 100m}}", "{requests: {cpu: 100m}}", ""),
        (
            "{type: Container, min: {cpu: 100m}}",
            "{}",
            "minimum cpu usage per Container is 100m.  No request is specified",
        ),
        (
            "{type: Container, min: {cpu: 100m}}",
            "{requests: {cpu: 50m}}",
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        (
            "{type: Container, min: {cpu: 100m}}",
            "{requests: {cpu: 100m}, limits: {cpu: 50m}}",
            "minimum cpu usage per Container is 100m, but limit is 50m",
        ),
        (
            "{type: Container, max: {memory: 1Gi}}",
            "{limits: {memory: 2Gi}}",
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        (
            "{type: Container, max: {memory: 1Gi}}",
            "{}",
            "maximum memory usage per Container is 1Gi.  No limit is specified",
        ),
        (
            "{type: Container, max: {cpu: 1, memory: 1Gi}}",
            "{limits: {cpu: 2, memory: 2Gi}}",
            "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]",
        ),
        ("{type: Container, maxLimitRequestRatio: {cpu: 2}}", "{requests: {cpu: 1}, limits: {cpu: 2}}", ""),
        (
            "{type: Container, maxLimitRequestRatio: {cpu: 2}}",
            "{requests: {cpu: 1}, limits: {cpu: 3}}",
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            "{type: Container, maxLimitRequestRatio: {cpu: 2}}",
            "{limits: {cpu: 3}}",
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
        ("{type: Pod, max: {cpu: 3}}", "{limits: {cpu: 2}}", "maximum cpu usage per Pod is 3, but limit is 4"),
    ] {
        let container = |name: &str| format!("{{name: {name}, resources: {resources}}}");
        let second = if limit.contains("Pod") { format!(", {}", container("d")) } else { String::new() };
        let pod = format!("metadata: {{name: p}}\nspec: {{containers: [{}{second}]}}", container("c"));
        let expected = if expected.is_empty() { String::new() } else { format!("pods \"p\" is forbidden: {expected}") };
        assert_eq!(Asked::create("pods").refusal(&world(limit), &pod), expected, "{limit} {resources}");
    }
}

#[test]
fn claims() {
    let limit = "{type: PersistentVolumeClaim, min: {storage: 1Gi}, max: {storage: 5Gi}}";
    for (size, expected) in [
        ("2Gi", ""),
        ("1Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"),
        ("6Gi", "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"),
    ] {
        let claim = format!("metadata: {{name: c}}\nspec: {{resources: {{requests: {{storage: {size}}}}}}}");
        let prefix = if expected.is_empty() { "" } else { "persistentvolumeclaims \"c\" is forbidden: " };
        let refusal = Asked::create("persistentvolumeclaims").refusal(&world(limit), &claim);
        assert_eq!(refusal, format!("{prefix}{expected}"), "{size}");
    }
}
