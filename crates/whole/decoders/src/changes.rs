//! Patches of every kind, and the ownership of fields.

use codec::json;
use jiff::Timestamp;
use object::Value;
use patch::apply::{FieldSet, OneVersion, ResetFields, Write};
use patch::{merge, strategic};

use crate::{forms, halves};

const RESET: &ResetFields = &ResetFields::none();

/// An object and a patch of it as JSON, divided by a zero byte.
pub fn patch(bytes: &[u8]) {
    let (document, change) = halves(bytes);
    let Ok(tree) = json::parse(document) else { return };
    let root = forms::root(&tree);
    let Ok(document) = json::decode(document, root) else { return };
    let document = document.value;
    if let Ok(operations) = patch::json::Patch::parse(change)
        && let Ok(patched) = operations.apply(document.clone())
    {
        drop(codec::conform(patched, root));
    }
    let Ok(change) = json::parse(change) else { return };
    if let Ok(merged) = merge::apply(document.clone(), change.clone()) {
        let again = merge::apply(merged.clone(), change.clone());
        assert_eq!(again.as_ref(), Ok(&merged), "a merge patch twice is a merge patch once");
        drop(codec::conform(merged, root));
    }
    if let Ok(merged) = strategic::apply(document.clone(), change, root)
        && let Ok(merged) = codec::conform(merged, root)
        && let (Some(from), Some(to)) = (document.as_map(), merged.value.as_map())
        && let Ok(difference) = strategic::create_two_way(from, to, root)
    {
        drop(strategic::apply(document, Value::Map(difference), root));
    }
}

/// A set of fields, or an object and a configuration that is applied to it as JSON, divided by a zero byte.
pub fn apply(bytes: &[u8]) {
    if let Ok(set) = FieldSet::from_json(bytes) {
        let text = set.to_json();
        let again = FieldSet::from_json(&text).expect("what was written can be read");
        assert_eq!(again, set, "a set that was written reads the same");
        assert!(set.is_subset(&set) && set.difference(&set).is_empty(), "a set is equal to itself");
        assert_eq!(set.union(&set), set, "a set with itself is itself");
    }
    let (live, config) = halves(bytes);
    let Ok(tree) = json::parse(config) else { return };
    let root = forms::root(&tree);
    let Some((api_version, _)) = root.schema.get(root.id).kind.as_ref() else { return };
    let (Ok(live), Ok(config)) = (json::decode(live, root), json::decode(config, root)) else { return };
    drop(patch::apply::validate(live.value.list_at(&["metadata", "managedFields"])));
    let write = Write {
        root,
        manager: "fuzz",
        api_version,
        subresource: "",
        now: Timestamp::UNIX_EPOCH,
        reset: RESET,
        versions: &OneVersion,
    };
    let mut new = config.value.clone();
    patch::apply::create(&write, &mut new);
    let mut new = config.value;
    patch::apply::update(&write, &live.value, &mut new);
    // What clients apply is what they wrote, and no object that was completed.
    applied(&write, &live.value, &tree);
}

fn applied(write: &Write<'_>, live: &Value, config: &Value) {
    drop(patch::apply::apply(write, Some(live), config, false));
    drop(patch::apply::apply(write, None, config, false));
    let Ok(applied) = patch::apply::apply(write, Some(live), config, true) else { return };
    if let Ok(canonical) = codec::conform(applied.value, write.root)
        && let Ok(again) = patch::apply::apply(write, Some(&canonical.value), config, true)
    {
        drop(codec::conform(again.value, write.root));
    }
}
