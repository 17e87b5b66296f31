//! The forms in which objects leave the server.
//!
//! An object's JSON and protobuf are made at most once per revision and shared by every reader. They are kept as the event
//! that whoever came first wanted or would want, whole: a thousand watchers send the same bytes. Lists, and events of
//! another kind, point into it; what differs is only what stands around the object.

pub mod made;
mod table;

use bytes::Bytes;
use codec::{json, proto, yaml};
use jiff::Timestamp;
use kind::Refusal;
use object::{Text, Value};

use crate::{Cached, ChangeKind, Page, Registry};

pub(crate) use table::Encoded;

/// Cached encodings of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON of this `apiVersion` behind the opening brace and the type, `"metadata":{…},…}`, within an event.
    Json(Text),
    /// The protobuf message of this `apiVersion`, without envelope, within an event.
    Protobuf(Text),
    /// JSON of the metadata of this `apiVersion`, as the one member of an object: `"metadata":{…}`.
    Metadata(Text),
    /// The row of a table of this `apiVersion`.
    Row(Text, Include),
}

/// How a client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The language.
    pub media: Media,
    /// What of the objects.
    pub shape: Shape,
    /// Set out over lines, for people.
    pub pretty: bool,
}

/// The languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// What of the objects is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// All of them.
    Object,
    /// Their metadata (`PartialObjectMetadata`).
    Metadata,
    /// Rows of cells (`Table`).
    Table(Include),
}

/// What of its object a table row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the API's")]
pub enum Include {
    None,
    Metadata,
    Object,
}

/// How the JSON of every object of one kind begins.
#[derive(Debug)]
pub(crate) struct Openings {
    /// `{"kind":"Pod","apiVersion":"v1",`
    object: Bytes,
    /// The same as the object of an event of each type: `{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",`
    events: [Bytes; 3],
}

impl Openings {
    pub(crate) fn of(row: &kind::Resource) -> Openings {
        let object = format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", row.kind, row.api_version());
        let event = |kind: ChangeKind| format!("{{\"type\":\"{}\",\"object\":{object}", kind.name()).into();
        let events = [ChangeKind::Added, ChangeKind::Modified, ChangeKind::Deleted].map(event);
        Openings { object: object.into(), events }
    }

    fn event(&self, kind: ChangeKind) -> Bytes {
        let [added, modified, deleted] = &self.events;
        match kind {
            ChangeKind::Added => added.clone(),
            ChangeKind::Modified => modified.clone(),
            ChangeKind::Deleted => deleted.clone(),
        }
    }
}

impl Wanted {
    /// Plain JSON.
    pub const JSON: Wanted = Wanted { media: Media::Json, shape: Shape::Object, pretty: false };
}

/// How the metadata of an object begins where it stands for the object.
const PARTIAL_OPENING: &[u8] = b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",";
const META_VERSION: &str = "meta.k8s.io/v1";
/// How the JSON of an event ends behind its object.
const EVENT_CLOSING: &[u8] = b"}\n";
/// The number of `metadata` in the protobuf message of every kind.
const METADATA_FIELD: u32 = 1;
/// The number of `resourceVersion` in the protobuf message of metadata.
const VERSION_FIELD: u32 = 6;

impl Registry {
    /// An answer that is one stored object.
    pub fn object_body(&self, cached: &Cached, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        match (wanted.media, wanted.shape, wanted.pretty) {
            (Media::Json, Shape::Object, false) => {
                Ok(vec![self.openings.object.clone(), self.json_rest(cached)?, Bytes::from_static(b"\n")])
            }
            (Media::Protobuf, Shape::Object, _) => Ok(vec![self.envelope(&self.proto_message(cached)?)]),
            (_, Shape::Table(include), _) => table::rewritten(self.table_of(cached, include, true, now)?, wanted),
            _ => self.tree_body(&*self.view(cached)?, wanted, now),
        }
    }

    /// An answer that is one object which may not be stored: the result of a write or of a dry run.
    pub fn tree_body(&self, tree: &Value, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        made::object(self.strategy.as_ref(), tree, wanted, now)
    }

    /// An answer that is a page of a list.
    pub fn list_body(&self, page: &Page, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        match (wanted.media, wanted.shape, wanted.pretty) {
            (Media::Json, Shape::Object, false) => self.json_list(page),
            (Media::Protobuf, Shape::Object, _) => self.proto_list(page),
            (Media::Protobuf, Shape::Metadata, _) if self.stored.is_protobuf() => self.proto_metadata_list(page),
            (_, Shape::Table(include), _) => table::rewritten(self.table_list(page, include, now)?, wanted),
            (Media::Json, Shape::Metadata, false) => self.json_metadata_list(page),
            _ => self.list_of_trees(page, wanted, now),
        }
    }

    /// A watch event, framed for the stream. `headers` says whether a table still has to name its columns.
    pub fn event_frame(
        &self,
        (kind, cached): (ChangeKind, &Cached),
        wanted: Wanted,
        now: Timestamp,
        headers: bool,
    ) -> Result<Vec<Bytes>, Refusal> {
        let plain = Wanted { pretty: false, ..wanted };
        let object = match (wanted.media, wanted.shape) {
            (Media::Json | Media::Yaml, Shape::Object) => {
                let around = |object| vec![self.openings.event(kind), object, Bytes::from_static(EVENT_CLOSING)];
                let whole_or = |made: &Encoded| made.whole(kind).map_or_else(|| around(made.object()), |one| vec![one]);
                return self.json_event(cached, kind, whole_or);
            }
            (Media::Protobuf, Shape::Object) => {
                let around = |message| self.around_message(kind, message).into();
                let whole_or = |made: &Encoded| made.whole(kind).map_or_else(|| around(made.object()), |one| vec![one]);
                return self.proto_event(cached, kind, whole_or);
            }
            (_, Shape::Table(include)) => table::rewritten(self.table_of(cached, include, headers, now)?, plain)?,
            (Media::Json | Media::Yaml, Shape::Metadata) => {
                vec![Bytes::from_static(PARTIAL_OPENING), self.json_metadata(cached)?, Bytes::from_static(b"}")]
            }
            (_, Shape::Metadata) => {
                let tree = partial(&*self.view(cached)?);
                render_builtin(&tree, (META_VERSION, "PartialObjectMetadata"), plain)?
            }
        };
        Ok(frame(kind.name(), object, wanted.media))
    }

    /// A bookmark event: nothing but how far the stream is.
    pub fn bookmark_frame(
        &self,
        revision: store::Revision,
        initial_end: bool,
        wanted: Wanted,
    ) -> Result<Vec<Bytes>, Refusal> {
        let row = self.strategy.resource();
        let (api_version, kind) = match wanted.shape {
            Shape::Object => (row.api_version(), row.kind.clone()),
            Shape::Metadata => (META_VERSION.into(), "PartialObjectMetadata".into()),
            Shape::Table(_) => (META_VERSION.into(), "Table".into()),
        };
        let mut object = Value::map();
        object.set(&["metadata", "resourceVersion"], revision.to_string());
        if initial_end {
            object.set(&["metadata", "annotations", "k8s.io/initial-events-end"], "true");
        }
        let plain = Wanted { pretty: false, ..wanted };
        let body = match wanted.shape {
            Shape::Object => {
                // Read back through the codec, so that required fields are there as upstream sends them.
                let text = json::encode(&object, self.root());
                let canonical = json::decode(&text, self.root()).map_err(internal)?.value;
                render(&canonical, self.root(), (&api_version, &kind), plain)?
            }
            Shape::Metadata | Shape::Table(_) => render_builtin(&object, (&api_version, &kind), plain)?,
        };
        Ok(frame("BOOKMARK", body, wanted.media))
    }

    /// Everything behind the opening.
    fn json_rest(&self, cached: &Cached) -> Result<Bytes, Refusal> {
        self.json_event(cached, ChangeKind::Added, Encoded::object)
    }

    /// What `take` wants of the object in JSON within an event; of this kind if nobody wanted another one before.
    fn json_event<T>(&self, cached: &Cached, kind: ChangeKind, take: impl FnOnce(&Encoded) -> T) -> Result<T, Refusal> {
        let make = || {
            let text = json::encode(&*self.view(cached)?, self.root());
            let rest = text.strip_prefix(self.openings.object.as_ref());
            let rest = rest.ok_or_else(|| Refusal::Internal("an object opens with its type".to_owned()))?;
            Ok(Encoded::event(kind, [&self.openings.event(kind), rest, EVENT_CLOSING], 0))
        };
        cached.in_form(&Form::Json(self.strategy.resource().api_version()), make, take)
    }

    fn proto_message(&self, cached: &Cached) -> Result<Bytes, Refusal> {
        self.proto_event(cached, ChangeKind::Added, Encoded::object)
    }

    /// The same in protobuf.
    fn proto_event<T>(
        &self,
        cached: &Cached,
        kind: ChangeKind,
        take: impl FnOnce(&Encoded) -> T,
    ) -> Result<T, Refusal> {
        let make = || {
            let message = match self.stored_message(cached)? {
                Some(message) => message,
                None => proto::encode(&*self.view(cached)?, self.root()),
            };
            let metadata_bytes = proto::first_field_end(&message, METADATA_FIELD).map_err(internal)?;
            let [opening, message, closing] = self.around_message(kind, message.into());
            Ok(Encoded::event(kind, [&opening, &message, &closing], metadata_bytes))
        };
        cached.in_form(&Form::Protobuf(self.strategy.resource().api_version()), make, take)
    }

    /// A message and what stands around it in an event.
    fn around_message(&self, kind: ChangeKind, message: Bytes) -> [Bytes; 3] {
        let row = self.strategy.resource();
        proto::event(kind.name(), message, &row.api_version(), &row.kind)
    }

    /// The message as it is stored, with its revision, when that is what readers are told.
    fn stored_message(&self, cached: &Cached) -> Result<Option<Vec<u8>>, Refusal> {
        if !cached.is_complete() || !self.stored.is_protobuf() || self.strategy.resource().converts() {
            return Ok(None);
        }
        let envelope = proto::open(cached.stored()).map_err(internal)?;
        let version = cached.revision().to_string();
        proto::with_text(envelope.message, METADATA_FIELD, VERSION_FIELD, &version).map_err(internal)
    }

    fn envelope(&self, message: &[u8]) -> Bytes {
        let row = self.strategy.resource();
        proto::enclose(message, &row.api_version(), &row.kind).into()
    }

    fn json_list(&self, page: &Page) -> Result<Vec<Bytes>, Refusal> {
        let row = self.strategy.resource();
        let mut opening =
            format!("{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":", row.kind, row.api_version())
                .into_bytes();
        let meta = list_meta(page);
        json::encode_shape(&meta, object::Schema::builtin(), &list_meta_shape(), &mut opening);
        opening.extend_from_slice(b",\"items\":[");
        let mut chunks = Vec::with_capacity(page.items.len() * 2 + 2);
        chunks.push(Bytes::from(opening));
        for (at, item) in page.items.iter().enumerate() {
            chunks.push(Bytes::from_static(if at == 0 { b"{" } else { b",{" }));
            chunks.push(self.json_rest(item)?);
        }
        chunks.push(Bytes::from_static(b"]}\n"));
        Ok(chunks)
    }

    fn proto_list(&self, page: &Page) -> Result<Vec<Bytes>, Refusal> {
        let row = self.strategy.resource();
        let items = page.items.iter().map(|item| self.proto_message(item)).collect::<Result<Vec<Bytes>, Refusal>>()?;
        let kind = format!("{}List", row.kind);
        Ok(proto::list(&list_meta(page), items, &row.api_version(), &kind))
    }

    /// Every kind's message opens with its metadata, and so does a PartialObjectMetadata, which holds nothing else: each
    /// item is the beginning of the object's own message.
    fn proto_metadata_list(&self, page: &Page) -> Result<Vec<Bytes>, Refusal> {
        let metadata = |item: &Cached| self.proto_event(item, ChangeKind::Added, Encoded::metadata);
        let items = page.items.iter().map(|item| metadata(item)).collect::<Result<Vec<Bytes>, Refusal>>()?;
        Ok(proto::list(&list_meta(page), items, META_VERSION, "PartialObjectMetadataList"))
    }

    fn json_metadata_list(&self, page: &Page) -> Result<Vec<Bytes>, Refusal> {
        let mut list = Value::map();
        list.set(&["metadata"], list_meta(page));
        list.set(&["items"], Vec::<Value>::new());
        let whole = render_builtin(&list, (META_VERSION, "PartialObjectMetadataList"), Wanted::JSON)?.concat();
        let head = whole.strip_suffix(b"]}\n").ok_or_else(|| Refusal::Internal("a list ends with items".to_owned()))?;
        let mut chunks = Vec::with_capacity(page.items.len() * 2 + 2);
        chunks.push(Bytes::copy_from_slice(head));
        for (at, item) in page.items.iter().enumerate() {
            chunks.push(Bytes::from_static(if at == 0 { b"{" } else { b"},{" }));
            chunks.push(self.json_metadata(item)?);
        }
        chunks.push(Bytes::from_static(if page.items.is_empty() { b"]}\n" } else { b"}]}\n" }));
        Ok(chunks)
    }

    /// `"metadata":{…}`
    fn json_metadata(&self, cached: &Cached) -> Result<Bytes, Refusal> {
        let make = || {
            let tree = match self.stored_metadata(cached)? {
                Some(metadata) => Value::from_pairs([("metadata", metadata)]),
                None => partial(&*self.view(cached)?),
            };
            let text = render_builtin(&tree, (META_VERSION, "PartialObjectMetadata"), Wanted::JSON)?.concat();
            let member = text.strip_prefix(PARTIAL_OPENING).and_then(|text| text.strip_suffix(b"}\n"));
            let member = member.ok_or_else(|| Refusal::Internal("metadata opens with its type".to_owned()))?;
            Ok(Bytes::copy_from_slice(member).into())
        };
        cached.in_form(&Form::Metadata(self.strategy.resource().api_version()), make, Encoded::object)
    }

    /// The metadata alone, read without the rest of the object, where the stored bytes say all of it.
    fn stored_metadata(&self, cached: &Cached) -> Result<Option<Value>, Refusal> {
        let Some(message) = self.stored_message(cached)? else { return Ok(None) };
        let Some(metadata) = proto::first_field(&message, METADATA_FIELD).map_err(internal)? else { return Ok(None) };
        let schema = object::Schema::builtin();
        let id = schema.named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
        let id = id.ok_or_else(|| Refusal::Internal("the table holds no ObjectMeta".to_owned()))?;
        Ok(Some(proto::decode(metadata, codec::Root { schema, id }).map_err(internal)?.value))
    }

    fn list_of_trees(&self, page: &Page, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        let trees = page.items.iter().map(|item| self.tree(item)).collect::<Result<Vec<Value>, Refusal>>()?;
        made::list(self.strategy.as_ref(), list_meta(page), trees, wanted, now)
    }
}

fn partial(tree: &Value) -> Value {
    Value::from_pairs([("metadata", tree.get("metadata").cloned().unwrap_or_else(Value::map))])
}

fn list_meta_shape() -> object::schema::Shape {
    let id = object::Schema::builtin().named("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta");
    object::schema::Shape::Struct(id.expect("the table holds ListMeta"))
}

/// `metadata` of a list.
pub(crate) fn list_meta(page: &Page) -> Value {
    let mut meta = Value::from_pairs([("resourceVersion", page.revision.to_string())]);
    if !page.continue_token.is_empty() {
        meta.set(&["continue"], page.continue_token.as_str());
    }
    if let Some(remaining) = page.remaining {
        meta.set(&["remainingItemCount"], i64::try_from(remaining).unwrap_or(i64::MAX));
    }
    meta
}

/// Renders a kind of the built-in table, such as a `Status`, a `Table` or a review.
pub fn render_builtin(tree: &Value, (api_version, kind): (&str, &str), wanted: Wanted) -> Result<Vec<Bytes>, Refusal> {
    let root = codec::Root::builtin(api_version, kind)
        .ok_or_else(|| Refusal::Internal(format!("the table holds no {kind} of {api_version}")))?;
    render(tree, root, (api_version, kind), wanted)
}

fn render(
    tree: &Value,
    root: codec::Root<'_>,
    (api_version, kind): (&str, &str),
    wanted: Wanted,
) -> Result<Vec<Bytes>, Refusal> {
    if wanted.media == Media::Protobuf {
        return Ok(vec![proto::seal(tree, root, api_version, kind).into()]);
    }
    if tree.str_at(&["kind"]) == Some(kind) && tree.str_at(&["apiVersion"]) == Some(api_version) {
        return Ok(vec![written(json::encode(tree, root), tree, wanted)?]);
    }
    let mut tree = tree.clone();
    tree.set(&["kind"], kind);
    tree.set(&["apiVersion"], api_version);
    Ok(vec![written(json::encode(&tree, root), &tree, wanted)?])
}

fn written(text: Vec<u8>, tree: &Value, wanted: Wanted) -> Result<Bytes, Refusal> {
    if wanted.media == Media::Yaml {
        return Ok(yaml::encode(tree).map_err(internal)?.into());
    }
    let mut text = if wanted.pretty { json::pretty(&text) } else { text };
    text.push(b'\n');
    Ok(text.into())
}

/// One event of a watch stream: a line of JSON, or a length and a protobuf message.
pub fn frame(kind: &str, object: Vec<Bytes>, media: Media) -> Vec<Bytes> {
    if media == Media::Protobuf {
        return vec![proto::event_frame(kind, &object.concat()).into()];
    }
    let mut chunks = vec![Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":"))];
    let mut object = object;
    if let Some(last) = object.last_mut()
        && last.ends_with(b"\n")
    {
        last.truncate(last.len() - 1);
    }
    chunks.extend(object);
    chunks.push(Bytes::from_static(b"}\n"));
    chunks
}

fn internal(error: codec::DecodeError) -> Refusal {
    Refusal::Internal(error.to_string())
}
