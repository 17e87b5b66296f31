//! What a request's query says.

use gate::{Authorized, Query, Target};
use kind::{GroupKind, Problem, Refusal, Strategy};
use object::selector::{FieldSelector, LabelSelector};
use object::{Path, Value};
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
    selection_of(&call.by, &call.target, call.registry.strategy().as_ref())
}

/// Which objects of a kind a request is about.
pub(crate) fn selection_of(by: &Authorized, target: &Target, strategy: &dyn Strategy) -> Result<Selection, Refusal> {
    let query = &by.info().query;
    let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
        .map_err(|error| Refusal::BadRequest(format!("unable to parse requirement: {error}")))?;
    let mut fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())
        .map_err(|error| Refusal::BadRequest(error.to_string()))?;
    check_fields(strategy, &fields)?;
    for requirement in &mut fields.requirements {
        if let Some(stored) = strategy.stored_name(&requirement.field) {
            requirement.field = stored.into();
        }
    }
    let namespace = if strategy.resource().namespaced { target.namespace.clone() } else { String::new() };
    Ok(Selection { namespace, name: target.name.clone(), labels, fields })
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
    judged("ListOptions", list_problems(query))?;
    let revision = revision(query)?;
    let freshness = match (query.get("resourceVersionMatch").unwrap_or_default(), revision) {
        (_, None) => Freshness::Consistent,
        ("Exact", Some(revision)) => Freshness::Exact(revision),
        (_, Some(Revision(0))) => Freshness::Any,
        ("", Some(revision)) if limit > 0 => Freshness::Exact(revision),
        (_, Some(revision)) => Freshness::NotOlderThan(revision),
    };
    if !continue_token.is_empty() && !matches!(freshness, Freshness::Consistent | Freshness::Any) {
        return Err(Refusal::BadRequest("specifying resource version is not allowed when using continue".to_owned()));
    }
    let limit = usize::try_from(limit.max(0)).unwrap_or(usize::MAX);
    Ok(ListOptions { selection: selection(call)?, freshness, limit, continue_token })
}

fn list_problems(query: &Query) -> Vec<Problem> {
    let path = Path::of("resourceVersionMatch");
    let set = |key: &str| query.get(key).is_some_and(|value| !value.is_empty());
    let mut problems = Vec::new();
    if let Some(matching) = query.get("resourceVersionMatch").filter(|matching| !matching.is_empty()) {
        if !set("resourceVersion") {
            let text = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            problems.push(Problem::forbidden(path.clone(), text));
        }
        problems.extend(with_continue(query));
        if !matches!(matching, "Exact" | "NotOlderThan") {
            problems.push(Problem::not_supported(path.clone(), matching, &["Exact", "NotOlderThan", ""]));
        }
        if matching == "Exact" && query.get("resourceVersion") == Some("0") {
            let text = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            problems.push(Problem::forbidden(path, text));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        problems.push(Problem::forbidden(Path::of("sendInitialEvents"), "sendInitialEvents is forbidden for list"));
    }
    problems
}

fn with_continue(query: &Query) -> Option<Problem> {
    query.get("continue").filter(|token| !token.is_empty()).map(|_| {
        let text = "resourceVersionMatch is forbidden when continue is provided";
        Problem::forbidden(Path::of("resourceVersionMatch"), text)
    })
}

pub(super) fn watch(call: &Call) -> Result<WatchOptions, Refusal> {
    let query = &call.by.info().query;
    judged("ListOptions", watch_problems(query))?;
    let revision = revision(query)?;
    let initial_events = query.flag("sendInitialEvents");
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

fn watch_problems(query: &Query) -> Vec<Problem> {
    let path = Path::of("resourceVersionMatch");
    let matching = query.get("resourceVersionMatch").unwrap_or_default();
    let mut problems = Vec::new();
    let asked = query.get("sendInitialEvents").is_some();
    if asked && matching != "NotOlderThan" {
        let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        problems.push(Problem::forbidden(path.clone(), text));
    }
    if matching.is_empty() {
        return problems;
    }
    if !asked {
        let text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        problems.push(Problem::forbidden(path.clone(), text));
    }
    if matching != "NotOlderThan" {
        problems.push(Problem::not_supported(path, matching, &["NotOlderThan"]));
    }
    problems.extend(with_continue(query));
    problems
}

/// How old a single object may be.
pub(super) fn freshness(query: &Query) -> Result<Freshness, Refusal> {
    Ok(match revision(query)? {
        None => Freshness::Consistent,
        Some(Revision(0)) => Freshness::Any,
        Some(revision) => Freshness::NotOlderThan(revision),
    })
}

/// What a write's query says. `options` is the kind that it stands for, such as `CreateOptions`.
pub(super) fn write(call: &Call, options: &str) -> Result<(WriteOptions, FieldValidation), Refusal> {
    let query = &call.by.info().query;
    let manager = query.get("fieldManager").unwrap_or_default();
    let mut problems = manager_problems(manager);
    problems.extend(dry_run_problem(query, None));
    let validation = query.get("fieldValidation").unwrap_or_default();
    let validation = match validation {
        "Ignore" => FieldValidation::Ignore,
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        other => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            problems.push(Problem::not_supported(Path::of("fieldValidation"), other, &supported));
            FieldValidation::Warn
        }
    };
    judged(options, problems)?;
    let manager = match manager {
        "" => default_manager(call),
        manager => manager.to_owned(),
    };
    Ok((WriteOptions { dry_run: is_dry(query), field_manager: manager, owners_settled: false }, validation))
}

fn manager_problems(manager: &str) -> Vec<Problem> {
    let path = Path::of("fieldManager");
    let mut problems = Vec::new();
    if manager.len() > patch::apply::MANAGER_BYTES_MAX {
        problems.push(Problem::too_long(path.clone(), patch::apply::MANAGER_BYTES_MAX));
    }
    for (position, odd) in manager.char_indices().filter(|(_, letter)| letter.is_control()) {
        let text = format!("invalid character U+{:04X} (at position {position})", u32::from(odd));
        problems.push(Problem::invalid(path.clone(), manager, text));
    }
    problems
}

/// Clients that do not name themselves are known by the first word of their user agent.
fn default_manager(call: &Call) -> String {
    let agent = call.by.parts().headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    patch::apply::manager_name(agent.unwrap_or("unknown"))
}

/// `dryRun` can be repeated; anything but `All` is refused rather than taken for a wish to store.
fn dry_run_problem(query: &Query, body: Option<&Value>) -> Option<Problem> {
    let in_body = body.into_iter().flat_map(|body| body.list_at(&["dryRun"])).filter_map(Value::as_str);
    let said: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).chain(in_body).collect();
    let known = said.iter().all(|value| *value == "All");
    (!known).then(|| Problem::not_supported(Path::of("dryRun"), said, &["All"]))
}

fn is_dry(query: &Query) -> bool {
    query.all("dryRun").any(|value| value == "All")
}

/// Deletion options from the body, completed from the query.
pub(super) fn delete(query: &Query, body: Option<&Value>) -> Result<DeleteOptions, Refusal> {
    let text = |key: &str| -> Option<String> {
        let in_body = body.and_then(|body| body.str_at(&[key])).map(str::to_owned);
        in_body.or_else(|| query.get(key).map(str::to_owned)).filter(|text| !text.is_empty())
    };
    let in_body = |keys: &[&str]| body.and_then(|body| body.str_at(keys)).map(str::to_owned);
    let grace_seconds = match body.and_then(|body| body.int_at(&["gracePeriodSeconds"])) {
        Some(seconds) => Some(seconds),
        None => number(query, "gracePeriodSeconds")?,
    };
    let orphan = body.and_then(|body| body.get("orphanDependents")).and_then(Value::as_bool);
    let orphan = orphan.or_else(|| query.get("orphanDependents").map(|_| query.flag("orphanDependents")));
    let propagation = text("propagationPolicy");
    let path = Path::of("propagationPolicy");
    let mut problems = Vec::new();
    if let Some(policy) = &propagation {
        if orphan.is_some() {
            let text = "orphanDependents and deletionPropagation cannot be both set";
            problems.push(Problem::invalid(path.clone(), policy.as_str(), text));
        }
        if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            problems.push(Problem::not_supported(path, policy.as_str(), &supported));
        }
    }
    problems.extend(dry_run_problem(query, body));
    judged("DeleteOptions", problems)?;
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
        dry_run: in_body_dry || is_dry(query),
    })
}

fn revision(query: &Query) -> Result<Option<Revision>, Refusal> {
    match query.get("resourceVersion").unwrap_or_default() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) => Ok(Some(Revision(number))),
            Err(_not_a_number) => Err(Refusal::BadRequest(format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))),
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

/// All complaints about options as one refusal.
pub(super) fn judged(options: &str, problems: Vec<Problem>) -> Result<(), Refusal> {
    if problems.is_empty() {
        return Ok(());
    }
    let kind = GroupKind { group: "meta.k8s.io".into(), name: options.into() };
    Err(Refusal::Invalid { kind, name: String::new(), problems })
}
