//! Ownership, rule by rule.

use codec::Root;
use jiff::Timestamp;
use object::Value;

use super::managers::Managers;
use super::text::Glance;
use super::update::{strip, track};
use super::*;

const RESET: &ResetFields = &ResetFields::none();

fn tree(text: &str) -> Value {
    let json = codec::yaml::to_json(text.as_bytes()).expect("the case is YAML");
    codec::json::parse(&json).expect("YAML became JSON")
}

fn root(api_version: &str, kind: &str) -> Root<'static> {
    Root::builtin(api_version, kind).expect("the kind is built in")
}

fn canonical(text: &str, root: Root<'_>) -> Value {
    codec::conform(tree(text), root).expect("the case is of its type").value
}

fn write(manager: &str) -> Write<'_> {
    Write {
        root: root("apps/v1", "Deployment"),
        manager,
        api_version: "apps/v1",
        subresource: "",
        now: Timestamp::from_second(1_700_000_000).expect("it is a time"),
        reset: RESET,
        versions: &OneVersion,
    }
}

fn at(write: Write<'_>, second: i64) -> Write<'_> {
    Write { now: Timestamp::from_second(1_700_000_000 + second).expect("it is a time"), ..write }
}

fn json(value: &Value) -> String {
    let mut out = Vec::new();
    codec::json::write(value, &mut out);
    String::from_utf8(out).expect("JSON is text")
}

/// Each entry as `manager operation [subresource] second: fields`.
fn owners(object: &Value) -> Vec<String> {
    let entries = object.list_at(&["metadata", "managedFields"]).iter().map(|entry| {
        let text = |key: &str| entry.str_at(&[key]).unwrap_or_default();
        let subresource = entry.str_at(&["subresource"]).map(|name| format!(" {name}")).unwrap_or_default();
        let second = entry.str_at(&["time"]).and_then(object::timestamp::parse);
        let second = second.map(|time| (time.as_second() - 1_700_000_000).to_string()).unwrap_or_else(|| "-".into());
        let fields = json(entry.get("fieldsV1").expect("every entry has fields"));
        let set = FieldSet::from_json(fields.as_bytes()).expect("the fields can be read");
        assert_eq!(String::from_utf8_lossy(&set.to_json()), fields, "fields are written in their one form");
        let paths: Vec<String> = set.paths().iter().map(ToString::to_string).collect();
        format!("{} {}{subresource} {second}: {}", text("manager"), text("operation"), paths.join(" "))
    });
    entries.collect()
}

/// Applies and makes the result canonical, as the server does.
fn applied(write: &Write<'_>, live: Option<&Value>, config: &str, force: bool) -> Result<Value, ApplyError> {
    let applied = apply(write, live, &tree(config), force)?;
    Ok(codec::conform(applied.value, write.root).expect("the result is of its type").value)
}

const CONFIG: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: default, labels: {app: web}}, \
    spec: {replicas: 3, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, \
    spec: {containers: [{name: web, image: one, ports: [{containerPort: 80}]}]}}}}";

#[test]
fn creation_owns_what_is_not_there_by_itself() {
    let mut new = canonical(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: nginx, namespace: default, uid: u, labels: {app: nginx}}, \
         spec: {progressDeadlineSeconds: 600, replicas: 1, revisionHistoryLimit: 10, selector: {matchLabels: {app: nginx}}, \
         strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}, type: RollingUpdate}, \
         template: {metadata: {labels: {app: nginx}}, spec: {containers: [{image: nginx, imagePullPolicy: Always, name: nginx, \
         ports: [{containerPort: 80, protocol: TCP}], resources: {}}], dnsPolicy: ClusterFirst, securityContext: {}, \
         volumes: [{name: v, emptyDir: {}}]}}}}",
        root("apps/v1", "Deployment"),
    );
    create(&write("kubectl-create"), &mut new);
    let entry = &new.list_at(&["metadata", "managedFields"])[0];
    let expected = concat!(
        r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"#,
        r#""f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"#,
        r#""f:maxUnavailable":{}},"f:type":{}},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"#,
        r#""f:spec":{"f:containers":{"k:{\"name\":\"nginx\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"#,
        r#""f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"#,
        r#""f:resources":{}}},"f:dnsPolicy":{},"f:securityContext":{},"f:volumes":{".":{},"k:{\"name\":\"v\"}":{".":{},"#,
        r#""f:emptyDir":{},"f:name":{}}}}}}}"#
    );
    assert_eq!(json(entry.get("fieldsV1").expect("there are fields")), expected);
    let head = Value::from_pairs(
        ["apiVersion", "fieldsType", "manager", "operation", "time"]
            .map(|key| (key, entry.get(key).cloned().unwrap_or_default())),
    );
    assert_eq!(
        json(&head),
        r#"{"apiVersion":"apps/v1","fieldsType":"FieldsV1","manager":"kubectl-create","operation":"Update","time":"2023-11-14T22:13:20Z"}"#
    );
}

#[test]
fn creation_in_one_walk_is_the_difference_to_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/wire");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no reference data at {}", folder.display());
        return;
    };
    let mut checked = 0;
    for path in files.map(|file| file.expect("the folder can be read").path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read(&path).expect("the file can be read");
        let read = codec::json::parse(&text).expect("it is JSON");
        let (Some(api_version), Some(kind)) = (read.str_at(&["apiVersion"]), read.str_at(&["kind"])) else { continue };
        let Some(root) = Root::builtin(api_version, kind) else { continue };
        let object = codec::json::decode(&text, root).expect("it is of its type").value;
        let write = Write { root, api_version, ..write("m") };
        let (topology, node, zero) = (write.topology(), write.node(), codec::empty(root));
        for reset in [FieldSet::new(), FieldSet::of(["status", "metadata.labels", "spec.template.spec"])] {
            let walked = super::extract::Creation::text(topology, node, &zero, &object, &reset);
            let set = strip(topology.diff(node, &zero, &object).changed.without(&reset));
            assert_eq!(String::from_utf8_lossy(&walked), String::from_utf8_lossy(&set.to_json()), "{}", path.display());
        }
        checked += 1;
    }
    assert!(checked >= 180, "only {checked} objects were checked");
}

#[test]
fn updates_move_ownership() {
    let steps: [(&str, Write<'_>, &str, &[&str]); 6] = [
        (
            "taking a field and adding one",
            at(write("b"), 10),
            "{metadata: {labels: {a: x, c: z}}, spec: {replicas: 2}}",
            &["a Update 0: .metadata.labels .metadata.labels.a", "b Update 10: .metadata.labels.c .spec.replicas"],
        ),
        (
            "writing what is there changes nothing, not even the time",
            at(write("b"), 20),
            "{metadata: {labels: {a: x, c: z}}, spec: {replicas: 2}}",
            &["a Update 0: .metadata.labels .metadata.labels.a", "b Update 10: .metadata.labels.c .spec.replicas"],
        ),
        (
            "removal takes a field from everybody without making an owner",
            at(write("c"), 30),
            "{metadata: {labels: {a: x, c: z}}}",
            &["a Update 0: .metadata.labels .metadata.labels.a", "b Update 10: .metadata.labels.c"],
        ),
        (
            "owning the same again sets the time",
            at(write("b"), 40),
            "{metadata: {labels: {a: x, c: w}}}",
            &["a Update 0: .metadata.labels .metadata.labels.a", "b Update 40: .metadata.labels.c"],
        ),
        (
            "subresources have entries of their own",
            Write { subresource: "status", ..at(write("b"), 50) },
            "{metadata: {labels: {a: x, c: w}}, status: {replicas: 1}}",
            &[
                "a Update 0: .metadata.labels .metadata.labels.a",
                "b Update 40: .metadata.labels.c",
                "b Update status 50: .status.replicas",
            ],
        ),
        (
            "an owner that owns nothing any more is gone",
            at(write("a"), 60),
            "{metadata: {labels: {a: x}}, status: {replicas: 1}}",
            &["a Update 0: .metadata.labels .metadata.labels.a", "b Update status 50: .status.replicas"],
        ),
    ];
    let deployment = root("apps/v1", "Deployment");
    let mut live = canonical("{metadata: {labels: {a: x}}, spec: {replicas: 1}}", deployment);
    create(&write("a"), &mut live);
    for (rule, write, new, expected) in steps {
        let mut new = canonical(new, deployment);
        update(&write, &live, &mut new);
        assert_eq!(owners(&new), expected, "{rule}");
        live = new;
    }
}

#[test]
fn what_clients_send_as_owners() {
    let deployment = root("apps/v1", "Deployment");
    let mut live = canonical("{metadata: {labels: {a: x}}}", deployment);
    create(&write("a"), &mut live);
    let kept: &[&str] = &["a Update 0: .metadata.labels .metadata.labels.a"];
    let edited = "[{manager: z, operation: Update, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {'f:metadata': {'f:labels': {'f:a': {}}}}}]";
    let cases: [(&str, &str, &str, &[&str]); 6] = [
        ("nothing keeps them", "", "null", kept),
        ("one empty entry clears them", "", "[{}]", &[]),
        ("a valid list replaces them", "", edited, &["z Update -: .metadata.labels.a"]),
        ("a list that cannot be read does not count", "", "[{manager: z, operation: Foo}]", kept),
        ("on subresources they do not count", "status", "[{}]", kept),
        ("on subresources they do not count either", "status", edited, kept),
    ];
    for (rule, subresource, sent, expected) in cases {
        let mut new = canonical(&format!("{{metadata: {{labels: {{a: x}}, managedFields: {sent}}}}}"), deployment);
        update(&Write { subresource, ..write("b") }, &live, &mut new);
        assert_eq!(owners(&new), expected, "{rule}");
    }
    let mut untracked = canonical("{metadata: {labels: {a: w}}}", deployment);
    update(&write("b"), &canonical("{metadata: {labels: {a: x}}}", deployment), &mut untracked);
    assert_eq!(owners(&untracked), Vec::<String>::new(), "an object without owners stays without");
}

#[test]
fn reset_fields_are_nobodys() {
    let deployment = root("apps/v1", "Deployment");
    let reset = ResetFields::none().except("apps/v1", ["status", "spec.paused"]);
    let only = ResetFields::none()
        .only("apps/v1", vec![vec![Step::Is(Element::field("metadata")), Step::Any, Step::Is(Element::field("a"))]]);
    let new = "{metadata: {labels: {a: x, b: w}}, spec: {replicas: 1, paused: true}, status: {replicas: 1}}";
    for (reset, expected) in [
        (&reset, "m Update 0: .metadata.labels .spec.replicas .metadata.labels.a .metadata.labels.b"),
        (&only, "m Update 0: .metadata.labels .metadata.labels.a"),
    ] {
        let mut object = canonical(new, deployment);
        create(&Write { reset, ..write("m") }, &mut object);
        let mut paths: Vec<String> = owners(&object)[0].split(' ').map(str::to_owned).collect();
        let mut expected: Vec<String> = expected.split(' ').map(str::to_owned).collect();
        paths.sort();
        expected.sort();
        assert_eq!(paths, expected);
    }
}

#[test]
fn many_updaters_are_folded() {
    let deployment = root("apps/v1", "Deployment");
    let mut live = canonical("{metadata: {labels: {l0: x}}}", deployment);
    create(&write("m0"), &mut live);
    for number in 1..13_i64 {
        let mut new = live.clone();
        new.set(&["metadata", "labels", &format!("l{number}")], "x");
        let name = format!("m{number}");
        update(&at(write(&name), number), &live, &mut new);
        live = new;
    }
    let found = owners(&live);
    assert_eq!(found.len(), 10, "{found:#?}");
    assert_eq!(
        found[0],
        "ancient-changes Update 3: .metadata.labels .metadata.labels.l0 .metadata.labels.l1 .metadata.labels.l2 .metadata.labels.l3"
    );
    assert_eq!(found[9], "m12 Update 12: .metadata.labels.l12");
}

#[test]
fn applying_makes_and_changes() {
    let first = applied(&write("one"), None, CONFIG, false).expect("nobody is in the way");
    let own = "one Apply 0: .metadata.labels.app .spec.replicas .spec.selector .spec.template.metadata.labels.app \
               .spec.template.spec.containers[name=\"web\"] .spec.template.spec.containers[name=\"web\"].image \
               .spec.template.spec.containers[name=\"web\"].name \
               .spec.template.spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"] \
               .spec.template.spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"].containerPort";
    assert_eq!(owners(&first), [own]);

    let again = apply(&at(write("one"), 5), Some(&first), &tree(CONFIG), false).expect("nobody is in the way");
    assert!(!again.changed, "the same configuration changes nothing");
    assert_eq!(owners(&again.value), [own], "not even the time");

    let other = CONFIG
        .replace("replicas: 3", "replicas: 3, paused: true")
        .replace("app: web}}, spec", "app: web, x: w}}, spec");
    let second = applied(&at(write("one"), 9), Some(&first), &other, false).expect("nobody is in the way");
    assert_eq!(second.at(&["spec", "paused"]), Some(&Value::Bool(true)));

    let less = CONFIG.replace("replicas: 3, ", "");
    let third = applied(&at(write("one"), 20), Some(&second), &less, false).expect("nobody is in the way");
    assert_eq!(third.at(&["spec", "paused"]), None, "what is not said any more goes");
    assert_eq!(third.at(&["spec", "replicas"]), None);
}

#[test]
fn appliers_share_and_conflict() {
    let first = applied(&write("one"), None, CONFIG, false).expect("nobody is in the way");
    let same = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 3}}";
    let shared = applied(&at(write("two"), 5), Some(&first), same, false).expect("the same value is no conflict");
    assert!(owners(&shared).contains(&"two Apply -: .spec.replicas".to_owned()), "{:?}", owners(&shared));

    let released = applied(&at(write("one"), 6), Some(&shared), &CONFIG.replace("replicas: 3, ", ""), false);
    let released = released.expect("nobody is in the way");
    assert_eq!(released.int_at(&["spec", "replicas"]), Some(3), "the other still owns it");

    let different = same.replace("replicas: 3", "replicas: 5");
    let refused = applied(&at(write("two"), 7), Some(&first), &different, false).expect_err("one owns replicas");
    assert_eq!(refused.to_string(), r#"Apply failed with 1 conflict: conflict with "one": .spec.replicas"#);
    let forced = applied(&at(write("two"), 8), Some(&first), &different, true).expect("force takes it");
    assert_eq!(forced.int_at(&["spec", "replicas"]), Some(5));
    let found = owners(&forced);
    assert!(!found[0].contains(".spec.replicas"), "{found:?}");
    assert_eq!(found[1], "two Apply 8: .spec.replicas");
}

#[test]
fn conflicts_name_their_owners() {
    let deployment = root("apps/v1", "Deployment");
    let mut live = canonical(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {a: x}}, spec: {replicas: 1}}",
        deployment,
    );
    create(&write("kubectl-client-side-apply"), &mut live);
    let mut scaled = live.clone();
    scaled.set(&["spec", "paused"], true);
    update(&Write { subresource: "scale", ..write("autoscaler") }, &live, &mut scaled);
    let config = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {a: w}}, spec: {replicas: 2, paused: false}}";
    let refused = apply(&write("kubectl"), Some(&scaled), &tree(config), false).expect_err("others own these");
    assert_eq!(
        refused.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"autoscaler\" with subresource \"scale\" using apps/v1:\n\
         - .spec.paused\nconflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .metadata.labels.a\n- .spec.replicas"
    );
    let ApplyError::Conflict(conflicts) = refused else { panic!("it is a conflict") };
    assert_eq!(
        conflicts.causes().next(),
        Some((
            "conflict with \"autoscaler\" with subresource \"scale\" using apps/v1".to_owned(),
            ".spec.paused".to_owned()
        ))
    );
}

#[test]
fn the_past_has_an_owner() {
    let live = canonical(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, paused: true}}",
        root("apps/v1", "Deployment"),
    );
    let config = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2}}";
    let refused = apply(&write("one"), Some(&live), &tree(config), false).expect_err("the past owns replicas");
    assert_eq!(
        refused.to_string(),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas"#
    );
    let forced = applied(&write("one"), Some(&live), config, true).expect("force takes it");
    assert_eq!(owners(&forced), ["one Apply 0: .spec.replicas", "before-first-apply Update 0: .spec.paused"]);
}

#[test]
fn kubectl_may_take_back_what_it_applied_before() {
    let last = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":1}}"#;
    let mut live = canonical(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, paused: true}}",
        root("apps/v1", "Deployment"),
    );
    live.set(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"], last);
    create(&write("kubectl-client-side-apply"), &mut live);
    let config = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2}}";
    let done = applied(&write("kubectl"), Some(&live), config, false).expect("its own annotation allows it");
    assert_eq!(
        object::Meta::of(&done).annotation("kubectl.kubernetes.io/last-applied-configuration"),
        Some(
            "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":2}}\n"
        )
    );
    let config = config.replace("replicas: 2", "replicas: 2, paused: false");
    let refused = applied(&write("kubectl"), Some(&live), &config, false).expect_err("paused is not in the annotation");
    assert_eq!(
        refused.to_string(),
        r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.paused"#
    );
    assert!(
        applied(
            &write("other"),
            Some(&live),
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2}}",
            false
        )
        .is_err()
    );
}

#[test]
fn configurations_that_are_not_of_their_type() {
    let head = "apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: ns}";
    let typed = "failed to create typed patch object (ns/web; apps/v1, Kind=Deployment): ";
    let cases = [
        ("{apiVersion: v1, kind: Pod}".to_owned(), "invalid object type: /v1, Kind=Pod".to_owned()),
        (
            "{apiVersion: apps/v1, kind: Deployment, metadata: {managedFields: []}}".to_owned(),
            "metadata.managedFields must be nil".to_owned(),
        ),
        (format!("{{{head}, spec: {{foo: 1}}}}"), format!("{typed}.spec.foo: field not declared in schema")),
        (
            format!("{{{head}, spec: {{replicas: x}}}}"),
            format!("{typed}.spec.replicas: expected numeric (int or float), got string"),
        ),
        (
            format!("{{{head}, spec: {{template: {{spec: {{hostname: 1}}}}}}}}"),
            format!("{typed}.spec.template.spec.hostname: expected string, got &value.valueUnstructured{{Value:1}}"),
        ),
        (
            format!("{{{head}, spec: {{template: {{spec: {{containers: [{{name: a}}, {{name: a}}]}}}}}}}}"),
            format!("{typed}.spec.template.spec.containers: duplicate entries for key [name=\"a\"]"),
        ),
        (
            format!("{{{head}, spec: {{template: {{spec: {{containers: [{{image: a}}]}}}}}}}}"),
            format!(
                "{typed}.spec.template.spec.containers: element 0: associative list with keys has an element that omits \
                 all key fields [\"name\"] (and doesn't have default values for any key fields)"
            ),
        ),
        (format!("{{{head}, spec: []}}"), format!("{typed}.spec: expected map, got &{{[]}}")),
        (
            format!("{{{head}, spec: {{paused: 1, replicas: x}}}}"),
            format!(
                "{typed}errors:\n  .spec.paused: expected boolean, got &{{1}}\n  .spec.replicas: expected numeric (int or \
                 float), got string"
            ),
        ),
    ];
    for (config, message) in cases {
        let refused = apply(&write("one"), None, &tree(&config), false).expect_err(&config);
        assert_eq!(refused.to_string(), message, "{config}");
    }
}

#[test]
fn lists_of_items_keep_their_order() {
    let deployment = root("apps/v1", "Deployment");
    let names = |names: &str| {
        let items: Vec<String> = names.split(' ').map(|name| format!("{{name: {name}}}")).collect();
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: w}}, spec: {{template: {{spec: {{containers: [{}]}}}}}}}}",
            items.join(", ")
        )
    };
    // (live, applied, result)
    let cases = [
        ("a b c", "b", "a b c"),
        ("a b c", "c a", "b c a"),
        ("a b", "c", "a b c"),
        ("a b", "c a", "c a b"),
        ("a b c d", "d b", "a c d b"),
        ("a", "b a c", "b a c"),
        ("a x b z", "b m a", "x b z m a"),
    ];
    for (live, config, expected) in cases {
        let mut object = canonical(&names(live), deployment);
        create(&write("m"), &mut object);
        let result = applied(&write("one"), Some(&object), &names(config), true).expect("force");
        let found: Vec<&str> = result
            .list_at(&["spec", "template", "spec", "containers"])
            .iter()
            .filter_map(|item| item.str_at(&["name"]))
            .collect();
        assert_eq!(found.join(" "), expected, "{config} over {live}");
    }
}

#[test]
fn items_go_with_their_applier_unless_owned() {
    let config = |containers: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: w}}, spec: {{template: {{spec: {{containers: [{containers}]}}}}}}}}"
        )
    };
    let both = config("{name: a, image: x}, {name: b, image: x}");
    let first = applied(&write("one"), None, &both, false).expect("nobody is in the way");
    let shared = applied(&write("two"), Some(&first), &config("{name: b, tty: true}"), false).expect("tty is nobody's");
    let mut defaulted = shared.clone();
    if let Some(Value::List(items)) = defaulted.at_mut(&["spec", "template", "spec", "containers"]) {
        for item in items {
            item.set(&["imagePullPolicy"], "Always");
        }
    }
    let left = applied(&write("one"), Some(&defaulted), &config(""), false).expect("nobody is in the way");
    let found: Vec<String> = left.list_at(&["spec", "template", "spec", "containers"]).iter().map(json).collect();
    assert_eq!(found, [r#"{"imagePullPolicy":"Always","name":"b","resources":{},"tty":true}"#]);
}

#[test]
fn granular_ownership_of_what_became_atomic() {
    let deployment = root("apps/v1", "Deployment");
    let mut live = canonical("{spec: {selector: {matchLabels: {a: x}}}}", deployment);
    live.set(
        &["metadata", "managedFields"],
        tree("[{manager: old, operation: Update, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {'f:spec': {'f:selector': {'f:matchLabels': {'f:a': {}}}}}}]"),
    );
    let live = codec::conform(live, deployment).expect("it is of its type").value;
    let mut new = live.clone();
    new.set(&["spec", "selector", "matchLabels", "a"], "w");
    update(&write("new"), &live, &mut new);
    assert_eq!(owners(&new), ["new Update 0: .spec.selector"], "the old owner owned the whole selector");
}

#[test]
fn other_versions_are_compared_in_their_own() {
    #[derive(Debug)]
    struct Scaled;
    impl Versions for Scaled {
        fn root(&self, api_version: &str) -> Option<Root<'_>> {
            Root::builtin(api_version, "HorizontalPodAutoscaler")
        }
        fn convert(&self, object: &Value, _: &str, to: &str) -> Option<Value> {
            let mut converted = object.clone();
            converted.set(&["apiVersion"], to);
            let percent = object.int_at(&["spec", "targetCPUUtilizationPercentage"]);
            converted.remove(&["spec", "targetCPUUtilizationPercentage"]);
            if let Some(percent) = percent {
                let metric = Value::from_pairs([("type", Value::from("Resource")), ("percent", Value::from(percent))]);
                converted.set(&["spec", "metrics"], vec![metric]);
            }
            Some(converted)
        }
    }
    let v1 = root("autoscaling/v1", "HorizontalPodAutoscaler");
    let mut live = canonical("{spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 50}}", v1);
    live.set(
        &["metadata", "managedFields"],
        tree(
            "[{manager: two, operation: Update, apiVersion: autoscaling/v2, fieldsType: FieldsV1, fieldsV1: {'f:spec': {'f:maxReplicas': {}, 'f:metrics': {}}}}, \
              {manager: gone, operation: Update, apiVersion: autoscaling/v9, fieldsType: FieldsV1, fieldsV1: {'f:spec': {'f:maxReplicas': {}}}}]",
        ),
    );
    let live = codec::conform(live, v1).expect("it is of its type").value;
    let mut new = live.clone();
    new.set(&["spec", "targetCPUUtilizationPercentage"], 60);
    let write = Write { root: v1, api_version: "autoscaling/v1", versions: &Scaled, ..write("one") };
    update(&write, &live, &mut new);
    assert_eq!(
        owners(&new),
        ["two Update -: .spec.maxReplicas", "one Update 0: .spec.targetCPUUtilizationPercentage"],
        "the owner in v2 loses metrics, the one in a version that is not served is gone"
    );
}

#[test]
fn owners_of_a_scaled_resource() {
    let paths = [("apps/v1", Some(FieldPath::of("spec.replicas"))), ("apps/v0", None)];
    let entry = |manager: &str, version: &str, operation: &str, fields: &str| {
        format!(
            "{{manager: {manager}, operation: {operation}, apiVersion: {version}, fieldsType: FieldsV1, \
             fieldsV1: {{'f:spec': {{{fields}}}}}, time: '2023-11-14T22:13:20Z'}}"
        )
    };
    let both = "'f:replicas': {}, 'f:paused': {}";
    let parent = tree(&format!(
        "[{}, {}, {}]",
        entry("one", "apps/v1", "Apply", both),
        entry("old", "apps/v0", "Update", "'f:replicas': {}"),
        entry("gone", "apps/v9", "Update", "'f:replicas': {}")
    ));
    let parent = parent.as_list().expect("it is a list");
    let shown = |list: Option<Value>| {
        let mut object = Value::map();
        super::update::put_managed_fields(&mut object, list);
        owners(&object)
    };
    let scale = scale::to_scale(parent, &paths).expect("the entries can be read");
    assert_eq!(shown(scale.clone()), ["one Apply 0: .spec.replicas"]);
    let scale = scale.expect("there is an owner");
    let same = scale::to_parent(parent, scale.as_list().expect("it is a list"), "apps/v1", &paths);
    assert_eq!(
        shown(same.expect("the entries can be read")),
        ["one Apply 0: .spec.paused .spec.replicas", "old Update 0: .spec.replicas"]
    );
    let taken = "[{manager: two, operation: Update, subresource: scale, apiVersion: autoscaling/v1, fieldsType: FieldsV1, \
                 fieldsV1: {'f:spec': {'f:replicas': {}}}, time: '2023-11-14T22:13:25Z'}]";
    let taken = tree(taken);
    let taken = scale::to_parent(parent, taken.as_list().expect("it is a list"), "apps/v1", &paths);
    assert_eq!(
        shown(taken.expect("the entries can be read")),
        ["one Apply 0: .spec.paused", "two Update scale -: .spec.replicas", "old Update 0: .spec.replicas"]
    );
}

#[test]
fn another_spelling_is_no_change() {
    let config = CONFIG.replace("image: one", "image: one, resources: {limits: {cpu: 1000m}}");
    let first = applied(&write("one"), None, &config, false).expect("nobody is in the way");
    let mut again = applied(&at(write("one"), 9), Some(&first), &config, false).expect("nobody is in the way");
    assert_ne!(again, first, "1000m is not how 1 is stored, so the time was set");
    settle_times(&first, &mut again);
    assert_eq!(again, first);
    let mut other = again.clone();
    other.set(&["spec", "paused"], true);
    let before = other.clone();
    settle_times(&first, &mut other);
    assert_eq!(other, before, "what differs keeps its times");
}

#[test]
fn items_that_nothing_tells_apart_are_owned_as_one() {
    let deployment = root("apps/v1", "Deployment");
    let object = |env: &str| {
        canonical(&format!("{{spec: {{template: {{spec: {{containers: [{{name: c, env: [{env}]}}]}}}}}}}}"), deployment)
    };
    let steps: [(&str, &str); 5] = [
        ("{name: a, value: '1'}", "[name=\"a\"] [name=\"a\"].name [name=\"a\"].value"),
        ("{name: a, value: '1'}, {name: a, value: '2'}", "[name=\"a\"]"),
        ("{name: a, value: '3'}, {name: a, value: '2'}", "[name=\"a\"]"),
        (
            "{name: a, value: '3'}, {name: b}",
            "[name=\"a\"] [name=\"b\"] [name=\"a\"].name [name=\"a\"].value [name=\"b\"].name",
        ),
        ("{name: b}", "[name=\"b\"] [name=\"b\"].name"),
    ];
    let mut live = object(steps[0].0);
    create(&write("m"), &mut live);
    for (env, expected) in steps {
        let mut new = object(env);
        update(&write("m"), &live, &mut new);
        let prefix = ".spec.template.spec.containers[name=\"c\"].env";
        let found: Vec<String> = owners(&new)[0]
            .split(' ')
            .filter_map(|path| path.strip_prefix(prefix))
            .filter(|rest| !rest.is_empty())
            .map(str::to_owned)
            .collect();
        assert_eq!(found.join(" "), expected, "{env}");
        live = new;
    }
}

#[test]
fn field_sets_as_text() {
    let texts = [
        "{}",
        r#"{"f:a":{}}"#,
        r#"{"f:a":{".":{},"f:b":{}},"f:b":{"k:{\"name\":\"x\"}":{".":{},"f:c":{}},"v:\"s\"":{},"v:1":{},"v:true":{},"i:0":{}}}"#,
    ];
    for text in &texts[..2] {
        assert_eq!(String::from_utf8_lossy(&FieldSet::from_json(text.as_bytes()).expect(text).to_json()), *text);
    }
    let sorted = FieldSet::from_json(texts[2].as_bytes()).expect("it is a set").to_json();
    assert_eq!(
        String::from_utf8_lossy(&sorted),
        r#"{"f:a":{".":{},"f:b":{}},"f:b":{"k:{\"name\":\"x\"}":{".":{},"f:c":{}},"v:1":{},"v:\"s\"":{},"v:true":{},"i:0":{}}}"#
    );
    let unknown = FieldSet::from_json(br#"{"q:a":{},"f:a":{}}"#).expect("unknown kinds are dropped");
    assert_eq!(String::from_utf8_lossy(&unknown.to_json()), r#"{"f:a":{}}"#);
    for broken in ["[]", r#"{"f":{}}"#, r#"{"fa":{}}"#, r#"{"k:x":{}}"#, r#"{"i:x":{}}"#, r#"{"f:a":1}"#, "{} x"] {
        assert!(FieldSet::from_json(broken.as_bytes()).is_err(), "{broken}");
    }
    let odd = FieldSet::from_json(br#"{"f:a<b\"\u0001":{},"v:\"a<b\"":{}}"#).expect("it is a set");
    assert_eq!(String::from_utf8_lossy(&odd.to_json()), r#"{"f:a<b\"\u0001":{},"v:\"a\\u003cb\"":{}}"#);
}

#[test]
fn names_of_managers() {
    let long = "x".repeat(200);
    for (agent, name) in [
        ("kubectl/v1.36.0 (linux/amd64) kubernetes/abc", "kubectl"),
        ("Mozilla", "Mozilla"),
        ("", ""),
        ("a\u{7}b c/1", "ab c"),
        (long.as_str(), &long[..128]),
    ] {
        assert_eq!(manager_name(agent), name, "{agent:?}");
    }
}

mod shortcuts {
    //! Looking into the text of entries decides as reading them does.

    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = FieldSet> {
        let element = prop_oneof![
            "[ab]".prop_map(|name| Element::field(&name)),
            "[ab]".prop_map(|name| Element::keys([("name", name.as_str())])),
            Just(Element::Value(Box::new(Value::from("q\"<")))),
            Just(Element::field("x\"y")),
        ];
        let path = prop::collection::vec(element, 1..4);
        prop::collection::vec(path, 0..8).prop_map(|paths| {
            let mut set = FieldSet::new();
            for path in paths {
                set.insert(&path);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn glances_are_right(stored in set(), other in set(), third in set()) {
            let text = stored.to_json();
            let glance = Glance::new(&text);
            prop_assert_eq!(&FieldSet::from_json(&text).expect("own text is read"), &stored);
            prop_assert_eq!(glance.is_empty(), stored.is_empty());
            prop_assert_eq!(glance.covers(&other), other.is_subset(&stored));
            if !glance.may_meet(&other) {
                prop_assert_eq!(&stored.difference(&other), &stored);
            }
            let (lost, won) = (other.difference(&third), third);
            if let Some(rewritten) = glance.rewritten(&lost, &won) {
                let expected = stored.difference(&lost).union(&won).to_json();
                prop_assert_eq!(String::from_utf8(rewritten), String::from_utf8(expected));
            }
            prop_assert_eq!(stored.union(&other).difference(&other).union(&stored.intersection(&other)), stored.clone());
            prop_assert!(stored.difference(&other).is_subset(&stored));
            prop_assert!(stored.is_subset(&stored.union(&other)));
        }

        #[test]
        fn tracking_from_text_is_tracking_from_sets(labels in prop::collection::vec(("[a-d]", "[xw]"), 0..12)) {
            let deployment = root("apps/v1", "Deployment");
            let mut live = canonical("{metadata: {labels: {a: x}}}", deployment);
            create(&write("a"), &mut live);
            for (at_step, (key, value)) in labels.iter().enumerate() {
                let mut new = live.clone();
                if at_step % 3 == 2 {
                    new.remove(&["metadata", "labels", key]);
                } else {
                    new.set(&["metadata", "labels", key], value.as_str());
                }
                let new = codec::conform(new, deployment).expect("it is of its type").value;
                let stored = live.list_at(&["metadata", "managedFields"]);
                let writer = write(value);
                let glanced = track(&writer, &live, &new, Managers::decode(stored).expect("own entries"));
                let read = track(&writer, &live, &new, Managers::decode_fully(stored).expect("own entries"));
                let list = glanced.into_value();
                prop_assert_eq!(&list, &read.into_value());
                let mut next = new;
                super::super::update::put_managed_fields(&mut next, list);
                live = next;
            }
        }
    }
}
