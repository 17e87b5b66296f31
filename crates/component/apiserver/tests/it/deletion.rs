//! How objects go: at once, with grace, or when their finalizers have done their work.

use crate::fixture::{Client, Cluster, MAPS, MERGE, PODS, at, config_map, pod};

/// A node and a pod that is bound to it, so that its deletion waits for a kubelet.
async fn bound_pod(admin: &Client, name: &str) -> String {
    let body = pod(name).replacen(r#""spec":{"#, r#""spec":{"nodeName":"n1","#, 1);
    admin.post(PODS, &body).await.is(201);
    format!("{PODS}/{name}")
}

#[tokio::test]
async fn most_objects_go_at_once() {
    let admin = Cluster::start().await.admin();
    let path = format!("{MAPS}/one");
    let made = admin.post(MAPS, &config_map("one", "a")).await.is(201);
    let uid = made.at("metadata.uid");
    let other = admin.delete(&path, r#"{"preconditions":{"uid":"nobody"}}"#).await;
    other.refuses(
        409,
        "Conflict",
        &format!(r#"Operation cannot be fulfilled on configmaps "one": Precondition failed: UID in precondition: nobody, UID in object meta: {uid}"#),
    );
    let stale = admin.delete(&path, r#"{"preconditions":{"resourceVersion":"1"}}"#).await.is(409);
    assert!(stale.at("message").contains("ResourceVersion in precondition: 1"), "{}", stale.text());
    let gone = admin
        .delete(&path, &format!(r#"{{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{{"uid":"{uid}"}}}}"#))
        .await
        .is(200);
    assert_eq!(
        gone.text().trim(),
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Success","details":{{"name":"one","kind":"configmaps","uid":"{uid}"}}}}"#
        )
    );
    admin.delete(&path, "").await.refuses(404, "NotFound", r#"configmaps "one" not found"#);
    admin.get(&path).await.refuses(404, "NotFound", r#"configmaps "one" not found"#);
    admin.delete(&path, r#"{"kind":"Pod"}"#).await.is(400);
    admin.delete(&path, r#"{"propagationPolicy":"Never"}"#).await.refuses(
        422,
        "Invalid",
        r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Never": supported values: "Foreground", "Background", "Orphan", "nil""#,
    );
}

#[tokio::test]
async fn a_bound_pod_goes_with_grace() {
    let admin = Cluster::start().await.admin();
    let path = bound_pod(&admin, "p").await;
    let going = admin.delete(&path, "").await.is(200);
    assert_eq!((going.at("kind"), going.at("metadata.deletionGracePeriodSeconds")), ("Pod".into(), "30".into()));
    let longer = admin.delete(&path, r#"{"gracePeriodSeconds":60}"#).await.is(200);
    assert_eq!(longer.at("metadata.deletionGracePeriodSeconds"), "30", "a deletion is never lengthened");
    assert_eq!(longer.revision(), going.revision());
    let shorter = admin.delete(&path, r#"{"gracePeriodSeconds":5}"#).await.is(200);
    assert_eq!(shorter.at("metadata.deletionGracePeriodSeconds"), "5");
    assert!(shorter.at("metadata.deletionTimestamp") < going.at("metadata.deletionTimestamp"));
    let revived = admin.patch(&path, MERGE, r#"{"metadata":{"deletionTimestamp":null}}"#).await.is(200);
    assert_ne!(revived.at("metadata.deletionTimestamp"), "", "nobody takes a deletion back");
    let last = admin.delete(&path, r#"{"gracePeriodSeconds":0}"#).await.is(200);
    assert_eq!(last.at("kind"), "Pod");
    admin.get(&path).await.is(404);

    let path = bound_pod(&admin, "forced").await;
    admin.delete(&format!("{path}?gracePeriodSeconds=0"), "").await.is(200);
    admin.get(&path).await.is(404);
    admin.post(PODS, &pod("unbound")).await.is(201);
    admin.delete(&format!("{PODS}/unbound"), "").await.is(200);
    admin.get(&format!("{PODS}/unbound")).await.is(404);
    let path = bound_pod(&admin, "finished").await;
    admin.patch(&format!("{path}/status"), MERGE, r#"{"status":{"phase":"Succeeded"}}"#).await.is(200);
    admin.delete(&path, "").await.is(200);
    admin.get(&path).await.is(404);
    admin.post(PODS, &pod("negative")).await.is(201);
    admin.delete(&format!("{PODS}/negative"), r#"{"gracePeriodSeconds":-1}"#).await.is(200);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let admin = Cluster::start().await.admin();
    let path = format!("{MAPS}/held");
    let body = r#"{"metadata":{"name":"held","finalizers":["example.com/one","example.com/two"]}}"#;
    admin.post(MAPS, body).await.is(201);
    let going = admin.delete(&path, "").await.is(200);
    assert_eq!((going.at("kind"), going.at("metadata.deletionGracePeriodSeconds")), ("ConfigMap".into(), "0".into()));
    let again = admin.delete(&path, "").await.is(200);
    assert_eq!(again.revision(), going.revision(), "a second deletion changes nothing");
    let more = r#"{"metadata":{"finalizers":["example.com/one","example.com/two","example.com/three"]}}"#;
    let more = admin.patch(&path, MERGE, more).await;
    more.refuses(
        422,
        "Invalid",
        r#"ConfigMap "held" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/three"}"#,
    );
    let changed = admin.patch(&path, MERGE, r#"{"data":{"still":"here"}}"#).await.is(200);
    assert_eq!(changed.at("data.still"), "here");
    admin.patch(&path, MERGE, r#"{"metadata":{"finalizers":["example.com/two"]}}"#).await.is(200);
    admin.get(&path).await.is(200);
    let last = admin.patch(&path, MERGE, r#"{"metadata":{"finalizers":null}}"#).await.is(200);
    assert_eq!(last.at("metadata.name"), "held");
    admin.get(&path).await.is(404);
    let odd = admin.post(MAPS, r#"{"metadata":{"name":"x","finalizers":["odd"]}}"#).await.is(422);
    assert!(odd.at("message").contains("metadata.finalizers"), "{}", odd.text());
}

#[tokio::test]
async fn propagation_policies_become_finalizers() {
    let admin = Cluster::start().await.admin();
    for (policy, finalizers) in [
        (r#"{"propagationPolicy":"Foreground"}"#, r#"["foregroundDeletion"]"#),
        (r#"{"propagationPolicy":"Orphan"}"#, r#"["orphan"]"#),
        (r#"{"orphanDependents":true}"#, r#"["orphan"]"#),
        (r#"{"propagationPolicy":"Background"}"#, ""),
        (r#"{"orphanDependents":false}"#, ""),
        ("", ""),
    ] {
        let path = format!("{MAPS}/one");
        admin.post(MAPS, &config_map("one", "a")).await.is(201);
        admin.delete(&path, policy).await.is(200);
        let left = admin.get(&path).await;
        if finalizers.is_empty() {
            left.is(404);
            continue;
        }
        assert_eq!(left.is(200).at("metadata.finalizers"), finalizers, "{policy}");
        admin.patch(&path, MERGE, r#"{"metadata":{"finalizers":null}}"#).await.is(200);
        admin.get(&path).await.is(404);
    }
    let both = admin.delete(MAPS, r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#).await;
    both.refuses(
        422,
        "Invalid",
        r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#,
    );
}

#[tokio::test]
async fn collections_go_by_selector() {
    let admin = Cluster::start().await.admin();
    for (name, colour) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        let body = format!(r#"{{"metadata":{{"name":"{name}","labels":{{"colour":"{colour}"}}}}}}"#);
        admin.post(MAPS, &body).await.is(201);
    }
    let gone = admin.delete(&format!("{MAPS}?labelSelector=colour%3Dred"), "").await.is(200);
    assert_eq!((gone.at("kind"), gone.names()), ("ConfigMapList".into(), vec!["a".into(), "b".into()]));
    let left = admin.get(&format!("{MAPS}?labelSelector=colour")).await.is(200);
    assert_eq!(left.names(), ["c"]);
    admin.delete("/api/v1/configmaps", "").await.refuses(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
}

#[tokio::test]
async fn generations_count_what_users_want_and_not_what_is() {
    let admin = Cluster::start().await.admin();
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let body = r#"{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}},"status":{"replicas":7}}"#;
    let made = admin.post(deployments, body).await.is(201);
    assert_eq!((made.at("metadata.generation"), made.at("status")), ("1".into(), "{}".into()), "status is not created");
    let path = format!("{deployments}/d");
    let labelled = admin.patch(&path, MERGE, r#"{"metadata":{"labels":{"x":"y"}}}"#).await.is(200);
    assert_eq!(labelled.at("metadata.generation"), "1");
    let scaled = admin.patch(&path, MERGE, r#"{"spec":{"replicas":2},"status":{"replicas":9}}"#).await.is(200);
    assert_eq!((scaled.at("metadata.generation"), scaled.at("status.replicas")), ("2".into(), String::new()));
    let reported = r#"{"spec":{"replicas":5},"status":{"replicas":3}}"#;
    let reported = admin.patch(&format!("{path}/status"), MERGE, reported).await.is(200);
    let facts = ["metadata.generation", "spec.replicas", "status.replicas"].map(|path| reported.at(path));
    assert_eq!(facts, ["2", "2", "3"], "a status update changes the status alone");
    let owners: Vec<String> = reported
        .tree()
        .list_at(&["metadata", "managedFields"])
        .iter()
        .map(|owner| format!("{}{}", at(owner, "operation"), at(owner, "subresource")))
        .collect();
    assert_eq!(owners, ["Update", "Updatestatus"]);
    let body = r#"{"metadata":{"name":"d","finalizers":["example.com/f"]}}"#;
    admin.patch(&path, MERGE, body).await.is(200);
    assert_eq!(admin.delete(&path, "").await.is(200).at("metadata.generation"), "3", "going is a wish too");
}

#[tokio::test]
async fn a_namespace_goes_when_it_is_finalized() {
    let admin = Cluster::start().await.admin();
    let made = admin.post("/api/v1/namespaces", r#"{"metadata":{"name":"gone"}}"#).await.is(201);
    assert_eq!((made.at("spec.finalizers"), made.at("status.phase")), (r#"["kubernetes"]"#.into(), "Active".into()));
    assert_eq!(made.at("metadata.labels"), r#"{"kubernetes.io/metadata.name":"gone"}"#);
    let path = "/api/v1/namespaces/gone";
    let going = admin.delete(path, "").await.is(200);
    assert_eq!((going.at("kind"), going.at("status.phase")), ("Namespace".into(), "Terminating".into()));
    let late = admin.post(&format!("{path}/configmaps"), &config_map("late", "a")).await;
    late.refuses(
        403,
        "Forbidden",
        r#"configmaps "late" is forbidden: unable to create new content in namespace gone because it is being terminated"#,
    );
    assert_eq!(late.at("details.causes.0.reason"), "NamespaceTerminating");
    let plain = admin.patch(path, MERGE, r#"{"spec":{"finalizers":[]}}"#).await.is(200);
    assert_eq!(plain.at("spec.finalizers"), r#"["kubernetes"]"#, "only the subresource finalizes");
    let done = r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"gone"},"spec":{"finalizers":[]}}"#;
    admin.put(&format!("{path}/finalize"), done).await.is(200);
    admin.get(path).await.is(404);
    for name in ["default", "kube-system"] {
        let kept = admin.delete(&format!("/api/v1/namespaces/{name}"), "").await;
        kept.refuses(
            403,
            "Forbidden",
            &format!(r#"namespaces "{name}" is forbidden: this namespace may not be deleted"#),
        );
    }
}

#[tokio::test]
async fn evictions_come_in_two_versions() {
    let admin = Cluster::start().await.admin();
    let evict = |version: &str, name: &str| {
        format!(
            r#"{{"apiVersion":"{version}","kind":"Eviction","metadata":{{"name":"{name}","namespace":"default"}}}}"#
        )
    };
    for (version, name) in [("policy/v1", "new"), ("policy/v1beta1", "old")] {
        let path = bound_pod(&admin, name).await;
        admin.post(&format!("{path}/eviction"), &evict(version, name)).await.is(201);
        assert_ne!(admin.get(&path).await.is(200).at("metadata.deletionTimestamp"), "", "{version}");
    }
    let path = bound_pod(&admin, "stays").await;
    admin.post(&format!("{path}/eviction"), &evict("policy/v2", "stays")).await.refuses(
        400,
        "BadRequest",
        "the API version in the data (policy/v2) does not match the expected API version (policy/v1)",
    );
    assert_eq!(admin.get(&path).await.is(200).at("metadata.deletionTimestamp"), "");
}

#[tokio::test]
async fn cron_jobs_take_their_jobs_along_and_jobs_leave_their_pods() {
    const ORPHANED: &str = "299 - \"child pods are preserved by default when jobs are deleted; set \
        propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning\"";
    let admin = Cluster::start().await.admin();
    let template = r#""template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}"#;
    let job = format!(r#"{{"metadata":{{"name":"x"}},"spec":{{{template}}}}}"#);
    let cron = format!(
        r#"{{"metadata":{{"name":"x"}},"spec":{{"schedule":"0 0 * * *","jobTemplate":{{"spec":{{{template}}}}}}}}}"#
    );
    let options = |policy: &str| match policy {
        "" => String::new(),
        policy => format!(r#"{{"propagationPolicy":"{policy}"}}"#),
    };
    for (plural, body, policy, finalizers, warning) in [
        ("cronjobs", &cron, "", "", ""),
        ("cronjobs", &cron, "Background", "", ""),
        ("cronjobs", &cron, "Orphan", r#"["orphan"]"#, ""),
        ("cronjobs", &cron, "Foreground", r#"["foregroundDeletion"]"#, ""),
        ("jobs", &job, "", r#"["orphan"]"#, ORPHANED),
        ("jobs", &job, "Background", "", ""),
        ("jobs", &job, "Orphan", r#"["orphan"]"#, ""),
    ] {
        let all = format!("/apis/batch/v1/namespaces/default/{plural}");
        let one = format!("{all}/x");
        for what in [&one, &all] {
            admin.post(&all, body).await.is(201);
            let deleted = admin.delete(what, &options(policy)).await.is(200);
            assert_eq!(deleted.header("warning"), warning, "{what} {policy}");
            let left = admin.get(&one).await;
            assert_eq!(left.at("metadata.finalizers"), finalizers, "{what} {policy}: {}", left.text());
            if left.code == 200 {
                admin.patch(&one, MERGE, r#"{"metadata":{"finalizers":null}}"#).await.is(200);
            }
            admin.get(&one).await.is(404);
        }
    }
}
