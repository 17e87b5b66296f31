//! What the schema table says about patching a field.

use codec::Root;
use object::Value;
use object::schema::{PatchStrategy, Schema, Shape, TypeId};

use crate::PatchError;
use crate::go::Printed;

/// Where in the types a patch is: at a struct, or at something whose members have no strategies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta<'s> {
    schema: &'s Schema,
    at: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Struct(TypeId),
    /// A map or a scalar, by the name that Go's reflection has for it.
    Other(&'static str),
}

/// How a field is patched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strategy<'s> {
    /// Lists are merged.
    pub(super) merges: bool,
    /// The value is replaced.
    pub(super) replaces: bool,
    /// Patches carry `$retainKeys`.
    pub(super) retains_keys: bool,
    /// What pairs the items of a list of maps; empty when nothing does.
    pub(super) merge_key: &'s str,
}

impl<'s> Meta<'s> {
    pub(super) fn of(root: Root<'s>) -> Meta<'s> {
        Meta { schema: root.schema, at: Place::Struct(root.id) }
    }

    /// The field `key`, whose value is a map in both documents.
    pub(super) fn field(self, key: &str) -> Result<(Meta<'s>, Strategy<'s>), PatchError> {
        let id = match self.at {
            Place::Struct(id) => id,
            Place::Other(kind) => {
                return Err(PatchError::Unexpected(format!(
                    "merging an object in json but data type is not struct, instead is: {kind}"
                )));
            }
        };
        let Some(field) = self.schema.field(id, key) else {
            let name = self.schema.get(id).name.rsplit('.').next().unwrap_or_default();
            return Err(PatchError::Unexpected(format!(
                "unable to find api field in struct {name} for the json field {key:?}"
            )));
        };
        let strategy = Strategy {
            merges: matches!(field.patch, PatchStrategy::Merge | PatchStrategy::MergeRetainKeys),
            replaces: field.patch == PatchStrategy::Replace,
            retains_keys: matches!(field.patch, PatchStrategy::RetainKeys | PatchStrategy::MergeRetainKeys),
            merge_key: field.merge_key.as_deref().unwrap_or_default(),
        };
        Ok((Meta { schema: self.schema, at: place(&field.shape) }, strategy))
    }

    /// The field `key`, whose value is a list in both documents; what comes back is about its items.
    pub(super) fn list(self, key: &str) -> Result<(Meta<'s>, Strategy<'s>), PatchError> {
        let (_, strategy) = self.field(key)?;
        let Place::Struct(id) = self.at else { return Ok((self, strategy)) };
        let shape = self.schema.field(id, key).map(|field| &field.shape);
        let at = match shape {
            Some(Shape::List(item)) if matches!(**item, Shape::List(_)) => {
                return Err(PatchError::Unexpected("unexpected slice of slice".to_owned()));
            }
            Some(Shape::List(item)) => place(item),
            Some(Shape::StringList) => Place::Other("string"),
            _ => {
                return Err(PatchError::Unexpected("expected slice or array type, but got: struct".to_owned()));
            }
        };
        Ok((Meta { schema: self.schema, at }, strategy))
    }

    /// What Go calls this kind of type.
    pub(super) fn kind(self) -> &'static str {
        match self.at {
            Place::Struct(_) => "struct",
            Place::Other(kind) => kind,
        }
    }
}

fn place(shape: &Shape) -> Place {
    match shape {
        Shape::Struct(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id) => {
            Place::Struct(*id)
        }
        Shape::Map(_) => Place::Other("map"),
        Shape::List(_) | Shape::StringList | Shape::Bytes => Place::Other("slice"),
        Shape::String => Place::Other("string"),
        Shape::Bool => Place::Other("bool"),
        Shape::Int32 => Place::Other("int32"),
        Shape::Int64 => Place::Other("int64"),
        Shape::Double => Place::Other("float64"),
        Shape::Any => Place::Other("interface"),
        // Structs of Go whose members are not fields of the API.
        _ => Place::Other("struct"),
    }
}

/// What all items of the given lists are. Mixed lists and lists of lists are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Items {
    /// No item at all.
    None,
    Maps,
    Scalars,
}

/// What the items of `lists` are.
pub(super) fn items_of(lists: &[&[Value]]) -> Result<Items, PatchError> {
    let mut first: Option<&Value> = None;
    for item in lists.iter().copied().flatten() {
        match first {
            None if matches!(item, Value::List(_)) => return Err(no_list_of_lists()),
            None => first = Some(item),
            Some(first) if std::mem::discriminant(first) != std::mem::discriminant(item) => {
                let shown: Vec<String> =
                    lists.iter().map(|list| Printed(&Value::List(list.to_vec())).to_string()).collect();
                return Err(PatchError::Unexpected(format!(
                    "list element types are not identical: [{}]",
                    shown.join(" ")
                )));
            }
            Some(_) => {}
        }
    }
    Ok(match first {
        None => Items::None,
        Some(Value::Map(_)) => Items::Maps,
        Some(_) => Items::Scalars,
    })
}

fn no_list_of_lists() -> PatchError {
    PatchError::Unprocessable("lists of lists are not supported".to_owned())
}
