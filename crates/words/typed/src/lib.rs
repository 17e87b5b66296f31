//! The only crate that names `k8s-openapi`, and the only one that turns trees into kinds and back.
//!
//! Everybody else borrows: `&Pod`, `Arc<Pod>`. Decoding a kind costs build time wherever it is instantiated, so it is
//! instantiated here, once per kind, behind non-generic functions.

pub use k8s_openapi::api;
pub use k8s_openapi::apimachinery::pkg::api::resource;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
pub use k8s_openapi::apimachinery::pkg::util::intstr;
