//! The plugins against tables of requests.

mod chain;
mod defaults;
mod limits;
mod pod_security;
mod quota;
mod restriction;
mod service_accounts;
mod world;
