//! A stage on which plans are rehearsed: the API server's rules for writes, in memory, for tests of planners.
//!
//! It is no server and no cache: no admission, no defaults, no watch. What it does have is what planners rely on, and it
//! has all of it: uids, revisions that grow, preconditions that refuse stale plans, generated names, generations, status
//! apart from spec, finalizers, graceful deletion of pods, and no-op writes that change nothing.
//!
//! Invariant: the same sequence of calls gives the same objects, names and uids, so a failing test fails every time.

mod dice;
mod laws;
mod script;
mod stage;

pub use dice::Dice;
pub use laws::{Actor, laws_hold, settle};
pub use script::{line, script};
pub use stage::{Outcome, Playhouse, at};
