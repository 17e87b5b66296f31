//! What holds for every kind.

use codec::{Root, json};
use jiff::Timestamp;
use kind::{Context, User};
use object::{Meta, Value};

use super::*;

fn rows() -> impl Iterator<Item = &'static Arc<Resource>> {
    // What cannot be watched is not stored.
    kind::builtin().iter().filter(|row| row.verbs.contains(kind::Verb::Watch))
}

fn decode(row: &Resource, text: &str) -> Value {
    let root = Root::builtin(&row.api_version(), &row.kind).expect("the kind exists");
    json::decode(text.as_bytes(), root).expect("the fixture is valid").value
}

#[test]
fn every_stored_row_has_a_strategy() {
    let missing: Vec<String> = rows()
        .filter(|row| strategy_for(row).is_none())
        .map(|row| format!("{} {}", row.api_version(), row.kind))
        .collect();
    assert!(missing.is_empty(), "rows without a strategy: {missing:?}");
}

#[test]
fn defaults_and_preparation_stand_any_object() {
    let user = User { name: "somebody".to_owned(), ..User::default() };
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    for row in rows() {
        let strategy = strategy_for(row).expect("every stored row has a strategy");
        let mut object = decode(row, r#"{"metadata":{"name":"x"}}"#);
        strategy.default(&mut object);
        let once = object.clone();
        strategy.default(&mut object);
        assert_eq!(object, once, "{}: defaulting twice differs from once", row.kind);
        strategy.prepare_create(&context, &mut object);
        let old = object.clone();
        strategy.prepare_update(&context, &mut object, &old);
        strategy.default(&mut object);
        for subresource in ["status", "approval", "finalize", "resize", "ephemeralcontainers"] {
            let context = Context { subresource, ..context };
            strategy.prepare_update(&context, &mut object, &old);
        }
        assert_eq!(strategy.columns().len(), strategy.row(&object).len(), "{}: cells", row.kind);
        let names: Vec<&str> = strategy.selectable_fields(&object).into_iter().map(|(name, _)| name).collect();
        // Fields go by the names of the stored form, which another form may have renamed.
        let found = |name: &&'static str| names.contains(&strategy.stored_name(name).unwrap_or(name));
        assert!(strategy.selectable_names().iter().all(found), "{}: selectable fields {names:?}", row.kind);
    }
}

mod tables;

mod checks;
mod choices;
mod goldens;
mod minimal;
mod words;

/// An object as the path of creation makes it: defaulted, prepared, canonical.
fn created(api_version: &str, kind: &str, text: &str) -> (Arc<dyn Strategy>, Value) {
    let row = rows().find(|row| row.kind == kind && row.api_version() == api_version).expect("the row exists");
    let strategy = strategy_for(row).expect("the row is stored");
    let root = Root::builtin(api_version, kind).expect("the kind exists");
    let mut object = codec::yaml::decode(text.as_bytes(), root).expect("the fixture is valid").value;
    strategy.default(&mut object);
    object.set(&["metadata", "uid"], "0b9a7a5e-0000-4000-8000-000000000001");
    let user = User { name: "somebody".to_owned(), ..User::default() };
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    strategy.prepare_create(&context, &mut object);
    let canonical = json::decode(&json::encode(&object, root), root).expect("what was encoded can be decoded").value;
    (strategy, canonical)
}
