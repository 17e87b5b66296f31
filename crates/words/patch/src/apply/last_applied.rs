//! The way from client-side to server-side apply: the manager `kubectl` may take back what its own annotation says it
//! had applied, and keeps that annotation current while it exists.

use object::{Meta, Value};

use super::Write;
use super::conflict::{ApplyError, Conflicts};

/// The one manager that gets this treatment.
pub(super) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Most bytes of all annotations of an object together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// Succeeds when every conflict is about a field that client-side apply set and nobody has changed since.
pub(super) fn forgive(write: &Write<'_>, live: &Value, conflicts: Conflicts) -> Result<(), ApplyError> {
    let Some(annotation) = Meta::of(live).annotation(ANNOTATION).filter(|text| !text.is_empty()) else {
        return Err(ApplyError::Conflict(conflicts));
    };
    let (topology, root) = (write.topology(), write.node());
    let last = codec::json::parse(annotation.as_bytes())
        .ok()
        .filter(|last| last.str_at(&["apiVersion"]) == Some(write.api_version) && topology.check(root, last).is_ok());
    let Some(last) = last else { return Err(ApplyError::Conflict(conflicts)) };
    let diff = topology.diff(root, &last, live);
    let unchanged = topology.claimed(root, &last).difference(&diff.changed).difference(&diff.removed);
    match conflicts.outside(&unchanged) {
        None => Ok(()),
        Some(left) => Err(ApplyError::Conflict(left)),
    }
}

/// Writes `config` into the annotation when the object carries it; an annotation that grows too large goes away.
pub(super) fn refresh(object: &mut Value, config: &Value) {
    if Meta::of(object).annotation(ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut bare = config.clone();
    bare.remove(&["metadata", "annotations", ANNOTATION]);
    if bare.at(&["metadata", "annotations"]).and_then(Value::as_map).is_some_and(object::Map::is_empty) {
        bare.remove(&["metadata", "annotations"]);
    }
    let mut text = Vec::new();
    codec::json::write(&bare, &mut text);
    text.push(b'\n');
    object.set(&["metadata", "annotations", ANNOTATION], String::from_utf8_lossy(&text).into_owned());
    let annotations = object.at(&["metadata", "annotations"]).and_then(Value::as_map);
    let bytes: usize = annotations
        .into_iter()
        .flat_map(object::Map::iter)
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        object.remove(&["metadata", "annotations", ANNOTATION]);
    }
}
