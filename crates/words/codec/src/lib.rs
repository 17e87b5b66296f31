//! Bytes to trees and back: JSON, YAML and protobuf, by the schema table.
//!
//! What a decoder returns is *canonical*: the tree that upstream's server would hold after reading the same bytes.
//! Required fields are there with their zero values, empty optional ones are gone, quantities and times stand in their
//! one form. Unknown and duplicate fields are collected, not judged: whether they are errors is the request's choice.
//!
//! Not here: defaults that depend on a kind's meaning, kinds as Rust types, content negotiation.
//!
//! Invariants
//! - No input makes a decoder panic, recurse deeper than [`DEPTH_MAX`] or allocate more than a small multiple of itself.
//! - Decoding any of the three forms of one object gives the same tree; encoding it gives upstream's bytes.

mod conform;
pub mod json;
mod named;
pub mod proto;
mod scalar;
pub mod yaml;
mod zero;

use object::schema::{Schema, TypeId};

pub use conform::{conform, conform_as_stored, empty};

/// Deepest nesting of lists, maps and structs that is read.
pub const DEPTH_MAX: usize = 256;

/// Most strict problems that are collected; more do not help anybody and would be a way to use memory.
const STRICT_PROBLEMS_MAX: usize = 100;

/// Most bytes of them, but for the last: each repeats a path, and what a path consists of is as long as a client likes.
const STRICT_PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Whether one more strict problem is collected.
fn is_room(problems: &[String]) -> bool {
    problems.len() < STRICT_PROBLEMS_MAX && problems.iter().map(String::len).sum::<usize>() < STRICT_PROBLEM_BYTES_MAX
}

/// Which type the bytes are of.
#[derive(Debug, Clone, Copy)]
pub struct Root<'s> {
    /// The table that knows the type.
    pub schema: &'s Schema,
    /// The type.
    pub id: TypeId,
}

impl Root<'static> {
    /// The built-in kind `kind` of `api_version`.
    pub fn builtin(api_version: &str, kind: &str) -> Option<Root<'static>> {
        let schema = Schema::builtin();
        Some(Root { schema, id: schema.kind(api_version, kind)? })
    }
}

/// A decoded tree with what strict reading would object to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The canonical tree.
    pub value: object::Value,
    /// `unknown field "spec.foo"`, `duplicate field "spec.bar"`, in the order found.
    pub strict_problems: Vec<String>,
}

/// Why bytes are no object of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not of the format at all.
    #[error("{0}")]
    Syntax(String),
    /// A value is of the wrong type, with upstream's words.
    #[error("{0}")]
    Type(String),
    /// The nesting is deeper than [`DEPTH_MAX`].
    #[error("exceeded max depth of {DEPTH_MAX}")]
    TooDeep,
}
