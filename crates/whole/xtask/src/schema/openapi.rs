//! What the OpenAPI definitions add to the Go declarations: required fields, and topology to compare with.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// The definitions by type name.
#[derive(Debug)]
pub(crate) struct Definitions {
    types: HashMap<String, Definition>,
}

/// One type's facts.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) required: BTreeSet<String>,
    pub(crate) atomic: bool,
    list_types: HashMap<String, String>,
}

impl Definitions {
    #[expect(clippy::disallowed_methods, reason = "an OpenAPI document is not a kind")]
    pub(crate) fn read(path: &Path) -> Result<Definitions> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let document: Value = serde_json::from_slice(&bytes)?;
        let root = ["definitions", "$defs"].iter().find_map(|key| document.get(key)).unwrap_or(&document);
        let entries = root.as_object().context("the definitions are an object")?;
        Ok(Definitions { types: entries.iter().map(|(name, value)| (name.clone(), definition(value))).collect() })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Definition> {
        self.types.get(name)
    }
}

impl Definition {
    /// Whether this definition's list type of `field` is the one the Go source says.
    pub(crate) fn agrees(&self, field: &str, list_type: Option<&str>) -> bool {
        self.list_types.get(field).map(String::as_str) == list_type
    }
}

fn definition(value: &Value) -> Definition {
    let strings = |key: &str| -> BTreeSet<String> {
        let items = value.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut list_types = HashMap::new();
    for (name, property) in value.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(kind) = property.get("x-kubernetes-list-type").and_then(Value::as_str) {
            list_types.insert(name.clone(), kind.to_owned());
        }
    }
    let atomic = value.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
    Definition { required: strings("required"), atomic, list_types }
}
