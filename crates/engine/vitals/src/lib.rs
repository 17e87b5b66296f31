//! What a component says of itself on a port of its own, and who is let in there.
//!
//! - [`Vitals`]: a component's checks, what it counts, and the settings that hold.
//! - [`Port`]: shows them over HTTP; [`Port::server`] with a certificate made for it, as upstream's components make theirs.
//! - [`Sight`]: the check whether the component's informers have seen the cluster.
//! - [`Delegated`]: who asks and what they may, as the API server says it. Answers are kept for a while.
//!
//! Deliberately not here: what there is to check and to count (the component's), and where to listen.
//!
//! Invariants
//! - Whoever asks is authenticated and authorized before anything is answered; strangers see health and nothing else.
//! - When the API server does not say who somebody is or what they may, they are not let in.

mod delegated;
mod port;
mod sight;
mod vitals;

#[cfg(test)]
mod tests;

pub use delegated::{Asked, Delegated, Doubt, Lives};
pub use port::Port;
pub use sight::Sight;
pub use vitals::Vitals;
