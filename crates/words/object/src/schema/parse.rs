//! Reads the table's text form.

use std::collections::HashMap;

use super::{Field, ListType, Member, Omit, PatchStrategy, Schema, Shape, Type, TypeId};
use crate::{Text, Value};

const JSON_SCHEMA_PROPS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// Where the table is malformed, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema table, {place}: {problem}")]
pub(super) struct TableError {
    place: String,
    problem: &'static str,
}

/// Reads all packages of the table.
pub(super) fn parse(tables: &[&str]) -> Result<Schema, TableError> {
    let mut schema = Schema::default();
    for table in tables {
        declare(table, &mut schema)?;
    }
    for table in tables {
        define(table, &mut schema)?;
    }
    for at in 0..schema.types.len() {
        open_inlined(&mut schema, at);
    }
    Ok(schema)
}

/// First pass: every type gets its id, so that fields can refer to types that come later.
fn declare(table: &str, schema: &mut Schema) -> Result<(), TableError> {
    let (prefix, api_version) = header(table)?;
    for line in table.lines() {
        let mut words = line.split(' ');
        let is_kind = match words.next() {
            Some("kind") => true,
            Some("type") => false,
            _ => continue,
        };
        let short = words.next().ok_or_else(|| error(line, "a type without a name"))?;
        let name = format!("{prefix}.{short}");
        let id = TypeId(u32::try_from(schema.types.len()).map_err(|_too_many| error(line, "too many types"))?);
        let kind = (is_kind && api_version != "-").then(|| (api_version.to_owned(), short.to_owned()));
        if let Some(kind) = &kind {
            schema.kinds.insert(kind.clone(), id);
        }
        schema.by_name.insert(name.clone(), id);
        let fields = if is_kind { vec![type_meta("kind"), type_meta("apiVersion")] } else { Vec::new() };
        let atomic = words.next() == Some("atomic");
        schema.types.push(Type {
            name,
            kind,
            atomic,
            fields,
            members: Vec::new(),
            by_name: Vec::new(),
            by_number: Vec::new(),
        });
    }
    Ok(())
}

/// Second pass: the fields.
fn define(table: &str, schema: &mut Schema) -> Result<(), TableError> {
    let (prefix, _) = header(table)?;
    let mut current = None;
    for line in table.lines().skip(1).filter(|line| !line.is_empty()) {
        if let Some(declaration) = line.strip_prefix("  ") {
            let id: TypeId = current.ok_or_else(|| error(line, "a field before any type"))?;
            let field = read_field(declaration, prefix, &schema.by_name)?;
            schema.types[id.0 as usize].fields.push(field);
        } else {
            let short = line.split(' ').nth(1).unwrap_or_default();
            current = schema.by_name.get(&format!("{prefix}.{short}")).copied();
        }
    }
    Ok(())
}

fn header(table: &str) -> Result<(&str, &str), TableError> {
    let first = table.lines().next().unwrap_or_default();
    let words = first.strip_prefix("package ").and_then(|rest| rest.split_once(' '));
    words.ok_or_else(|| error(first, "a package begins with its name and apiVersion"))
}

fn type_meta(name: &str) -> Field {
    Field {
        name: name.into(),
        number: 0,
        shape: Shape::String,
        pointer: false,
        omit: Omit::Empty,
        required: false,
        list: ListType::Atomic,
        atomic: false,
        patch: PatchStrategy::Default,
        merge_key: None,
        default: None,
    }
}

fn read_field(line: &str, prefix: &str, names: &HashMap<String, TypeId>) -> Result<Field, TableError> {
    let mut words = line.split(' ');
    let mut word = |problem| words.next().filter(|word| !word.is_empty()).ok_or_else(|| error(line, problem));
    let number = word("a field without a number")?;
    let name = word("a field without a name")?;
    let (pointer, shape) = match word("a field without a type")? {
        text if text.starts_with('*') => (true, &text[1..]),
        text => (false, text),
    };
    let mut field = type_meta(if name == "^" { "" } else { name });
    field.number = number.parse().map_err(|_not_a_number| error(line, "a field number is a number"))?;
    field.shape = read_shape(shape, prefix, names).ok_or_else(|| error(line, "an unknown type"))?;
    field.pointer = pointer;
    field.omit = Omit::Never;
    for mark in words {
        apply_mark(&mut field, mark).ok_or_else(|| error(line, "an unknown mark"))?;
    }
    Ok(field)
}

fn apply_mark(field: &mut Field, mark: &str) -> Option<()> {
    let (key, value) = mark.split_once('=').unwrap_or((mark, ""));
    match key {
        "omit" => field.omit = Omit::Empty,
        "omitzero" => field.omit = Omit::Zero,
        "required" => field.required = true,
        "atomic" => field.atomic = true,
        "list" => field.list = read_list_type(value)?,
        "patch" => {
            let (strategies, merge_key) = value.split_once(':').unwrap_or((value, ""));
            field.patch = match strategies {
                "merge" => PatchStrategy::Merge,
                "replace" => PatchStrategy::Replace,
                "retainKeys" => PatchStrategy::RetainKeys,
                "merge,retainKeys" => PatchStrategy::MergeRetainKeys,
                _ => return None,
            };
            field.merge_key = (!merge_key.is_empty()).then(|| merge_key.into());
        }
        "default" => field.default = Some(read_scalar(value)),
        _ => return None,
    }
    Some(())
}

fn read_list_type(value: &str) -> Option<ListType> {
    Some(match value.split_once(':').unwrap_or((value, "")) {
        ("atomic", _) => ListType::Atomic,
        ("set", _) => ListType::Set,
        ("map", keys) => ListType::Map(keys.split(',').map(Text::from).collect()),
        _ => return None,
    })
}

fn read_scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse() {
            Ok(number) => Value::Int(number),
            Err(_not_a_number) => Value::String(text.trim_matches('"').into()),
        },
    }
}

fn read_shape(text: &str, prefix: &str, names: &HashMap<String, TypeId>) -> Option<Shape> {
    if let Some(inner) = text.strip_prefix("[]") {
        return Some(Shape::List(Box::new(read_shape(inner, prefix, names)?)));
    }
    if let Some(inner) = text.strip_prefix("map:") {
        return Some(Shape::Map(Box::new(read_shape(inner, prefix, names)?)));
    }
    let schema_props = || names.get(JSON_SCHEMA_PROPS).copied();
    Some(match text.trim_start_matches('*') {
        "string" => Shape::String,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "bytes" => Shape::Bytes,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "duration" => Shape::Duration,
        "quantity" => Shape::Quantity,
        "intorstring" => Shape::IntOrString,
        "fields" => Shape::Fields,
        "raw" => Shape::RawObject,
        "json" => Shape::Json,
        "any" => Shape::Any,
        "stringlist" => Shape::StringList,
        "schema-or-array" => Shape::SchemaOrArray(schema_props()?),
        "schema-or-bool" => Shape::SchemaOrBool(schema_props()?),
        "schema-or-strings" => Shape::SchemaOrStrings(schema_props()?),
        name => Shape::Struct(find(name, prefix, names)?),
    })
}

fn find(name: &str, prefix: &str, names: &HashMap<String, TypeId>) -> Option<TypeId> {
    let candidates = [format!("{prefix}.{name}"), format!("io.k8s.{name}")];
    candidates.iter().find_map(|candidate| names.get(candidate).copied())
}

/// Lists the JSON members of a type: its own fields and those of the structs inlined into it.
fn open_inlined(schema: &mut Schema, at: usize) {
    let mut members = Vec::new();
    let id = TypeId(u32::try_from(at).expect("declare has checked the number of types"));
    collect(schema, id, &mut members);
    let mut by_name: Vec<u16> = (0_u16..).take(members.len()).collect();
    let name = |at: &u16| members[usize::from(*at)].name.as_str();
    by_name.sort_by(|left, right| super::shorter_first(name(left), name(right)));
    let fields = &schema.types[at].fields;
    let mut by_number: Vec<u16> =
        (0_u16..).zip(fields).filter(|(_, field)| field.number > 0).map(|(index, _)| index).collect();
    by_number.sort_by_key(|index| fields[usize::from(*index)].number);
    schema.types[at].by_number = by_number;
    schema.types[at].members = members;
    schema.types[at].by_name = by_name;
}

fn collect(schema: &Schema, id: TypeId, members: &mut Vec<Member>) {
    for (at, field) in (0_u16..).zip(&schema.get(id).fields) {
        match &field.shape {
            Shape::Struct(inner) if field.name.is_empty() => collect(schema, *inner, members),
            _ => members.push(Member { name: field.name.clone(), owner: id, at }),
        }
    }
}

fn error(line: &str, problem: &'static str) -> TableError {
    TableError { place: line.trim().to_owned(), problem }
}
