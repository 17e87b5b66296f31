//! The table of types: one structure for built-in kinds and, made at run time, for custom ones.
//!
//! # Text form
//! One file per package under `schema/`, made by `cargo xtask schema` and committed:
//! ```text
//! package io.k8s.api.core.v1 v1            type name prefix, apiVersion of its kinds ("-": none)
//! kind Pod [atomic]                        a struct that carries kind and apiVersion
//! type PodSpec [atomic]                    any other struct; atomic: server-side apply owns it whole
//!   2 containers []Container required …    protobuf number, JSON name, type, marks; in Go's field order
//!   1 ^ VolumeSource                       inline in JSON, a message of its own in protobuf
//! ```
//! Types: `string bool int32 int64 double bytes`, the leaves `time microtime duration quantity intorstring fields raw
//! json any stringlist schema-or-array schema-or-bool schema-or-strings`, a struct's name (with its package unless it is
//! the same one), and the prefixes `*` (pointer: absent differs from zero), `[]` and `map:` (keys are text).
//! Marks: `omit` (not written when empty), `omitzero`, `required`, `list=atomic|set|map:keys`, `atomic`,
//! `patch=strategy[,strategy][:mergeKey]`, `default=<JSON scalar>`.

mod parse;
mod tables;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::{Text, Value};

/// Index of a [`Type`] in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// A set of types that refer to each other.
#[derive(Debug, Default)]
pub struct Schema {
    types: Vec<Type>,
    by_name: HashMap<String, TypeId>,
    kinds: HashMap<(String, String), TypeId>,
}

/// A struct type.
#[derive(Debug, Clone)]
pub struct Type {
    /// OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
    pub name: String,
    /// `(apiVersion, kind)` when it is a kind.
    pub kind: Option<(String, String)>,
    /// Whether server-side apply treats a value of this type as one field.
    pub atomic: bool,
    /// The fields in the order in which JSON writes them; an inlined struct stands as one field without a name.
    pub fields: Vec<Field>,
    /// The fields that JSON writes, inlined structs opened, in order.
    members: Vec<Member>,
    /// Indices into `members`, sorted by JSON name, [`shorter_first`].
    by_name: Vec<u16>,
    /// Indices into `fields` of those with a protobuf form, sorted by number.
    by_number: Vec<u16>,
}

/// One field.
#[derive(Debug, Clone)]
pub struct Field {
    /// JSON name; empty for an inlined struct.
    pub name: Text,
    /// Protobuf field number; 0 when it has no protobuf form.
    pub number: u32,
    /// What it holds.
    pub shape: Shape,
    /// Whether absence differs from the zero value.
    pub pointer: bool,
    /// When it is left out on writing.
    pub omit: Omit,
    /// Whether OpenAPI calls it required.
    pub required: bool,
    /// How server-side apply sees a list.
    pub list: ListType,
    /// Whether server-side apply sees a map or struct as one field.
    pub atomic: bool,
    /// How a strategic merge patch treats it.
    pub patch: PatchStrategy,
    /// Key by which a strategic merge patch pairs list items.
    pub merge_key: Option<Text>,
    /// Static default from the API's declaration.
    pub default: Option<Value>,
}

/// When a field is left out of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omit {
    /// Never: an absent value is written as its zero value (`null`, `""`, `0`, `false`, `{}`).
    Never,
    /// When it is empty, as Go's `omitempty`.
    Empty,
    /// When it is the zero value, as Go's `omitzero`.
    Zero,
}

/// What a field, item or map value holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// UTF-8 text.
    String,
    /// A truth value.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A floating-point number.
    Double,
    /// Bytes, base64 in JSON.
    Bytes,
    /// RFC 3339 time in whole seconds.
    Time,
    /// RFC 3339 time with six digits.
    MicroTime,
    /// A Go duration such as `1h30m`.
    Duration,
    /// A quantity.
    Quantity,
    /// An integer or a text.
    IntOrString,
    /// A field set of `managedFields`: JSON that is passed through.
    Fields,
    /// An embedded object of any kind (`runtime.RawExtension`).
    RawObject,
    /// Any JSON value, wrapped in a message of its own in protobuf (`JSON`).
    Json,
    /// Any JSON value without a protobuf form.
    Any,
    /// A list of texts with a protobuf message of its own (`ExtraValue`, `Verbs`).
    StringList,
    /// `JSONSchemaPropsOrArray`: a schema or a list of schemas.
    SchemaOrArray(TypeId),
    /// `JSONSchemaPropsOrBool`: a schema or a truth value.
    SchemaOrBool(TypeId),
    /// `JSONSchemaPropsOrStringArray`: a schema or a list of texts.
    SchemaOrStrings(TypeId),
    /// A struct.
    Struct(TypeId),
    /// A list.
    List(Box<Shape>),
    /// A map with text keys.
    Map(Box<Shape>),
}

/// How server-side apply sees a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// One field, replaced whole.
    #[default]
    Atomic,
    /// A set of scalars.
    Set,
    /// Items told apart by these keys.
    Map(Vec<Text>),
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PatchStrategy {
    /// Lists are replaced; structs and maps are merged, as every patch does.
    #[default]
    Default,
    /// Lists are merged.
    Merge,
    /// The value is replaced.
    Replace,
    /// Structs are merged, but only the keys that `$retainKeys` names survive.
    RetainKeys,
    /// Lists are merged, and items keep only the keys that `$retainKeys` names.
    MergeRetainKeys,
}

/// A JSON name of a type, and where it leads.
#[derive(Debug, Clone)]
struct Member {
    name: Text,
    /// Type that declares the field.
    owner: TypeId,
    /// Index in that type's fields.
    at: u16,
}

static BUILTIN: LazyLock<Schema> = LazyLock::new(|| {
    parse::parse(tables::TABLES).expect("the committed table is well-formed; the tests of this crate read it")
});

impl Schema {
    /// The types that every v1.36 server knows.
    pub fn builtin() -> &'static Schema {
        &BUILTIN
    }

    /// The type of the kind `kind` in `api_version`.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<TypeId> {
        // Lookups happen once per request; building the key is cheaper than keeping a second index.
        self.kinds
            .get(&(api_version.to_owned(), kind.to_owned()))
            .copied()
            .or_else(|| self.shared_kind(api_version, kind))
    }

    /// Kinds of the API machinery that belong to no group: options are read in every version, the unversioned
    /// documents in `v1` (upstream's `metav1.AddToGroupVersion` and `AddUnversionedTypes`).
    fn shared_kind(&self, api_version: &str, kind: &str) -> Option<TypeId> {
        const EVERYWHERE: [&str; 7] = [
            "CreateOptions",
            "DeleteOptions",
            "GetOptions",
            "ListOptions",
            "PatchOptions",
            "UpdateOptions",
            "WatchEvent",
        ];
        const UNVERSIONED: [&str; 5] = ["APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"];
        let shared = EVERYWHERE.contains(&kind) || (api_version == "v1" && UNVERSIONED.contains(&kind));
        if shared { self.named(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}")) } else { None }
    }

    /// The type with the OpenAPI name `name`.
    pub fn named(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// A type by its id.
    ///
    /// # Panics
    /// When `id` is of another schema.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// All types in a stable order.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0_u32..).map(TypeId).zip(self.types.iter())
    }

    /// The field that the JSON name `name` means in `id`, looking through inlined structs.
    pub fn field(&self, id: TypeId, name: &str) -> Option<&Field> {
        self.member(id, name).map(|(_, field)| field)
    }

    /// Like [`Schema::field`], with the field's position among the [`Schema::members`].
    pub fn member(&self, id: TypeId, name: &str) -> Option<(usize, &Field)> {
        let owner = self.get(id);
        let found = owner.by_name.binary_search_by(|at| shorter_first(&owner.members[usize::from(*at)].name, name));
        let at = usize::from(owner.by_name[found.ok()?]);
        let member = &owner.members[at];
        Some((at, &self.get(member.owner).fields[usize::from(member.at)]))
    }

    /// The fields of `id` that have a protobuf form, by ascending number; inlined structs stand as one field.
    pub fn numbered(&self, id: TypeId) -> impl DoubleEndedIterator<Item = &Field> {
        let owner = self.get(id);
        owner.by_number.iter().map(|at| &owner.fields[usize::from(*at)])
    }

    /// The field with the protobuf number `number`.
    pub fn field_numbered(&self, id: TypeId, number: u32) -> Option<&Field> {
        let owner = self.get(id);
        let found = owner.by_number.binary_search_by_key(&number, |at| owner.fields[usize::from(*at)].number);
        found.ok().map(|at| &owner.fields[usize::from(owner.by_number[at])])
    }

    /// The fields that JSON writes for `id`, in order, inlined structs opened.
    pub fn members(&self, id: TypeId) -> impl ExactSizeIterator<Item = &Field> {
        self.get(id).members.iter().map(|member| &self.get(member.owner).fields[usize::from(member.at)])
    }
}

/// An order of names that mostly looks at nothing but their lengths: few fields of a type have names of the same length.
fn shorter_first(left: &str, right: &str) -> std::cmp::Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Shape {
    /// The struct type of this shape, or of its items or values.
    pub fn inner_struct(&self) -> Option<TypeId> {
        match self {
            Shape::Struct(id) => Some(*id),
            Shape::List(inner) | Shape::Map(inner) => inner.inner_struct(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
