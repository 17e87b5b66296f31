//! What admission is asked.

use futures::future::BoxFuture;
use kind::{Operation, Refusal, Resource};
use object::Value;

use crate::Authorized;

/// The circumstances of a write.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// What happens.
    pub operation: Operation,
    /// To an object of which kind.
    pub resource: &'a Resource,
    /// Through which subresource; empty for the object itself.
    pub subresource: &'a str,
    /// In which namespace; empty for cluster scope.
    pub namespace: &'a str,
    /// Named how; empty while `generateName` is still to be expanded.
    pub name: &'a str,
    /// The stored object, for updates and deletions.
    pub old: Option<&'a Value>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// When.
    pub now: jiff::Timestamp,
}

/// Changes objects on their way in, and says which may not come in.
pub trait Admission: Send + Sync {
    /// First pass: completes or changes `object`.
    fn mutate<'a>(
        &'a self,
        by: &'a Authorized,
        attributes: &'a Attributes<'_>,
        object: &'a mut Value,
    ) -> BoxFuture<'a, Result<(), Refusal>>;

    /// Second pass: accepts or refuses what will be stored.
    fn validate<'a>(
        &'a self,
        by: &'a Authorized,
        attributes: &'a Attributes<'_>,
        object: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), Refusal>>;
}
