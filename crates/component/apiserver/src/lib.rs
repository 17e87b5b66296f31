//! The API server: everything that the cluster knows is asked for, and changed, here.
//!
//! This crate wires: what a request is (`gate`), who may (`authz`), what may come in (`admission`), what kinds promise
//! (`resources`), how verbs work (`registry`), where state lives (`store`), and how it is spoken to (`serving`).

mod answer;
mod authn;
mod chain;
mod discovery;
mod documents;
mod reviews;
mod routes;
mod seats;
mod service_addresses;
mod subresources;
mod verbs;
