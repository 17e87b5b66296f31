//! The documents under `/openapi`: what every kind looks like and what can be done with it.
//!
//! - [`v3`]: one OpenAPI 3.0 document per group-version, and the index that leads to them.
//! - [`v2`]: one Swagger 2.0 document for everything, as JSON and in the protobuf form that `kubectl` reads.
//! - [`Source`]: what both are made from: the table of types, the rows, and where descriptions come from.
//! - [`Descriptions`]: those of the built-in types, packed.
//!
//! Not here: caching, entity tags, compression and negotiation (who serves the documents does that, by the bytes).
//!
//! Invariants
//! - A document depends on its [`Source`] alone: equal sources give equal bytes, so a hash of them is an entity tag.
//! - Every `$ref` leads to a schema in the same document.
//! - A document promises only what is served: media types whose gate is off (CBOR) and `/logs` do not appear.
//! - Nothing is kept: a document is written straight into its bytes, and what was needed for it is freed.

mod components;
mod declared;
mod descriptions;
mod json;
mod operation;
mod protobuf;
mod routes;
mod target;
pub mod v2;
pub mod v3;

use std::sync::Arc;

use kind::Resource;
use object::Schema;

pub use descriptions::Descriptions;

/// What documents are made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The types that the rows name, and those of the API machinery. Rows of unknown kinds are left out.
    pub schema: &'a Schema,
    /// The resources that are served.
    pub rows: &'a [Arc<Resource>],
    /// Where descriptions come from.
    pub describe: &'a dyn Describe,
}

/// Sentences about types and fields, in English, by OpenAPI name such as `io.k8s.api.core.v1.Pod`.
pub trait Describe: std::fmt::Debug {
    /// What the type `name` is.
    fn type_(&self, name: &str) -> Option<&str>;
    /// What the field with the JSON name `field` of the type `name` is.
    fn field(&self, name: &str, field: &str) -> Option<&str>;
}

/// No descriptions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Undescribed;

impl Describe for Undescribed {
    fn type_(&self, _name: &str) -> Option<&str> {
        None
    }

    fn field(&self, _name: &str, _field: &str) -> Option<&str> {
        None
    }
}

/// Which of the two languages a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Swagger2,
    OpenApi3,
}

#[cfg(test)]
mod tests;
