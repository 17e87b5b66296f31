//! Server-side apply (KEP-555) and the ownership of fields that every write keeps up.
//!
//! Three entries, one per kind of write: [`create`], [`update`] and [`apply`](fn@apply). Each takes trees in the
//! version of the request and leaves `metadata.managedFields` as upstream would. [`settle_times`] comes last.
//! [`scale`] carries owners between a resource and its `scale` subresource.
//!
//! - [`FieldSet`]: a set of field paths, with upstream's JSON form.
//! - `topology`: what the schema table says about owning a value; `extract`, `diff`, `reshape`: what follows from it
//!   for one value, for two, and for values that are made from others.
//! - `managers`: the entries; `update` and `patch`: how writes change them.
//!
//! Invariants
//! - Entries that a write does not touch keep their text byte for byte, unread: reading them is most of the cost.
//! - A manager that writes what is there already changes nothing, not even its time.
//!
//! Not here: who may write what, the name of the manager when the request has none (see [`manager_name`]), and moving
//! entries of client-side apply to server-side apply, which clients do.

mod conflict;
mod diff;
mod element;
mod extract;
mod filter;
mod idle;
mod last_applied;
mod managers;
mod names;
mod order;
mod patch;
mod reshape;
pub mod scale;
mod set;
mod text;
mod topology;
mod update;
mod validate;
mod versions;

use codec::Root;
use jiff::Timestamp;

pub use conflict::{ApplyError, CAUSE_TYPE, Conflict, Conflicts};
pub use element::{Element, FieldPath};
pub use filter::{ResetFields, Step};
pub use idle::settle_times;
pub use managers::{Operation, validate};
pub use patch::{Applied, apply};
pub use set::FieldSet;
pub use update::{create, update};
pub use versions::{OneVersion, Versions};

/// Longest name of a manager.
pub const MANAGER_BYTES_MAX: usize = 128;

/// Who writes what kind of object, when.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// The type of the object in the version of the request.
    pub root: Root<'a>,
    /// The manager: the request's `fieldManager`, or [`manager_name`].
    pub manager: &'a str,
    /// The version of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// The subresource that is written, such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The time of the write.
    pub now: Timestamp,
    /// What this endpoint does not track.
    pub reset: &'a ResetFields,
    /// The other versions of the kind.
    pub versions: &'a dyn Versions,
}

/// The name of a manager that gives none: its `User-Agent` up to the first `/`, without what cannot be printed.
pub fn manager_name(user_agent: &str) -> String {
    let prefix = user_agent.split('/').next().unwrap_or_default();
    let mut name = String::new();
    for c in prefix.chars().filter(|c| !c.is_control() && (*c == ' ' || !c.is_whitespace())) {
        if name.len() + c.len_utf8() > MANAGER_BYTES_MAX {
            break;
        }
        name.push(c);
    }
    name
}

#[cfg(test)]
mod tests;
