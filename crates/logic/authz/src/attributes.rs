//! What is asked of an authorizer, and what it answers.

use object::selector::FieldSelector;

/// A request as authorizers see it. Everything is borrowed; empty text means absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// The verb: one of the API's for resources, the lower-case method for other paths.
    pub verb: &'a str,
    /// API group; empty for core.
    pub group: &'a str,
    /// Version.
    pub version: &'a str,
    /// Namespace; empty for cluster scope and for all namespaces.
    pub namespace: &'a str,
    /// Plural resource name; empty when the request is for a path that is no resource.
    pub resource: &'a str,
    /// Subresource.
    pub subresource: &'a str,
    /// Object name; empty for collections.
    pub name: &'a str,
    /// The path, which counts only where `resource` is empty.
    pub path: &'a str,
    /// The field selector of a list, watch or deletion of a collection.
    pub fields: Option<&'a FieldSelector>,
}

impl Attributes<'_> {
    /// Whether the request is for a resource.
    pub fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }

    /// Whether the verb changes nothing.
    pub fn is_read_only(&self) -> bool {
        matches!(self.verb, "get" | "list" | "watch")
    }
}

/// What an authorizer thinks of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes, and why (for audit logs).
    Allow(String),
    /// No, whatever others say.
    Deny(String),
    /// Not that I know of, and what I looked for in vain.
    NoOpinion(String),
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allow(_))
    }
}
