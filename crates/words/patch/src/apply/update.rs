//! What every write that is no apply does to the owners of an object.

use object::{Text, Value, timestamp};

use super::diff::Diff;
use super::extract::{Creation, SERVER_METADATA};
use super::managers::{Entry, Fields, Managers, Operation};
use super::set::FieldSet;
use super::text::Glance;
use super::topology::{Node, Topology};
use super::{Write, versions};

/// Records who owns what in an object that is being created. Entries that the client sent are taken over.
pub fn create(write: &Write<'_>, new: &mut Value) {
    let zero = codec::empty(write.root);
    let sent = take_managed_fields(new);
    let managers = match sent.as_deref() {
        None | Some([]) => Managers::default(),
        Some(list) => Managers::decode_fully(list).unwrap_or_default(),
    };
    let direct = if managers.entries.is_empty() { write.reset.plainly_excluded(write.api_version) } else { None };
    let list = match direct {
        Some(reset) => {
            let text = Creation::text(write.topology(), write.node(), &zero, new, reset);
            let mut managers = Managers::default();
            let entry = write.entry(Operation::Update, Fields::Text(text.into()));
            if !entry.fields.is_empty() {
                managers.entries.push(entry);
            }
            managers.into_value()
        }
        None => track(write, &zero, new, managers).into_value(),
    };
    put_managed_fields(new, list);
}

/// Records who owns what after `live` has become `new`, both in the version of the request.
///
/// On the main resource the entries that `new` carries count, so that clients can edit them; `[{}]` clears them, and
/// entries that are absent or cannot be read leave those of `live`. On subresources those of `live` count always.
/// An object without any entry stays without: tracking begins with creation or with the first apply.
pub fn update(write: &Write<'_>, live: &Value, new: &mut Value) {
    let sent = take_managed_fields(new);
    let stored = live.list_at(&["metadata", "managedFields"]);
    let is_main = write.subresource.is_empty();
    let managers = match sent.as_deref() {
        Some([Value::Map(entry)]) if is_main && entry.is_empty() => Managers::default(),
        Some(list) if is_main && !list.is_empty() && list != stored => match Managers::decode_fully(list) {
            Ok(managers) if !managers.entries.is_empty() => managers,
            _ => Managers::decode(stored).unwrap_or_default(),
        },
        _ => Managers::decode(stored).unwrap_or_default(),
    };
    if managers.entries.is_empty() {
        return;
    }
    let list = track(write, live, new, managers).into_value();
    put_managed_fields(new, list);
}

/// The owners after a write by `write.manager`.
pub(super) fn track(write: &Write<'_>, live: &Value, new: &Value, mut managers: Managers) -> Managers {
    let raw = write.topology().diff(write.node(), live, new);
    let own = strip(write.reset.tracked(write.api_version, raw.changed.clone()));
    let mut lost = Lost::new(write, live, new, write.tracked(raw));
    let mut writer = write.entry(Operation::Update, Fields::Set(FieldSet::new()));
    let mut kept = Vec::with_capacity(managers.entries.len() + 1);
    let mut found = false;
    for mut entry in managers.entries {
        let is_writer = !own.is_empty() && entry.is_same_owner(&writer);
        found |= is_writer;
        let Some(touched) = lost.in_version(&entry.api_version) else { continue };
        if is_writer {
            entry.fields = changed_fields(write, &entry, &touched.difference(&own), &own);
            entry.time.clone_from(&writer.time);
        } else {
            entry.fields = changed_fields(write, &entry, touched, &FieldSet::new());
        }
        if !entry.fields.is_empty() {
            kept.push(entry);
        }
    }
    if !found && !own.is_empty() {
        writer.fields = Fields::Set(own);
        kept.push(writer);
    }
    managers.entries = kept;
    managers.cap_updaters();
    managers
}

/// The fields of an entry without `lost` and with `won`, which have no path in common. Entries that cannot be read are
/// worth nothing.
fn changed_fields(write: &Write<'_>, entry: &Entry, lost: &FieldSet, won: &FieldSet) -> Fields {
    if let Fields::Text(text) = &entry.fields {
        let glance = Glance::new(text);
        if glance.covers(won) && !glance.may_meet(lost) {
            return Fields::Text(text.clone());
        }
        if let Some(rewritten) = glance.rewritten(lost, won) {
            return Fields::Text(rewritten.into());
        }
    }
    let left = write.reconciled(entry).unwrap_or_default();
    Fields::Set(left.difference(lost).union(won))
}

/// What a write takes from other owners, in the version that each of them speaks.
pub(super) struct Lost<'w, 'a> {
    write: &'w Write<'a>,
    live: &'w Value,
    new: &'w Value,
    /// By version, with all paths that change hands or go away; `None`: the version is not served any more.
    known: Vec<(Text, Option<(Diff, FieldSet)>)>,
}

impl<'w, 'a> Lost<'w, 'a> {
    pub(super) fn new(write: &'w Write<'a>, live: &'w Value, new: &'w Value, diff: Diff) -> Lost<'w, 'a> {
        Lost { write, live, new, known: vec![(write.api_version.into(), Some(with_all_paths(diff)))] }
    }

    /// The difference in `api_version`; `None` when that version is not served.
    pub(super) fn diff(&mut self, api_version: &str) -> Option<&Diff> {
        self.in_both_forms(api_version).map(|(diff, _)| diff)
    }

    /// All paths that change hands or go away.
    pub(super) fn in_version(&mut self, api_version: &str) -> Option<&FieldSet> {
        self.in_both_forms(api_version).map(|(_, all)| all)
    }

    fn in_both_forms(&mut self, api_version: &str) -> Option<&(Diff, FieldSet)> {
        let at = match self.known.iter().position(|(known, _)| known == api_version) {
            Some(at) => at,
            None => {
                let diff = self.compare_in(api_version).map(with_all_paths);
                self.known.push((api_version.into(), diff));
                self.known.len() - 1
            }
        };
        self.known[at].1.as_ref()
    }

    fn compare_in(&self, api_version: &str) -> Option<Diff> {
        let versions = self.write.versions;
        let root = versions.root(api_version)?;
        let live = versions.convert(self.live, self.write.api_version, api_version)?;
        let new = versions.convert(self.new, self.write.api_version, api_version)?;
        let topology = Topology { schema: root.schema };
        let diff = topology.diff(topology.struct_of(root.id), &live, &new);
        let reset = self.write.reset;
        Some(Diff {
            changed: reset.tracked(api_version, diff.changed),
            removed: reset.tracked(api_version, diff.removed),
        })
    }
}

fn with_all_paths(diff: Diff) -> (Diff, FieldSet) {
    let all = diff.changed.union(&diff.removed);
    (diff, all)
}

impl<'a> Write<'a> {
    pub(super) fn topology(&self) -> Topology<'a> {
        Topology { schema: self.root.schema }
    }

    pub(super) fn node(&self) -> Node<'a> {
        self.topology().struct_of(self.root.id)
    }

    /// An entry of this write's manager, as of now.
    pub(super) fn entry(&self, operation: Operation, fields: Fields) -> Entry {
        Entry {
            manager: if self.manager.is_empty() { "unknown".into() } else { self.manager.into() },
            operation,
            api_version: self.api_version.into(),
            subresource: self.subresource.into(),
            time: Some(timestamp::seconds(self.now)),
            fields,
        }
    }

    pub(super) fn tracked(&self, diff: Diff) -> Diff {
        if diff.is_empty() {
            return diff;
        }
        Diff {
            changed: self.reset.tracked(self.api_version, diff.changed),
            removed: self.reset.tracked(self.api_version, diff.removed),
        }
    }

    /// The fields of an entry as the schema of its version has them now; `None` when they cannot be read.
    pub(super) fn reconciled(&self, entry: &Entry) -> Option<FieldSet> {
        let set = entry.set().ok()?;
        let root = versions::root_in(self, &entry.api_version);
        let adapted = root.and_then(|root| {
            let topology = Topology { schema: root.schema };
            topology.reconciled(topology.struct_of(root.id), &set)
        });
        Some(adapted.unwrap_or(set))
    }
}

/// The fields at the root that belong to the server.
const SERVER_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes out the fields that belong to the server.
pub(super) fn strip(mut set: FieldSet) -> FieldSet {
    set.change(|entry| {
        if !entry.element.is_field_of(&SERVER_FIELDS) {
            return;
        }
        entry.member = false;
        if entry.element.is_field_of(&["metadata"]) {
            entry.children.change(|child| child.member &= !child.element.is_field_of(&SERVER_METADATA));
        }
    });
    set
}

fn take_managed_fields(object: &mut Value) -> Option<Vec<Value>> {
    match object.remove(&["metadata", "managedFields"]) {
        Some(Value::List(list)) => Some(list),
        _ => None,
    }
}

pub(super) fn put_managed_fields(object: &mut Value, list: Option<Value>) {
    match list {
        Some(list) => object.set(&["metadata", "managedFields"], list),
        None => drop(object.remove(&["metadata", "managedFields"])),
    }
}
