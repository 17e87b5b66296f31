//! The named schemas of a document: those that its operations mention, and all that these lead to.

use std::collections::BTreeMap;

use object::schema::{Field, ListType, Omit, PatchStrategy, Schema, Shape, Type, TypeId};
use object::{Text, Value};

use crate::json::Json;
use crate::target::{Body, Leaf, META, Target};
use crate::{Describe, Language, Source, declared};

/// Kinds of the API machinery that clients may send in every group-version.
const EVERYWHERE: [&str; 2] = ["DeleteOptions", "WatchEvent"];
/// Kinds of the API machinery that belong to no group.
const UNVERSIONED: [&str; 5] = ["APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"];

/// The fields of what `/version` answers: name, whether it is always there.
const VERSION: [(&str, bool); 13] = [
    ("major", true),
    ("minor", true),
    ("emulationMajor", false),
    ("emulationMinor", false),
    ("minCompatibilityMajor", false),
    ("minCompatibilityMinor", false),
    ("gitVersion", true),
    ("gitCommit", true),
    ("gitTreeState", true),
    ("buildDate", true),
    ("goVersion", true),
    ("compiler", true),
    ("platform", true),
];

/// The schemas of one document.
#[derive(Debug)]
pub(crate) struct Components<'a> {
    schema: &'a Schema,
    describe: &'a dyn Describe,
    language: Language,
    /// Group-versions in which the kinds of [`EVERYWHERE`] are listed.
    versions: Vec<(Text, Text)>,
    found: BTreeMap<&'a str, Body>,
    waiting: Vec<TypeId>,
}

impl<'a> Components<'a> {
    pub(crate) fn new(source: &Source<'a>, language: Language, versions: Vec<(Text, Text)>) -> Components<'a> {
        Components {
            schema: source.schema,
            describe: source.describe,
            language,
            versions,
            found: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Takes `target` and all that it leads to into the document.
    pub(crate) fn add(&mut self, target: Target<'a>) {
        self.note(target);
        while let Some(id) = self.waiting.pop() {
            let schema = self.schema;
            for field in schema.members(id) {
                let mut shape = &field.shape;
                while let Shape::List(inner) | Shape::Map(inner) = shape {
                    shape = inner;
                }
                if let Some(target) = Target::shape(schema, shape) {
                    self.note(target);
                }
            }
        }
    }

    fn note(&mut self, target: Target<'a>) {
        if self.found.insert(target.name, target.body).is_none()
            && let Body::Struct(id) = target.body
        {
            self.waiting.push(id);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The members `"name": schema`, sorted by name.
    pub(crate) fn write(&self, json: &mut Json) {
        for (name, body) in &self.found {
            json.key(name).object(|json| {
                json.some("description", self.describe.type_(name));
                match body {
                    Body::Struct(id) => self.structure(json, *id),
                    Body::Leaf(leaf) => self.leaf(json, *leaf),
                }
            });
        }
    }

    fn structure(&self, json: &mut Json, id: TypeId) {
        let owner = self.schema.get(id);
        if self.schema.members(id).len() > 0 {
            json.key("properties").object(|json| {
                for field in self.schema.members(id) {
                    json.key(&field.name).object(|json| self.property(json, owner, field));
                }
            });
        }
        let is_required = |field: &&Field| field.required || declared::is_required(&owner.name, &field.name);
        let required = || self.schema.members(id).filter(is_required).map(|field| &field.name);
        if required().next().is_some() {
            json.key("required").texts(required());
        }
        json.member("type", "object");
        let kinds = self.kinds(owner);
        if !kinds.is_empty() {
            json.key("x-kubernetes-group-version-kind").list(|json| {
                kinds.iter().for_each(|(group, version, kind)| group_version_kind(json, group, version, kind));
            });
        }
        if owner.atomic {
            json.member("x-kubernetes-map-type", "atomic");
        }
        if let Some((discriminator, fields)) = declared::union(&owner.name) {
            union(json, discriminator, fields);
        }
    }

    /// Group, version and kind of a type that is a kind.
    fn kinds(&self, owner: &'a Type) -> Vec<(&str, &str, &'a str)> {
        if let Some(short) = owner.name.strip_prefix(META) {
            return if EVERYWHERE.contains(&short) {
                self.versions.iter().map(|(group, version)| (group.as_str(), version.as_str(), short)).collect()
            } else if UNVERSIONED.contains(&short) {
                vec![("", "v1", short)]
            } else {
                Vec::new()
            };
        }
        let Some((api_version, kind)) = &owner.kind else { return Vec::new() };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        vec![(group, version, kind)]
    }

    fn property(&self, json: &mut Json, owner: &Type, field: &Field) {
        let described = self.describe.field(&owner.name, &field.name);
        let three = self.language == Language::OpenApi3;
        let bare = !three || declared::is_bare(&owner.name, &field.name);
        match Target::shape(self.schema, &field.shape) {
            Some(target) if bare => json.reference(self.language.prefix(), target.name),
            Some(target) => json.key("allOf").list(|json| {
                json.object(|json| json.reference(self.language.prefix(), target.name));
            }),
            None => self.shape(json, &field.shape),
        }
        if !(three && bare) {
            json.some("description", described);
        }
        if three && !bare {
            default(json, owner, field);
        }
        extensions(json, owner, field);
    }

    /// The members of the schema of a value without a name of its own, or of a list's items or a map's values.
    fn shape(&self, json: &mut Json, shape: &Shape) {
        if let Some(target) = Target::shape(self.schema, shape) {
            return json.reference(self.language.prefix(), target.name);
        }
        let (type_, format) = match shape {
            Shape::Bool => ("boolean", ""),
            Shape::Int32 => ("integer", "int32"),
            Shape::Int64 => ("integer", "int64"),
            Shape::Double => ("number", "double"),
            Shape::Bytes => ("string", "byte"),
            Shape::List(inner) => {
                json.key("items").object(|json| self.shape(json, inner));
                ("array", "")
            }
            Shape::StringList => {
                json.key("items").object(|json| json.member("type", "string"));
                ("array", "")
            }
            Shape::Map(inner) => {
                json.key("additionalProperties").object(|json| self.shape(json, inner));
                ("object", "")
            }
            Shape::Any => return,
            _ => ("string", ""),
        };
        json.member("type", type_);
        if !format.is_empty() {
            json.member("format", format);
        }
    }

    fn leaf(&self, json: &mut Json, leaf: Leaf) {
        let three = self.language == Language::OpenApi3;
        match leaf {
            Leaf::Anything => {}
            Leaf::Object => json.member("type", "object"),
            Leaf::Text("") => json.member("type", "string"),
            Leaf::Text(format) => {
                json.member("format", format);
                json.member("type", "string");
            }
            Leaf::Quantity if three => one_of(json, &["string", "number"]),
            Leaf::Quantity => json.member("type", "string"),
            Leaf::IntOrString => {
                json.member("format", "int-or-string");
                if three { one_of(json, &["integer", "string"]) } else { json.member("type", "string") }
            }
            Leaf::Version => version(json, three),
        }
    }
}

impl Language {
    /// Where named schemas stand.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Language::Swagger2 => "#/definitions/",
            Language::OpenApi3 => "#/components/schemas/",
        }
    }
}

/// The object that names a kind.
pub(crate) fn group_version_kind(json: &mut Json, group: &str, version: &str, kind: &str) {
    json.object(|json| {
        json.member("group", group);
        json.member("kind", kind);
        json.member("version", version);
    });
}

/// The declared default, or the zero value of what is always there.
fn default(json: &mut Json, owner: &Type, field: &Field) {
    if let Some(value) = &field.default {
        return json.key("default").value(value);
    }
    let always = !field.pointer && (field.omit == Omit::Never || declared::is_required(&owner.name, &field.name));
    let value = declared::default(&owner.name, &field.name).or_else(|| match field.shape {
        Shape::Struct(_) if !field.pointer => Some(Value::map()),
        Shape::String if always => Some(Value::from("")),
        Shape::Bool if always => Some(Value::from(false)),
        Shape::Int32 | Shape::Int64 | Shape::Double if always => Some(Value::from(0)),
        _ => None,
    });
    if let Some(value) = value {
        json.key("default").value(&value);
    }
}

fn extensions(json: &mut Json, owner: &Type, field: &Field) {
    // The items of a kind's list are the answer to a request; nobody owns them, so nothing is declared about them.
    if matches!(field.shape, Shape::List(_)) && !(field.name == "items" && field.required) {
        let (name, keys) = match &field.list {
            ListType::Atomic => ("atomic", None),
            ListType::Set => ("set", None),
            ListType::Map(keys) => ("map", Some(keys)),
        };
        if let Some(keys) = keys {
            json.key("x-kubernetes-list-map-keys").texts(keys);
        }
        json.member("x-kubernetes-list-type", name);
    }
    if declared::is_atomic_bytes(&owner.name, &field.name) {
        json.member("x-kubernetes-list-type", "atomic");
    }
    if field.atomic {
        json.member("x-kubernetes-map-type", "atomic");
    } else if declared::is_granular(&owner.name, &field.name) {
        json.member("x-kubernetes-map-type", "granular");
    }
    json.some("x-kubernetes-patch-merge-key", field.merge_key.as_deref());
    let strategy = match field.patch {
        PatchStrategy::Default => return,
        PatchStrategy::Merge => "merge",
        PatchStrategy::Replace => "replace",
        PatchStrategy::RetainKeys => "retainKeys",
        PatchStrategy::MergeRetainKeys => "merge,retainKeys",
    };
    json.member("x-kubernetes-patch-strategy", strategy);
}

fn union(json: &mut Json, discriminator: &str, fields: &[&str]) {
    json.key("x-kubernetes-unions").list(|json| {
        json.object(|json| {
            json.some("discriminator", (!discriminator.is_empty()).then_some(discriminator));
            json.key("fields-to-discriminateBy").object(|json| {
                fields.iter().for_each(|field| json.member(field, &crate::operation::capitalized(field)));
            });
        });
    });
}

fn one_of(json: &mut Json, types: &[&str]) {
    json.key("oneOf").list(|json| types.iter().for_each(|type_| json.object(|json| json.member("type", type_))));
}

fn version(json: &mut Json, three: bool) {
    json.key("properties").object(|json| {
        for (name, always) in VERSION {
            json.key(name).object(|json| {
                json.member("type", "string");
                json.some("default", (three && always).then_some(""));
            });
        }
    });
    json.key("required").texts(VERSION.iter().filter(|(_, always)| *always).map(|(name, _)| name));
    json.member("type", "object");
}
