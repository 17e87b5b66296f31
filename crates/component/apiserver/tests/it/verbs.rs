//! What each verb promises, on a few kinds.

use http::Method;

use crate::fixture::{APPLY, Cluster, JSON_PATCH, MAPS, MERGE, PODS, STRATEGIC, at, config_map, pod};

#[tokio::test]
async fn a_new_object_gets_what_the_server_gives() {
    let admin = Cluster::start().await.admin().with("user-agent", "tool/1.0 (linux)");
    let made = admin.post(MAPS, &config_map("one", "a")).await.is(201);
    assert_eq!(
        (made.at("kind"), made.at("apiVersion"), made.at("metadata.namespace")),
        ("ConfigMap".into(), "v1".into(), "default".into())
    );
    assert_eq!(made.at("metadata.uid").len(), 36);
    assert!(made.at("metadata.creationTimestamp").ends_with('Z'));
    assert_eq!(made.at("metadata.generation"), "", "a ConfigMap counts no generations");
    let owner = made.tree().list_at(&["metadata", "managedFields"])[0].clone();
    let facts = ["manager", "operation", "apiVersion", "fieldsType"].map(|key| at(&owner, key));
    assert_eq!(facts, ["tool", "Update", "v1", "FieldsV1"]);
    assert_eq!(at(&owner, "fieldsV1"), r#"{"f:data":{".":{},"f:key":{}}}"#);
    let got = admin.get(&format!("{MAPS}/one")).await.is(200);
    assert_eq!(got.body, made.body, "what is read is what was answered");

    let again = admin.post(MAPS, &config_map("one", "a")).await;
    again.refuses(409, "AlreadyExists", r#"configmaps "one" already exists"#);
    assert_eq!(again.at("details"), r#"{"kind":"configmaps","name":"one"}"#);
    let versioned = r#"{"metadata":{"name":"x","resourceVersion":"1"}}"#;
    admin.post(MAPS, versioned).await.refuses(
        400,
        "BadRequest",
        "resourceVersion should not be set on objects to be created",
    );
    let elsewhere = r#"{"metadata":{"name":"x","namespace":"kube-system"}}"#;
    admin.post(MAPS, elsewhere).await.refuses(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    );
    let deployment = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x"}}"#;
    let wrong = admin.post(MAPS, deployment).await.is(400);
    assert!(wrong.at("message").contains("Deployment"), "{}", wrong.text());
}

#[tokio::test]
async fn names_are_generated_and_judged() {
    let admin = Cluster::start().await.admin();
    let one = admin.post(MAPS, r#"{"metadata":{"generateName":"gen-"}}"#).await.is(201).at("metadata.name");
    let two = admin.post(MAPS, r#"{"metadata":{"generateName":"gen-"}}"#).await.is(201).at("metadata.name");
    assert!(one.starts_with("gen-") && one.len() == 9 && one != two, "{one} {two}");
    let long = format!(r#"{{"metadata":{{"generateName":"{}"}}}}"#, "a".repeat(80));
    let cut = admin.post(MAPS, &long).await.is(201).at("metadata.name");
    assert_eq!(cut.len(), 63, "a generated name is cut to fit");
    let nameless = admin.post(MAPS, "{}").await;
    nameless.refuses(
        422,
        "Invalid",
        r#"ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#,
    );
    assert_eq!(
        nameless.at("details"),
        r#"{"causes":[{"field":"metadata.name","message":"Required value: name or generateName is required","reason":"FieldValueRequired"}],"kind":"ConfigMap"}"#
    );
    let odd = admin.post(MAPS, &config_map("Odd_Name", "a")).await.is(422);
    assert!(odd.at("message").starts_with(
        r#"ConfigMap "Odd_Name" is invalid: metadata.name: Invalid value: "Odd_Name": a lowercase RFC 1123 subdomain must consist of"#
    ));
    let labels = r#"{"metadata":{"name":"l","labels":{"a b":"c"}}}"#;
    let labels = admin.post(MAPS, labels).await.is(422);
    assert!(labels.at("details.causes.0.field").starts_with("metadata.labels"), "{}", labels.text());
    let missing = admin.post("/api/v1/namespaces/nowhere/configmaps", &config_map("a", "b")).await;
    missing.refuses(404, "NotFound", r#"namespaces "nowhere" not found"#);
    assert_eq!(missing.at("details"), r#"{"kind":"namespaces","name":"nowhere"}"#);
}

#[tokio::test]
async fn what_was_made_a_moment_ago_can_be_named() {
    let admin = Cluster::start().await.admin();
    // The caches that admission looks into are behind by chance.
    for number in 0..100 {
        let class = format!(r#"{{"metadata":{{"name":"c{number}"}},"handler":"h"}}"#);
        admin.post("/apis/node.k8s.io/v1/runtimeclasses", &class).await.is(201);
        let class = format!(r#"{{"metadata":{{"name":"c{number}"}},"value":{number}}}"#);
        admin.post("/apis/scheduling.k8s.io/v1/priorityclasses", &class).await.is(201);
        let pod = format!(
            r#"{{"metadata":{{"name":"p{number}"}},"spec":{{"runtimeClassName":"c{number}","priorityClassName":"c{number}",
                "containers":[{{"name":"c","image":"i"}}]}}}}"#
        );
        let made = admin.post(PODS, &pod).await.is(201);
        assert_eq!(made.at("spec.priority"), number.to_string());
    }
}

#[tokio::test]
async fn updates_meet_the_version_they_have_seen() {
    let admin = Cluster::start().await.admin();
    let path = format!("{MAPS}/one");
    let made = admin.post(MAPS, &config_map("one", "a")).await.is(201);
    let with = |revision: &str, uid: &str, value: &str| {
        format!(
            r#"{{"metadata":{{"name":"one","resourceVersion":"{revision}","uid":"{uid}"}},"data":{{"key":"{value}"}}}}"#
        )
    };
    let changed = admin.put(&path, &with(&made.revision(), &made.at("metadata.uid"), "b")).await.is(200);
    assert_ne!(changed.revision(), made.revision());
    let stale = admin.put(&path, &with(&made.revision(), "", "c")).await;
    stale.refuses(
        409,
        "Conflict",
        r#"Operation cannot be fulfilled on configmaps "one": the object has been modified; please apply your changes to the latest version and try again"#,
    );
    assert_eq!(stale.at("details"), r#"{"kind":"configmaps","name":"one"}"#);
    let other = admin.put(&path, &with("", "00000000-0000-0000-0000-000000000000", "c")).await.is(409);
    assert!(other.at("message").contains("Precondition failed: UID in precondition: 00000000"), "{}", other.text());
    let same = admin.put(&path, &with("", "", "b")).await.is(200);
    assert_eq!(same.revision(), changed.revision(), "a write that changes nothing is none");
    let patched = admin.patch(&path, MERGE, r#"{"data":{"key":"b"}}"#).await.is(200);
    assert_eq!(patched.revision(), changed.revision());
    let renamed = admin.put(&path, &config_map("two", "b")).await;
    renamed.refuses(400, "BadRequest", "the name of the object (two) does not match the name on the URL (one)");
    let absent = admin.put(&format!("{MAPS}/absent"), &config_map("absent", "b")).await;
    absent.refuses(404, "NotFound", r#"configmaps "absent" not found"#);
    admin.send(Method::POST, &path, "application/json", config_map("one", "a")).await.refuses(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
}

#[tokio::test]
async fn every_kind_of_patch_patches() {
    let admin = Cluster::start().await.admin();
    admin.post(PODS, &pod("p")).await.is(201);
    let path = format!("{PODS}/p");
    let labelled = admin.patch(&path, MERGE, r#"{"metadata":{"labels":{"a":"1","b":"2"}}}"#).await.is(200);
    assert_eq!(labelled.at("metadata.labels"), r#"{"a":"1","b":"2"}"#);
    let fewer = admin.patch(&path, MERGE, r#"{"metadata":{"labels":{"a":null}}}"#).await.is(200);
    assert_eq!(fewer.at("metadata.labels"), r#"{"b":"2"}"#);
    let image = admin.patch(&path, STRATEGIC, r#"{"spec":{"containers":[{"name":"c","image":"j"}]}}"#).await.is(200);
    assert_eq!(image.at("spec.containers.0.image"), "j");
    assert_eq!(image.tree().list_at(&["spec", "containers"]).len(), 1, "containers are merged by name");
    assert_eq!((image.at("metadata.generation"), fewer.at("metadata.generation")), ("2".into(), "1".into()));
    let json = r#"[{"op":"test","path":"/metadata/labels/b","value":"2"},{"op":"replace","path":"/metadata/labels/b","value":"3"}]"#;
    assert_eq!(admin.patch(&path, JSON_PATCH, json).await.is(200).at("metadata.labels"), r#"{"b":"3"}"#);
    admin.patch(&path, JSON_PATCH, json).await.refuses(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    );
    admin.patch(&path, JSON_PATCH, "{").await.is(400);
    admin.patch(&path, MERGE, "[]").await.is(400);
    admin.patch(&path, STRATEGIC, r#"{"metadata":{"resourceVersion":"1"}}"#).await.is(409);
    let unknown = admin.patch(&path, "text/plain", "{}").await;
    unknown.refuses(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
    );
    let forced = admin.patch(&format!("{path}?force=true"), MERGE, "{}").await;
    forced.refuses(
        422,
        "Invalid",
        r#"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#,
    );
    admin.patch(&format!("{PODS}/absent"), MERGE, "{}").await.refuses(404, "NotFound", r#"pods "absent" not found"#);
}

#[tokio::test]
async fn server_side_apply_keeps_owners_apart() {
    let admin = Cluster::start().await.admin();
    let path = format!("{MAPS}/applied");
    let config =
        |value: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  key: {value}\n");
    let nobody = admin.patch(&path, APPLY, &config("a")).await;
    nobody.refuses(
        422,
        "Invalid",
        r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#,
    );
    let made = admin.patch(&format!("{path}?fieldManager=one"), APPLY, &config("a")).await.is(201);
    assert_eq!(made.at("metadata.managedFields.0.operation"), "Apply");
    let again = admin.patch(&format!("{path}?fieldManager=one"), APPLY, &config("a")).await.is(200);
    assert_eq!(again.revision(), made.revision(), "applying the same changes nothing");
    let conflict = admin.patch(&format!("{path}?fieldManager=two"), APPLY, &config("b")).await;
    conflict.refuses(409, "Conflict", r#"Apply failed with 1 conflict: conflict with "one": .data.key"#);
    assert_eq!(
        conflict.at("details.causes"),
        r#"[{"field":".data.key","message":"conflict with \"one\"","reason":"FieldManagerConflict"}]"#
    );
    let forced = admin.patch(&format!("{path}?fieldManager=two&force=true"), APPLY, &config("b")).await.is(200);
    assert_eq!(forced.at("data.key"), "b");
    let gone = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\n";
    let gone = admin.patch(&format!("{path}?fieldManager=two"), APPLY, gone).await.is(200);
    assert_eq!(gone.at("data"), "", "what its only owner no longer applies goes");
}

#[tokio::test]
async fn dry_runs_leave_no_trace() {
    let admin = Cluster::start().await.admin();
    let before = admin.get("/api/v1/services").await.is(200).at("metadata.resourceVersion");
    let service = r#"{"metadata":{"name":"s"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30080}]}}"#;
    let services = "/api/v1/namespaces/default/services";
    for _ in 0..300 {
        admin.post(&format!("{services}?dryRun=All"), service).await.is(201);
    }
    admin.get(&format!("{services}/s")).await.is(404);
    let after = admin.get("/api/v1/services").await.is(200).at("metadata.resourceVersion");
    assert_eq!(before, after, "nothing was written, not even an address");
    admin.post(services, service).await.is(201);
    // Its port is taken, which is found before its name is.
    let again = admin.post(&format!("{services}?dryRun=All"), service).await.is(422);
    assert!(again.at("message").contains("provided port is already allocated"), "{}", again.text());
    let path = format!("{services}/s");
    let patched =
        admin.patch(&format!("{path}?dryRun=All"), MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.is(200);
    assert_eq!(patched.at("metadata.labels.a"), "b");
    assert_eq!(admin.get(&path).await.at("metadata.labels"), "");
    admin.delete(&format!("{path}?dryRun=All"), "").await.is(200);
    admin.delete(&path, r#"{"dryRun":["All"]}"#).await.is(200);
    admin.delete(&format!("{services}?dryRun=All"), "").await.is(200);
    admin.get(&path).await.is(200);
    let odd = admin.delete(&format!("{path}?dryRun=Some"), "").await;
    odd.refuses(
        422,
        "Invalid",
        r#"DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All""#,
    );
}

#[tokio::test]
async fn unknown_fields_are_ignored_warned_of_or_refused() {
    let admin = Cluster::start().await.admin();
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"f"},"data":{"a":"1","a":"2"},"odd":{},"immutable":false}"#;
    let at = |validation: &str| format!("{MAPS}?dryRun=All&fieldValidation={validation}");
    assert_eq!(admin.post(&at("Ignore"), body).await.is(201).header("warning"), "");
    let warned = r#"299 - "unknown field \"odd\""; 299 - "duplicate field \"data.a\"""#;
    let found = admin.post(&at("Warn"), body).await.is(201).header("warning");
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.split("; ").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(&found), sorted(warned));
    let strict = admin.post(&at("Strict"), body).await;
    strict.refuses(
        400,
        "BadRequest",
        r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.a", unknown field "odd""#,
    );
    admin.post(MAPS, &config_map("f", "a")).await.is(201);
    let patched = admin.patch(&format!("{MAPS}/f?fieldValidation=Strict"), MERGE, r#"{"odd":1}"#).await.is(400);
    assert!(patched.at("message").contains(r#"strict decoding error: unknown field "odd""#), "{}", patched.text());
    let patched = admin.patch(&format!("{MAPS}/f"), MERGE, r#"{"odd":1}"#).await.is(200);
    assert_eq!(patched.header("warning"), r#"299 - "unknown field \"odd\"""#);
    admin.post(&at("Sometimes"), body).await.refuses(
        422,
        "Invalid",
        r#"CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Sometimes": supported values: "", "Ignore", "Strict", "Warn""#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_scale_yields_to_nobody_and_a_sent_one_does() {
    let admin = Cluster::start().await.admin();
    let body = r#"{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}"#;
    admin.post("/apis/apps/v1/namespaces/default/deployments", body).await.is(201);
    let (path, scale) =
        ("/apis/apps/v1/namespaces/default/deployments/d", "/apis/apps/v1/namespaces/default/deployments/d/scale");
    let stale = admin.get(scale).await.is(200).text();
    let writes = (0..20).map(|number| {
        let admin = &admin;
        async move {
            if number % 2 == 0 {
                let labels = format!(r#"{{"metadata":{{"labels":{{"n":"{number}"}}}}}}"#);
                admin.patch(path, MERGE, &labels).await.is(200);
            } else {
                admin.patch(scale, MERGE, &format!(r#"{{"spec":{{"replicas":{number}}}}}"#)).await.is(200);
            }
        }
    });
    futures::future::join_all(writes).await;
    admin.put(scale, &stale).await.refuses(
        409,
        "Conflict",
        r#"Operation cannot be fulfilled on deployments.apps "d": the object has been modified; please apply your changes to the latest version and try again"#,
    );
    let versioned = r#"{"metadata":{"resourceVersion":"1"},"spec":{"replicas":1}}"#;
    admin.patch(scale, MERGE, versioned).await.is(409);
    admin.patch(scale, MERGE, r#"{"spec":{"replicas":-1}}"#).await.is(422);
}

#[tokio::test]
async fn refusals_carry_warnings_too() {
    let admin = Cluster::start().await.admin();
    let odd = r#"{"metadata":{"name":"o"},"odd":1,"data":{"a/b":"c"}}"#;
    let refused = admin.post("/api/v1/namespaces/default/configmaps?fieldValidation=Warn", odd).await.is(422);
    assert_eq!(refused.header("warning"), r#"299 - "unknown field \"odd\"""#);
    let endpoints = "/api/v1/namespaces/default/endpoints";
    for (path, code) in [(endpoints, 200), (&format!("{endpoints}/none"), 404)] {
        let answer = admin.get(path).await.is(code);
        let expected = r#"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#;
        assert_eq!(answer.header("warning"), expected, "{path}");
    }
}

#[tokio::test]
async fn controllers_leave_their_pods_unless_told() {
    let admin = Cluster::start().await.admin();
    let controllers = "/api/v1/namespaces/default/replicationcontrollers";
    let one = r#"{"metadata":{"name":"r"},"spec":{"replicas":0,"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}"#;
    admin.post(controllers, one).await.is(201);
    let path = format!("{controllers}/r");
    let kept = admin.delete(&format!("{path}?dryRun=All"), "").await.is(200);
    assert_eq!(kept.at("metadata.finalizers.0"), "orphan", "{}", kept.text());
    let told = admin.delete(&path, r#"{"propagationPolicy":"Background"}"#).await.is(200);
    assert_eq!(told.at("status"), "Success", "{}", told.text());
}
