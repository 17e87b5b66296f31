//! Formats of scalars that several kinds share.

use kind::Problem;
use object::{Value, names};

use super::spot::{Problems, Spot};

const ID_MAX: i64 = 2_147_483_647;

/// A port's number or its name.
pub(crate) fn port(spot: &Spot<'_>, out: &mut Problems) {
    match spot.value {
        Some(Value::String(name)) => spot.complain(out, port_name(name)),
        _ => port_number(spot, out),
    }
}

/// A port's number.
pub(crate) fn port_number(spot: &Spot<'_>, out: &mut Problems) {
    let number = spot.int().unwrap_or(0);
    if !(1..=65_535).contains(&number) {
        out.push(Problem::invalid(spot.path.clone(), number, "must be between 1 and 65535, inclusive"));
    }
}

/// What is wrong with the name of a port: an IANA service name (RFC 6335).
pub(crate) fn port_name(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > 15 {
        problems.push("must be no more than 15 characters".to_owned());
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

/// A user's or group's number.
pub(crate) fn id(spot: &Spot<'_>, out: &mut Problems) {
    spot.within(out, 0, ID_MAX);
}

/// What is wrong with a key of a ConfigMap or Secret.
pub(crate) fn data_key(key: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if key.len() > 253 {
        problems.push("must be no more than 253 characters".to_owned());
    }
    let shaped = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() || !key.bytes().all(shaped) {
        problems.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
             'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    match key {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// What is wrong with the name of an environment variable.
pub(crate) fn variable_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if name.chars().all(|c| matches!(c, ' '..='~') && c != '=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

/// A path that stays below where it starts.
pub(crate) fn descending_path(spot: &Spot<'_>, out: &mut Problems) {
    if spot.text().starts_with('/') {
        spot.invalid(out, "must be a relative path");
    }
    no_backsteps(spot, out);
}

/// A path without `..` elements.
pub(crate) fn no_backsteps(spot: &Spot<'_>, out: &mut Problems) {
    if spot.text().split('/').any(|part| part == "..") {
        spot.invalid(out, "must not contain '..'");
    }
}

/// The name of an HTTP header.
pub(crate) fn header_name(name: &str) -> Vec<String> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    vec![
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation \
         is '[-A-Za-z0-9]+')"
            .to_owned(),
    ]
}

/// Labels given as a map.
pub(crate) fn labels(spot: &Spot<'_>, out: &mut Problems) {
    for (key, value) in spot.entries() {
        for text in names::qualified_name(key) {
            out.push(Problem::invalid(spot.path.clone(), key, text));
        }
        for text in names::label_value(value.text()) {
            out.push(Problem::invalid(spot.path.clone(), value.text(), text));
        }
    }
}

/// Annotations given as a map.
pub(crate) fn annotations(spot: &Spot<'_>, out: &mut Problems) {
    for (key, _) in spot.entries() {
        for text in names::qualified_name(&key.to_lowercase()) {
            out.push(Problem::invalid(spot.path.clone(), key, text));
        }
    }
}

/// A label selector.
pub(crate) fn label_selector(spot: &Spot<'_>, out: &mut Problems) {
    labels(&spot.at("matchLabels"), out);
    for requirement in spot.at("matchExpressions").items() {
        let values = requirement.at("values");
        match requirement.at("operator").text() {
            "In" | "NotIn" if values.is_empty() => {
                values.required(out, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if values.is_empty() => {}
            "Exists" | "DoesNotExist" => {
                values.forbidden(out, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            operator => {
                let path = requirement.path.field("operator");
                out.push(Problem::invalid(path, operator, "not a valid selector operator"));
            }
        }
        requirement.at("key").qualified(out);
        for value in values.items() {
            value.complain(out, names::label_value(value.text()));
        }
    }
}

/// Whether labels satisfy a label selector that is well-formed.
pub(crate) fn selects(selector: &Spot<'_>, labels: &Spot<'_>) -> bool {
    let label = |key: &str| labels.value.and_then(|map| map.str_at(&[key]));
    let equal = selector.at("matchLabels").entries().all(|(key, value)| label(key) == Some(value.text()));
    equal
        && selector.at("matchExpressions").items().all(|requirement| {
            let found = label(requirement.at("key").text());
            let listed = found.is_some_and(|found| requirement.at("values").texts().any(|value| value == found));
            match requirement.at("operator").text() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

/// A whole number or a percentage, neither of them negative.
pub(crate) fn count_or_percent(spot: &Spot<'_>, out: &mut Problems) {
    match spot.value {
        Some(Value::String(text)) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                spot.invalid(
                    out,
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                     used for validation is '[0-9]+%')",
                );
            }
        }
        _ => spot.nonnegative(out),
    }
}

/// The percentage that is written here.
pub(crate) fn percent(spot: &Spot<'_>) -> Option<i64> {
    spot.text().strip_suffix('%')?.parse().ok()
}

/// A percentage of at most one hundred.
pub(crate) fn at_most_all(spot: &Spot<'_>, out: &mut Problems) {
    if percent(spot).is_some_and(|percent| percent > 100) {
        spot.invalid(out, "must not be greater than 100%");
    }
}
