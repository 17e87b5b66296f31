//! `metadata.managedFields`: who owns which fields, read and written.

use bytes::Bytes;
use object::{RawJson, Text, Value};

use super::set::FieldSet;
use super::text::Glance;

/// Most entries of updaters; the oldest above that are folded into [`ANCIENT`].
pub(super) const UPDATERS_MAX: usize = 10;
/// Who owns what the oldest updaters owned.
pub(super) const ANCIENT: &str = "ancient-changes";

/// How an entry came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// One owner with what it owns.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) manager: Text,
    pub(super) operation: Operation,
    pub(super) api_version: Text,
    pub(super) subresource: Text,
    /// Canonical time of the last change, which sorts as text.
    pub(super) time: Option<Text>,
    pub(super) fields: Fields,
}

/// The fields of an entry, read only when somebody has to know them.
#[derive(Debug, Clone)]
pub(super) enum Fields {
    /// As they were stored.
    Text(Bytes),
    /// Read or made.
    Set(FieldSet),
}

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Fields::Text(text) => Glance::new(text).is_empty(),
            Fields::Set(set) => set.is_empty(),
        }
    }

    /// Whether both are the same, as far as that is known without reading.
    pub(super) fn is_same_text(&self, other: &Fields) -> bool {
        matches!((self, other), (Fields::Text(left), Fields::Text(right)) if left == right)
    }

    fn into_json(self) -> Bytes {
        match self {
            Fields::Text(text) => text,
            Fields::Set(set) => set.to_json().into(),
        }
    }
}

impl Entry {
    /// Whether both entries are of one owner. An applier is one owner in whatever version it applies.
    pub(super) fn is_same_owner(&self, other: &Entry) -> bool {
        self.operation == other.operation
            && self.manager == other.manager
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The fields as a set.
    pub(super) fn set(&self) -> Result<FieldSet, String> {
        match &self.fields {
            Fields::Text(text) => FieldSet::from_json(text),
            Fields::Set(set) => Ok(set.clone()),
        }
    }

    /// The owner as conflicts name it: `"kubectl" with subresource "status" using apps/v1`.
    pub(super) fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager.as_str());
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource.as_str()));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    /// What upstream sorts the owners of conflicts by.
    pub(super) fn sort_key(&self) -> (Text, Operation, Text, Text) {
        (self.manager.clone(), self.operation, self.api_version.clone(), self.subresource.clone())
    }

    fn into_value(self) -> Value {
        let text = |text: Text| (!text.is_empty()).then_some(Value::String(text));
        let members = [
            ("apiVersion", text(self.api_version)),
            ("fieldsType", Some(Value::from("FieldsV1"))),
            ("fieldsV1", Some(Value::Raw(RawJson::from_checked(self.fields.into_json())))),
            ("manager", text(self.manager)),
            ("operation", Some(Value::from(self.operation.name()))),
            ("subresource", text(self.subresource)),
            ("time", self.time.map(Value::String)),
        ];
        Value::from_pairs(members.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }
}

/// All owners of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Managers {
    pub(super) entries: Vec<Entry>,
}

impl Managers {
    /// Reads the entries of a list without reading their fields.
    pub(super) fn decode(list: &[Value]) -> Result<Managers, String> {
        let mut managers = Managers::default();
        for (at, item) in list.iter().enumerate() {
            let entry = decode_entry(at, item)?;
            match managers.entries.iter_mut().find(|other| other.is_same_owner(&entry)) {
                Some(earlier) => *earlier = entry,
                None => managers.entries.push(entry),
            }
        }
        Ok(managers)
    }

    /// Reads the entries of a list and all their fields.
    pub(super) fn decode_fully(list: &[Value]) -> Result<Managers, String> {
        let mut managers = Managers::decode(list)?;
        for entry in &mut managers.entries {
            let set = entry
                .set()
                .map_err(|e| format!("error decoding versioned set from {}: error decoding set: {e}", entry.shown()))?;
            entry.fields = Fields::Set(set);
        }
        Ok(managers)
    }

    /// The list, in upstream's order; `None` when nobody owns anything.
    pub(super) fn into_value(mut self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.sort_by(|left, right| {
            let seconds = |entry: &'_ Entry| entry.time.clone().unwrap_or_else(|| "1970-01-01T00:00:00Z".into());
            left.operation
                .cmp(&right.operation)
                .then_with(|| seconds(left).cmp(&seconds(right)))
                .then_with(|| left.manager.cmp(&right.manager))
                .then_with(|| left.api_version.cmp(&right.api_version))
                .then_with(|| left.subresource.cmp(&right.subresource))
        });
        Some(Value::List(self.entries.into_iter().map(Entry::into_value).collect()))
    }

    /// Folds the oldest updaters into one owner per version until at most [`UPDATERS_MAX`] are left.
    pub(super) fn cap_updaters(&mut self) {
        let is_updater = |entry: &Entry| entry.operation == Operation::Update;
        let mut count = self.entries.iter().filter(|entry| is_updater(entry)).count();
        if count <= UPDATERS_MAX {
            return;
        }
        let mut updaters: Vec<Entry> = Vec::with_capacity(count);
        let mut others = Vec::new();
        for entry in self.entries.drain(..) {
            if is_updater(&entry) { updaters.push(entry) } else { others.push(entry) }
        }
        updaters.sort_by(|left, right| left.time.cmp(&right.time).then_with(|| left.sort_key().cmp(&right.sort_key())));
        let mut kept: Vec<Entry> = Vec::with_capacity(count);
        for entry in updaters {
            // The first old updater of a version stays as it is until a second one joins it.
            let earlier = kept.iter().position(|other| other.api_version == entry.api_version);
            match earlier {
                Some(at) if count > UPDATERS_MAX => {
                    fold(&mut kept[at], &entry);
                    count -= 1;
                }
                _ => kept.push(entry),
            }
        }
        others.append(&mut kept);
        self.entries = others;
    }
}

/// Makes `bucket` the owner of what both own, as of the later one's time.
fn fold(bucket: &mut Entry, entry: &Entry) {
    let set = |entry: &Entry| entry.set().unwrap_or_default();
    bucket.fields = Fields::Set(set(bucket).union(&set(entry)));
    bucket.manager = ANCIENT.into();
    bucket.subresource = Text::default();
    bucket.time.clone_from(&entry.time);
}

/// Checks a list of entries as admission must leave it: each of a known operation, version and fields type, with
/// fields that can be read. The error is upstream's.
pub fn validate(managed_fields: &[Value]) -> Result<(), String> {
    Managers::decode_fully(managed_fields).map(drop)
}

fn decode_entry(at: usize, item: &Value) -> Result<Entry, String> {
    let text = |key: &str| match item.get(key) {
        Some(Value::String(text)) => text.clone(),
        _ => Text::default(),
    };
    let operation = match item.str_at(&["operation"]) {
        Some("Apply") => Operation::Apply,
        Some("Update") => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match item.str_at(&["fieldsType"]).unwrap_or_default() {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
        other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {at}")),
    }
    let fields = match item.get("fieldsV1") {
        Some(Value::Raw(raw)) => Fields::Text(raw.bytes().clone()),
        Some(Value::Null) | None => Fields::Set(FieldSet::new()),
        Some(other) => {
            let mut out = Vec::new();
            codec::json::write(other, &mut out);
            Fields::Set(FieldSet::from_json(&out)?)
        }
    };
    let time = match item.get("time") {
        Some(Value::String(time)) => Some(time.clone()),
        _ => None,
    };
    Ok(Entry { manager: text("manager"), operation, api_version, subresource: text("subresource"), time, fields })
}
