//! JSON patch, RFC 6902, as `evanphx/json-patch` v4 reads it, which upstream's server uses.
//!
//! Habits kept on purpose: `replace` of an absent member adds it; negative indices count from the end; a copied absent
//! member is `null`; what stands before the first `/` of a pointer is ignored.

mod pointer;

use object::schema::{Schema, Shape};
use object::{Map, Text, Value};

use crate::PatchError;
use pointer::Place;

/// Most operations in one patch.
pub const OPERATIONS_MAX: usize = 10_000;
/// Most bytes of JSON that the `copy` operations of one patch may add together.
pub const COPY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// The fields of an operation; any other is a strict problem.
const OPERATION_FIELDS: [&str; 4] = ["from", "op", "path", "value"];

/// A patch: its operations, not yet looked into, because upstream finds their faults one by one while applying.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    operations: Vec<Map>,
    /// Unknown and duplicate fields of operations, as `json patch unknown field "[0].foo"`.
    pub strict_problems: Vec<String>,
}

impl Patch {
    /// Reads a patch.
    pub fn parse(text: &[u8]) -> Result<Patch, PatchError> {
        let decoded = codec::json::decode_shape(text, Schema::builtin(), &Shape::Any)
            .map_err(|e| PatchError::Malformed(e.to_string()))?;
        let mut strict_problems: Vec<String> =
            decoded.strict_problems.iter().map(|problem| format!("json patch {problem}")).collect();
        let items = match decoded.value {
            Value::List(items) => items,
            Value::Null => Vec::new(),
            other => return Err(mismatch(&other, "jsonpatch.Patch")),
        };
        if items.len() > OPERATIONS_MAX {
            return Err(PatchError::TooLarge(format!(
                "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
                items.len()
            )));
        }
        let mut operations = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let operation = match item {
                Value::Map(operation) => operation,
                Value::Null => Map::new(),
                other => return Err(mismatch(&other, "jsonpatch.Operation")),
            };
            let unknown = operation.keys().filter(|key| !OPERATION_FIELDS.contains(key));
            strict_problems.extend(unknown.map(|key| format!("json patch unknown field \"[{at}].{key}\"")));
            operations.push(operation);
        }
        Ok(Patch { operations, strict_problems })
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Carries the operations out one after the other; the first that fails refuses the whole patch.
    pub fn apply(&self, document: Value) -> Result<Value, PatchError> {
        let mut run = Run { document, copied_bytes: 0 };
        for operation in &self.operations {
            run.step(operation).map_err(PatchError::Unprocessable)?;
        }
        Ok(run.document)
    }
}

/// A patch being applied. The errors are texts: nobody tells one kind of failure from another.
struct Run {
    document: Value,
    copied_bytes: usize,
}

impl Run {
    fn step(&mut self, operation: &Map) -> Result<(), String> {
        match operation.get("op").and_then(Value::as_str).unwrap_or("unknown") {
            "add" => self.add(operation),
            "remove" => self.remove(operation),
            "replace" => self.replace(operation),
            "move" => self.relocate(operation),
            "test" => self.test(operation),
            "copy" => self.copy(operation),
            other => Err(format!("Unexpected kind: {other}")),
        }
    }

    fn add(&mut self, operation: &Map) -> Result<(), String> {
        let path = path(operation).map_err(|_any| "add operation failed to decode path: missing value".to_owned())?;
        let place = Place::find(&mut self.document, path)
            .ok_or_else(|| format!("add operation does not apply: doc is missing path: \"{path}\": missing value"))?;
        place.add(value(operation)).map_err(|e| format!("error in add for path: '{path}': {e}"))
    }

    fn remove(&mut self, operation: &Map) -> Result<(), String> {
        let path =
            path(operation).map_err(|_any| "remove operation failed to decode path: missing value".to_owned())?;
        let place = Place::find(&mut self.document, path).ok_or_else(|| {
            format!("remove operation does not apply: doc is missing path: \"{path}\": missing value")
        })?;
        place.remove().map_err(|e| format!("error in remove for path: '{path}': {e}"))
    }

    fn replace(&mut self, operation: &Map) -> Result<(), String> {
        let path = path(operation).map_err(|e| format!("replace operation failed to decode path: {e}"))?;
        if path.is_empty() {
            let new = value(operation);
            if !matches!(new, Value::Map(_) | Value::List(_)) {
                return Err("replace operation value must be object or array".to_owned());
            }
            self.document = new;
            return Ok(());
        }
        let mut place = Place::find(&mut self.document, path)
            .ok_or_else(|| format!("replace operation does not apply: doc is missing path: {path}: missing value"))?;
        if place.get().is_err() {
            return Err(format!("replace operation does not apply: doc is missing key: {path}: missing value"));
        }
        // Upstream calls this step of a replacement "remove" in its error.
        place.set(value(operation)).map_err(|e| format!("error in remove for path: '{path}': {e}"))
    }

    fn relocate(&mut self, operation: &Map) -> Result<(), String> {
        let from = from(operation).map_err(|e| format!("move operation failed to decode from: {e}"))?;
        let mut place = Place::find(&mut self.document, from)
            .ok_or_else(|| format!("move operation does not apply: doc is missing from path: {from}: missing value"))?;
        let key = place.key().to_owned();
        let failed = |e: String| format!("error in move for path: '{key}': {e}");
        let moved = place.get().map_err(failed)?.cloned().unwrap_or_default();
        place.remove().map_err(failed)?;
        let path = path(operation).map_err(|e| format!("move operation failed to decode path: {e}"))?;
        let place = Place::find(&mut self.document, path).ok_or_else(|| {
            format!("move operation does not apply: doc is missing destination path: {path}: missing value")
        })?;
        place.add(moved).map_err(|e| format!("error in move for path: '{path}': {e}"))
    }

    fn test(&mut self, operation: &Map) -> Result<(), String> {
        let path = path(operation).map_err(|e| format!("test operation failed to decode path: {e}"))?;
        let failed = || format!("testing value {path} failed: test failed");
        let wanted = operation.get("value");
        if path.is_empty() {
            let equal = wanted.is_some_and(|wanted| pointer::same(&self.document, wanted));
            return if equal { Ok(()) } else { Err(failed()) };
        }
        let mut place = Place::find(&mut self.document, path)
            .ok_or_else(|| format!("test operation does not apply: is missing path: {path}: missing value"))?;
        let found = place.get().map_err(|e| format!("error in test for path: '{path}': {e}"))?;
        let found = found.unwrap_or(&Value::Null);
        if pointer::same(found, wanted.unwrap_or(&Value::Null)) { Ok(()) } else { Err(failed()) }
    }

    fn copy(&mut self, operation: &Map) -> Result<(), String> {
        let from = from(operation).map_err(|e| format!("copy operation failed to decode from: {e}"))?;
        let mut place = Place::find(&mut self.document, from)
            .ok_or_else(|| format!("copy operation does not apply: doc is missing from path: {from}: missing value"))?;
        let found = place.get().map_err(|e| format!("error in copy for from: '{from}': {e}"))?;
        let copied = found.cloned();
        let path = path(operation).map_err(|_any| "copy operation failed to decode path: missing value".to_owned())?;
        let place = Place::find(&mut self.document, path).ok_or_else(|| {
            format!("copy operation does not apply: doc is missing destination path: {path}: missing value")
        })?;
        if let Some(copied) = &copied {
            let mut text = Vec::new();
            codec::json::write(copied, &mut text);
            self.copied_bytes += text.len();
        }
        if self.copied_bytes > COPY_BYTES_MAX {
            return Err(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit \
                 {COPY_BYTES_MAX}",
                self.copied_bytes
            ));
        }
        place.add(copied.unwrap_or_default()).map_err(|e| format!("error while adding value during copy: {e}"))
    }
}

fn value(operation: &Map) -> Value {
    operation.get("value").cloned().unwrap_or_default()
}

fn path(operation: &Map) -> Result<&Text, String> {
    pointer_of(operation, "path", "operation missing path field: missing value")
}

fn from(operation: &Map) -> Result<&Text, String> {
    pointer_of(operation, "from", "operation, missing from field: missing value")
}

fn pointer_of<'o>(operation: &'o Map, field: &str, missing: &str) -> Result<&'o Text, String> {
    match operation.get(field) {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Err(missing.to_owned()),
        Some(other) => Err(format!("json: cannot unmarshal {} into Go value of type string", other.type_name())),
    }
}

fn mismatch(found: &Value, wanted: &str) -> PatchError {
    PatchError::Malformed(format!("json: cannot unmarshal {} into Go value of type {wanted}", found.type_name()))
}

#[cfg(test)]
mod tests;
