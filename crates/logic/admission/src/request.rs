//! What a plugin is told, and what it answers.

use std::sync::Arc;

use authz::Attributes;
use jiff::Timestamp;
use kind::{GroupKind, Operation, Refusal, Resource, User};
use object::Meta;
use object::{Map, Text, Value};

/// The circumstances of a write.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
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
    /// Who asks.
    pub user: &'a User,
    /// The stored object, for updates and deletions.
    pub old: Option<&'a Value>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// When.
    pub now: Timestamp,
    /// Five random lower-case letters and digits, for names that a plugin makes up.
    pub suffix: &'a str,
}

/// Objects that plugins look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the kinds'")]
pub enum Fact {
    CsiDriver,
    IngressClass,
    LimitRange,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PriorityClass,
    ResourceQuota,
    RuntimeClass,
    ServiceAccount,
    StorageClass,
}

impl Fact {
    /// Every kind of fact: the caches that a component must keep.
    pub const ALL: [Fact; 13] = [
        Fact::CsiDriver,
        Fact::IngressClass,
        Fact::LimitRange,
        Fact::Namespace,
        Fact::Node,
        Fact::PersistentVolume,
        Fact::PersistentVolumeClaim,
        Fact::Pod,
        Fact::PriorityClass,
        Fact::ResourceQuota,
        Fact::RuntimeClass,
        Fact::ServiceAccount,
        Fact::StorageClass,
    ];

    /// The API group and plural name of the kind.
    pub fn group_resource(self) -> (&'static str, &'static str) {
        match self {
            Fact::CsiDriver => ("storage.k8s.io", "csidrivers"),
            Fact::IngressClass => ("networking.k8s.io", "ingressclasses"),
            Fact::LimitRange => ("", "limitranges"),
            Fact::Namespace => ("", "namespaces"),
            Fact::Node => ("", "nodes"),
            Fact::PersistentVolume => ("", "persistentvolumes"),
            Fact::PersistentVolumeClaim => ("", "persistentvolumeclaims"),
            Fact::Pod => ("", "pods"),
            Fact::PriorityClass => ("scheduling.k8s.io", "priorityclasses"),
            Fact::ResourceQuota => ("", "resourcequotas"),
            Fact::RuntimeClass => ("node.k8s.io", "runtimeclasses"),
            Fact::ServiceAccount => ("", "serviceaccounts"),
            Fact::StorageClass => ("storage.k8s.io", "storageclasses"),
        }
    }
}

/// Look-ups into caches of the cluster's objects.
pub trait Facts {
    /// One object; `namespace` is empty for kinds of cluster scope.
    fn get(&self, fact: Fact, namespace: &str, name: &str) -> Option<Arc<Value>>;

    /// All objects of a kind (in `namespace`), sorted by name.
    fn list(&self, fact: Fact, namespace: &str) -> Vec<Arc<Value>>;

    /// Whether the server's authorizers allow `user` to do something.
    fn allows(&self, user: &User, attributes: &Attributes<'_>) -> bool;
}

/// What plugins want done besides the object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notes {
    /// Sent to the client as `Warning` headers.
    pub warnings: Vec<String>,
    /// Annotations of the audit event.
    pub audit: Vec<(String, String)>,
    /// Quotas to charge before the object is stored; all or none.
    pub charges: Vec<QuotaCharge>,
}

/// A quota's usage once the object is stored.
///
/// The component writes it if the quota still has the revision given here; otherwise it asks for validation again.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaCharge {
    /// The quota's namespace.
    pub namespace: Text,
    /// The quota's name.
    pub name: Text,
    /// The revision that was judged.
    pub resource_version: Text,
    /// All of `status.used`.
    pub used: Map,
}

impl Notes {
    /// Adds what another pass wants.
    pub fn append(&mut self, mut other: Notes) {
        self.warnings.append(&mut other.warnings);
        self.audit.append(&mut other.audit);
        self.charges.append(&mut other.charges);
    }
}

impl Request<'_> {
    /// Whether the request is for objects of this kind (or a subresource of them).
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.resource.plural == plural && self.resource.group == group
    }

    /// Whether the request is for objects of this kind themselves.
    pub(crate) fn is_whole(&self, group: &str, plural: &str) -> bool {
        self.subresource.is_empty() && self.is(group, plural)
    }

    /// A 403 for this request. Its name is the object's, or what the object's name will start with.
    pub(crate) fn forbidden(&self, object: Option<&Value>, message: impl Into<String>) -> Refusal {
        let meta = object.map(Meta::of);
        let candidates =
            [self.name, meta.map(Meta::name).unwrap_or_default(), meta.map(Meta::generate_name).unwrap_or_default()];
        let name = candidates.into_iter().find(|name| !name.is_empty()).unwrap_or("Unknown");
        Refusal::Forbidden { resource: self.resource.group_resource(), name: name.to_owned(), message: message.into() }
    }
}

/// A 404 for an object that a plugin looks up.
pub(crate) fn not_found(fact: Fact, name: &str) -> Refusal {
    let (group, plural) = fact.group_resource();
    Refusal::NotFound { resource: GroupKind { group: group.into(), name: plural.into() }, name: name.to_owned() }
}
