//! The algebra of patches, over Deployments made at random.

use codec::Root;
use jiff::Timestamp;
use object::{Map, Value};
use patch::apply::{OneVersion, ResetFields, Write};
use patch::{apply, json, merge, strategic};
use proptest::prelude::*;

const RESET: &ResetFields = &ResetFields::none();

fn root() -> Root<'static> {
    Root::builtin("apps/v1", "Deployment").expect("Deployment is a kind")
}

fn write(manager: &str, second: i64) -> Write<'_> {
    Write {
        root: root(),
        manager,
        api_version: "apps/v1",
        subresource: "",
        now: Timestamp::from_second(second).expect("it is a time"),
        reset: RESET,
        versions: &OneVersion,
    }
}

fn conform(value: Value) -> Value {
    codec::conform(value, root()).expect("the result is of its type").value
}

/// Some of the members that are given.
fn members(given: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let strategies: Vec<_> = given
        .into_iter()
        .map(|(key, value)| prop::option::of(value).prop_map(move |value| value.map(|value| (key, value))))
        .collect();
    strategies.prop_map(|members| Value::from_pairs(members.into_iter().flatten())).boxed()
}

fn text() -> BoxedStrategy<Value> {
    "[a-c]{1,2}".prop_map(Value::from).boxed()
}

fn labels() -> BoxedStrategy<Value> {
    prop::collection::btree_map("[a-d]", "[x-z]", 1..4).prop_map(Value::from_pairs).boxed()
}

/// Items in any order, each key at most once.
fn items(key: &'static str, keys: Vec<Value>, rest: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let count = keys.len();
    (prop::sample::subsequence(keys, 1..=count).prop_shuffle(), prop::collection::vec(rest, count))
        .prop_map(move |(keys, rests)| {
            let items = keys.into_iter().zip(rests).map(|(name, mut item)| {
                item.set(&[key], name);
                item
            });
            Value::List(items.collect())
        })
        .boxed()
}

fn names() -> Vec<Value> {
    ["a", "b", "c", "d"].map(Value::from).to_vec()
}

fn container() -> BoxedStrategy<Value> {
    let ports = items("containerPort", vec![Value::Int(80), Value::Int(53)], members(vec![("name", text())]));
    let env = items("name", names(), members(vec![("value", text())]));
    members(vec![
        ("image", text()),
        ("tty", Just(Value::Bool(true)).boxed()),
        ("args", prop::collection::vec("[ab]", 1..3).prop_map(Value::from).boxed()),
        ("ports", ports),
        ("env", env),
    ])
}

fn volume() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::from_pairs([("emptyDir", Value::map())])),
        text().prop_map(|path| Value::from_pairs([("hostPath", Value::from_pairs([("path", path)]))])),
    ]
    .boxed()
}

/// A Deployment as a client would write it, without empty members, which do not survive being stored.
fn config() -> BoxedStrategy<Value> {
    let finalizers = prop::sample::subsequence(names(), 1..=4).prop_shuffle().prop_map(Value::List).boxed();
    let metadata = members(vec![("labels", labels()), ("annotations", labels()), ("finalizers", finalizers)]);
    let pod = members(vec![
        ("containers", items("name", names(), container())),
        ("volumes", items("name", names(), volume())),
        ("nodeSelector", labels()),
    ]);
    let template = members(vec![("metadata", members(vec![("labels", labels())])), ("spec", pod)]);
    let selector = labels().prop_map(|labels| Value::from_pairs([("matchLabels", labels)])).boxed();
    let spec = members(vec![
        ("replicas", (0_i64..3).prop_map(Value::Int).boxed()),
        ("paused", Just(Value::Bool(true)).boxed()),
        ("selector", selector),
        ("template", template),
    ]);
    (metadata, spec)
        .prop_map(|(mut metadata, spec)| {
            metadata.set(&["name"], "web");
            Value::from_pairs([
                ("apiVersion", Value::from("apps/v1")),
                ("kind", Value::from("Deployment")),
                ("metadata", metadata),
                ("spec", spec),
            ])
        })
        .boxed()
}

fn as_map(value: &Value) -> &Map {
    value.as_map().expect("objects are maps")
}

/// A configuration that says nothing but what it is about.
fn nothing() -> Value {
    let mut nothing = Value::from_pairs([("apiVersion", "apps/v1"), ("kind", "Deployment")]);
    nothing.set(&["metadata", "name"], "web");
    nothing
}

/// An object that `manager` made.
fn created(config: Value, manager: &str) -> Value {
    let mut object = conform(config);
    apply::create(&write(manager, 0), &mut object);
    object
}

/// The object without its owners.
fn bare(mut object: Value) -> Value {
    object.remove(&["metadata", "managedFields"]);
    object
}

fn owns(object: &Value, manager: &str) -> bool {
    object.list_at(&["metadata", "managedFields"]).iter().any(|entry| entry.str_at(&["manager"]) == Some(manager))
}

proptest! {
    #[test]
    fn merge_patches_are_idempotent(target in config(), patch in config()) {
        let once = merge::apply(target, patch.clone()).expect("objects merge");
        let twice = merge::apply(once.clone(), patch).expect("objects merge");
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn merge_patches_lead_where_they_say(from in config(), to in config()) {
        let patch = merge::create(as_map(&from), as_map(&to));
        prop_assert_eq!(merge::apply(from, Value::Map(patch)).expect("objects merge"), to);
    }

    #[test]
    fn strategic_patches_lead_where_they_say(from in config(), to in config()) {
        let (from, to) = (conform(from), conform(to));
        let patch = strategic::create_two_way(as_map(&from), as_map(&to), root()).expect("it can be made");
        let result = strategic::apply(from, Value::Map(patch), root()).expect("it fits");
        prop_assert_eq!(conform(result), to);
    }

    #[test]
    fn equal_objects_need_no_patch(object in config()) {
        let object = conform(object);
        let patch = strategic::create_two_way(as_map(&object), as_map(&object), root()).expect("it can be made");
        prop_assert!(patch.is_empty(), "{:?}", patch);
    }

    #[test]
    fn three_way_patches_lead_to_the_configuration(last in config(), next in config()) {
        let (last, next) = (conform(last), conform(next));
        let objects = [as_map(&last), as_map(&next), as_map(&last)];
        let patch = strategic::create_three_way(objects, root(), true, &[]).expect("it can be made");
        let result = strategic::apply(last.clone(), Value::Map(patch), root()).expect("it fits");
        prop_assert_eq!(conform(result), next);
    }

    #[test]
    fn applying_again_changes_nothing(live in config(), config in config()) {
        let live = created(live, "past");
        let first = apply::apply(&write("one", 1), Some(&live), &config, true).expect("force");
        let first = conform(first.value);
        let again = apply::apply(&write("one", 2), Some(&first), &config, false).expect("it owns all of it");
        prop_assert!(!again.changed);
        prop_assert_eq!(conform(again.value), first);
    }

    #[test]
    fn applying_makes_what_it_says(config in config()) {
        let made = apply::apply(&write("one", 1), None, &config, false).expect("nobody is in the way");
        prop_assert_eq!(bare(conform(made.value)), conform(config));
    }

    #[test]
    fn applying_nothing_releases_everything(config in config()) {
        let nothing = nothing();
        let made = apply::apply(&write("one", 1), None, &config, false).expect("nobody is in the way");
        let released = apply::apply(&write("one", 2), Some(&conform(made.value)), &nothing, false);
        let released = conform(released.expect("nobody is in the way").value);
        prop_assert!(!owns(&released, "one"));
        prop_assert_eq!(bare(released), conform(nothing));
    }

    #[test]
    fn what_others_own_stays(live in config(), config in config()) {
        let live = created(live, "past");
        let nothing = nothing();
        let Ok(shared) = apply::apply(&write("one", 1), Some(&live), &config, false) else { return Ok(()) };
        let shared = conform(shared.value);
        let released = apply::apply(&write("one", 2), Some(&shared), &nothing, false).expect("nothing conflicts");
        let released = bare(conform(released.value));
        let kept = merge::create(as_map(&released), as_map(&bare(live)));
        let lost = kept.iter().any(|(_, value)| !is_deletion(value));
        prop_assert!(!lost || has_lists(&kept), "lost {:?}", kept);
    }

    #[test]
    fn updates_give_every_field_one_updater(steps in prop::collection::vec(config(), 1..6)) {
        let mut live = created(steps[0].clone(), "m0");
        for (at, step) in steps.into_iter().enumerate().skip(1) {
            let mut new = conform(step);
            let manager = format!("m{}", at % 3);
            apply::update(&write(&manager, i64::try_from(at).expect("it is small")), &live, &mut new);
            live = new;
        }
        let mut seen = std::collections::BTreeSet::new();
        for entry in live.list_at(&["metadata", "managedFields"]) {
            let Some(Value::Raw(raw)) = entry.get("fieldsV1") else { panic!("entries have fields") };
            let set = apply::FieldSet::from_json(raw.bytes()).expect("the fields can be read");
            for path in set.paths() {
                prop_assert!(seen.insert(path.clone()), "{} has two owners", path);
            }
        }
    }

    #[test]
    fn json_patches_do_no_harm(document in config(), operations in r#"\[(\{"op":"(add|remove|replace|move|copy|test)","path":"(/spec|/metadata|/-|/0|/name){0,3}","from":"/spec","value":1\},?){0,3}\]"#) {
        if let Ok(patch) = json::Patch::parse(operations.as_bytes()) {
            drop(patch.apply(document));
        }
    }

    #[test]
    fn hostile_patches_do_no_harm(document in config(), patch in config(), key in r"\$(patch|retainKeys|setElementOrder/containers|deleteFromPrimitiveList/finalizers)") {
        let mut patch = patch;
        patch.set(&["metadata", &key], vec!["a"]);
        patch.set(&["spec", "template", "spec", &key], vec!["a"]);
        drop(strategic::apply(document.clone(), patch.clone(), root()));
        drop(apply::apply(&write("one", 1), Some(&document), &patch, true));
    }
}

/// Whether a merge patch only takes away.
fn is_deletion(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Map(map) => map.iter().all(|(_, value)| is_deletion(value)),
        _ => false,
    }
}

/// Whether a merge patch replaces a list, which says nothing about its items.
fn has_lists(map: &Map) -> bool {
    map.iter().any(|(_, value)| match value {
        Value::List(_) => true,
        Value::Map(map) => has_lists(map),
        _ => false,
    })
}
