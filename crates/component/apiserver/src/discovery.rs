//! Discovery documents, from the table of routes.

use gate::Authorized;
use kind::{Resource, Subresource, Verbs};
use object::{Text, Value};

use crate::routes::{Answerer, Table};

/// The document at a path below `/api` or `/apis`, and its kind.
pub(crate) fn classic(table: &Table, segments: &[&str], by: &Authorized) -> Option<(Value, &'static str)> {
    match segments {
        ["api"] => Some((api_versions(by), "APIVersions")),
        ["apis"] => {
            let groups: Vec<Value> = groups(table).into_iter().map(|group| api_group(table, &group)).collect();
            Some((Value::from_pairs([("groups", groups)]), "APIGroupList"))
        }
        ["apis", group] => {
            groups(table).iter().any(|known| known == group).then(|| (api_group(table, group), "APIGroup"))
        }
        ["api", version] => resources(table, "", version),
        ["apis", group, version] => resources(table, group, version),
        _ => None,
    }
}

/// All groups (or the core one) with all their resources in one document (KEP-3352).
pub(crate) fn aggregated(table: &Table, core: bool) -> Vec<u8> {
    let names: Vec<Text> = if core { vec![Text::default()] } else { groups(table) };
    let items: Vec<Value> = names.iter().map(|group| group_discovery(table, group)).collect();
    let tree = Value::from_pairs([
        ("kind", Value::from("APIGroupDiscoveryList")),
        ("apiVersion", Value::from("apidiscovery.k8s.io/v2")),
        ("metadata", Value::map()),
        ("items", Value::from(items)),
    ]);
    let mut text = match codec::Root::builtin("apidiscovery.k8s.io/v2", "APIGroupDiscoveryList") {
        Some(root) => codec::json::encode(&tree, root),
        None => Vec::new(),
    };
    text.push(b'\n');
    text
}

/// Groups other than core, in the order of their first row.
fn groups(table: &Table) -> Vec<Text> {
    let mut groups: Vec<Text> = Vec::new();
    for row in &table.rows {
        if !row.resource.group.is_empty() && !groups.contains(&row.resource.group) {
            groups.push(row.resource.group.clone());
        }
    }
    groups
}

/// Versions of a group, the preferred one first.
fn versions(table: &Table, group: &str) -> Vec<Text> {
    let mut versions: Vec<Text> = Vec::new();
    for row in table.rows.iter().filter(|row| row.resource.group == group) {
        if !versions.contains(&row.resource.version) {
            versions.push(row.resource.version.clone());
        }
    }
    versions.sort_by(|left, right| object::names::version_order(right, left));
    versions
}

fn api_versions(by: &Authorized) -> Value {
    let host = by.parts().headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| by.parts().uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let address = Value::from_pairs([("clientCIDR", "0.0.0.0/0"), ("serverAddress", host)]);
    Value::from_pairs([
        ("versions", Value::from(vec!["v1"])),
        ("serverAddressByClientCIDRs", Value::from(vec![address])),
    ])
}

fn api_group(table: &Table, group: &str) -> Value {
    let entry = |version: &Text| {
        Value::from_pairs([("groupVersion", format!("{group}/{version}")), ("version", version.to_string())])
    };
    let versions = versions(table, group);
    let mut tree = Value::map();
    tree.set(&["name"], group);
    tree.set(&["versions"], versions.iter().map(entry).collect::<Vec<Value>>());
    if let Some(preferred) = versions.first() {
        tree.set(&["preferredVersion"], entry(preferred));
    }
    tree
}

fn resources(table: &Table, group: &str, version: &str) -> Option<(Value, &'static str)> {
    let mut entries = Vec::new();
    let of_version = |resource: &Resource| resource.group == group && resource.version == version;
    for row in table.rows.iter().filter(|row| of_version(&row.resource)) {
        entries.push(resource_entry(&row.resource, matches!(row.answerer, Answerer::Stored(_))));
        entries.extend(row.resource.subresources.iter().map(|sub| subresource_entry(&row.resource, sub)));
    }
    if entries.is_empty() {
        return None;
    }
    entries.sort_by(|left: &Value, right| left.str_at(&["name"]).cmp(&right.str_at(&["name"])));
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let tree = Value::from_pairs([("groupVersion", Value::from(group_version)), ("resources", Value::from(entries))]);
    Some((tree, "APIResourceList"))
}

fn resource_entry(resource: &Resource, stored: bool) -> Value {
    let mut entry = Value::from_pairs([
        ("name", Value::from(resource.plural.clone())),
        ("singularName", Value::from(resource.singular.clone())),
        ("namespaced", Value::from(resource.namespaced)),
        ("kind", Value::from(resource.kind.clone())),
        ("verbs", Value::from(verb_names(resource.verbs))),
    ]);
    if !resource.short_names.is_empty() {
        entry.set(&["shortNames"], resource.short_names.clone());
    }
    if !resource.categories.is_empty() {
        entry.set(&["categories"], resource.categories.clone());
    }
    if stored {
        entry.set(&["storageVersionHash"], storage_version_hash(resource));
    }
    entry
}

fn subresource_entry(resource: &Resource, subresource: &Subresource) -> Value {
    let mut entry = Value::from_pairs([
        ("name", Value::from(format!("{}/{}", resource.plural, subresource.name))),
        ("singularName", Value::from("")),
        ("namespaced", Value::from(resource.namespaced)),
        ("kind", Value::from(subresource.kind.clone())),
        ("verbs", Value::from(verb_names(subresource.verbs))),
    ]);
    if subresource.api_version != resource.api_version() {
        let (group, version) = split(&subresource.api_version);
        if !group.is_empty() {
            entry.set(&["group"], group);
        }
        entry.set(&["version"], version);
    }
    entry
}

fn group_discovery(table: &Table, group: &str) -> Value {
    let versions: Vec<Value> = versions(table, group)
        .iter()
        .map(|version| {
            let rows = table.rows.iter().filter(|row| row.resource.group == group && row.resource.version == *version);
            let mut resources: Vec<Value> = rows.map(|row| resource_discovery(&row.resource)).collect();
            resources.sort_by(|left, right| left.str_at(&["resource"]).cmp(&right.str_at(&["resource"])));
            Value::from_pairs([
                ("version", Value::from(version.clone())),
                ("freshness", Value::from("Current")),
                ("resources", Value::from(resources)),
            ])
        })
        .collect();
    let mut metadata = Value::map();
    if !group.is_empty() {
        metadata.set(&["name"], group);
    }
    Value::from_pairs([("metadata", metadata), ("versions", Value::from(versions))])
}

fn resource_discovery(resource: &Resource) -> Value {
    let response_kind = |group: &str, version: &str, kind: &str| {
        Value::from_pairs([("group", group), ("version", version), ("kind", kind)])
    };
    let mut entry = Value::from_pairs([
        ("resource", Value::from(resource.plural.clone())),
        ("responseKind", response_kind("", "", &resource.kind)),
        ("scope", Value::from(if resource.namespaced { "Namespaced" } else { "Cluster" })),
        ("singularResource", Value::from(resource.singular.clone())),
        ("verbs", Value::from(verb_names(resource.verbs))),
    ]);
    if !resource.short_names.is_empty() {
        entry.set(&["shortNames"], resource.short_names.clone());
    }
    if !resource.categories.is_empty() {
        entry.set(&["categories"], resource.categories.clone());
    }
    let mut subresources: Vec<Value> = Vec::new();
    for subresource in &resource.subresources {
        let own = subresource.api_version == resource.api_version();
        let (group, version) = if own { ("", "") } else { split(&subresource.api_version) };
        subresources.push(Value::from_pairs([
            ("subresource", Value::from(subresource.name.clone())),
            ("responseKind", response_kind(group, version, &subresource.kind)),
            ("verbs", Value::from(verb_names(subresource.verbs))),
        ]));
    }
    subresources.sort_by(|left, right| left.str_at(&["subresource"]).cmp(&right.str_at(&["subresource"])));
    if !subresources.is_empty() {
        entry.set(&["subresources"], subresources);
    }
    entry
}

fn verb_names(verbs: Verbs) -> Vec<&'static str> {
    verbs.iter().map(kind::Verb::name).collect()
}

fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Eight bytes of a digest of what is stored, which tells clients when stored forms change.
fn storage_version_hash(resource: &Resource) -> String {
    let (group, version) = split(&resource.stored.api_version);
    registry::short_hash(&format!("{group}/{version}/{}", resource.kind))
}
