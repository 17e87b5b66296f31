//! What requests say about how they want their verb done.

use std::net::SocketAddr;

use object::Value;
use object::selector::{FieldSelector, LabelSelector};
use store::Revision;

/// Which objects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// In this namespace; empty for all.
    pub namespace: String,
    /// Of this name only; empty for any.
    pub name: String,
    /// With these labels.
    pub labels: LabelSelector,
    /// With these fields.
    pub fields: FieldSelector,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Freshness {
    /// As new as anything acknowledged before the request.
    #[default]
    Consistent,
    /// Whatever is at hand.
    Any,
    /// At this revision or any later one.
    NotOlderThan(Revision),
    /// At exactly this revision.
    Exact(Revision),
}

/// How to list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Which objects.
    pub selection: Selection,
    /// How old the answer may be.
    pub freshness: Freshness,
    /// Most objects on a page; 0 for all on one.
    pub limit: usize,
    /// Where the page before ended.
    pub continue_token: String,
}

/// How to watch.
#[derive(Debug, Clone, Default)]
pub struct WatchOptions {
    /// Which objects.
    pub selection: Selection,
    /// Changes after this revision; `None` begins with the objects there are.
    pub from: Option<Revision>,
    /// Whether to begin with the objects there are and say with a bookmark when they are through (WatchList, KEP-3157).
    pub initial_events: bool,
    /// How old those may be.
    pub freshness: Freshness,
    /// Whether the client understands bookmarks.
    pub bookmarks: bool,
    /// The other end of the client's connection: watches that share one are told of a change together.
    pub peer: Option<SocketAddr>,
}

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Do everything but store.
    pub dry_run: bool,
    /// Who owns the fields that are written.
    pub field_manager: String,
    /// Whether the object says already who owns what, as after a server-side apply.
    pub owners_settled: bool,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The object's uid.
    pub uid: Option<String>,
    /// The object's resource version.
    pub resource_version: Option<String>,
}

/// How to delete.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// What must hold.
    pub preconditions: Preconditions,
    /// Grace period, when the request names one.
    pub grace_seconds: Option<i64>,
    /// `Foreground`, `Background` or `Orphan`, when the request names one.
    pub propagation: Option<String>,
    /// Do everything but store.
    pub dry_run: bool,
}

impl Selection {
    /// Whether no object of the span is left out.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.requirements.is_empty()
    }
}

impl Preconditions {
    /// Which of them the object does not meet.
    pub(crate) fn violation(&self, object: &Value) -> Option<String> {
        let meta = object::Meta::of(object);
        if let Some(uid) = self.uid.as_deref().filter(|uid| *uid != meta.uid()) {
            return Some(format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta.uid()
            ));
        }
        let version = self.resource_version.as_deref().filter(|version| *version != meta.resource_version())?;
        Some(format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
            meta.resource_version()
        ))
    }
}
