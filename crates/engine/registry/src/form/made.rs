//! The forms of objects that are made for one answer: the results of writes, and objects that are stored nowhere.

use bytes::Bytes;
use codec::{Root, json, proto};
use jiff::Timestamp;
use kind::{Refusal, Strategy};
use object::Value;

use super::{META_VERSION, Media, Shape, Wanted, list_meta_shape, partial, render, render_builtin, table, written};

/// An answer that is one object.
pub fn object(strategy: &dyn Strategy, tree: &Value, wanted: Wanted, now: Timestamp) -> Result<Vec<Bytes>, Refusal> {
    let row = strategy.resource();
    match wanted.shape {
        Shape::Object => render(tree, root(strategy), (&row.api_version(), &row.kind), wanted),
        Shape::Metadata => render_builtin(&partial(tree), (META_VERSION, "PartialObjectMetadata"), wanted),
        Shape::Table(include) => table::rewritten(table::of_tree(strategy, tree, include, now)?, wanted),
    }
}

/// An answer that is a list of `trees`; `meta` is its own metadata.
pub fn list(
    strategy: &dyn Strategy,
    meta: Value,
    trees: Vec<Value>,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Vec<Bytes>, Refusal> {
    let row = strategy.resource();
    let (api_version, kind) = (row.api_version(), format!("{}List", row.kind));
    match (wanted.shape, wanted.media) {
        (Shape::Table(include), _) => table::rewritten(table::of_trees(strategy, meta, &trees, include, now)?, wanted),
        (Shape::Metadata, _) => {
            let items = trees.iter().map(partial).collect::<Vec<Value>>();
            let list = Value::from_pairs([("metadata", meta), ("items", Value::from(items))]);
            render_builtin(&list, (META_VERSION, "PartialObjectMetadataList"), wanted)
        }
        (Shape::Object, Media::Protobuf) => {
            let items = trees.iter().map(|tree| Bytes::from(proto::encode(tree, root(strategy)))).collect();
            Ok(proto::list(&meta, items, &api_version, &kind))
        }
        (Shape::Object, Media::Json | Media::Yaml) => {
            let mut list = Value::map();
            list.set(&["kind"], kind);
            list.set(&["apiVersion"], api_version);
            list.set(&["metadata"], meta);
            let strip = |mut tree: Value| {
                tree.remove(&["kind"]);
                tree.remove(&["apiVersion"]);
                tree
            };
            list.set(&["items"], trees.into_iter().map(strip).collect::<Vec<Value>>());
            Ok(vec![written(ordered_text(strategy, &list), &list, wanted)?])
        }
    }
}

fn root(strategy: &dyn Strategy) -> Root<'_> {
    let (schema, id) = strategy.root();
    Root { schema, id }
}

/// A list's JSON with its items in the order of their type.
fn ordered_text(strategy: &dyn Strategy, list: &Value) -> Vec<u8> {
    let (schema, id) = strategy.root();
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
