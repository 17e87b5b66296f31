//! What a caller may say about a request.

use object::Value;

/// How much of an object is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// All of it.
    #[default]
    Whole,
    /// Only metadata (`PartialObjectMetadata`); kind and apiVersion are set to those of the object.
    Metadata,
}

/// Which objects a list returns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// The namespace; empty for all, and for cluster-scoped resources.
    pub namespace: String,
    /// A label selector; empty for everything.
    pub label_selector: String,
    /// A field selector; empty for everything.
    pub field_selector: String,
    /// At least (or exactly) as new as this revision; empty for the most recent state.
    pub resource_version: String,
    /// `Exact` or `NotOlderThan`; empty for the server's default.
    pub resource_version_match: String,
    /// At most so many objects; 0 for all.
    pub limit_objects: u32,
    /// Where the list before stopped.
    pub continue_token: String,
}

/// Which changes a watch reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// The namespace; empty for all, and for cluster-scoped resources.
    pub namespace: String,
    /// A label selector; empty for everything.
    pub label_selector: String,
    /// A field selector; empty for everything.
    pub field_selector: String,
    /// Changes after this revision; empty for the most recent state, then changes.
    pub resource_version: String,
    /// Begin with the present state as Added events and a bookmark that says that they are complete (WatchList).
    pub send_initial_events: bool,
    /// Bookmarks may come.
    pub allow_bookmarks: bool,
    /// The server ends the watch after this time; 0 for the server's choice.
    pub timeout_seconds: u32,
}

/// What becomes of dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They go after the owner.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

impl Propagation {
    /// The wire word.
    pub fn name(self) -> &'static str {
        match self {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
    }
}

/// How an object is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object in this revision.
    pub resource_version: Option<String>,
    /// Overrides the object's own grace period.
    pub grace_seconds: Option<i64>,
    /// What becomes of dependents; the kind's default when absent.
    pub propagation: Option<Propagation>,
    /// Only ask whether it would be possible.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Deletes only the object with this uid.
    pub fn of_uid(uid: &str) -> Self {
        DeleteOptions { uid: Some(uid.to_owned()), ..DeleteOptions::default() }
    }

    /// The body of the request.
    pub fn to_tree(&self) -> Value {
        let mut tree = Value::from_pairs([("apiVersion", "v1"), ("kind", "DeleteOptions")]);
        if let Some(seconds) = self.grace_seconds {
            tree.set(&["gracePeriodSeconds"], seconds);
        }
        if let Some(propagation) = self.propagation {
            tree.set(&["propagationPolicy"], propagation.name());
        }
        if let Some(uid) = &self.uid {
            tree.set(&["preconditions", "uid"], uid.as_str());
        }
        if let Some(revision) = &self.resource_version {
            tree.set(&["preconditions", "resourceVersion"], revision.as_str());
        }
        if self.dry_run {
            tree.set(&["dryRun"], vec!["All"]);
        }
        tree
    }
}

/// A change to an object, in one of the four languages of the API.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Merge that knows the lists of built-in kinds.
    Strategic(Value),
    /// Server-side apply: the fields that `manager` wants to own.
    Apply {
        /// The wanted fields, with kind and apiVersion.
        object: Value,
        /// Who owns them.
        manager: String,
        /// Takes fields away from other managers.
        force: bool,
    },
}

impl Patch {
    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Patch::Json(_) => "application/json-patch+json",
            Patch::Merge(_) => "application/merge-patch+json",
            Patch::Strategic(_) => "application/strategic-merge-patch+json",
            Patch::Apply { .. } => "application/apply-patch+yaml",
        }
    }

    pub(crate) fn tree(&self) -> &Value {
        match self {
            Patch::Json(tree) | Patch::Merge(tree) | Patch::Strategic(tree) => tree,
            Patch::Apply { object, .. } => object,
        }
    }

    pub(crate) fn query(&self) -> Query {
        let mut query = Query::default();
        if let Patch::Apply { manager, force, .. } = self {
            query.add("fieldManager", manager);
            query.flag("force", *force);
        }
        query
    }
}

/// The part of an address after the question mark, being written.
#[derive(Debug, Default)]
pub(crate) struct Query(String);

impl Query {
    /// Adds a parameter unless its value is empty.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => self.0.push(char::from(byte)),
                other => {
                    let hex = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
                    self.0.extend(['%', hex(other >> 4), hex(other & 15)]);
                }
            }
        }
    }

    /// Adds `name=true` when it is.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.add(name, if value { "true" } else { "" });
    }

    /// Adds a number unless it is zero.
    pub(crate) fn number(&mut self, name: &str, value: u32) {
        if value != 0 {
            self.add(name, &value.to_string());
        }
    }

    /// The address with this query.
    pub(crate) fn onto(self, path: &str) -> String {
        if self.0.is_empty() { path.to_owned() } else { format!("{path}?{}", self.0) }
    }
}

impl ListOptions {
    pub(crate) fn query(&self) -> Query {
        let mut query = Query::default();
        query.add("labelSelector", &self.label_selector);
        query.add("fieldSelector", &self.field_selector);
        query.add("resourceVersion", &self.resource_version);
        query.add("resourceVersionMatch", &self.resource_version_match);
        query.number("limit", self.limit_objects);
        query.add("continue", &self.continue_token);
        query
    }
}

impl WatchOptions {
    pub(crate) fn query(&self) -> Query {
        let mut query = Query::default();
        query.flag("watch", true);
        query.add("labelSelector", &self.label_selector);
        query.add("fieldSelector", &self.field_selector);
        query.add("resourceVersion", &self.resource_version);
        if self.send_initial_events {
            query.flag("sendInitialEvents", true);
            query.add("resourceVersionMatch", "NotOlderThan");
        }
        query.flag("allowWatchBookmarks", self.allow_bookmarks || self.send_initial_events);
        query.number("timeoutSeconds", self.timeout_seconds);
        query
    }
}
