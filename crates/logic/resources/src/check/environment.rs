//! Environment variables and where their values come from.

use kind::Problem;
use object::names;

use super::formats;
use super::podspec::Scope;
use super::spot::{Problems, Spot};

/// Fields of the pod that a variable may be taken from.
const VARIABLE_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of the pod that a file may be taken from.
const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Every field that there is a name for.
const KNOWN_FIELDS: [&str; 15] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];

const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Variables of a container.
pub(crate) fn variables(list: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    for variable in list.items() {
        let name = variable.at("name");
        if name.need(out) {
            name.complain(out, formats::variable_name(name.text()));
        }
        let source = variable.at("valueFrom");
        if source.is_set() {
            value_source(&source, &variable, scope, out);
        }
    }
}

fn value_source(source: &Spot<'_>, variable: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let mut found = 0;
    for kind in ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"] {
        let spot = source.at(kind);
        if !spot.is_set() {
            continue;
        }
        found += 1;
        match kind {
            "fieldRef" => pod_field(&spot, &VARIABLE_FIELDS, out),
            "resourceFieldRef" => resource_field(&spot, false, out),
            "fileKeyRef" => file_key(&spot, scope, out),
            _ => key_of(&spot, out),
        }
    }
    let complain = |out: &mut Problems, detail: &str| out.push(Problem::invalid(source.path.clone(), "", detail));
    if found == 0 {
        complain(
            out,
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if !variable.at("value").text().is_empty() {
        complain(out, "may not be specified when `value` is not empty");
    } else if found > 1 {
        complain(out, "may not have more than one field specified at a time");
    }
}

fn key_of(spot: &Spot<'_>, out: &mut Problems) {
    spot.at("name").subdomain(out);
    let key = spot.at("key");
    if key.need(out) {
        key.complain(out, formats::data_key(key.text()));
    }
}

fn file_key(spot: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let (key, volume, path) = (spot.at("key"), spot.at("volumeName"), spot.at("path"));
    if key.need(out) {
        key.complain(out, formats::variable_name(key.text()));
    }
    if volume.need(out) && !scope.volumes.contains_key(volume.text()) {
        out.push(Problem::not_found(volume.path.clone(), volume.text()));
    }
    if path.need(out) {
        formats::descending_path(&path, out);
    }
}

/// A field of the pod itself, for a variable or for a file.
fn pod_field(spot: &Spot<'_>, supported: &[&str], out: &mut Problems) {
    if !spot.at("apiVersion").need(out) {
        return;
    }
    let path = spot.at("fieldPath");
    if !path.need(out) {
        return;
    }
    if let Some((field, key)) = path.text().strip_suffix("']").and_then(|rest| rest.split_once("['")) {
        let key = if field == "metadata.annotations" { key.to_lowercase() } else { key.to_owned() };
        match field {
            "metadata.annotations" | "metadata.labels" => {
                for text in names::qualified_name(&key) {
                    out.push(Problem::invalid(spot.path.clone(), key.as_str(), text));
                }
            }
            _ => out.push(Problem::invalid(spot.path.clone(), field, "does not support subscript")),
        }
        return;
    }
    if !KNOWN_FIELDS.contains(&path.text()) {
        path.invalid(out, format!("error converting fieldPath: field label not supported: {}", path.text()));
    } else if !supported.contains(&path.text()) {
        out.push(Problem::not_supported(path.path.clone(), path.text(), supported));
    }
}

/// A request or a limit of a container, for a variable or for a file.
fn resource_field(spot: &Spot<'_>, of_volume: bool, out: &mut Problems) {
    let resource = spot.at("resource");
    let paged = ["limits.hugepages-", "requests.hugepages-"].iter().any(|prefix| resource.text().starts_with(prefix));
    if of_volume && spot.at("containerName").is_empty() {
        spot.at("containerName").required(out, "");
    } else if resource.is_empty() {
        resource.required(out, "");
    } else if !RESOURCES.contains(&resource.text()) && !paged {
        out.push(Problem::not_supported(resource.path.clone(), resource.text(), &RESOURCES));
    }
    divisor(&spot.at("divisor"), resource.text(), out);
}

fn divisor(spot: &Spot<'_>, resource: &str, out: &mut Problems) {
    const SIZES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    if matches!(spot.text(), "" | "0") {
        return;
    }
    let (supported, listed, kind): (&[&str], String, &str) = match resource.split_once('.').map(|(_, kind)| kind) {
        Some("cpu") => (&["1m", "1"], "1m and 1".to_owned(), "cpu"),
        Some("memory") => (&SIZES, SIZES.join(", "), "memory"),
        Some("ephemeral-storage") => (&SIZES, SIZES.join(", "), "local ephemeral storage"),
        Some(kind) if kind.starts_with("hugepages-") => (&SIZES, SIZES.join(", "), "hugepages"),
        _ => return,
    };
    if !supported.contains(&spot.text()) {
        let detail = format!("only divisor's values {listed} are supported with the {kind} resource");
        out.push(Problem::invalid(spot.path.clone(), resource, detail));
    }
}

/// Objects that all variables are taken from.
pub(crate) fn sources(list: &Spot<'_>, out: &mut Problems) {
    for source in list.items() {
        let prefix = source.at("prefix");
        if !prefix.text().is_empty() {
            prefix.complain(out, formats::variable_name(prefix.text()));
        }
        let mut found = 0;
        for kind in ["configMapRef", "secretRef"] {
            let reference = source.at(kind);
            if reference.is_set() {
                found += 1;
                if reference.at("name").need(out) {
                    reference.at("name").subdomain(out);
                }
            }
        }
        let detail = match found {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        out.push(Problem::invalid(list.path.clone(), "", detail));
    }
}

/// Files made from the pod itself.
pub(crate) fn files(list: &Spot<'_>, out: &mut Problems) {
    for file in list.items() {
        let path = file.at("path");
        if path.need(out) {
            formats::descending_path(&path, out);
            if path.text().starts_with("..") {
                path.invalid(out, "must not start with '..'");
            }
        }
        let (field, resource) = (file.at("fieldRef"), file.at("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, both) => {
                pod_field(&field, &FILE_FIELDS, out);
                if both {
                    file.invalid(out, "fieldRef and resourceFieldRef can not be specified simultaneously");
                }
            }
            (false, true) => resource_field(&resource, true, out),
            (false, false) => file.required(out, "one of fieldRef and resourceFieldRef is required"),
        }
        file_mode(&file.at("mode"), out);
    }
}

/// Permissions of a file.
pub(crate) fn file_mode(mode: &Spot<'_>, out: &mut Problems) {
    if mode.int().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        mode.invalid(out, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}
