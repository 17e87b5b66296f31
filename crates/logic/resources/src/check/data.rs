//! ConfigMaps and Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kind::{Context, Problem};
use object::{Path, Value};

use super::spot::{Problems, Spot};
use super::{formats, over};

/// Most bytes of all values together.
const BYTES_MAX: usize = 1024 * 1024;

/// What is wrong with a ConfigMap.
pub(crate) fn config_map(_context: &Context<'_>, map: &Value) -> Vec<Problem> {
    over(map, |map, out| {
        let (data, binary) = (map.at("data"), map.at("binaryData"));
        let mut bytes = 0;
        for (key, value) in data.entries() {
            keys(&value, key, out);
            if binary.value.is_some_and(|binary| binary.get(key).is_some()) {
                let detail = "duplicate of key present in binaryData";
                out.push(Problem::invalid(value.path.clone(), key, detail));
            }
            bytes += value.text().len();
        }
        for (key, value) in binary.entries() {
            keys(&value, key, out);
            bytes += decoded_length(value.text());
        }
        if bytes > BYTES_MAX {
            out.push(Problem::too_long(Path::root(), BYTES_MAX));
        }
    })
}

fn keys(value: &Spot<'_>, key: &str, out: &mut Problems) {
    for text in formats::data_key(key) {
        out.push(Problem::invalid(value.path.clone(), key, text));
    }
}

fn decoded_length(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
}

/// What is wrong with a changed ConfigMap.
pub(crate) fn config_map_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = frozen(new, old, &["data", "binaryData"]);
    out.extend(config_map(context, new));
    out
}

/// An object that was declared immutable stays so.
fn frozen(new: &Value, old: &Value, fields: &[&str]) -> Vec<Problem> {
    let (new, old) = (Spot::root(new), Spot::root(old));
    let mut out = Problems::new();
    if old.at("immutable").flag() {
        if !new.at("immutable").flag() {
            new.at("immutable").forbidden(&mut out, "field is immutable when `immutable` is set");
        }
        for field in fields {
            if new.at(field).differs(&old.at(field)) {
                new.at(field).forbidden(&mut out, "field is immutable when `immutable` is set");
            }
        }
    }
    out
}

/// What is wrong with a Secret.
pub(crate) fn secret(_context: &Context<'_>, secret: &Value) -> Vec<Problem> {
    over(secret, |secret, out| {
        let data = secret.at("data");
        let mut bytes = 0;
        for (key, value) in data.entries() {
            keys(&value, key, out);
            bytes += decoded_length(value.text());
        }
        if bytes > BYTES_MAX {
            out.push(Problem::too_long(data.path.clone(), BYTES_MAX));
        }
        of_type(secret, &data, out);
    })
}

fn of_type(secret: &Spot<'_>, data: &Spot<'_>, out: &mut Problems) {
    let has = |key: &str| data.value.is_some_and(|data| data.get(key).is_some());
    let need = |keys: &[&str], out: &mut Problems| {
        for key in keys.iter().filter(|key| !has(key)) {
            out.push(Problem::required(data.path.key(key), ""));
        }
    };
    match secret.at("type").text() {
        "kubernetes.io/service-account-token" => {
            let account = secret
                .value
                .and_then(|secret| secret.str_at(&["metadata", "annotations", "kubernetes.io/service-account.name"]));
            if account.unwrap_or_default().is_empty() {
                let path = Path::of("metadata.annotations").key("kubernetes.io/service-account.name");
                out.push(Problem::required(path, ""));
            }
        }
        "kubernetes.io/dockercfg" => document(data, ".dockercfg", out),
        "kubernetes.io/dockerconfigjson" => document(data, ".dockerconfigjson", out),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => need(&["username", "password"], out),
        "kubernetes.io/ssh-auth" => {
            let empty = data.value.and_then(|data| data.str_at(&["ssh-privatekey"])).unwrap_or_default().is_empty();
            if empty {
                need_key(data, "ssh-privatekey", out);
            }
        }
        "kubernetes.io/tls" => need(&["tls.crt", "tls.key"], out),
        _ => {}
    }
}

fn need_key(data: &Spot<'_>, key: &str, out: &mut Problems) {
    out.push(Problem::required(data.path.key(key), ""));
}

/// A key that must hold a JSON document.
fn document(data: &Spot<'_>, key: &str, out: &mut Problems) {
    let Some(text) = data.value.and_then(|data| data.get(key)) else {
        need_key(data, key, out);
        return;
    };
    let bytes = STANDARD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
    if let Err(error) = codec::json::check(&bytes) {
        out.push(Problem::invalid(data.path.key(key), "<secret contents redacted>", error.to_string()));
    }
}

/// What is wrong with a changed Secret.
pub(crate) fn secret_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    Spot::root(new).at("type").immutable(&mut out, &Spot::root(old).at("type"));
    out.extend(frozen(new, old, &["data"]));
    out.extend(secret(context, new));
    out
}
