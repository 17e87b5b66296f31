//! What all kinds have in common: how metadata is completed and checked.
//!
//! Rules: `k8s.io/apimachinery/pkg/api/validation/objectmeta.go` and `k8s.io/apiserver/pkg/registry/rest`.

use jiff::Timestamp;
use kind::{Problem, Refusal, Strategy};
use object::{Meta, MetaMut, Path, Value, names};

/// Most characters of a generated name before its random suffix.
const GENERATED_BASE_MAX: usize = 58;
/// Characters of the random suffix.
const SUFFIX_LENGTH: usize = 5;
/// Most bytes of all annotations together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Name and namespace as request and object agree on them.
pub(crate) fn settle_namespace(strategy: &dyn Strategy, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    let own = Meta::of(object).namespace().to_owned();
    if !strategy.resource().namespaced {
        if !own.is_empty() {
            MetaMut::of(object).clear("namespace");
        }
        return Ok(());
    }
    if own.is_empty() {
        MetaMut::of(object).set("namespace", namespace);
    } else if own != namespace {
        return Err(Refusal::BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request".to_owned(),
        ));
    }
    Ok(())
}

/// Gives an object that has only `generateName` a name; `true` when it did.
pub(crate) fn generate_name(object: &mut Value) -> bool {
    let meta = Meta::of(object);
    if !meta.name().is_empty() || meta.generate_name().is_empty() {
        return false;
    }
    let base: String = meta.generate_name().chars().take(GENERATED_BASE_MAX).collect();
    let name = format!("{base}{}", env::rand::suffix(SUFFIX_LENGTH));
    MetaMut::of(object).set("name", name);
    true
}

/// Fields that the server, not the client, gives to a new object.
pub(crate) fn complete_new(strategy: &dyn Strategy, object: &mut Value, now: Timestamp) {
    let facts = strategy.facts();
    let mut meta = MetaMut::of(object);
    meta.clear("deletionTimestamp").clear("deletionGracePeriodSeconds").clear("selfLink").clear("resourceVersion");
    meta.set("uid", env::rand::uuid()).set_time("creationTimestamp", now);
    if facts.counts_generations {
        meta.set("generation", 1);
    } else {
        meta.clear("generation");
    }
    if facts.has_status {
        object.remove(&["status"]);
    }
}

/// Fields that an update cannot change, taken from the stored object.
pub(crate) fn keep_fixed(object: &mut Value, old: &Value) {
    for key in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        match old.at(&["metadata", key]) {
            Some(value) => object.set(&["metadata", key], value.clone()),
            None => drop(object.remove(&["metadata", key])),
        }
    }
    match old.at(&["metadata", "generation"]) {
        Some(generation) => object.set(&["metadata", "generation"], generation.clone()),
        None => drop(object.remove(&["metadata", "generation"])),
    }
}

/// Counts a change of anything but metadata and status.
pub(crate) fn count_generation(object: &mut Value, old: &Value) {
    let counted = |key: &str| !matches!(key, "metadata" | "status" | "kind" | "apiVersion");
    let (Some(new_map), Some(old_map)) = (object.as_map(), old.as_map()) else { return };
    let same = new_map.iter().filter(|(key, _)| counted(key)).eq(old_map.iter().filter(|(key, _)| counted(key)));
    if !same {
        let generation = Meta::of(old).generation().saturating_add(1);
        MetaMut::of(object).set("generation", generation);
    }
}

/// What is wrong with the metadata of any object.
pub fn check_metadata(strategy: &dyn Strategy, object: &Value) -> Vec<Problem> {
    let path = Path::of("metadata");
    let meta = Meta::of(object);
    let mut problems = Vec::new();
    if !meta.generate_name().is_empty() {
        let base = format!("{}a", meta.generate_name().trim_end_matches('-'));
        let complaints = strategy.name_problems(&base);
        problems.extend(
            complaints.into_iter().map(|text| Problem::invalid(path.field("generateName"), meta.generate_name(), text)),
        );
    }
    if meta.name().is_empty() {
        problems.push(Problem::required(path.field("name"), "name or generateName is required"));
    } else {
        let complaints = strategy.name_problems(meta.name());
        problems.extend(complaints.into_iter().map(|text| Problem::invalid(path.field("name"), meta.name(), text)));
    }
    problems.extend(check_namespace(strategy, meta.namespace(), &path));
    if meta.generation() < 0 {
        problems.push(Problem::invalid(
            path.field("generation"),
            meta.generation(),
            "must be greater than or equal to 0",
        ));
    }
    problems.extend(check_labels(object, &path.field("labels")));
    problems.extend(check_annotations(object, &path.field("annotations")));
    problems.extend(check_owners(object, &path.field("ownerReferences")));
    problems.extend(check_finalizers(strategy, object, &path.field("finalizers")));
    problems
}

/// What is wrong with the change of an object's metadata.
pub fn check_metadata_update(strategy: &dyn Strategy, object: &Value, old: &Value) -> Vec<Problem> {
    let path = Path::of("metadata");
    let (new, stored) = (Meta::of(object), Meta::of(old));
    let mut problems = Vec::new();
    if new.is_deleting() || stored.is_deleting() {
        let added: Vec<&str> =
            new.finalizers().filter(|finalizer| !stored.finalizers().any(|known| known == *finalizer)).collect();
        if stored.is_deleting() && !added.is_empty() {
            let added: Vec<String> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
            let text = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            problems.push(Problem::forbidden(path.field("finalizers"), text));
        }
    }
    for (field, new, stored) in [
        ("name", new.name(), stored.name()),
        ("namespace", new.namespace(), stored.namespace()),
        ("uid", new.uid(), stored.uid()),
    ] {
        if new != stored {
            problems.push(Problem::invalid(path.field(field), new, "field is immutable"));
        }
    }
    if new.generation() < stored.generation() {
        problems.push(Problem::invalid(path.field("generation"), new.generation(), "must not be decremented"));
    }
    problems.extend(check_labels(object, &path.field("labels")));
    problems.extend(check_annotations(object, &path.field("annotations")));
    problems.extend(check_owners(object, &path.field("ownerReferences")));
    problems.extend(check_finalizers(strategy, object, &path.field("finalizers")));
    problems
}

fn check_namespace(strategy: &dyn Strategy, namespace: &str, path: &Path) -> Vec<Problem> {
    let path = path.field("namespace");
    match (strategy.resource().namespaced, namespace.is_empty()) {
        (true, true) => vec![Problem::required(path, "")],
        (true, false) => names::dns_label(namespace)
            .into_iter()
            .map(|text| Problem::invalid(path.clone(), namespace, text))
            .collect(),
        (false, true) => Vec::new(),
        (false, false) => vec![Problem::forbidden(path, "not allowed on this type")],
    }
}

/// What is wrong with labels.
pub fn check_labels(object: &Value, path: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, value) in
        object.at(&["metadata", "labels"]).and_then(Value::as_map).into_iter().flat_map(object::Map::iter)
    {
        problems.extend(names::qualified_name(key).into_iter().map(|text| Problem::invalid(path.clone(), key, text)));
        let value = value.as_str().unwrap_or_default();
        problems.extend(names::label_value(value).into_iter().map(|text| Problem::invalid(path.clone(), value, text)));
    }
    problems
}

fn check_annotations(object: &Value, path: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut bytes = 0;
    for (key, value) in
        object.at(&["metadata", "annotations"]).and_then(Value::as_map).into_iter().flat_map(object::Map::iter)
    {
        let complaints = names::qualified_name(&key.to_lowercase());
        problems.extend(complaints.into_iter().map(|text| Problem::invalid(path.clone(), key, text)));
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        problems.push(Problem::too_long(path.clone(), ANNOTATIONS_BYTES_MAX));
    }
    problems
}

fn check_owners(object: &Value, path: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut controller: Option<String> = None;
    for (at, owner) in Meta::of(object).owner_references().enumerate() {
        let path = path.index(at);
        for (field, value, text) in [
            ("apiVersion", owner.api_version, "version must not be empty"),
            ("kind", owner.kind, "must not be empty"),
            ("name", owner.name, "must not be empty"),
            ("uid", owner.uid, "must not be empty"),
        ] {
            if value.is_empty() {
                problems.push(Problem::invalid(path.field(field), value, text));
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            let text = format!("{} is disallowed from being an owner", "/v1, Kind=Event");
            problems.push(Problem::invalid(path.clone(), Value::Null, text));
        }
        if !owner.controller {
            continue;
        }
        match &controller {
            Some(first) => problems.push(Problem::invalid(
                path.clone(),
                owner.name,
                format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}", owner.name),
            )),
            None => controller = Some(owner.name.to_owned()),
        }
    }
    problems
}

fn check_finalizers(strategy: &dyn Strategy, object: &Value, path: &Path) -> Vec<Problem> {
    let meta = Meta::of(object);
    let mut problems = Vec::new();
    for (at, finalizer) in meta.finalizers().enumerate() {
        let complaints = names::qualified_name(finalizer);
        problems.extend(complaints.into_iter().map(|text| Problem::invalid(path.index(at), finalizer, text)));
        // Custom kinds may have what they like.
        let builtin = std::ptr::eq(strategy.root().0, object::Schema::builtin());
        let known = finalizer.contains('/') || STANDARD_FINALIZERS.contains(&finalizer);
        if builtin && !known {
            let text = "name is neither a standard finalizer name nor is it fully qualified";
            problems.push(Problem::invalid(path.index(at), finalizer, text));
        }
    }
    let has = |name: &str| meta.finalizers().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        problems.push(Problem::invalid(
            path.clone(),
            Value::Null,
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
    problems
}
