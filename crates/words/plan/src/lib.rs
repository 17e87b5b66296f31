//! The words in which controllers decide.
//!
//! A controller is a pure function `plan(key, world, now) -> Plan`. This crate holds the nouns of that sentence: [`Key`],
//! the read-only [`View`]s that make up a world, and [`Plan`] with its [`Action`]s. Planners (floor *logic*) write plans,
//! the driver (`engine/workqueue`) executes them without knowing a single kind.
//!
//! What it deliberately is not: it decides nothing, reads no clock, talks to nobody, and does not decode kinds.
//!
//! Invariants
//! - Every write names what it was decided on: updates carry uid and resourceVersion inside the object, patches and deletes
//!   carry at least the uid. A plan made from a stale view is refused by the server, it does no harm.
//! - A plan leaves no choice open: order, batching ([`Stage`]), events and the next look at the clock are data.
//! - Objects are shared (`Arc`): a view hands out pointers, a planner copies only what it changes.

mod action;
mod event;
mod hash;
mod number;
mod object;
mod ownership;
mod selector;
mod taint;
mod view;
mod wire;

pub use action::{Action, Guard, MetaPatch, Part, Plan, Propagation, Refusal, Stage, Step, Target, slow_start};
pub use event::{Event, EventType, Note, Say, reference};
pub use hash::{fnv32a, hash_of_debug, safe_encode};
pub use number::{Rounding, percent_or_count};
pub use object::{Kind, Object, Resource};
pub use ownership::{
    Claim, Claimed, claim, controller_key, controller_of, controller_reference, is_controlled_by, owner_reference,
    owners_to_wake,
};
pub use selector::Selector;
pub use taint::{tolerates, untolerated};
pub use view::{Index, Key, Shelf, View, carries, index_value, label_value, selected_label};

/// Words about `ObjectMeta` that every planner needs.
pub mod meta;

#[cfg(test)]
mod tests;
