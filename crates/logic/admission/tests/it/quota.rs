//! ResourceQuota.

use super::world::{Asked, World};

fn quota(hard: &str, used: &str, spec: &str) -> World {
    World::of(&format!(
        "# ResourceQuota\nmetadata: {{name: q, namespace: a, resourceVersion: '7'}}\nspec: {{{spec}}}\nstatus: {{hard: {{{hard}}}, used: {{{used}}}}}"
    ))
}

fn pod(resources: &str) -> String {
    format!("metadata: {{name: p}}\nspec: {{containers: [{{name: c, resources: {resources}}}]}}")
}

#[test]
fn pods_are_charged() {
    let world =
        quota("pods: 2, requests.cpu: 2, limits.memory: 2Gi", "pods: 1, requests.cpu: 1, limits.memory: 1Gi", "");
    let admit = |resources| Asked::create("pods").admit(&world, &pod(resources));
    let (_, notes) = admit("{requests: {cpu: 500m}, limits: {memory: 512Mi}}").expect("there is room");
    let [charge] = notes.charges.as_slice() else { panic!("one quota is charged: {notes:?}") };
    let used: Vec<String> =
        charge.used.iter().map(|(name, amount)| format!("{name}={}", amount.as_str().unwrap_or_default())).collect();
    assert_eq!(used, ["limits.memory=1536Mi", "pods=2", "requests.cpu=1500m"]);
    assert_eq!((charge.name.as_str(), charge.resource_version.as_str()), ("q", "7"));
    for (resources, expected) in [
        (
            "{requests: {cpu: 2}, limits: {memory: 2Gi}}",
            "exceeded quota: q, requested: limits.memory=2Gi,requests.cpu=2, used: limits.memory=1Gi,requests.cpu=1, limited: \
             limits.memory=2Gi,requests.cpu=2",
        ),
        ("{}", "failed quota: q: must specify limits.memory for: c; requests.cpu for: c"),
    ] {
        let refusal = admit(resources).expect_err("it does not fit").to_string();
        assert_eq!(refusal, format!("pods \"p\" is forbidden: {expected}"), "{resources}");
    }
}

#[test]
fn unknown_usage_refuses() {
    let world = quota("pods: 2", "", "");
    assert_eq!(
        Asked::create("pods").refusal(&world, &pod("{}")),
        "pods \"p\" is forbidden: status unknown for quota: q, resources: pods"
    );
}

#[test]
fn scopes_narrow() {
    let full = |scope: &str| quota("pods: 1", "pods: 1", scope);
    let refused =
        |scope: &str, resources: &str| !Asked::create("pods").refusal(&full(scope), &pod(resources)).is_empty();
    assert!(refused("scopes: [BestEffort]", "{}"));
    assert!(!refused("scopes: [BestEffort]", "{requests: {cpu: 1}}"));
    assert!(refused("scopes: [NotBestEffort, NotTerminating]", "{requests: {cpu: 1}}"));
    assert!(!refused("scopes: [Terminating]", "{}"));
    let classes = "scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}";
    assert!(!refused(classes, "{}"));
}

#[test]
fn other_kinds() {
    for (resource, hard, object, expected) in [
        ("configmaps", "configmaps: 1", "{}", "requested: configmaps=1, used: configmaps=1, limited: configmaps=1"),
        (
            "deployments.apps",
            "count/deployments.apps: 1",
            "{}",
            "requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1",
        ),
        (
            "services",
            "services.nodeports: 1",
            "{type: NodePort, ports: [{port: 1}]}",
            "requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1",
        ),
        (
            "persistentvolumeclaims",
            "gold.storageclass.storage.k8s.io/requests.storage: 1Gi",
            "{storageClassName: gold, resources: {requests: {storage: 1Gi}}}",
            "requested: gold.storageclass.storage.k8s.io/requests.storage=1Gi, used: \
             gold.storageclass.storage.k8s.io/requests.storage=1Gi, limited: \
             gold.storageclass.storage.k8s.io/requests.storage=1Gi",
        ),
        (
            "resourceclaims.resource.k8s.io",
            "gpu.deviceclass.resource.k8s.io/devices: 4",
            "{devices: {requests: [{name: r, firstAvailable: [{deviceClassName: gpu, count: 2}, {deviceClassName: gpu}]}]}}",
            "requested: gpu.deviceclass.resource.k8s.io/devices=2, used: gpu.deviceclass.resource.k8s.io/devices=4, limited: \
             gpu.deviceclass.resource.k8s.io/devices=4",
        ),
    ] {
        let world = quota(hard, hard, "");
        let refusal = Asked::create(resource).refusal(&world, &format!("metadata: {{name: x}}\nspec: {object}"));
        assert_eq!(refusal, format!("{resource} \"x\" is forbidden: exceeded quota: q, {expected}"));
    }
}

#[test]
fn updates_are_charged_for_growth() {
    let world = quota("requests.storage: 3Gi", "requests.storage: 2Gi", "");
    let claim = |size: &str| {
        format!(
            "metadata: {{name: x, resourceVersion: '1'}}\nspec: {{storageClassName: s, resources: {{requests: {{storage: {size}}}}}}}"
        )
    };
    let (_, notes) =
        Asked::update("persistentvolumeclaims", &claim("1Gi")).admit(&world, &claim("1Gi")).expect("the same");
    assert!(notes.charges.is_empty());
    let service = |kind: &str| {
        format!(
            "metadata: {{name: x, resourceVersion: '1'}}\nspec: {{type: {kind}, ports: [{{port: 1}}, {{port: 2}}]}}"
        )
    };
    let world = quota("services.nodeports: 3", "services.nodeports: 2", "");
    assert_eq!(
        Asked::update("services", &service("ClusterIP")).refusal(&world, &service("NodePort")),
        "services \"x\" is forbidden: exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=2, limited: \
         services.nodeports=3"
    );
    assert_eq!(Asked::update("services", &service("NodePort")).refusal(&world, &service("NodePort")), "");
}

#[test]
fn a_resize_is_charged_for_the_most_that_a_pod_has() {
    let world = quota("requests.cpu: 3", "requests.cpu: 1", "");
    let at = |cpu: &str, status: &str| {
        let stored = pod(&format!("{{requests: {{cpu: {cpu}}}}}")).replace("name: p", "name: p, resourceVersion: '3'");
        format!("{stored}\nstatus: {{containerStatuses: [{status}]}}")
    };
    let has = |cpu: u8| format!("{{name: c, resources: {{requests: {{cpu: {cpu}}}}}}}");
    // (what is asked now, what is in force, what is asked next, what is used then)
    for (old, actual, new, used) in [(1, 1, 2, "2"), (2, 1, 3, "2"), (1, 2, 1, "1"), (2, 2, 1, "1"), (1, 2, 3, "2")] {
        let (before, after) = (at(&old.to_string(), &has(actual)), at(&new.to_string(), &has(actual)));
        let (_, notes) = Asked::update("pods/resize", &before).admit(&world, &after).expect("there is room");
        let charged = notes.charges.first().and_then(|charge| charge.used.get("requests.cpu").cloned());
        let charged = charged.and_then(|amount| amount.as_str().map(str::to_owned)).unwrap_or_else(|| "1".to_owned());
        assert_eq!(charged, used, "{old} -> {new}, {actual} in force");
    }
    let refusal = Asked::update("pods/resize", &at("1", &has(1))).refusal(&world, &at("4", &has(1)));
    assert_eq!(
        refusal,
        "pods \"x\" is forbidden: exceeded quota: q, requested: requests.cpu=3, used: requests.cpu=1, limited: requests.cpu=3"
    );
}
