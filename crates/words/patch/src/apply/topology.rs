//! What the schema table says about owning a value: as one field, field by field, or item by item.

use object::schema::{Field, ListType, Schema, Shape, TypeId};
use object::{Text, Value};

use super::element::Element;
use super::names::Names;

/// How a value may be owned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'s> {
    /// One field: a scalar.
    Scalar(&'s Shape),
    /// One field, although it has parts.
    Atomic(&'s Shape),
    /// Field by field.
    Struct(Fields<'s>),
    /// Key by key; the values are of this shape.
    Map(&'s Shape),
    /// Item by item, told apart by keys.
    Keyed { item: &'s Shape, keys: &'s [Text] },
    /// Item by item, told apart by value.
    Set(&'s Shape),
    /// Whatever it looks like: maps key by key, all else as one field.
    Deduced,
}

/// The fields of a struct.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'s> {
    id: TypeId,
    names: Option<&'s Names<'static>>,
}

/// A schema with the questions that ownership asks of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topology<'s> {
    pub(super) schema: &'s Schema,
}

impl<'s> Topology<'s> {
    /// The struct type `id`, field by field even when it is atomic.
    pub(super) fn struct_of(self, id: TypeId) -> Node<'s> {
        Node::Struct(Fields { id, names: Names::builtin(self.schema, id) })
    }

    /// How a list item or map value of this shape is owned.
    pub(super) fn of_shape(self, shape: &'s Shape) -> Node<'s> {
        match shape {
            Shape::Struct(id) => {
                let declared = self.schema.get(*id);
                if declared.atomic {
                    Node::Atomic(shape)
                } else if self.schema.members(*id).len() == 0 {
                    Node::Deduced
                } else {
                    self.struct_of(*id)
                }
            }
            Shape::Map(value) => Node::Map(value),
            Shape::List(_) | Shape::StringList | Shape::Fields => Node::Atomic(shape),
            Shape::RawObject
            | Shape::Json
            | Shape::Any
            | Shape::SchemaOrArray(_)
            | Shape::SchemaOrBool(_)
            | Shape::SchemaOrStrings(_) => Node::Deduced,
            _ => Node::Scalar(shape),
        }
    }

    /// How a field is owned.
    pub(super) fn of_field(self, field: &'s Field) -> Node<'s> {
        match (&field.shape, &field.list) {
            (Shape::Struct(_) | Shape::Map(_), _) if field.atomic => Node::Atomic(&field.shape),
            (Shape::List(item), ListType::Map(keys)) => Node::Keyed { item, keys },
            (Shape::List(item), ListType::Set) => Node::Set(item),
            (shape, _) => self.of_shape(shape),
        }
    }

    /// How the member `key` of a struct or map is owned, and whether it is a declared field. `None`: no such field.
    pub(super) fn member(self, node: Node<'s>, key: &str) -> Option<(Node<'s>, bool)> {
        match node {
            Node::Struct(Fields { id, names }) => {
                let field = match names {
                    Some(names) => names.find(key),
                    None => self.schema.field(id, key),
                };
                field.map(|field| (self.of_field(field), true))
            }
            Node::Map(value) => Some((self.of_shape(value), false)),
            Node::Deduced => Some((Node::Deduced, false)),
            _ => None,
        }
    }

    /// Like [`Topology::member`], but what no type declares is whatever it looks like.
    pub(super) fn member_or_deduced(self, node: Node<'s>, key: &str) -> (Node<'s>, bool) {
        self.member(node, key).unwrap_or((Node::Deduced, false))
    }

    /// The shape of the items of a list that is owned item by item.
    pub(super) fn item(self, node: Node<'s>) -> Node<'s> {
        match node {
            Node::Keyed { item, .. } | Node::Set(item) => self.of_shape(item),
            _ => Node::Deduced,
        }
    }

    /// What tells `item` apart in a list owned item by item; the error is upstream's.
    pub(super) fn element(self, node: Node<'s>, item: &Value) -> Result<Element, String> {
        match (node, item) {
            (Node::Keyed { item: shape, keys }, Value::Map(map)) => {
                let mut found: Vec<(Text, Value)> = Vec::with_capacity(keys.len());
                for key in keys {
                    let value = map.get(key).or_else(|| self.default_of(shape, key));
                    found.extend(value.map(|value| (key.clone(), value.clone())));
                }
                if found.is_empty() {
                    let names: Vec<String> = keys.iter().map(|key| format!("{:?}", key.as_str())).collect();
                    return Err(format!(
                        "associative list with keys has an element that omits all key fields [{}] (and doesn't have \
                         default values for any key fields)",
                        names.join(" ")
                    ));
                }
                found.sort_by(|left, right| left.0.cmp(&right.0));
                Ok(Element::Key(found.into()))
            }
            (Node::Keyed { .. }, Value::Null) => {
                Err("associative list with keys may not have a null element".to_owned())
            }
            (Node::Keyed { .. }, _) => Err("associative list with keys may not have non-map elements".to_owned()),
            (_, Value::Map(_)) => Err("associative list without keys has an element that's a map type".to_owned()),
            (_, Value::List(_)) => Err("not supported: associative list with lists as elements".to_owned()),
            (_, Value::Null) => Err("associative list without keys has an element that's an explicit null".to_owned()),
            _ => Ok(Element::Value(Box::new(item.clone()))),
        }
    }

    /// The items of a list with what tells them apart, in list order. Items that nothing tells apart are left out:
    /// validation refuses them in what is applied, and in live objects they are nobody's.
    pub(super) fn elements<'v>(self, node: Node<'s>, items: &'v [Value]) -> Vec<(Element, &'v Value)> {
        items.iter().filter_map(|item| Some((self.element(node, item).ok()?, item))).collect()
    }

    /// Whether two items of a keyed list or set are told apart by nothing.
    pub(super) fn same_item(self, node: Node<'s>, left: &Value, right: &Value) -> bool {
        match (node, left, right) {
            (Node::Keyed { item, keys }, Value::Map(left), Value::Map(right)) => {
                let value =
                    |map: &'_ object::Map, key: &Text| map.get(key).or_else(|| self.default_of(item, key)).cloned();
                keys.iter().all(|key| match (left.get(key), right.get(key)) {
                    (Some(left), Some(right)) => super::order::equal(left, right),
                    _ => value(left, key) == value(right, key),
                })
            }
            _ => super::order::equal(left, right),
        }
    }

    fn default_of(self, item: &Shape, key: &str) -> Option<&'s Value> {
        let id = item.inner_struct()?;
        self.schema.field(id, key)?.default.as_ref()
    }
}
