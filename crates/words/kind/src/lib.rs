//! What a kind is to the rest of the house: a row, and a few promises.
//!
//! - [`Resource`]: the row: names, scope, verbs, subresources, where its objects are stored. [`builtin`] lists those of
//!   v1.36; custom resources make theirs at run time.
//! - [`Strategy`]: what a kind promises to the one path per verb: defaults, preparation, validation, columns.
//! - [`Cell`]: what stands in a row of a table.
//! - [`Problem`]: one complaint about one field, in upstream's words.
//! - [`Refusal`]: every way in which a request is refused, and the one function that makes it a `Status`.
//! - [`User`]: who asks.
//!
//! Not here: the paths themselves (`registry`), the kinds' promises (`resources`).

mod cell;
mod operation;
mod problem;
mod refusal;
mod resource;
mod rows;
mod strategy;
mod user;

pub use cell::{Cell, Part, age, human_duration};
pub use operation::Operation;
pub use problem::{Problem, ProblemKind};
pub use refusal::{Cause, Refusal};
pub use resource::{GroupKind, Resource, Stored, Subresource, Verb, Verbs};
pub use rows::builtin;
pub use strategy::{AGE, Column, Context, Deletion, Facts, NAME, Strategy};
pub use user::User;
