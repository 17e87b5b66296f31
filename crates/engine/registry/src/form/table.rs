//! Tables: a row of cells an object.
//!
//! A row's text is made at most once per object, revision and kind of row, and kept beside the object's other
//! encodings. What an age says changes while the object does not, so the text has holes, and a reader fills them with
//! what is true when it reads. Rows travel without being copied: what stands around the holes is shared.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use codec::{json, yaml};
use jiff::Timestamp;
use kind::{Cell, Column, Part, Refusal, Strategy};
use object::Value;

use super::{Form, Include, META_VERSION, Media, Wanted, internal, list_meta, partial, render_builtin};
use crate::{Cached, ChangeKind, Page, Registry};

/// A place in a text that says how long ago a time was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hole {
    at: usize,
    since: Timestamp,
}

/// An encoding that is kept: text, and what a reader has to fill in.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) text: Bytes,
    holes: Option<Arc<[Hole]>>,
    /// When the text is that of an event: where in it the object stands.
    event: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    kind: ChangeKind,
    from: u32,
    /// Where the metadata ends with which the object opens, if it does.
    metadata_to: u32,
    to: u32,
}

impl From<Bytes> for Encoded {
    fn from(text: Bytes) -> Encoded {
        Encoded { text, holes: None, event: None }
    }
}

impl Encoded {
    /// An object between what stands around it in an event. Its metadata are its first so many bytes.
    pub(super) fn event(kind: ChangeKind, [opening, object, closing]: [&[u8]; 3], metadata_bytes: usize) -> Encoded {
        let at = |bytes: usize| u32::try_from(opening.len() + bytes).expect("what a store takes is below 4 GiB");
        let place = Place { kind, from: at(0), metadata_to: at(metadata_bytes), to: at(object.len()) };
        Encoded { text: [opening, object, closing].concat().into(), holes: None, event: Some(place) }
    }

    /// The whole text, if it is that of an event of this kind.
    pub(super) fn whole(&self, kind: ChangeKind) -> Option<Bytes> {
        self.event.is_some_and(|place| place.kind == kind).then(|| self.text.clone())
    }

    /// The object's own text.
    pub(super) fn object(&self) -> Bytes {
        self.text.slice(self.place())
    }

    /// The metadata with which the object's own text opens. They are found without looking at the text: in a long list
    /// it is far away.
    pub(super) fn metadata(&self) -> Bytes {
        let place = self.event.map(|place| place.from as usize..place.metadata_to as usize);
        self.text.slice(place.unwrap_or_default())
    }

    fn place(&self) -> Range<usize> {
        self.event.map_or(0..self.text.len(), |place| place.from as usize..place.to as usize)
    }
}

/// Puts rows together as they read at one moment.
struct Filling {
    now: Timestamp,
    /// The last age and its text: what was made at the same time has the same age.
    last: (i64, Bytes),
    pieces: Vec<Bytes>,
}

impl Filling {
    fn new(now: Timestamp, pieces: Vec<Bytes>) -> Filling {
        Filling { now, last: (i64::MIN, Bytes::new()), pieces }
    }

    fn push(&mut self, row: &Encoded) {
        let mut from = 0;
        for hole in row.holes.iter().flat_map(|holes| holes.iter()) {
            self.pieces.push(row.text.slice(from..hole.at));
            let seconds = self.now.duration_since(hole.since).as_secs();
            if self.last.0 != seconds {
                self.last = (seconds, kind::human_duration(seconds).into());
            }
            self.pieces.push(self.last.1.clone());
            from = hole.at;
        }
        self.pieces.push(row.text.slice(from..));
    }
}

impl Registry {
    /// A table with a row for each object of a page.
    pub(super) fn table_list(&self, page: &Page, include: Include, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
        around(page.items.iter().map(|item| self.row(item, include)), list_meta(page), self.strategy.columns(), now)
    }

    /// A table of one cached object; `columns` says whether it names them.
    pub(super) fn table_of(
        &self,
        cached: &Cached,
        include: Include,
        columns: bool,
        now: Timestamp,
    ) -> Result<Vec<Bytes>, Refusal> {
        let row = self.row(cached, include)?;
        let columns = if columns { self.strategy.columns() } else { &[] };
        around([Ok(row)], version_meta(cached.revision().to_string()), columns, now)
    }

    fn row(&self, cached: &Cached, include: Include) -> Result<Encoded, Refusal> {
        let make = || Ok(row_text(self.strategy.as_ref(), &*self.view(cached)?, include));
        cached.in_form(&Form::Row(self.strategy.resource().api_version(), include), make, Encoded::clone)
    }
}

/// A table of one object that is made for this answer.
pub(super) fn of_tree(
    strategy: &dyn Strategy,
    tree: &Value,
    include: Include,
    now: Timestamp,
) -> Result<Vec<Bytes>, Refusal> {
    let version = object::Meta::of(tree).resource_version().to_owned();
    around([Ok(row_text(strategy, tree, include))], version_meta(version), strategy.columns(), now)
}

/// The same of many; `meta` is the table's own metadata.
pub(super) fn of_trees(
    strategy: &dyn Strategy,
    meta: Value,
    trees: &[Value],
    include: Include,
    now: Timestamp,
) -> Result<Vec<Bytes>, Refusal> {
    around(trees.iter().map(|tree| Ok(row_text(strategy, tree, include))), meta, strategy.columns(), now)
}

fn version_meta(version: String) -> Value {
    if version.is_empty() { Value::map() } else { Value::from_pairs([("resourceVersion", version)]) }
}

/// A table around its rows.
fn around(
    rows: impl IntoIterator<Item = Result<Encoded, Refusal>, IntoIter: ExactSizeIterator>,
    meta: Value,
    columns: &[Column],
    now: Timestamp,
) -> Result<Vec<Bytes>, Refusal> {
    let rows = rows.into_iter();
    let mut pieces = Vec::with_capacity(rows.len() * 4 + 2);
    pieces.push(table_head(meta, columns)?);
    let mut filling = Filling::new(now, pieces);
    for (at, row) in rows.enumerate() {
        if at > 0 {
            filling.pieces.push(Bytes::from_static(b","));
        }
        filling.push(&row?);
    }
    filling.pieces.push(Bytes::from_static(b"]}\n"));
    Ok(filling.pieces)
}

/// A table in the languages and settings that are asked for rarely.
pub(super) fn rewritten(pieces: Vec<Bytes>, wanted: Wanted) -> Result<Vec<Bytes>, Refusal> {
    if wanted.media == Media::Json && !wanted.pretty {
        return Ok(pieces);
    }
    let text = pieces.concat();
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    Ok(vec![match wanted.media {
        Media::Json => {
            let mut text = json::pretty(text);
            text.push(b'\n');
            text.into()
        }
        Media::Yaml => yaml::encode(&json::parse(text).map_err(internal)?).map_err(internal)?.into(),
        Media::Protobuf => {
            return render_builtin(&json::parse(text).map_err(internal)?, (META_VERSION, "Table"), wanted);
        }
    }])
}

/// A table up to its first row.
fn table_head(meta: Value, columns: &[Column]) -> Result<Bytes, Refusal> {
    let mut table = Value::map();
    table.set(&["metadata"], meta);
    table.set(&["columnDefinitions"], columns.iter().map(column).collect::<Vec<Value>>());
    table.set(&["rows"], Vec::<Value>::new());
    let whole = render_builtin(&table, (META_VERSION, "Table"), Wanted::JSON)?.concat();
    let head = whole.strip_suffix(b"]}\n").ok_or_else(|| Refusal::Internal("a table ends with its rows".to_owned()))?;
    Ok(Bytes::copy_from_slice(head))
}

fn row_text(strategy: &dyn Strategy, tree: &Value, include: Include) -> Encoded {
    let mut text = b"{\"cells\":[".to_vec();
    let mut holes = Vec::new();
    for (at, cell) in strategy.row(tree).iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write_cell(cell, &mut text, &mut holes);
    }
    text.push(b']');
    match include {
        Include::None => {}
        Include::Metadata => write_member("object", &typed_partial(tree), &mut text),
        Include::Object => write_member("object", tree, &mut text),
    }
    text.push(b'}');
    Encoded { text: text.into(), holes: (!holes.is_empty()).then(|| holes.into()), event: None }
}

fn write_cell(cell: &Cell, text: &mut Vec<u8>, holes: &mut Vec<Hole>) {
    match cell {
        Cell::Value(value) => json::write(value, text),
        Cell::Text(parts) => {
            text.push(b'"');
            for part in parts {
                match part {
                    Part::Since(since) => holes.push(Hole { at: text.len(), since: *since }),
                    Part::Text(part) => {
                        let mut quoted = Vec::new();
                        json::write_string(part, &mut quoted);
                        text.extend_from_slice(&quoted[1..quoted.len() - 1]);
                    }
                }
            }
            text.push(b'"');
        }
    }
}

fn write_member(name: &str, value: &Value, text: &mut Vec<u8>) {
    text.push(b',');
    json::write_string(name, text);
    text.push(b':');
    json::write(value, text);
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

fn typed_partial(tree: &Value) -> Value {
    let mut partial = partial(tree);
    partial.set(&["kind"], "PartialObjectMetadata");
    partial.set(&["apiVersion"], META_VERSION);
    partial
}

#[cfg(test)]
mod tests;
