//! The only crate that names `k8s-openapi`, and the only one that turns trees into kinds and back.
//!
//! Everybody else borrows: `&Pod`, `Arc<Pod>`. Decoding a kind costs build time wherever it is instantiated, so it is
//! instantiated here, once per kind, behind the non-generic functions of [`Kind`].
//!
//! A typed view leaves out `metadata.managedFields`: no logic reads them, they are a third of an object, and a server
//! keeps what an update does not mention.

mod kinds;
mod reader;
mod writer;

pub use k8s_openapi::api;
pub use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
pub use k8s_openapi::apimachinery::pkg::api::resource;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
pub use k8s_openapi::apimachinery::pkg::util::intstr;
pub use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
pub use k8s_openapi::{ByteString, jiff};

pub use kinds::{Kind, Object};

use object::Value;

/// A tree that does not fit the kind it should be: the bytes came from something that is not a v1.36 server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

/// Reads a struct that is part of a kind, such as a pod's spec.
///
/// Crates that need a part must ask for a function here rather than instantiate this.
fn read<'a, T: serde::Deserialize<'a>>(tree: &'a Value) -> Result<T, Mismatch> {
    T::deserialize(reader::Reader(tree))
}

/// Writes a struct as a tree, absent fields left out.
fn write<T: serde::Serialize>(value: &T) -> Value {
    value.serialize(writer::Writer).expect("kinds have text keys and finite numbers only")
}
