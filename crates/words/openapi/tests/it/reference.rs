//! Our documents and those of a v1.36 server, compared member by member, descriptions aside.
//!
//! The reference is data outside the project; without it the checks say so and pass. It was recorded with every gate
//! on, by a build that also served `/logs`. What we leave out on purpose:
//! - CBOR media types: their gate is off by default, and they are not served;
//! - `/logs`: it has been off by default for years, and is not served.

use std::path::{Path, PathBuf};

use object::{Map, Schema, Value};
use openapi::{Describe, Descriptions, Source, Undescribed, v2, v3};

#[expect(clippy::disallowed_methods, reason = "tests find their reference data by the environment")]
fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data");
    let folder = std::env::var("FERROKUBE_REFERENCE").map(PathBuf::from).unwrap_or(default).join("openapi");
    folder.is_dir().then_some(folder)
}

const SKIPPED: &str = "skipped: no reference data (set FERROKUBE_REFERENCE to the folder that holds openapi/)";

fn source() -> Source<'static> {
    Source { schema: Schema::builtin(), rows: kind::builtin(), describe: &Undescribed }
}

fn read(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    codec::json::parse(&bytes).expect("the reference is JSON")
}

#[test]
fn every_place_in_openapi_3() {
    let Some(folder) = reference() else {
        println!("{SKIPPED}");
        return;
    };
    let mut problems = Vec::new();
    for place in v3::places(&source()) {
        let theirs = read(&folder.join("v3").join(format!("{}_openapi.json", place.replace('/', "__"))));
        let ours = v3::document(&place, &source()).expect("every place has a document");
        compare(&place, &ours, theirs, &mut problems);
    }
    finish(&problems);
}

#[test]
fn every_description() {
    let Some(folder) = reference() else {
        println!("{SKIPPED}");
        return;
    };
    let theirs = read(&folder.join("swagger.json"));
    let ours = Descriptions::default();
    let mut problems = Vec::new();
    for (name, definition) in theirs.get("definitions").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        let fields = definition.get("properties").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        let found = fields.map(|(field, member)| (field, member, ours.field(name, field)));
        for (field, member, found) in found.chain([("", definition, ours.type_(name))]) {
            if found != member.str_at(&["description"]) {
                problems.push(format!("{name} {field}: {found:?}"));
            }
        }
    }
    finish(&problems);
}

#[test]
fn the_document_in_swagger_2() {
    let Some(folder) = reference() else {
        println!("{SKIPPED}");
        return;
    };
    let mut theirs = read(&folder.join("swagger.json"));
    let mut ours = codec::json::parse(&v2::document(&source())).expect("our document is JSON");
    resolve_parameters(&mut theirs);
    resolve_parameters(&mut ours);
    let places = v3::places(&source());
    let defined = ours.get("definitions").cloned().unwrap_or_default();
    if let Some(paths) = theirs.get_mut("paths").and_then(Value::as_map_mut) {
        paths.retain(|path, _| places.contains(&place(path)));
    }
    // What only groups that are off by default refer to; every reference of ours is looked up below.
    if let Some(definitions) = theirs.get_mut("definitions").and_then(Value::as_map_mut) {
        definitions.retain(|name, _| defined.get(name).is_some());
    }
    check_references(&ours, &ours);
    let mut bytes = Vec::new();
    codec::json::write(&ours, &mut bytes);
    let mut problems = Vec::new();
    compare("v2", &bytes, theirs, &mut problems);
    finish(&problems);
}

/// The place in the index of the document that holds `path`.
fn place(path: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let length = match parts[0] {
        "api" => 2,
        "apis" => 3,
        _ => parts.len(),
    };
    parts[..length.min(parts.len())].join("/")
}

fn check_references(value: &Value, document: &Value) {
    match value {
        Value::Map(map) => {
            for (name, value) in map.iter() {
                let target = value.as_str().filter(|_| name == "$ref").and_then(|path| path.strip_prefix("#/"));
                if let Some(target) = target {
                    let (part, name) = target.split_once('/').expect("a reference names a part and a member");
                    assert!(document.at(&[part, name]).is_some(), "nothing at {target}");
                }
                check_references(value, document);
            }
        }
        Value::List(items) => items.iter().for_each(|item| check_references(item, document)),
        _ => {}
    }
}

fn finish(problems: &[String]) {
    let shown: Vec<&str> = problems.iter().take(60).map(String::as_str).collect();
    assert!(problems.is_empty(), "{} differences, such as:\n{}", problems.len(), shown.join("\n"));
}

fn compare(name: &str, ours: &[u8], mut theirs: Value, problems: &mut Vec<String>) {
    let mut ours = codec::json::parse(ours).expect("our document is JSON");
    normalize(&mut ours, "");
    normalize(&mut theirs, "");
    differences(name, &ours, &theirs, problems);
}

/// Takes away descriptions and what we leave out on purpose, and puts lists whose order means nothing in order.
fn normalize(value: &mut Value, key: &str) {
    match value {
        Value::Map(map) => {
            let is_schema_map = matches!(key, "properties" | "schemas" | "definitions");
            map.retain(|name, value| {
                let described = name == "description" && !is_schema_map && value.as_str().is_some();
                !described && !name.contains("cbor")
            });
            let names: Vec<String> = map.iter().map(|(name, _)| name.to_owned()).collect();
            for name in names {
                let inner = if is_schema_map { "" } else { name.as_str() };
                normalize(map.get_mut(&name).expect("the name came from the map"), inner);
            }
        }
        Value::List(items) => {
            items.retain(|item| !item.as_str().is_some_and(|text| text.contains("cbor")));
            items.iter_mut().for_each(|item| normalize(item, ""));
            if matches!(key, "parameters" | "produces" | "consumes" | "x-kubernetes-group-version-kind") {
                items.sort_by_key(text);
            }
        }
        _ => {}
    }
}

fn text(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    codec::json::write(value, &mut out);
    out
}

/// Puts what `#/parameters/…` leads to in its place.
fn resolve_parameters(document: &mut Value) {
    let shared = document.remove(&["parameters"]).unwrap_or_default();
    if let Some(paths) = document.get_mut("paths") {
        resolve(paths, &shared);
    }
}

fn resolve(value: &mut Value, shared: &Value) {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/parameters/"));
    if let Some(name) = target {
        *value = shared.get(name).unwrap_or_else(|| panic!("no parameter {name}")).clone();
        return;
    }
    match value {
        Value::Map(map) => {
            let names: Vec<String> = map.iter().map(|(name, _)| name.to_owned()).collect();
            names.iter().for_each(|name| resolve(map.get_mut(name).expect("the name came from the map"), shared));
        }
        Value::List(items) => items.iter_mut().for_each(|item| resolve(item, shared)),
        _ => {}
    }
}

fn differences(at: &str, ours: &Value, theirs: &Value, problems: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Map(left), Value::Map(right)) => {
            for (name, value) in left.iter() {
                match right.get(name) {
                    Some(other) => differences(&format!("{at} > {name}"), value, other, problems),
                    None => problems.push(format!("{at} > {name}: only ours")),
                }
            }
            for (name, _) in right.iter().filter(|(name, _)| !left.contains(name)) {
                problems.push(format!("{at} > {name}: only theirs"));
            }
        }
        (left, right) if left == right => {}
        (left, right) => {
            let show = |value: &Value| String::from_utf8_lossy(&text(value)).chars().take(400).collect::<String>();
            problems.push(format!("{at}: {} instead of {}", show(left), show(right)));
        }
    }
}
