//! Writes one package of the table as text.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::Package;
use super::gosource::{Field, GoType, Source, Struct};
use super::openapi::{Definition, Definitions};

/// Types that have a wire form of their own, by Go import path and name.
const LEAVES: &[(&str, &str, &str)] = &[
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Time", "time"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "MicroTime", "microtime"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Duration", "duration"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "FieldsV1", "fields"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Verbs", "stringlist"),
    ("k8s.io/apimachinery/pkg/api/resource", "Quantity", "quantity"),
    ("k8s.io/apimachinery/pkg/util/intstr", "IntOrString", "intorstring"),
    ("k8s.io/apimachinery/pkg/runtime", "RawExtension", "raw"),
    ("k8s.io/apimachinery/pkg/runtime", "Unknown", "raw"),
    ("k8s.io/apimachinery/pkg/types", "UID", "string"),
    ("k8s.io/apimachinery/pkg/types", "NodeName", "string"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSON", "json"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSONSchemaPropsOrArray", "schema-or-array"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSONSchemaPropsOrBool", "schema-or-bool"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSONSchemaPropsOrStringArray", "schema-or-strings"),
];

/// The text of `package`, or `None` when it declares no types.
pub(crate) fn package(package: &Package, source: &Source, definitions: &Definitions) -> Result<Option<String>> {
    let mut text = String::new();
    let group = package.group.as_deref();
    let api_version = match group {
        Some("") => package.version.clone(),
        Some(group) => format!("{group}/{}", package.version),
        None => "-".to_owned(),
    };
    writeln!(text, "package {} {api_version}", package.prefix)?;
    let mut count = 0;
    for (name, body) in source.structs_of(&package.import) {
        let internal =
            name == "TypeMeta" || name.ends_with("Codec") || name == "ProtobufTimestamp" || name == "Timestamp";
        let internal = internal || leaf(&package.import, name).is_some();
        let untagged = body.fields.iter().any(|field| field.json.is_empty() && !field.inline);
        if (internal || untagged) && !body.has_type_meta {
            continue;
        }
        count += 1;
        let definition = definitions.get(&format!("{}.{name}", package.prefix));
        write_struct(&mut text, package, source, (name, body), definition)?;
    }
    Ok((count > 0).then_some(text))
}

fn write_struct(
    text: &mut String,
    package: &Package,
    source: &Source,
    (name, body): (&str, &Struct),
    definition: Option<&Definition>,
) -> Result<()> {
    let keyword = if body.has_type_meta { "kind" } else { "type" };
    let atomic = body.markers.iter().any(|marker| marker == "structType=atomic" || marker == "mapType=atomic")
        || definition.is_some_and(|definition| definition.atomic);
    writeln!(text, "\n{keyword} {name}{}", if atomic { " atomic" } else { "" })?;
    for field in &body.fields {
        write_field(text, (package, source), name, field, definition)?;
    }
    Ok(())
}

fn write_field(
    text: &mut String,
    (package, source): (&Package, &Source),
    owner: &str,
    field: &Field,
    definition: Option<&Definition>,
) -> Result<()> {
    let go = source.resolve_outer(&field.go);
    let mut line = format!("  {} ", field.number);
    if field.inline {
        write!(line, "^ {}", type_text(package, source, &go)?)?;
        writeln!(text, "{line}")?;
        return Ok(());
    }
    if field.json.is_empty() {
        bail!("{owner} has a field without a JSON name");
    }
    write!(line, "{} {}", field.json, type_text(package, source, &go)?)?;
    let is_struct = matches!(&go, GoType::Named(import, name) if leaf(import, name).is_none_or(|leaf| leaf != "string" && leaf != "stringlist"));
    if field.omitzero {
        line.push_str(" omitzero");
    } else if field.omitempty && !is_struct {
        line.push_str(" omit");
    }
    if definition.is_some_and(|definition| definition.required.contains(&field.json)) {
        line.push_str(" required");
    }
    line.push_str(&topology(owner, field, definition));
    writeln!(text, "{line}")?;
    Ok(())
}

fn topology(owner: &str, field: &Field, definition: Option<&Definition>) -> String {
    let marker = |key: &str| field.markers.iter().find_map(|marker| marker.strip_prefix(key)?.strip_prefix('='));
    let mut words = String::new();
    let list_type = marker("listType");
    if let Some(definition) = definition
        && !definition.agrees(&field.json, list_type)
    {
        eprintln!("{owner}.{}: the definitions disagree with listType={list_type:?}", field.json);
    }
    if let Some(kind) = list_type {
        let keys: Vec<&str> = field.markers.iter().filter_map(|marker| marker.strip_prefix("listMapKey=")).collect();
        words.push_str(&format!(" list={kind}"));
        if !keys.is_empty() {
            words.push_str(&format!(":{}", keys.join(",")));
        }
    }
    if marker("mapType") == Some("atomic") || marker("structType") == Some("atomic") {
        words.push_str(" atomic");
    }
    if let Some(strategy) = &field.patch_strategy {
        words.push_str(&format!(" patch={strategy}"));
        if let Some(key) = &field.patch_merge_key {
            words.push_str(&format!(":{key}"));
        }
    }
    if let Some(default) = marker("default")
        && !default.starts_with("ref(")
        && !matches!(default, "\"\"" | "0" | "false")
    {
        words.push_str(&format!(" default={default}"));
    }
    words
}

fn leaf(import: &str, name: &str) -> Option<&'static str> {
    LEAVES.iter().find(|(i, n, _)| *i == import && *n == name).map(|(_, _, leaf)| *leaf)
}

fn type_text(package: &Package, source: &Source, go: &GoType) -> Result<String> {
    Ok(match go {
        GoType::Basic(name) => match name.as_str() {
            "float64" => "double".to_owned(),
            "interface{}" => "any".to_owned(),
            other => other.to_owned(),
        },
        GoType::Pointer(inner) => format!("*{}", type_text(package, source, &source.resolve_outer(inner))?),
        GoType::List(inner) => format!("[]{}", type_text(package, source, &source.resolve_outer(inner))?),
        GoType::Map(inner) => format!("map:{}", type_text(package, source, &source.resolve_outer(inner))?),
        GoType::Named(import, name) => match leaf(import, name) {
            Some(leaf) => leaf.to_owned(),
            None if *import == package.import => name.clone(),
            None => format!("{}.{name}", import.replacen("k8s.io/", "", 1).replace('/', ".")),
        },
    })
}
