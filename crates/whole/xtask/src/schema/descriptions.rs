//! What the release says about types, fields and parameters, packed into one file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Map, Value};

/// What stands before the names of the API machinery's options.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
/// Whose fields the parameters of an operation are, by `x-kubernetes-action`.
const OPTIONS: [(&str, &str); 6] = [
    ("list", "ListOptions"),
    ("patch", "PatchOptions"),
    ("post", "CreateOptions"),
    ("put", "UpdateOptions"),
    ("watch", "ListOptions"),
    ("watchlist", "ListOptions"),
];
/// Text that stands between entries, and between the parts of an entry; no sentence contains it.
const ENTRY_END: char = '\u{1e}';
const PART_END: char = '\u{1f}';

/// Sentences by type and field; what is said about the type itself stands under the empty field.
type Sentences = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the document at `definitions` and writes what `openapi::descriptions` reads.
#[expect(clippy::disallowed_methods, reason = "an OpenAPI document is not a kind")]
pub(super) fn write(definitions: &Path, out: &Path) -> Result<()> {
    let bytes = std::fs::read(definitions).with_context(|| format!("reading {}", definitions.display()))?;
    let document: Value = serde_json::from_slice(&bytes)?;
    let mut sentences = Sentences::new();
    for (name, definition) in members(&document["definitions"]) {
        add(&mut sentences, name, "", definition);
        members(&definition["properties"]).for_each(|(field, member)| add(&mut sentences, name, field, member));
    }
    for (path, item) in members(&document["paths"]) {
        let operations = members(item).filter(|(method, _)| *method != "parameters").map(|(_, operation)| operation);
        for operation in operations {
            let Some(owner) = owner(path, operation) else { continue };
            for parameter in list(&item["parameters"]).iter().chain(list(&operation["parameters"])) {
                let parameter = resolved(&document, parameter);
                if parameter["in"] == "query" && parameter["name"] != "pretty" {
                    let name = parameter["name"].as_str().context("a parameter has a name")?;
                    add(&mut sentences, &owner, name, parameter);
                }
            }
        }
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text(&sentences).as_bytes())?;
    std::fs::write(out, encoder.finish()?).with_context(|| format!("writing {}", out.display()))
}

/// The type whose fields the parameters are.
fn owner(path: &str, operation: &Value) -> Option<String> {
    let action = operation["x-kubernetes-action"].as_str()?;
    if path.ends_with("/pods/{name}/log") {
        return Some("io.k8s.api.core.v1.PodLogOptions".to_owned());
    }
    if action == "connect" {
        let kind = operation["x-kubernetes-group-version-kind"]["kind"].as_str()?;
        return Some(format!("io.k8s.api.core.v1.{kind}"));
    }
    OPTIONS.iter().find(|(known, _)| *known == action).map(|(_, options)| format!("{META}{options}"))
}

fn add(sentences: &mut Sentences, name: &str, field: &str, described: &Value) {
    if let Some(sentence) = described["description"].as_str() {
        sentences.entry(name.to_owned()).or_default().entry(field.to_owned()).or_insert_with(|| sentence.to_owned());
    }
}

/// Sorted; a type is named by its first entry only.
fn text(sentences: &Sentences) -> String {
    let mut text = String::new();
    for (name, fields) in sentences {
        let mut name = name.as_str();
        for (field, sentence) in fields {
            text.extend([name, &PART_END.to_string(), field, &PART_END.to_string(), sentence]);
            text.push(ENTRY_END);
            name = "";
        }
    }
    text
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(key, value)| (key.as_str(), value))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn resolved<'a>(document: &'a Value, parameter: &'a Value) -> &'a Value {
    let name = parameter["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/parameters/"));
    name.map_or(parameter, |name| &document["parameters"][name])
}
