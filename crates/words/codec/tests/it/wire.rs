//! One object of every kind in three forms: all decode to one tree, and the tree encodes to upstream's bytes.
//!
//! The objects are reference data outside the project; without them the check says so and passes.

use std::path::{Path, PathBuf};

use codec::{Root, json, proto, yaml};
use object::Schema;

#[expect(clippy::disallowed_methods, reason = "tests find their reference data by the environment")]
fn reference() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data");
    let folder = std::env::var("FERROKUBE_REFERENCE").map(PathBuf::from).unwrap_or(default).join("wire");
    folder.is_dir().then_some(folder)
}

#[test]
fn every_kind_in_three_forms() {
    let Some(folder) = reference() else {
        println!("skipped: no reference data (set FERROKUBE_REFERENCE to the folder that holds wire/)");
        return;
    };
    let mut names: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("the entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    let problems: Vec<String> = names.iter().flat_map(|path| check(path).err()).collect();
    assert!(problems.is_empty(), "{} of {} objects differ:\n{}", problems.len(), names.len(), problems.join("\n"));
    assert!(names.len() >= 185, "the reference data holds only {} objects", names.len());
}

fn check(path: &Path) -> Result<(), String> {
    let name = path.file_name().expect("it came from a listing").to_string_lossy().into_owned();
    let read = |extension: &str| std::fs::read(path.with_extension(extension)).map_err(|e| format!("{name}: {e}"));
    let (json_text, yaml_text, proto_bytes) = (read("json")?, read("yaml")?, read("pb")?);
    let envelope = proto::open(&proto_bytes).map_err(|e| format!("{name}: {e}"))?;
    let (api_version, kind) = (envelope.api_version.to_owned(), envelope.kind.to_owned());
    // A watch event travels in an envelope that names no kind.
    let named = if kind.is_empty() { ("v1", "WatchEvent") } else { (api_version.as_str(), kind.as_str()) };
    let root = Root::builtin(named.0, named.1).ok_or_else(|| format!("{name}: unknown kind {api_version} {kind}"))?;

    let from_json = json::decode(&json_text, root).map_err(|e| format!("{name}: JSON: {e}"))?;
    let from_yaml = yaml::decode(&yaml_text, root).map_err(|e| format!("{name}: YAML: {e}"))?;
    let from_proto = match kind.as_str() {
        "" => proto::decode(envelope.message, root),
        _ => proto::decode_enveloped(&proto_bytes, Schema::builtin()),
    }
    .map_err(|e| format!("{name}: protobuf: {e}"))?;
    if !from_json.strict_problems.is_empty() {
        return Err(format!("{name}: {}", from_json.strict_problems.join(", ")));
    }
    same(&name, "YAML", &from_json.value, &from_yaml.value, root)?;
    same(&name, "protobuf", &from_json.value, &from_proto.value, root)?;

    let encoded = json::encode(&from_json.value, root);
    let expected = compact(&json_text);
    if encoded != expected {
        return Err(format!("{name}: JSON differs at {}", difference(&encoded, &expected)));
    }
    let sealed = proto::seal(&from_json.value, root, &api_version, &kind);
    if sealed != proto_bytes {
        return Err(format!("{name}: protobuf differs at {}", difference(&sealed, &proto_bytes)));
    }
    pieces(&name, from_json.value, root, (&api_version, &kind))
}

/// Messages that are put together of others are what would have been encoded at once.
fn pieces(
    name: &str,
    mut value: object::Value,
    root: Root<'_>,
    (api_version, kind): (&str, &str),
) -> Result<(), String> {
    let message = proto::encode(&value, root);
    let event = proto::event("ADDED", message.clone().into(), api_version, kind).concat();
    let whole = proto::event_frame("ADDED", &proto::enclose(&message, api_version, kind));
    if event != whole {
        return Err(format!("{name}: the event differs at {}", difference(&event, &whole)));
    }
    listed(name, &message, root, (api_version, kind))?;
    if value.str_at(&["metadata", "uid"]).is_none() {
        return Ok(());
    }
    let spliced = proto::with_text(&message, 1, 6, "4711").map_err(|e| format!("{name}: {e}"))?;
    value.set(&["metadata", "resourceVersion"], "4711");
    let expected = proto::encode(&value, root);
    let spliced = spliced.ok_or_else(|| format!("{name}: the metadata is not found"))?;
    if spliced != expected {
        return Err(format!("{name}: another revision differs at {}", difference(&spliced, &expected)));
    }
    Ok(())
}

/// A list of encoded messages reads as what they read as.
fn listed(name: &str, message: &[u8], root: Root<'_>, (api_version, kind): (&str, &str)) -> Result<(), String> {
    let kind = format!("{kind}List");
    // What discovery lists stands in no `items`.
    let list_root = Root::builtin(api_version, &kind);
    let Some(list_root) = list_root.filter(|root| root.schema.field(root.id, "items").is_some()) else { return Ok(()) };
    let told = |error: codec::DecodeError| format!("{name}: {error}");
    let meta = object::Value::from_pairs([("resourceVersion", "7")]);
    let list = proto::list(&meta, vec![message.to_vec().into(); 3], api_version, &kind).concat();
    let envelope = proto::open(&list).map_err(told)?;
    let list = proto::decode(envelope.message, list_root).map_err(told)?.value;
    let item = proto::decode(message, root).map_err(told)?.value;
    let items = list.get("items").and_then(object::Value::as_list).unwrap_or_default();
    if list.str_at(&["metadata", "resourceVersion"]) != Some("7") || items != vec![item; 3] {
        return Err(format!("{name}: a list of three reads otherwise"));
    }
    Ok(())
}

fn same(name: &str, form: &str, left: &object::Value, right: &object::Value, root: Root<'_>) -> Result<(), String> {
    if left == right {
        return Ok(());
    }
    let (left, right) = (json::encode(left, root), json::encode(right, root));
    Err(format!("{name}: {form} decodes differently at {}", difference(&right, &left)))
}

/// The reference files are indented; between tokens white space means nothing.
fn compact(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.iter().copied() {
        if in_string {
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    out
}

fn difference(actual: &[u8], expected: &[u8]) -> String {
    let at = actual.iter().zip(expected).position(|(a, b)| a != b).unwrap_or_else(|| actual.len().min(expected.len()));
    let around = |bytes: &[u8]| {
        let from = at.saturating_sub(40).min(bytes.len());
        String::from_utf8_lossy(&bytes[from..(at + 40).min(bytes.len())]).into_owned()
    };
    format!("byte {at}: {:?} instead of {:?}", around(actual), around(expected))
}
