//! What a `$ref` can lead to.

use object::schema::{Schema, Shape, TypeId};

/// Name prefix of the API machinery's types.
pub(crate) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// A schema that has a name in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) name: &'a str,
    pub(crate) body: Body,
}

/// What stands behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Struct(TypeId),
    Leaf(Leaf),
}

/// A named schema that is no struct of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Text in a format; `""` for plain text.
    Text(&'static str),
    Quantity,
    IntOrString,
    /// Any object.
    Object,
    /// Any value at all.
    Anything,
    /// What `/version` answers, which is no kind.
    Version,
}

impl<'a> Target<'a> {
    pub(crate) fn of(schema: &'a Schema, id: TypeId) -> Target<'a> {
        Target { name: &schema.get(id).name, body: Body::Struct(id) }
    }

    /// The type `name` of the API machinery.
    pub(crate) fn meta(schema: &'a Schema, name: &str) -> Option<Target<'a>> {
        Some(Target::of(schema, schema.named(&[META, name].concat())?))
    }

    pub(crate) fn kind(schema: &'a Schema, api_version: &str, kind: &str) -> Option<Target<'a>> {
        Some(Target::of(schema, schema.kind(api_version, kind)?))
    }

    pub(crate) fn version() -> Target<'static> {
        leaf("io.k8s.apimachinery.pkg.version.Info", Leaf::Version)
    }

    /// What `shape` refers to; `None` when it is written in place.
    pub(crate) fn shape(schema: &'a Schema, shape: &Shape) -> Option<Target<'a>> {
        Some(match shape {
            Shape::Struct(id) => Target::of(schema, *id),
            Shape::Time => leaf("io.k8s.apimachinery.pkg.apis.meta.v1.Time", Leaf::Text("date-time")),
            Shape::MicroTime => leaf("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", Leaf::Text("date-time")),
            Shape::Duration => leaf("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", Leaf::Text("")),
            Shape::Quantity => leaf("io.k8s.apimachinery.pkg.api.resource.Quantity", Leaf::Quantity),
            Shape::IntOrString => leaf("io.k8s.apimachinery.pkg.util.intstr.IntOrString", Leaf::IntOrString),
            Shape::Fields => leaf("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", Leaf::Object),
            Shape::RawObject => leaf("io.k8s.apimachinery.pkg.runtime.RawExtension", Leaf::Object),
            Shape::Json => anything("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"),
            Shape::SchemaOrArray(_) => {
                anything("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray")
            }
            Shape::SchemaOrBool(_) => {
                anything("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool")
            }
            Shape::SchemaOrStrings(_) => {
                anything("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray")
            }
            _ => return None,
        })
    }
}

fn leaf(name: &'static str, leaf: Leaf) -> Target<'static> {
    Target { name, body: Body::Leaf(leaf) }
}

fn anything(name: &'static str) -> Target<'static> {
    leaf(name, Leaf::Anything)
}
