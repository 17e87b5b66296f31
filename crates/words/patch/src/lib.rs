//! The four ways to change an object by sending less than the object, as pure functions over trees.
//!
//! - [`json`]: JSON patch (RFC 6902), with the habits of the library that upstream's server uses.
//! - [`merge`]: JSON merge patch (RFC 7386).
//! - [`strategic`]: strategic merge patch, which knows from the schema table how lists pair up; also makes such patches.
//! - [`apply`]: server-side apply: who owns which field, and what that means for every write.
//!
//! Not here: reading a request, choosing among the four, defaulting, validating, HTTP.
//!
//! Invariants
//! - Nothing here does I/O or keeps state; the time is an argument.
//! - The resulting tree is **not canonical**: a patch may bring in `null`, empty members, quantities in any spelling or
//!   fields that no type knows. Whoever patches runs [`codec::conform`] on the result before anything else looks at it.
//! - Trees that go in as live objects are canonical; trees that go in as patches are whatever the client sent.

pub mod apply;
mod error;
mod go;
pub mod json;
pub mod merge;
pub mod strategic;

pub use error::PatchError;
