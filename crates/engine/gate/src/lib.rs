//! The permits that a request collects on its way to the registry.
//!
//! ```text
//! Known ─► Authenticated ─► Authorized ─► (Mutated ─►) Admitted
//! ```
//! Each is a type with private fields; the only way to one is the function that takes the one before it and asks the
//! judge of that stage. Whoever holds an [`Admitted`] holds proof that somebody was identified, allowed, and that
//! admission agreed, so the registry's writing functions take nothing else.
//!
//! Not here: the judges. [`Authenticator`], [`Authorizer`] and [`Admission`] are implemented by the component.

mod admission;
mod info;
mod permits;

pub use admission::{Admission, Attributes};
pub use info::{Query, RequestInfo, Target};
pub use permits::{Admitted, Authenticated, Authenticator, Authorized, Authorizer, Decision, Known, Mutated};
