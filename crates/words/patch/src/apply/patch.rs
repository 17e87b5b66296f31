//! Applying a configuration: merge it, take away what its manager does not say any more, find conflicts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use object::{Meta, Text, Value};

use super::conflict::{ApplyError, Conflicts};
use super::diff::Diff;
use super::managers::{Entry, Fields, Managers, Operation};
use super::set::FieldSet;
use super::text::Glance;
use super::topology::Topology;
use super::update::{Lost, put_managed_fields, strip, track};
use super::{Write, last_applied, order, versions};

/// Who owns what was there before anybody applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// An object after a configuration was applied to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object with its owners; not canonical.
    pub value: Value,
    /// Whether anything but ownership changed.
    pub changed: bool,
}

/// Applies `config` for `write.manager` to `live`, or makes the object when there is none.
///
/// With `force`, fields that others own change hands instead of being conflicts.
pub fn apply(write: &Write<'_>, live: Option<&Value>, config: &Value, force: bool) -> Result<Applied, ApplyError> {
    check_kind(write, config)?;
    let zero;
    let live = match live {
        Some(live) => live,
        None => {
            zero = codec::empty(write.root);
            &zero
        }
    };
    let managers = Managers::decode(live.list_at(&["metadata", "managedFields"]))
        .map_err(|e| ApplyError::Unusable(format!("failed to decode managed fields: {e}")))?;
    let managers = with_owner_of_the_past(write, live, managers);
    let mut applied = match attempt(write, live, config, &managers, force) {
        Err(ApplyError::Conflict(conflicts)) if write.manager == last_applied::MANAGER => {
            last_applied::forgive(write, live, conflicts)?;
            attempt(write, live, config, &managers, true)
        }
        outcome => outcome,
    }?;
    if write.manager == last_applied::MANAGER {
        last_applied::refresh(&mut applied.value, config);
    }
    Ok(applied)
}

fn check_kind(write: &Write<'_>, config: &Value) -> Result<(), ApplyError> {
    if let Some((api_version, kind)) = &write.root.schema.get(write.root.id).kind {
        let sent = (config.str_at(&["apiVersion"]), config.str_at(&["kind"]));
        if sent != (Some(api_version), Some(kind)) {
            return Err(ApplyError::BadRequest(format!("invalid object type: {}", group_version_kind(config))));
        }
    }
    if config.at(&["metadata", "managedFields"]).is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    Ok(())
}

/// When nobody owns anything yet, what is there gets an owner, so that it cannot be taken without a conflict.
fn with_owner_of_the_past(write: &Write<'_>, live: &Value, managers: Managers) -> Managers {
    if !managers.entries.is_empty() {
        return managers;
    }
    let past = Write { manager: BEFORE_FIRST_APPLY, ..*write };
    track(&past, &codec::empty(write.root), live, managers)
}

fn attempt(
    write: &Write<'_>,
    live: &Value,
    config: &Value,
    managers: &Managers,
    force: bool,
) -> Result<Applied, ApplyError> {
    let (topology, root) = (write.topology(), write.node());
    topology.check(root, config).map_err(|problems| {
        let meta = Meta::of(config);
        let (namespace, name) = (meta.namespace(), meta.name());
        let kind = group_version_kind(config);
        ApplyError::Unusable(format!("failed to create typed patch object ({namespace}/{name}; {kind}): {problems}"))
    })?;
    let merged = topology.merged(root, live, config);
    let claimed = || write.reset.tracked(write.api_version, topology.claimed(root, config));
    let own_text = strip(claimed()).to_json();

    let mut entries = managers.entries.clone();
    let mut own = write.entry(Operation::Apply, Fields::Text(own_text.into()));
    let previous = entries.iter().position(|entry| entry.is_same_owner(&own)).map(|at| entries.remove(at));
    own.time = previous.as_ref().and_then(|previous| previous.time.clone());
    let last = previous.as_ref().filter(|previous| !previous.fields.is_same_text(&own.fields));
    let last = last.and_then(|previous| Some((previous, write.reconciled(previous)?)));

    let new = match last {
        Some((last, last_set)) if !last_set.is_subset(&claimed()) => {
            let others = entries.iter().filter_map(|entry| Some((entry.api_version.clone(), write.reconciled(entry)?)));
            let all = others.chain([(own.api_version.clone(), claimed())]);
            prune(write, merged, (&last.api_version, &last_set), all)
        }
        _ => merged,
    };

    let changed = !order::equal(live, &new);
    let diff = if changed { write.tracked(topology.diff(root, live, &new)) } else { Diff::default() };
    let mut left = Managers { entries: settle(write, entries, Lost::new(write, live, &new, diff), force)? };
    if changed {
        own.time = Some(object::timestamp::seconds(write.now));
    }
    if !own.fields.is_empty() {
        left.entries.push(own);
    }
    let mut value = new;
    put_managed_fields(&mut value, left.into_value());
    Ok(Applied { value, changed })
}

/// The other owners after what they lose, or the conflicts when they must not lose it.
fn settle(
    write: &Write<'_>,
    entries: Vec<Entry>,
    mut lost: Lost<'_, '_>,
    force: bool,
) -> Result<Vec<Entry>, ApplyError> {
    let mut kept = Vec::with_capacity(entries.len() + 1);
    let mut conflicting = Vec::new();
    for mut entry in entries {
        let Some(all) = lost.in_version(&entry.api_version) else { continue };
        let untouched = match &entry.fields {
            Fields::Text(text) => !Glance::new(text).may_meet(all),
            Fields::Set(_) => false,
        };
        if untouched {
            kept.extend((!entry.fields.is_empty()).then_some(entry));
            continue;
        }
        let Some(set) = write.reconciled(&entry) else { continue };
        let left = set.difference(all);
        if !force && let Some(diff) = lost.diff(&entry.api_version) {
            conflicting.push((entry.clone(), set.intersection(&diff.changed)));
        }
        if left != set {
            entry.fields = Fields::Set(left);
        }
        kept.extend((!entry.fields.is_empty()).then_some(entry));
    }
    match Conflicts::of(conflicting.iter().map(|(entry, set)| (entry, set.clone()))) {
        Some(conflicts) => Err(ApplyError::Conflict(conflicts)),
        None => Ok(kept),
    }
}

/// Takes away what the manager said last time and says no more, unless somebody else owns it.
fn prune(
    write: &Write<'_>,
    merged: Value,
    (version, last): (&str, &FieldSet),
    owned: impl Iterator<Item = (Text, FieldSet)>,
) -> Value {
    let then = versions::root_in(write, version)
        .and_then(|root| Some((root, versions::converted(write, Cow::Borrowed(&merged), write.api_version, version)?)));
    let Some((root, then)) = then else { return merged };
    let topology = Topology { schema: root.schema };
    let node = topology.struct_of(root.id);
    let named = |set: &FieldSet| topology.with_named_fields(Some(node), set);

    let pruned = topology.without(node, &then, &named(last));
    let mut by_version: BTreeMap<Text, FieldSet> = BTreeMap::new();
    for (version, set) in owned {
        let all = by_version.entry(version).or_default();
        *all = all.union(&set);
    }
    // The version of the last configuration first: others may not convert without what is put back here.
    let same = by_version.remove(version);
    let order = same.map(|set| (Text::from(version), set)).into_iter().chain(by_version);
    let mut pruned = pruned;
    for (at, managed) in order {
        pruned = restored(write, &then, pruned, version, (&at, &managed)).unwrap_or_else(|unconverted| unconverted);
    }

    let everything = named(&topology.claimed(node, &then));
    let remaining = named(&topology.claimed(node, &pruned));
    let gone = everything.difference(&remaining).intersection(&named(last));
    let result = topology.without(node, &then, &gone);
    match versions::converted(write, Cow::Owned(result), version, write.api_version) {
        Some(result) => result.into_owned(),
        None => merged,
    }
}

/// `pruned` with the fields of `merged` put back that somebody owns in version `at`.
fn restored(
    write: &Write<'_>,
    merged: &Value,
    pruned: Value,
    version: &str,
    (at, managed): (&str, &FieldSet),
) -> Result<Value, Value> {
    let Some(root) = versions::root_in(write, at) else { return Err(pruned) };
    let converted =
        |value: &'_ Value| versions::converted(write, Cow::Borrowed(value), version, at).map(Cow::into_owned);
    let (Some(merged), Some(there)) = (converted(merged), converted(&pruned)) else { return Err(pruned) };
    let topology = Topology { schema: root.schema };
    let node = topology.struct_of(root.id);
    let named = |set: &FieldSet| topology.with_named_fields(Some(node), set);
    let wanted = named(&topology.claimed(node, &there)).union(&named(managed));
    let gone = named(&topology.claimed(node, &merged)).difference(&wanted);
    let result = topology.without(node, &merged, &gone);
    match versions::converted(write, Cow::Owned(result), at, version) {
        Some(back) => Ok(back.into_owned()),
        None => Err(pruned),
    }
}

/// A kind as Go prints it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`.
fn group_version_kind(object: &Value) -> String {
    let api_version = object.str_at(&["apiVersion"]).unwrap_or_default();
    let kind = object.str_at(&["kind"]).unwrap_or_default();
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}
