//! Lists: pages of one snapshot, freshness, selectors, and the forms in which things are sent.

use http::Method;
use store::Revision;

use crate::fixture::{Client, Cluster, MAPS, MERGE, PODS, PROTOBUF, TABLE, at, config_map, pod};

async fn many(admin: &Client, count: usize) {
    for number in 0..count {
        admin.post(MAPS, &config_map(&format!("m{number:02}"), "a")).await.is(201);
    }
}

#[tokio::test]
async fn pages_are_one_snapshot() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    many(&admin, 10).await;
    let first = admin.get(&format!("{MAPS}?limit=4&labelSelector=")).await.is(200);
    assert_eq!(first.names(), ["m00", "m01", "m02", "m03"]);
    assert_eq!(first.at("metadata.remainingItemCount"), "6");
    admin.delete(&format!("{MAPS}/m05"), "").await.is(200);
    admin.post(MAPS, &config_map("m041", "b")).await.is(201);
    admin.patch(&format!("{MAPS}/m06"), MERGE, r#"{"data":{"key":"changed"}}"#).await.is(200);
    let token = first.at("metadata.continue");
    let second = admin.get(&format!("{MAPS}?limit=4&continue={token}")).await.is(200);
    assert_eq!(second.names(), ["m04", "m05", "m06", "m07"], "the snapshot of the first page");
    assert_eq!(at(&second.tree().list_at(&["items"])[2], "data.key"), "a");
    assert_eq!((second.revision(), second.at("metadata.remainingItemCount")), (first.revision(), "2".into()));
    let third = admin.get(&format!("{MAPS}?limit=4&continue={}", second.at("metadata.continue"))).await.is(200);
    assert_eq!(
        (third.names().len(), third.at("metadata.continue"), third.revision()),
        (2, String::new(), first.revision())
    );
    assert_eq!(third.at("metadata.remainingItemCount"), "");
    let selected = admin.get(&format!("{MAPS}?limit=1&fieldSelector=metadata.name!%3Dm00")).await.is(200);
    assert_eq!((selected.names(), selected.at("metadata.remainingItemCount")), (vec!["m01".into()], String::new()));

    let newest = Revision(admin.get(MAPS).await.revision().parse().expect("a number"));
    cluster.store.compact(newest).await.expect("history can be forgotten");
    let expired = admin.get(&format!("{MAPS}?limit=4&continue={token}")).await.is(410);
    assert_eq!(expired.at("reason"), "Expired");
    assert!(
        expired
            .at("message")
            .starts_with("The provided continue parameter is too old to display a consistent list result.")
    );
    let inconsistent = expired.at("metadata.continue");
    let rest = admin.get(&format!("{MAPS}?continue={inconsistent}")).await.is(200);
    assert_eq!(rest.names(), ["m04", "m041", "m06", "m07", "m08", "m09"], "what there is now");
    for odd in ["x", "AAAA", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiIifQ"] {
        let odd = admin.get(&format!("{MAPS}?continue={odd}")).await.is(400);
        assert!(odd.at("message").starts_with("continue key is not valid: "), "{}", odd.text());
    }
    let both = admin.get(&format!("{MAPS}?continue={inconsistent}&resourceVersion=5")).await;
    both.refuses(400, "BadRequest", "specifying resource version is not allowed when using continue");
}

#[tokio::test]
async fn lists_are_as_fresh_as_asked() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    many(&admin, 3).await;
    let before = admin.get(MAPS).await.is(200).revision();
    admin.delete(&format!("{MAPS}/m01"), "").await.is(200);
    // A consistent list, so that the lists below, which may be older, are not.
    admin.get(MAPS).await.is(200);
    let names = |query: String| {
        let admin = admin.clone();
        async move { admin.get(&format!("{MAPS}?{query}")).await.is(200).names() }
    };
    assert_eq!(names(format!("resourceVersion={before}&resourceVersionMatch=Exact")).await, ["m00", "m01", "m02"]);
    assert_eq!(names(format!("resourceVersion={before}&resourceVersionMatch=NotOlderThan")).await, ["m00", "m02"]);
    assert_eq!(names(format!("resourceVersion={before}")).await, ["m00", "m02"]);
    assert_eq!(names("resourceVersion=0&limit=1".to_owned()).await, ["m00", "m02"]);
    assert_eq!(names(format!("resourceVersion={before}&limit=2")).await, ["m00", "m01"]);
    let invalid = |text: &str| format!(r#"ListOptions.meta.k8s.io "" is invalid: {text}"#);
    for (query, message) in [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            r#"resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#,
        ),
        (
            "resourceVersionMatch=Odd&resourceVersion=1",
            r#"resourceVersionMatch: Unsupported value: "Odd": supported values: "Exact", "NotOlderThan", """#,
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=true&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=true&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ] {
        admin.get(&format!("{MAPS}?{query}")).await.refuses(422, "Invalid", &invalid(message));
    }
    admin.get(&format!("{MAPS}?resourceVersion=x")).await.is(400);
    admin.get(&format!("{MAPS}?limit=x")).await.is(400);
    cluster
        .store
        .compact(Revision(before.parse::<u64>().expect("a number") + 1))
        .await
        .expect("history can be forgotten");
    let old = admin.get(&format!("{MAPS}?resourceVersion={before}&resourceVersionMatch=Exact")).await;
    old.refuses(410, "Expired", "The resourceVersion for the provided list is too old.");
    for query in ["resourceVersion=99999999", "resourceVersion=99999999&resourceVersionMatch=Exact"] {
        let future = admin.get(&format!("{MAPS}?{query}")).await.is(504);
        assert!(
            future.at("message").starts_with("Timeout: Too large resource version: 99999999, current: "),
            "{}",
            future.text()
        );
        assert_eq!(future.at("details.causes.0.reason"), "ResourceVersionTooLarge");
        assert_eq!(future.at("details.causes.0.message"), "Too large resource version");
        assert_eq!(future.at("details.retryAfterSeconds"), "1");
    }
}

#[tokio::test]
async fn selectors_select() {
    let admin = Cluster::start().await.admin();
    for (name, labels) in [("a", r#"{"tier":"web","env":"prod"}"#), ("b", r#"{"tier":"db"}"#), ("c", "{}")] {
        let body = pod(name).replacen(r#""metadata":{"#, &format!(r#""metadata":{{"labels":{labels},"#), 1);
        admin.post(PODS, &body).await.is(201);
    }
    for (query, names) in [
        ("labelSelector=tier%3Dweb", vec!["a"]),
        ("labelSelector=tier", vec!["a", "b"]),
        ("labelSelector=!tier", vec!["c"]),
        ("labelSelector=tier+in+(web,db),env", vec!["a"]),
        ("labelSelector=tier+notin+(web)", vec!["b", "c"]),
        ("labelSelector=tier!%3Dweb", vec!["b", "c"]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db", vec!["a", "c"]),
        ("fieldSelector=spec.nodeName%3D,status.phase%3DPending", vec!["a", "b", "c"]),
        ("fieldSelector=status.phase%3DRunning", vec![]),
    ] {
        assert_eq!(admin.get(&format!("{PODS}?{query}")).await.is(200).names(), names, "{query}");
    }
    let everywhere =
        admin.get("/api/v1/pods?fieldSelector=metadata.namespace%3Ddefault,metadata.name%3Da").await.is(200);
    assert_eq!(everywhere.names(), ["a"]);
    let odd = admin.get(&format!("{PODS}?fieldSelector=spec.odd%3Da")).await;
    odd.refuses(
        400,
        "BadRequest",
        r#"Unable to find "/v1, Resource=pods" that match label selector "", field selector "spec.odd=a": field label not supported: spec.odd"#,
    );
    admin.get(&format!("{PODS}?labelSelector=a+in")).await.is(400);
    admin.get(&format!("{PODS}?labelSelector=%3D%3D")).await.is(400);
    admin.get(&format!("{PODS}?fieldSelector=odd")).await.is(400);
}

#[tokio::test]
async fn things_come_in_the_form_that_is_asked_for() {
    let admin = Cluster::start().await.admin();
    admin.post(PODS, &pod("p")).await.is(201);
    let path = format!("{PODS}/p");
    let accepting = |media: &str| admin.with("accept", media);
    let table = accepting(&format!("{TABLE},application/json")).get(PODS).await.is(200);
    assert_eq!((table.at("kind"), table.at("apiVersion")), ("Table".into(), "meta.k8s.io/v1".into()));
    let columns: Vec<String> =
        table.tree().list_at(&["columnDefinitions"]).iter().map(|column| at(column, "name")).collect();
    assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(table.at("rows.0.cells.0"), "p");
    assert_eq!(
        (table.at("rows.0.object.kind"), table.at("rows.0.object.spec")),
        ("PartialObjectMetadata".into(), String::new())
    );
    let whole = accepting(TABLE).get(&format!("{path}?includeObject=Object")).await.is(200);
    assert_eq!(whole.at("rows.0.object.spec.containers.0.name"), "c");
    let bare = accepting(TABLE).get(&format!("{path}?includeObject=None")).await.is(200);
    assert_eq!(bare.at("rows.0.object"), "");
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let partial = accepting(partial).get(PODS).await.is(200);
    assert_eq!(partial.at("kind"), "PartialObjectMetadataList");
    assert_eq!((partial.names(), partial.at("items.0.spec")), (vec!["p".to_owned()], String::new()));
    let message = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let message = accepting(message).get(PODS).await.is(200).body;
    let message = codec::proto::decode_enveloped(&message, object::Schema::builtin()).expect("protobuf").value;
    let root = codec::Root::builtin("meta.k8s.io/v1", "PartialObjectMetadataList").expect("a built-in kind");
    let text = codec::json::encode(&message, root);
    assert_eq!(str::from_utf8(&text), Ok(partial.text().trim_end()), "metadata is the same in both languages");
    let partial = accepting("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").get(&path).await.is(200);
    assert_eq!((partial.at("kind"), partial.at("metadata.name")), ("PartialObjectMetadata".into(), "p".into()));
    let yaml = accepting("application/yaml").get(&path).await.is(200);
    assert!(
        yaml.text().starts_with("apiVersion: v1\n") && yaml.header("content-type") == "application/yaml",
        "{}",
        yaml.text()
    );
    let protobuf = accepting(PROTOBUF).get(PODS).await.is(200);
    assert!(protobuf.body.starts_with(b"k8s\0") && protobuf.header("content-type") == PROTOBUF);
    let pretty = admin.get(&format!("{path}?pretty=true")).await.is(200);
    assert!(pretty.text().starts_with("{\n  \"kind\""), "{}", pretty.text());
    let curl = admin.with("user-agent", "curl/8").get(&path).await.is(200);
    assert_eq!(curl.body, pretty.body, "people read what curl fetches");
    let refused = admin.with("user-agent", "curl/8").get(&format!("{PODS}/absent")).await.is(404);
    assert!(refused.text().starts_with("{\n  \"kind\": \"Status\""), "and what it is refused: {}", refused.text());
    accepting("text/html").get(&path).await.is(406).refuses(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    );
    accepting("application/json;as=Table;v=v1;g=meta.k8s.io")
        .post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}")
        .await
        .is(406);
    accepting("text/html, */*;q=0.1").get(&path).await.is(200);
    admin.send(Method::POST, PODS, "text/html", pod("q")).await.refuses(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    );
    let failed = accepting(PROTOBUF).get(&format!("{PODS}/absent")).await;
    assert!(failed.code == 404 && failed.body.starts_with(b"k8s\0"), "refusals come in the asked form, too");
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: b\n";
    assert_eq!(admin.send(Method::POST, MAPS, "application/yaml", yaml).await.is(201).at("data.a"), "b");
    let message = accepting(PROTOBUF).get(&format!("{MAPS}/yaml")).await.is(200).body;
    let copied = admin.send(Method::PUT, &format!("{MAPS}/yaml"), PROTOBUF, message).await.is(200);
    assert_eq!(copied.at("data.a"), "b");
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_read_it() {
    let admin = Cluster::start().await.admin();
    admin.post(MAPS, &config_map("long", &"x".repeat(200_000))).await.is(201);
    let path = format!("{MAPS}/long");
    let plain = admin.get(&path).await.is(200);
    let small = admin.with("accept-encoding", "gzip").get(&path).await.is(200);
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.body.starts_with(&[0x1f, 0x8b]) && small.body.len() < plain.body.len() / 10);
    assert_eq!(plain.header("content-encoding"), "");
}

#[tokio::test]
async fn events_are_selected_by_the_names_of_both_of_their_forms() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let (new, core) = ("/apis/events.k8s.io/v1/namespaces/default/events", "/api/v1/namespaces/default/events");
    let event = r#"{"metadata":{"name":"e"},"regarding":{"kind":"Pod","namespace":"default","name":"p"},"action":"Do",
        "reason":"Done","type":"Normal","eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"c",
        "reportingInstance":"i"}"#;
    admin.post(new, event).await.is(201);
    for (list, selector, expected) in [
        (new, "reportingController=c", vec!["e"]),
        (new, "regarding.name=p,reason=Done", vec!["e"]),
        (new, "regarding.name!=p", vec![]),
        (core, "reportingComponent=c", vec!["e"]),
        (core, "source=c", vec!["e"]),
        (core, "involvedObject.kind=Pod", vec!["e"]),
    ] {
        let found = admin.get(&format!("{list}?fieldSelector={selector}")).await.is(200).names();
        assert_eq!(found, expected, "{list} {selector}");
    }
    admin.get(&format!("{new}?fieldSelector=source=c")).await.is(400);
}
