//! The scheduler's mind: which pod goes to which node, who has to make room, and when to try again.
//!
//! It is the upstream scheduling framework as a pure state machine. It does no I/O, knows no clock and draws no random
//! numbers: [`Scheduler::step`] takes a change and the time, and answers with [`Output`]s that leave nothing to decide.
//! It is not a client: informers, bindings, patches and events are the component's.
//!
//! | module | what it is |
//! |---|---|
//! | [`scheduler`] | the state machine: pods in, decisions out |
//! | [`queue`] | who is next, who waits, who is woken by what |
//! | [`decision`], [`table`] | one decision; what is remembered of nodes between decisions |
//! | [`preemption`], [`nomination`] | making room, and keeping it |
//! | [`framework`], [`profile`], [`plugins`] | extension points, profiles, the default plugins of v1.36 |
//! | [`snapshot`], [`shape`] | nodes and pods as columns and counters; pods' compiled specifications |
//! | [`storage`], [`groups`] | claims and volumes; services and controllers |
//! | [`config`], [`message`] | what is configured, what goes in and out |
//!
//! How it is fast: pods of one template share a [`shape`]; filters and scores that depend on one node are kept per shape
//! and node until the node changes; affinity and spreading read counters kept per selector and topology domain. So a
//! decision costs one pass over a few columns, whatever the number of pods.
//!
//! Not built: dynamic resource allocation (pods with resource claims are refused and told so), gang scheduling and other
//! alpha plugins, extenders.

pub mod config;
mod decision;
mod event;
mod framework;
mod groups;
mod ids;
mod message;
mod nomination;
mod plugins;
mod preemption;
mod profile;
mod quantity;
mod queue;
mod random;
mod resources;
mod scheduler;
mod selector;
mod shape;
mod snapshot;
mod storage;
mod table;

pub use config::Config;
pub use message::{Change, Input, Nomination, Output, PodRef};
pub use queue::Pending;
pub use scheduler::Scheduler;
pub use storage::VolumeStep;
