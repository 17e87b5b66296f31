//! Talking to an API server, by socket or within the process, in the words of kinds.
//!
//! - [`Client`] has a method per verb, for typed kinds and for trees of any resource.
//! - [`Transport`] is what carries requests: [`Remote`] (TLS, HTTP/2 or HTTP/1.1, reconnecting, reloading its
//!   credentials) or [`serving::Door`] (a call of the service itself).
//! - [`Kept`] remembers answers for a while, so that what is asked often is asked once.
//! - [`Known`] is what clients of one server within a process share of what they read.
//! - [`WatchStream`] and [`TreeWatch`] read watches; [`Discovered`] says what a server serves.
//!
//! Deliberately not here: caches, queues, retries of writes. A read is retried only when the server says when to come
//! back, or when a connection died under it.
//!
//! Invariants
//! - Built-in kinds travel as protobuf both ways, everything else as JSON; the answer's content type decides how it is
//!   read, so an older or foreign server is understood as well.
//! - The work is done on trees by functions that exist once; what is generic only turns trees into kinds.
//! - Dropping a future or a stream ends its request.

mod call;
mod client;
mod credentials;
mod discovery;
mod dynamic;
mod error;
mod kept;
mod known;
mod options;
mod pool;
mod remote;
mod transport;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{Client, Listed};
pub use discovery::Discovered;
pub use dynamic::Creation;
pub use error::{Error, SetupError, TransportError};
pub use kept::Kept;
pub use known::Known;
pub use options::{DeleteOptions, Depth, ListOptions, Patch, Propagation, WatchOptions};
pub use remote::Remote;
pub use transport::{Carried, Transport, upgraded};
pub use watch::{Event, TreeEvent, TreeWatch, WatchStream};
