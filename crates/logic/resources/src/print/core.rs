//! Tables of the core group's smaller kinds.

use kind::{AGE, Cell, Column, NAME};
use object::Value;

use super::{column, count, name, shown};
use crate::tree::text;

pub(crate) const NAMESPACE: &[Column] =
    &[NAME, column("Status", "string", "Whether the namespace is in use or going."), AGE];

pub(crate) fn namespace(namespace: &Value) -> Vec<Cell> {
    vec![name(namespace), Cell::from(text(namespace, &["status", "phase"])), kind::age(namespace)]
}

pub(crate) const DATA_COUNT: &[Column] = &[NAME, column("Data", "string", "Number of entries."), AGE];

pub(crate) fn config_map(map: &Value) -> Vec<Cell> {
    let entries = count(map, &["data"]) + count(map, &["binaryData"]);
    vec![name(map), Cell::from(entries), kind::age(map)]
}

pub(crate) const SECRET: &[Column] =
    &[NAME, column("Type", "string", "What the secret is for."), column("Data", "string", "Number of entries."), AGE];

pub(crate) fn secret(secret: &Value) -> Vec<Cell> {
    let entries = Cell::from(count(secret, &["data"]));
    vec![name(secret), Cell::from(text(secret, &["type"])), entries, kind::age(secret)]
}

pub(crate) const SERVICE_ACCOUNT: &[Column] = &[NAME, AGE];

pub(crate) fn service_account(account: &Value) -> Vec<Cell> {
    super::name_and_age(account)
}

pub(crate) const COMPONENT_STATUS: &[Column] = &[
    NAME,
    column("Status", "string", "Whether the component is healthy."),
    column("Message", "string", "What the component says, or why it cannot be asked."),
    column("Error", "string", "Why nothing is known."),
];

pub(crate) fn component_status(component: &Value) -> Vec<Cell> {
    let conditions = component.list_at(&["conditions"]);
    let healthy = conditions.iter().find(|condition| text(condition, &["type"]) == "Healthy");
    let (status, message, error) = match healthy {
        Some(condition) => {
            let is_healthy = text(condition, &["status"]) == "True";
            let status = if is_healthy { "Healthy" } else { "Unhealthy" };
            (status, text(condition, &["message"]), text(condition, &["error"]))
        }
        None => ("Unknown", "", ""),
    };
    vec![name(component), Cell::from(status), Cell::from(message), Cell::from(error)]
}

/// The table of kinds for which upstream has no printer.
pub(crate) const CREATED_AT: &[Column] = &[NAME, column("Created At", "date", "When the object was created.")];

pub(crate) fn created_at(object: &Value) -> Vec<Cell> {
    vec![name(object), Cell::from(text(object, &["metadata", "creationTimestamp"]))]
}

pub(crate) const RESOURCE_QUOTA: &[Column] = &[
    NAME,
    column("Request", "string", "Requests in use, of what may be used."),
    column("Limit", "string", "Limits in use, of what may be used."),
    AGE,
];

pub(crate) fn resource_quota(quota: &Value) -> Vec<Cell> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let hard = quota.at(&["status", "hard"]).and_then(Value::as_map).into_iter().flat_map(object::Map::iter);
    for (resource, most) in hard {
        let used = quota.at(&["status", "used", resource]).map_or_else(|| "0".to_owned(), shown);
        let list = if resource.starts_with("limits.") || resource == "limits" { &mut limits } else { &mut requests };
        list.push(format!("{resource}: {used}/{}", shown(most)));
    }
    vec![name(quota), Cell::from(requests.join(", ")), Cell::from(limits.join(", ")), kind::age(quota)]
}
