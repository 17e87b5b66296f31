//! Every row of the table: that everybody is asked for their rights at every cell, and that every stored kind goes
//! through every verb in every form. What is not covered stands in a list that may only shrink.

use http::Method;
use kind::{Resource, Verb};

use crate::fixture::{APPLY, Answer, Client, Cluster, JSON, MERGE, PROTOBUF, TABLE};

/// Stored kinds without an example below; may only shrink.
const WITHOUT_EXAMPLE: &[&str] = &[];

/// Kinds that change when what was read is written back: a Job's labels are defaults from its template, which gets its
/// own only after defaulting, so that they are seen in every read and stored by the first write. Upstream does the same.
const SETTLES_LATER: &[&str] = &["Job"];

const TEMPLATE: &str = r#"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}"#;
const SELECTOR: &str = r#""selector":{"matchLabels":{"a":"b"}}"#;

/// What an object of the kind needs besides a name; none when there is no example.
fn example(kind: &str) -> Option<String> {
    let role = r#""roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}"#;
    let webhook = r#""webhooks":[{"name":"a.example.com","clientConfig":{"url":"https://example.com"},"sideEffects":"None","admissionReviewVersions":["v1"],"failurePolicy":"Ignore","rules":[]}]"#;
    let matches = r#""matchConstraints":{"resourceRules":[{"apiGroups":["example.com"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["things"]}]}"#;
    let claim = r#""spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c"}}]}}"#;
    Some(match kind {
        "ConfigMap" | "Endpoints" | "LimitRange" | "Node" | "ResourceQuota" | "Secret" | "ServiceAccount" | "PodDisruptionBudget"
        | "ClusterRole" | "Role" | "CSIDriver" | "Namespace" | "DeviceClass" | "Lease" => String::new(),
        "Event" => r#""involvedObject":{"namespace":"default"},"regarding":{"namespace":"default"},"eventTime":"2024-01-01T00:00:00.000000Z","reportingController":"example.com/c","reportingInstance":"i","action":"a","reason":"r","type":"Normal""#.to_owned(),
        "PersistentVolumeClaim" => r#""spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}"#.to_owned(),
        "PersistentVolume" => r#""spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"},"hostPath":{"path":"/x"}}"#.to_owned(),
        "Pod" => r#""spec":{"containers":[{"name":"c","image":"i"}]}"#.to_owned(),
        "PodTemplate" => format!(r#""template":{TEMPLATE}"#),
        "ReplicationController" => format!(r#""spec":{{"selector":{{"a":"b"}},"template":{TEMPLATE}}}"#),
        "Service" => r#""spec":{"ports":[{"port":80}]}"#.to_owned(),
        "APIService" => r#""spec":{"group":"example.com","version":"v1","groupPriorityMinimum":100,"versionPriority":10,"insecureSkipTLSVerify":true,"service":{"name":"s","namespace":"default"}}"#.to_owned(),
        "ControllerRevision" => r#""revision":1,"data":{"a":"b"}"#.to_owned(),
        "DaemonSet" | "Deployment" | "ReplicaSet" => format!(r#""spec":{{{SELECTOR},"template":{TEMPLATE}}}"#),
        "StatefulSet" => format!(r#""spec":{{{SELECTOR},"serviceName":"s","template":{TEMPLATE}}}"#),
        "HorizontalPodAutoscaler" => r#""spec":{"maxReplicas":2,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}"#.to_owned(),
        "CronJob" => format!(r#""spec":{{"schedule":"* * * * *","jobTemplate":{{"spec":{{"template":{}}}}}}}"#, once()),
        "Job" => format!(r#""spec":{{"template":{}}}"#, once()),
        "CertificateSigningRequest" => format!(r#""spec":{{"signerName":"example.com/signer","usages":["client auth"],"request":"{}"}}"#, request()),
        "ClusterTrustBundle" => return None,
        "IngressClass" => r#""spec":{"controller":"example.com/c"}"#.to_owned(),
        "Ingress" => r#""spec":{"defaultBackend":{"service":{"name":"s","port":{"number":80}}}}"#.to_owned(),
        "IPAddress" => r#""spec":{"parentRef":{"resource":"services","name":"s","namespace":"default"}}"#.to_owned(),
        "NetworkPolicy" => r#""spec":{"podSelector":{}}"#.to_owned(),
        "ServiceCIDR" => r#""spec":{"cidrs":["10.200.0.0/16"]}"#.to_owned(),
        "ClusterRoleBinding" | "RoleBinding" => role.to_owned(),
        "CSINode" => r#""spec":{"drivers":[]}"#.to_owned(),
        "CSIStorageCapacity" => r#""storageClassName":"c""#.to_owned(),
        "StorageClass" => r#""provisioner":"example.com/p""#.to_owned(),
        "VolumeAttachment" => r#""spec":{"attacher":"example.com","nodeName":"n","source":{"persistentVolumeName":"v"}}"#.to_owned(),
        "VolumeAttributesClass" => r#""driverName":"example.com","parameters":{"a":"b"}"#.to_owned(),
        "MutatingAdmissionPolicy" => format!(
            r#""spec":{{{matches},"reinvocationPolicy":"Never","mutations":[{{"patchType":"ApplyConfiguration","applyConfiguration":{{"expression":"Object{{}}"}}}}]}}"#
        ),
        "ValidatingAdmissionPolicy" => format!(r#""spec":{{{matches},"validations":[{{"expression":"true"}}]}}"#),
        "MutatingAdmissionPolicyBinding" => r#""spec":{"policyName":"p"}"#.to_owned(),
        "ValidatingAdmissionPolicyBinding" => r#""spec":{"policyName":"p","validationActions":["Deny"]}"#.to_owned(),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => webhook.to_owned(),
        "CustomResourceDefinition" => r#""spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"things","kind":"Thing"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}"#.to_owned(),
        "PriorityClass" => r#""value":1"#.to_owned(),
        "RuntimeClass" => r#""handler":"runc""#.to_owned(),
        "EndpointSlice" => r#""addressType":"IPv4","endpoints":[]"#.to_owned(),
        "ResourceClaim" => claim.to_owned(),
        "ResourceClaimTemplate" => format!(r#""spec":{{{claim}}}"#),
        "ResourceSlice" => r#""spec":{"driver":"example.com","nodeName":"n","pool":{"name":"p","generation":1,"resourceSliceCount":1},"devices":[]}"#.to_owned(),
        "DeviceTaintRule" => r#""spec":{"taint":{"key":"example.com/a","effect":"NoSchedule"}}"#.to_owned(),
        "FlowSchema" => r#""spec":{"priorityLevelConfiguration":{"name":"global-default"},"matchingPrecedence":100}"#.to_owned(),
        "PriorityLevelConfiguration" => r#""spec":{"type":"Limited","limited":{"nominalConcurrencyShares":1,"limitResponse":{"type":"Reject"}}}"#.to_owned(),
        _ => return None,
    })
}

fn once() -> &'static str {
    r#"{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}"#
}

/// A request for a certificate, in base64.
fn request() -> String {
    use base64::Engine as _;
    let key = pki::PrivateKey::generate(pki::Algorithm::default()).expect("a key");
    let pem = pki::csr::create(&pki::Subject::new("x", &[]), &pki::AlternativeNames::default(), &key);
    base64::engine::general_purpose::STANDARD.encode(pem.expect("a request"))
}

/// The name of the example, where the kind cares.
fn name_of(kind: &str) -> &'static str {
    match kind {
        "CustomResourceDefinition" => "things.example.com",
        "APIService" => "v1.example.com",
        "IPAddress" => "192.168.7.7",
        _ => "example",
    }
}

fn namespace_of(row: &Resource) -> &'static str {
    if row.namespaced { "default" } else { "" }
}

fn body(row: &Resource, with: &str) -> String {
    let comma = if with.is_empty() { "" } else { "," };
    let with = if row.kind == "Event" { event(row, with) } else { with.to_owned() };
    format!(
        r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"name":"{}"}}{comma}{with}}}"#,
        row.api_version(),
        row.kind,
        name_of(&row.kind)
    )
}

/// The two groups of events call the same fields by different names.
fn event(row: &Resource, with: &str) -> String {
    let core = row.group.is_empty();
    let (drop, rename) = if core {
        (r#""regarding":{"namespace":"default"},"#, "reportingComponent")
    } else {
        (r#""involvedObject":{"namespace":"default"},"#, "reportingController")
    };
    with.replace(drop, "").replace("reportingController", rename)
}

fn stored() -> impl Iterator<Item = &'static Resource> {
    kind::builtin()
        .iter()
        .map(AsRef::as_ref)
        .filter(|row| row.verbs.contains(Verb::Create) && row.verbs.contains(Verb::List))
}

#[tokio::test]
async fn every_stored_kind_goes_through_every_verb_in_every_form() {
    let admin = Cluster::start().await.admin();
    let mut without = Vec::new();
    let mut failures = Vec::new();
    for row in stored() {
        match example(&row.kind) {
            Some(with) => walk(&admin, row, &body(row, &with), &mut failures).await,
            None => without.push(row.group_resource().to_string()),
        }
    }
    assert!(failures.is_empty(), "{} cells fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(without, WITHOUT_EXAMPLE);
}

/// Takes an example through all verbs; what goes wrong is noted.
async fn walk(admin: &Client, row: &Resource, body: &str, failures: &mut Vec<String>) {
    let collection = row.path(namespace_of(row), "", "");
    let path = row.path(namespace_of(row), name_of(&row.kind), "");
    let mut note = |what: &str, answer: &Answer, code: u16| {
        if answer.code == code {
            return true;
        }
        failures.push(format!("{what} {path}: {} {}", answer.code, answer.text().trim()));
        false
    };
    let start = admin.get(&collection).await;
    note("list", &start, 200);
    let strict = format!("{collection}?fieldValidation=Strict");
    note("dry create", &admin.post(&format!("{strict}&dryRun=All"), body).await, 201);
    note("after dry create", &admin.get(&path).await, 404);
    let made = admin.post(&strict, body).await;
    if !note("create", &made, 201) {
        return;
    }
    for media in
        [JSON, "application/yaml", PROTOBUF, TABLE, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]
    {
        note(media, &admin.with("accept", media).get(&path).await, 200);
        let list = media.replace("PartialObjectMetadata", "PartialObjectMetadataList");
        note(&list, &admin.with("accept", &list).get(&collection).await, 200);
    }
    let got = admin.get(&path).await;
    if got.body != made.body {
        note("what is answered is not what is read:", &made, 0);
        note("what is read is not what was answered:", &got, 0);
    }
    // What protobuf carries is the whole object.
    let message = admin.with("accept", PROTOBUF).get(&path).await.body;
    let copied = admin.send(Method::PUT, &path, PROTOBUF, message).await;
    let same = copied.revision() == made.revision() || SETTLES_LATER.contains(&row.kind.as_str());
    if note("update from protobuf", &copied, 200) && !same {
        note("the way through protobuf changes the object:", &copied, 0);
    }
    note("update", &admin.put(&path, &copied.text()).await, 200);
    let label = r#"{"metadata":{"labels":{"x":"y"}}}"#;
    note("patch", &admin.patch(&path, MERGE, label).await, 200);
    let applied = format!(
        r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"name":"{}","labels":{{"z":"y"}}}}}}"#,
        row.api_version(),
        row.kind,
        name_of(&row.kind)
    );
    note("apply", &admin.patch(&format!("{path}?fieldManager=m"), APPLY, &applied).await, 200);
    if row.subresource("status").is_some() {
        let status = format!("{path}/status");
        let got = admin.get(&status).await;
        note("get status", &got, 200);
        note("update status", &admin.put(&status, &got.text()).await, 200);
        note("patch status", &admin.patch(&status, MERGE, r#"{"metadata":{"annotations":{"s":"t"}}}"#).await, 200);
    }
    let mut events = admin.watch(&format!("{collection}?watch=true&resourceVersion={}", start.revision())).await;
    let word = events.word().await;
    if word != format!("ADDED {}", name_of(&row.kind)) {
        note(&format!("watch sees {word}"), &start, 0);
    }
    note("delete", &admin.delete(&path, r#"{"gracePeriodSeconds":0}"#).await, 200);
    let selected = format!("{collection}?labelSelector=x%3Dnobody");
    let expected = if row.verbs.contains(Verb::DeleteCollection) { 200 } else { 405 };
    note("deletecollection", &admin.delete(&selected, "").await, expected);
}

/// The request of a verb at a path.
fn request_of(verb: Verb, row: &Resource, namespace: &str, subresource: &str) -> (Method, String, &'static str) {
    let named = |method: Method| (method, row.path(namespace, "some-name", subresource), "");
    let all = row.path(namespace, "", "");
    match verb {
        Verb::Create if !subresource.is_empty() => named(Method::POST),
        Verb::Create => (Method::POST, all, JSON),
        Verb::Get => named(Method::GET),
        Verb::List => (Method::GET, all, ""),
        Verb::Watch => (Method::GET, format!("{all}?watch=true&timeoutSeconds=1"), ""),
        Verb::Update => named(Method::PUT),
        Verb::Patch => (Method::PATCH, row.path(namespace, "some-name", subresource), MERGE),
        Verb::Delete => named(Method::DELETE),
        Verb::DeleteCollection => (Method::DELETE, all, ""),
    }
}

#[tokio::test]
async fn whoever_has_no_rights_gets_nothing_at_every_cell() {
    let cluster = Cluster::start().await;
    let callers = [
        ("nobody", cluster.user("nobody", &[]), 403),
        ("anonymous", cluster.stranger(), 403),
        ("a bad token", cluster.bearer("nonsense"), 401),
    ];
    // What everybody who is somebody may do (system:basic-user).
    let open = ["selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    let (mut cells, mut failures) = (0, Vec::new());
    for row in kind::builtin() {
        let own = row.verbs.iter().map(|verb| ("", verb));
        let sub = row.subresources.iter().flat_map(|sub| sub.verbs.iter().map(|verb| (sub.name.as_str(), verb)));
        for (subresource, verb) in own.chain(sub) {
            let (method, path, media) = request_of(verb, row, namespace_of(row), subresource);
            for (who, client, expected) in &callers {
                cells += 1;
                let answer = client.send(method.clone(), &path, media, "{}").await;
                let may = *who == "nobody" && open.contains(&row.plural.as_str());
                let kind = if answer.body.starts_with(b"{\"kind\":\"Status\"") { "Status" } else { "something else" };
                if !may && (answer.code != *expected || kind != "Status") {
                    failures.push(format!("{who} {} {path}: {} {}", verb.name(), answer.code, answer.text().trim()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {cells} cells fail:\n{}", failures.len(), failures.join("\n"));
    assert!(cells > 1_500, "only {cells} cells");
}

#[tokio::test]
async fn paths_that_are_no_resources_are_guarded_too() {
    let cluster = Cluster::start().await;
    let (stranger, jane) = (cluster.stranger(), cluster.user("jane", &[]));
    for path in ["/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1"] {
        stranger.get(path).await.is(403);
        jane.get(path).await.is(200);
    }
    for path in ["/metrics", "/debug/pprof", "/logs", "/configz", "/nothing"] {
        stranger.get(path).await.is(403);
        jane.get(path).await.is(403);
    }
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        stranger.get(path).await.is(200);
    }
}
