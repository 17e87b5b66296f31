//! The forms in which objects leave the server.
//!
//! An object's JSON and protobuf are made at most once per revision and shared by every reader: lists join them,
//! watch events point to them. What differs between those uses is only what stands around them.

use bytes::Bytes;
use codec::{json, proto, yaml};
use jiff::Timestamp;
use kind::{Column, Refusal};
use object::{Text, Value};

use crate::{Cached, ChangeKind, Page, Registry};

/// Cached encodings of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON of this `apiVersion` behind the opening brace and the type: `"metadata":{…},…}`.
    Json(Text),
    /// The protobuf message of this `apiVersion`, without envelope.
    Protobuf(Text),
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

impl Wanted {
    /// Plain JSON.
    pub const JSON: Wanted = Wanted { media: Media::Json, shape: Shape::Object, pretty: false };
}

const META_VERSION: &str = "meta.k8s.io/v1";
/// The number of `metadata` in the protobuf message of every kind.
const METADATA_FIELD: u32 = 1;

impl Registry {
    /// An answer that is one stored object.
    pub fn object_body(&self, cached: &Cached, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        match (wanted.media, wanted.shape, wanted.pretty) {
            (Media::Json, Shape::Object, false) => {
                Ok(vec![self.json_opening(), self.json_rest(cached)?, Bytes::from_static(b"\n")])
            }
            (Media::Protobuf, Shape::Object, _) => Ok(vec![self.envelope(&self.proto_message(cached)?)]),
            _ => self.tree_body(&self.tree(cached)?, wanted, now),
        }
    }

    /// An answer that is one object which may not be stored: the result of a write or of a dry run.
    pub fn tree_body(&self, tree: &Value, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        let row = self.strategy.resource();
        let (api_version, kind) = (row.api_version(), row.kind.as_str());
        match wanted.shape {
            Shape::Object => render(tree, self.root(), (&api_version, kind), wanted),
            Shape::Metadata => render_builtin(&partial(tree), (META_VERSION, "PartialObjectMetadata"), wanted),
            Shape::Table(include) => {
                let table = self.table(std::slice::from_ref(tree), include, Some(self.strategy.columns()), now);
                render_builtin(&table, (META_VERSION, "Table"), wanted)
            }
        }
    }

    /// An answer that is a page of a list.
    pub fn list_body(&self, page: &Page, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        match (wanted.media, wanted.shape, wanted.pretty) {
            (Media::Json, Shape::Object, false) => self.json_list(page),
            (Media::Protobuf, Shape::Object, _) => self.proto_list(page),
            (Media::Protobuf, Shape::Metadata, _) if self.stored.is_protobuf() => self.proto_metadata_list(page),
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
        let object = match (wanted.media, wanted.shape) {
            (Media::Json | Media::Yaml, Shape::Object) => vec![self.json_opening(), self.json_rest(cached)?],
            (Media::Protobuf, Shape::Object) => vec![self.envelope(&self.proto_message(cached)?)],
            (_, Shape::Table(include)) => {
                let tree = self.tree(cached)?;
                let columns = headers.then(|| self.strategy.columns());
                let table = self.table(std::slice::from_ref(&tree), include, columns, now);
                render_builtin(&table, (META_VERSION, "Table"), Wanted { pretty: false, ..wanted })?
            }
            (_, Shape::Metadata) => {
                let tree = partial(&self.tree(cached)?);
                let plain = Wanted { pretty: false, ..wanted };
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

    /// `{"kind":"Pod","apiVersion":"v1",`
    fn json_opening(&self) -> Bytes {
        let row = self.strategy.resource();
        Bytes::from(format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", row.kind, row.api_version()))
    }

    /// Everything behind the opening.
    fn json_rest(&self, cached: &Cached) -> Result<Bytes, Refusal> {
        cached.in_form(&Form::Json(self.strategy.resource().api_version()), || {
            let mut tree = self.tree(cached)?;
            tree.remove(&["kind"]);
            tree.remove(&["apiVersion"]);
            let text = Bytes::from(json::encode(&tree, self.root()));
            Ok(text.slice(1..))
        })
    }

    fn proto_message(&self, cached: &Cached) -> Result<Bytes, Refusal> {
        cached.in_form(&Form::Protobuf(self.strategy.resource().api_version()), || {
            Ok(proto::encode(&self.tree(cached)?, self.root()).into())
        })
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
        let metadata = |item: &Cached| {
            let message = self.proto_message(item)?;
            let end = proto::first_field_end(&message, METADATA_FIELD).map_err(internal)?;
            Ok(message.slice(..end))
        };
        let items = page.items.iter().map(|item| metadata(item)).collect::<Result<Vec<Bytes>, Refusal>>()?;
        Ok(proto::list(&list_meta(page), items, META_VERSION, "PartialObjectMetadataList"))
    }

    fn list_of_trees(&self, page: &Page, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        let trees = page.items.iter().map(|item| self.tree(item)).collect::<Result<Vec<Value>, Refusal>>()?;
        let row = self.strategy.resource();
        match wanted.shape {
            Shape::Table(include) => {
                let mut table = self.table(&trees, include, Some(self.strategy.columns()), now);
                table.set(&["metadata"], list_meta(page));
                render_builtin(&table, (META_VERSION, "Table"), wanted)
            }
            Shape::Metadata => {
                let mut list = Value::map();
                list.set(&["metadata"], list_meta(page));
                list.set(&["items"], trees.iter().map(partial).collect::<Vec<Value>>());
                render_builtin(&list, (META_VERSION, "PartialObjectMetadataList"), wanted)
            }
            Shape::Object => {
                let mut list = Value::map();
                list.set(&["kind"], format!("{}List", row.kind));
                list.set(&["apiVersion"], row.api_version());
                list.set(&["metadata"], list_meta(page));
                let strip = |mut tree: Value| {
                    tree.remove(&["kind"]);
                    tree.remove(&["apiVersion"]);
                    tree
                };
                list.set(&["items"], trees.into_iter().map(strip).collect::<Vec<Value>>());
                let text = self.ordered_list_text(&list);
                Ok(vec![written(text, &list, wanted)?])
            }
        }
    }

    /// A list's JSON with its items in the order of their type.
    fn ordered_list_text(&self, list: &Value) -> Vec<u8> {
        let (schema, id) = self.strategy.root();
        let mut text = Vec::new();
        text.push(b'{');
        for key in ["kind", "apiVersion"] {
            json::write_string(key, &mut text);
            text.push(b':');
            json::write(list.get(key).unwrap_or(&Value::Null), &mut text);
            text.push(b',');
        }
        text.extend_from_slice(b"\"metadata\":");
        let meta = list.get("metadata").unwrap_or(&Value::Null);
        json::encode_shape(meta, object::Schema::builtin(), &list_meta_shape(), &mut text);
        text.extend_from_slice(b",\"items\":");
        let items = object::schema::Shape::List(Box::new(object::schema::Shape::Struct(id)));
        json::encode_shape(list.get("items").unwrap_or(&Value::Null), schema, &items, &mut text);
        text.push(b'}');
        text
    }

    fn table(&self, trees: &[Value], include: Include, columns: Option<&[Column]>, now: Timestamp) -> Value {
        let rows: Vec<Value> = trees
            .iter()
            .map(|tree| {
                let mut row = Value::map();
                row.set(&["cells"], Value::List(self.strategy.row(tree, now)));
                match include {
                    Include::None => {}
                    Include::Metadata => row.set(&["object"], typed_partial(tree)),
                    Include::Object => row.set(&["object"], tree.clone()),
                }
                row
            })
            .collect();
        let mut table = Value::map();
        let version = match trees {
            [one] => object::Meta::of(one).resource_version().to_owned(),
            _ => String::new(),
        };
        table.set(&["metadata"], Value::map());
        if !version.is_empty() {
            table.set(&["metadata", "resourceVersion"], version);
        }
        let columns = columns.unwrap_or_default();
        table.set(&["columnDefinitions"], columns.iter().map(column).collect::<Vec<Value>>());
        table.set(&["rows"], rows);
        table
    }
}

fn column(column: &Column) -> Value {
    Value::from_pairs([
        ("name", Value::from(column.name)),
        ("type", Value::from(column.kind)),
        ("format", Value::from(column.format)),
        ("description", Value::from(column.description)),
        ("priority", Value::from(i32::from(column.priority))),
    ])
}

fn partial(tree: &Value) -> Value {
    Value::from_pairs([("metadata", tree.get("metadata").cloned().unwrap_or_else(Value::map))])
}

fn typed_partial(tree: &Value) -> Value {
    let mut partial = partial(tree);
    partial.set(&["kind"], "PartialObjectMetadata");
    partial.set(&["apiVersion"], META_VERSION);
    partial
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
