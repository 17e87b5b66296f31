//! What a request's query says.

use gate::Query;
use kind::{Refusal, Strategy};
use object::selector::{FieldSelector, LabelSelector};
use registry::{DeleteOptions, Freshness, ListOptions, Preconditions, Selection, WatchOptions, WriteOptions};
use store::Revision;

use super::Call;

/// What becomes of unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

pub(super) fn selection(call: &Call) -> Result<Selection, Refusal> {
    let query = &call.by.info().query;
    let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
        .map_err(|error| Refusal::BadRequest(format!("unable to parse requirement: {error}")))?;
    let fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())
        .map_err(|error| Refusal::BadRequest(error.to_string()))?;
    check_fields(call.registry.strategy().as_ref(), &fields)?;
    let namespace = if call.resource().namespaced { call.target.namespace.clone() } else { String::new() };
    Ok(Selection { namespace, name: call.target.name.clone(), labels, fields })
}

fn check_fields(strategy: &dyn Strategy, fields: &FieldSelector) -> Result<(), Refusal> {
    let known = strategy.selectable_names();
    for requirement in &fields.requirements {
        let name = requirement.field.as_str();
        if !matches!(name, "metadata.name" | "metadata.namespace") && !known.contains(&name) {
            let resource = strategy.resource();
            return Err(Refusal::BadRequest(format!(
                "Unable to find \"{}/{}, Resource={}\" that match label selector \"\", field selector \"{fields}\": \
                 field label not supported: {name}",
                resource.group, resource.version, resource.plural
            )));
        }
    }
    Ok(())
}

pub(super) fn list(call: &Call) -> Result<ListOptions, Refusal> {
    let query = &call.by.info().query;
    let continue_token = query.get("continue").unwrap_or_default().to_owned();
    let limit: i64 = number(query, "limit")?.unwrap_or(0);
    if query.flag("sendInitialEvents") || query.get("sendInitialEvents").is_some() {
        return Err(invalid_options("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    let revision = revision(query)?;
    let freshness = match (query.get("resourceVersionMatch").unwrap_or_default(), revision) {
        ("", None) => Freshness::Consistent,
        ("", Some(Revision(0))) => Freshness::Any,
        ("", Some(revision)) if limit > 0 => Freshness::Exact(revision),
        ("", Some(revision)) => Freshness::NotOlderThan(revision),
        ("NotOlderThan", Some(Revision(0))) => Freshness::Any,
        ("NotOlderThan", Some(revision)) => Freshness::NotOlderThan(revision),
        ("Exact", Some(Revision(0))) => {
            return Err(invalid_options(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
        ("Exact", Some(revision)) => Freshness::Exact(revision),
        (_, None) => {
            return Err(invalid_options(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        (_, Some(_)) => {
            return Err(invalid_options("resourceVersionMatch", "supported values: \"Exact\", \"NotOlderThan\""));
        }
    };
    if !continue_token.is_empty() && !matches!(freshness, Freshness::Consistent | Freshness::Any) {
        return Err(Refusal::BadRequest("specifying resource version is not allowed when using continue".to_owned()));
    }
    let limit = usize::try_from(limit.max(0)).unwrap_or(usize::MAX);
    Ok(ListOptions { selection: selection(call)?, freshness, limit, continue_token })
}

pub(super) fn watch(call: &Call) -> Result<WatchOptions, Refusal> {
    let query = &call.by.info().query;
    let revision = revision(query)?;
    let matching = query.get("resourceVersionMatch").unwrap_or_default();
    let initial_events = query.flag("sendInitialEvents");
    if initial_events && matching != "NotOlderThan" {
        return Err(invalid_options(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if query.get("sendInitialEvents").is_none() && !matching.is_empty() {
        return Err(invalid_options(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    let freshness = match revision {
        None => Freshness::Consistent,
        Some(Revision(0)) => Freshness::Any,
        Some(revision) => Freshness::NotOlderThan(revision),
    };
    let declined = query.get("sendInitialEvents").is_some() && !initial_events;
    let from = match revision {
        Some(revision) if revision > Revision(0) && !initial_events => Some(revision),
        // "No initial events" without a revision means from now on.
        _ if declined => Some(call.registry.cache().progress().revision),
        _ => None,
    };
    let bookmarks = query.flag("allowWatchBookmarks");
    Ok(WatchOptions { selection: selection(call)?, from, initial_events, freshness, bookmarks })
}

/// How old a single object may be.
pub(super) fn freshness(query: &Query) -> Result<Freshness, Refusal> {
    Ok(match revision(query)? {
        None => Freshness::Consistent,
        Some(Revision(0)) => Freshness::Any,
        Some(revision) => Freshness::NotOlderThan(revision),
    })
}

pub(super) fn write(call: &Call) -> Result<WriteOptions, Refusal> {
    let query = &call.by.info().query;
    let manager = query.get("fieldManager").unwrap_or_default();
    if manager.len() > patch::apply::MANAGER_BYTES_MAX {
        return Err(invalid_options("fieldManager", "may not be more than 128 bytes"));
    }
    let manager = match manager {
        "" => default_manager(call),
        manager => manager.to_owned(),
    };
    Ok(WriteOptions { dry_run: dry_run(query)?, field_manager: manager, owners_settled: false })
}

/// Clients that do not name themselves are known by the first word of their user agent.
fn default_manager(call: &Call) -> String {
    let agent = call.by.parts().headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    patch::apply::manager_name(agent.unwrap_or("unknown"))
}

pub(super) fn dry_run(query: &Query) -> Result<bool, Refusal> {
    let mut dry = false;
    for value in query.all("dryRun") {
        match value {
            "All" => dry = true,
            "" => {}
            _ => return Err(invalid_options("dryRun", "Unsupported value: supported values: \"All\"")),
        }
    }
    Ok(dry)
}

pub(super) fn field_validation(query: &Query) -> Result<FieldValidation, Refusal> {
    match query.get("fieldValidation").unwrap_or_default() {
        "Ignore" => Ok(FieldValidation::Ignore),
        "" | "Warn" => Ok(FieldValidation::Warn),
        "Strict" => Ok(FieldValidation::Strict),
        other => Err(Refusal::BadRequest(format!(
            "fieldValidation: Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
        ))),
    }
}

/// Deletion options from the body, completed from the query.
pub(super) fn delete(query: &Query, body: Option<&object::Value>) -> Result<DeleteOptions, Refusal> {
    let text = |key: &str| -> Option<String> {
        let in_body = body.and_then(|body| body.str_at(&[key])).map(str::to_owned);
        in_body.or_else(|| query.get(key).map(str::to_owned)).filter(|text| !text.is_empty())
    };
    let in_body = |keys: &[&str]| body.and_then(|body| body.str_at(keys)).map(str::to_owned);
    let grace_seconds = match body.and_then(|body| body.int_at(&["gracePeriodSeconds"])) {
        Some(seconds) => Some(seconds),
        None => number(query, "gracePeriodSeconds")?,
    };
    let orphan = body.and_then(|body| body.get("orphanDependents")).and_then(object::Value::as_bool);
    let orphan = orphan.or_else(|| query.get("orphanDependents").map(|_| query.flag("orphanDependents")));
    let propagation = text("propagationPolicy");
    if orphan.is_some() && propagation.is_some() {
        return Err(invalid_options(
            "propagationPolicy",
            "orphanDependents and deletionPropagation cannot be both set",
        ));
    }
    if let Some(policy) =
        propagation.as_deref().filter(|policy| !matches!(*policy, "Foreground" | "Background" | "Orphan"))
    {
        let text =
            format!("Unsupported value: {policy:?}: supported values: \"Background\", \"Foreground\", \"Orphan\"");
        return Err(invalid_options("propagationPolicy", &text));
    }
    let propagation =
        propagation.or_else(|| orphan.map(|orphan| if orphan { "Orphan" } else { "Background" }.to_owned()));
    let in_body_dry =
        body.is_some_and(|body| body.list_at(&["dryRun"]).iter().any(|value| value.as_str() == Some("All")));
    Ok(DeleteOptions {
        preconditions: Preconditions {
            uid: in_body(&["preconditions", "uid"]),
            resource_version: in_body(&["preconditions", "resourceVersion"]),
        },
        grace_seconds,
        propagation,
        dry_run: in_body_dry || dry_run(query)?,
    })
}

fn revision(query: &Query) -> Result<Option<Revision>, Refusal> {
    match query.get("resourceVersion").unwrap_or_default() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) => Ok(Some(Revision(number))),
            Err(_not_a_number) => Err(invalid_options(
                "resourceVersion",
                &format!("Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"),
            )),
        },
    }
}

pub(super) fn number(query: &Query, key: &str) -> Result<Option<i64>, Refusal> {
    match query.get(key).unwrap_or_default() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_not_a_number| {
            Refusal::BadRequest(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        }),
    }
}

fn invalid_options(field: &str, problem: &str) -> Refusal {
    Refusal::BadRequest(format!("invalid options: {field}: {problem}"))
}
