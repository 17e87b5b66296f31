//! Strategic merge patch: a merge patch that knows from the schema table how lists pair up.
//!
//! - [`apply`]: what the server does with a patch.
//! - [`create_two_way`], [`create_three_way`]: what clients send, made from objects.
//!
//! Directives, all kept from upstream: `$patch: replace | delete | merge` in maps and list items, `$retainKeys`,
//! `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`. Lists are replaced unless their field says `merge`.
//!
//! Not here: custom resources. Upstream refuses strategic patches for them; so must the caller, with
//! [`unsupported`].

mod diff;
mod lists;
mod merge;
mod meta;
mod order;

use codec::Root;
use object::{Map, Value};

use crate::PatchError;
use crate::go::Printed;
use merge::Mode;
use meta::Meta;

pub use diff::{CreateError, Precondition, create_three_way, create_two_way};

/// What to do with a map or list item.
const PATCH: &str = "$patch";
/// Which members of a union survive.
const RETAIN_KEYS: &str = "$retainKeys";
/// Items to take out of a list of scalars.
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList";
/// The order in which items are to stand.
const ORDER_PREFIX: &str = "$setElementOrder";

/// The refusal for kinds that have no patch strategies.
pub fn unsupported() -> PatchError {
    PatchError::Malformed("strategic merge patch format is not supported".to_owned())
}

/// Applies `patch` to `original`, an object of the type `root`.
pub fn apply(original: Value, patch: Value, root: Root<'_>) -> Result<Value, PatchError> {
    let meta = Meta::of(root);
    merge::maps(as_document(original)?, as_document(patch)?, meta, Mode::Server).map(Value::Map)
}

fn as_document(value: Value) -> Result<Map, PatchError> {
    match value {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(PatchError::Malformed("invalid JSON document".to_owned())),
    }
}

/// Upstream's name of what a value is, in errors about types.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) | Value::Raw(_) => "map[string]interface {}",
    }
}

fn expected_map(found: &Value) -> PatchError {
    PatchError::Unexpected(format!("expected a map[string]interface {{}}, but received a {}", go_type(found)))
}

fn expected_list(found: &Value) -> PatchError {
    PatchError::Unexpected(format!("expected a []interface {{}}, but received a {}", go_type(found)))
}

fn no_merge_key(map: &Map, key: &str) -> PatchError {
    let shown = Printed(&Value::Map(map.clone())).to_string();
    PatchError::Unexpected(format!("map: {shown} does not contain declared merge key: {key}"))
}

fn bad_directive(directive: &Value, map: &Map) -> PatchError {
    let shown = Printed(&Value::Map(map.clone())).to_string();
    PatchError::Unexpected(format!("unknown patch type: {} in map: {shown}", Printed(directive)))
}

#[cfg(test)]
mod tests;
