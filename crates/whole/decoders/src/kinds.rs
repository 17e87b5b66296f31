//! What kinds make of whatever tree is of their type: defaults, preparation, checks, tables, storage, typed views.

use std::sync::{Arc, LazyLock};

use codec::{Root, json};
use jiff::Timestamp;
use kind::{Context, Strategy, User};
use object::Value;
use registry::StoredForm;
use store::Revision;
use typed::Kind;
use typed::api::{apps, batch, core, networking, policy, rbac};

use crate::{forms, halves};

static STRATEGIES: LazyLock<Vec<Arc<dyn Strategy>>> = LazyLock::new(resources::strategies);

const SUBRESOURCES: [&str; 6] = ["", "status", "approval", "finalize", "resize", "ephemeralcontainers"];

/// Two objects of a kind as JSON, divided by a zero byte: what is written, and what was there before.
pub fn kinds(bytes: &[u8]) {
    let (new, old) = halves(bytes);
    let Ok(tree) = json::parse(new) else { return };
    let named = STRATEGIES.iter().find(|strategy| {
        let row = strategy.resource();
        tree.str_at(&["kind"]) == Some(&row.kind) && tree.str_at(&["apiVersion"]) == Some(&row.api_version())
    });
    let Some(strategy) = named else { return };
    let (schema, id) = strategy.root();
    let root = Root { schema, id };
    let Ok(new) = json::decode(new, root) else { return };
    let old = json::decode(old, root).map_or_else(|_none| new.value.clone(), |old| old.value);
    let old = created(strategy.as_ref(), root, old);
    checked(strategy.as_ref(), root, new.value.clone(), &old);
    let new = created(strategy.as_ref(), root, new.value);
    shown(strategy.as_ref(), &new);
    stored(strategy, root, &new);
    typed_views(&new);
}

fn context<'a>(user: &'a User, subresource: &'a str) -> Context<'a> {
    Context { user, now: Timestamp::UNIX_EPOCH, subresource }
}

/// As the path of creation makes it: defaulted, prepared, canonical.
fn created(strategy: &dyn Strategy, root: Root<'_>, mut object: Value) -> Value {
    let user = User::default();
    strategy.default(&mut object);
    let once = object.clone();
    strategy.default(&mut object);
    assert_eq!(object, once, "defaulting twice differs from once");
    strategy.prepare_create(&context(&user, ""), &mut object);
    codec::conform(object, root).expect("preparation leaves an object of its type").value
}

/// Everything that looks for faults in a new object or in a change.
fn checked(strategy: &dyn Strategy, root: Root<'_>, new: Value, old: &Value) {
    let user = User::default();
    for subresource in SUBRESOURCES {
        let context = context(&user, subresource);
        let mut new = new.clone();
        strategy.default(&mut new);
        strategy.prepare_update(&context, &mut new, old);
        let new = codec::conform(new, root).expect("preparation leaves an object of its type").value;
        strategy.validate_update(&context, &new, old).iter().for_each(|problem| drop(problem.to_string()));
        drop(strategy.warnings(&context, &new, Some(old)));
    }
    let context = context(&user, "");
    strategy.validate_create(&context, old).iter().for_each(|problem| drop(problem.to_string()));
    drop(strategy.warnings(&context, old, None));
    drop(strategy.name_problems(old.str_at(&["metadata", "name"]).unwrap_or_default()));
}

/// Everything that only looks.
fn shown(strategy: &dyn Strategy, object: &Value) {
    assert_eq!(strategy.row(object).len(), strategy.columns().len(), "one cell per column");
    let fields: Vec<&str> = strategy.selectable_fields(object).into_iter().map(|(name, _)| name).collect();
    let stored = |name: &&'static str| strategy.stored_name(name).unwrap_or(name);
    let found = |name: &&'static str| fields.contains(&stored(name));
    assert!(strategy.selectable_names().iter().all(found), "every field that is announced is there: {fields:?}");
    let _deletion = strategy.deletion(object, Some(1));
    strategy.begin_deletion(&mut object.clone());
    drop(strategy.served(strategy.stored(object.clone())));
}

/// What was put into the store can be had from it.
fn stored(strategy: &Arc<dyn Strategy>, root: Root<'_>, object: &Value) {
    let text = |object: &Value| String::from_utf8_lossy(&json::encode(object, root)).into_owned();
    for protobuf in [true, false] {
        let form = StoredForm::new(strategy.clone(), protobuf);
        let once = form.decode(&form.encode(object), Revision(1)).expect("what was stored can be read");
        let twice = form.decode(&form.encode(&once), Revision(1)).expect("what was stored can be read");
        assert_eq!(text(&twice), text(&once), "what was stored is the same when it is stored again");
    }
}

/// `apiVersion`, kind, and what holds for an object of it.
type View = (&'static str, &'static str, fn(&Value));

/// What logic works with says the same as the tree.
fn typed_views(object: &Value) {
    let text = |key| object.str_at(&[key]).unwrap_or_default();
    let views: [View; 13] = [
        row::<apps::v1::Deployment>(),
        row::<apps::v1::StatefulSet>(),
        row::<batch::v1::CronJob>(),
        row::<batch::v1::Job>(),
        row::<core::v1::Node>(),
        row::<core::v1::PersistentVolumeClaim>(),
        row::<core::v1::Pod>(),
        row::<core::v1::Secret>(),
        row::<core::v1::Service>(),
        row::<networking::v1::NetworkPolicy>(),
        row::<policy::v1::PodDisruptionBudget>(),
        row::<rbac::v1::ClusterRole>(),
        row::<typed::apiextensions::CustomResourceDefinition>(),
    ];
    for (_, _, view) in views.iter().filter(|row| (row.0, row.1) == (text("apiVersion"), text("kind"))) {
        view(object);
    }
}

fn row<K: Kind>() -> View {
    (K::API_VERSION, K::KIND, view::<K>)
}

fn view<K: Kind>(object: &Value) {
    let Ok(typed) = K::from_tree(object) else { return };
    let again = codec::conform(typed.to_tree(), forms::root(object)).expect("a view is of its type").value;
    assert_eq!(K::from_tree(&again).as_ref(), Ok(&typed), "a view that was written reads the same");
}
