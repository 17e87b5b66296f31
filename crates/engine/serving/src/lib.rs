//! The HTTP front: from a listening socket, through TLS and HTTP/1.1 or HTTP/2, to one [`Service`].
//!
//! - [`Server`] accepts, shakes hands, serves and drains; [`Limits`] bounds all of it.
//! - [`Service`] is what a component implements; [`Door`] calls the same service from within the process.
//! - [`Peer`] says who is at the other end; [`Body`] is every body, in and out; [`on_upgrade`] takes a connection over.
//! - [`collect`] reads a bounded body; [`gzip`] compresses answers.
//!
//! Deliberately not here: routing, authentication, authorization, Kubernetes' Status objects, and deadlines of requests.
//!
//! Invariants
//! - A client certificate is handed on, never judged: a bad one completes the handshake.
//! - Bodies are pulled by the connection: what a slow client does not read is not produced.
//! - In-process callers and remote ones reach the service by the same call, with a [`Peer`] either way.
//! - Everything a stranger can make us hold has a bound in [`Limits`].

mod activity;
mod body;
mod collect;
mod connection;
mod door;
mod gathered;
pub mod gzip;
mod limits;
mod peer;
mod server;
mod service;
mod spun;
mod upgrade;

#[cfg(test)]
mod tests;

pub use body::{Body, BodyError, Piece, Sender, Source};
pub use collect::{CollectError, collect};
pub use door::Door;
pub use limits::Limits;
pub use peer::{Peer, Transport};
pub use server::{Drained, Server};
pub use service::{Service, from_fn};
pub use spun::Outlet;
pub use upgrade::{Upgraded, on_upgrade, take_upgraded};
