//! Objects as trees, and the one table that says what every field of the Kubernetes API means.
//!
//! - [`Value`] and [`Map`]: the tree an object is while it is in flight.
//! - [`schema`]: the table of types: JSON names, protobuf numbers, optionality, list topology, patch strategy.
//! - [`Quantity`], [`timestamp`], [`selector`]: the scalar languages of the API, with their canonical forms.
//! - [`Meta`]: typed access to an object's metadata.
//!
//! Not here: reading or writing bytes (`codec`), kinds as Rust structs (`typed`), any policy.
//!
//! Invariants
//! - A [`Map`] is sorted by key; equal trees therefore compare equal and encode equally.
//! - A tree that `codec` made by a schema is canonical: what upstream's server would store and serve.

mod map;
mod meta;
pub mod names;
pub mod path;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod timestamp;
mod value;

pub use map::{Map, MapBuilder};
pub use meta::{Meta, MetaMut, OwnerReference};
pub use path::{Path, Step};
pub use quantity::Quantity;
pub use schema::{Schema, Type};
pub use value::{RawJson, Value};

/// Text of fields and keys: up to 24 bytes inline, which covers nearly every field name.
pub type Text = compact_str::CompactString;
