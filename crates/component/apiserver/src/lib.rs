//! The API server: everything that the cluster knows is asked for, and changed, here.
//!
//! This crate wires: what a request is (`gate`), who may (`authz`), what may come in (`admission`), what kinds promise
//! (`resources`), how verbs work (`registry`), where state lives (`store`), and how it is spoken to (`serving`).

mod admission;
mod answer;
mod authn;
mod authz;
mod bootstrap;
mod chain;
mod components;
mod computed;
mod config;
mod discovery;
mod documents;
mod node_authorizer;
mod openapi;
mod reviews;
mod routes;
mod seats;
mod server;
mod service_addresses;
mod subresources;
mod verbs;

pub use addresses::Range;
pub use components::{Component, Way};
pub use config::{Config, Place, StartError};
pub use server::Server;
