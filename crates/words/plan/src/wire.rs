//! Plans in the words of HTTP: paths and bodies, for the executor. Reading answers is its own business.

use object::Value;
use typed::meta::OwnerReference;

use crate::{Action, MetaPatch, Part, Propagation, Resource, Target};

impl Resource {
    /// The path of the collection, or of one object in it: `/apis/apps/v1/namespaces/default/deployments/web`. Namespaces and
    /// names are path segments by validation, so nothing is escaped.
    #[must_use]
    pub fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        let inside =
            if self.namespaced && !namespace.is_empty() { format!("/namespaces/{namespace}") } else { String::new() };
        let object = name.map(|name| format!("/{name}")).unwrap_or_default();
        format!("{root}{inside}/{}{object}", self.plural)
    }
}

impl From<&kind::Resource> for Resource {
    fn from(row: &kind::Resource) -> Self {
        Self {
            group: row.group.to_string().into(),
            version: row.version.to_string().into(),
            kind: row.kind.to_string().into(),
            plural: row.plural.to_string().into(),
            namespaced: row.namespaced,
        }
    }
}

impl Part {
    /// The subresource, if it is one.
    #[must_use]
    pub fn subresource(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Status => Some("status"),
            Self::Approval => Some("approval"),
            Self::Finalize => Some("finalize"),
        }
    }
}

impl MetaPatch {
    /// The JSON merge patch. The target's uid and revision stand in it: the server answers 409 if they are no longer true.
    #[must_use]
    pub fn to_tree(&self, target: &Target) -> Value {
        let mut about = Value::map();
        about.set(&["uid"], target.uid.as_str());
        if let Some(revision) = &target.resource_version {
            about.set(&["resourceVersion"], revision.as_str());
        }
        if let Some(finalizers) = &self.finalizers {
            about.set(&["finalizers"], finalizers.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if let Some(owners) = &self.owner_references {
            about.set(&["ownerReferences"], owners.iter().map(owner_tree).collect::<Vec<_>>());
        }
        for (field, changes) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            for (key, value) in changes {
                about.set(&[field, key], value.as_deref().map_or(Value::Null, Value::from));
            }
        }
        Value::from_pairs([("metadata", about)])
    }
}

fn owner_tree(owner: &OwnerReference) -> Value {
    let mut tree = Value::map();
    tree.set(&["apiVersion"], owner.api_version.as_str());
    tree.set(&["kind"], owner.kind.as_str());
    tree.set(&["name"], owner.name.as_str());
    tree.set(&["uid"], owner.uid.as_str());
    for (field, flag) in [("controller", owner.controller), ("blockOwnerDeletion", owner.block_owner_deletion)] {
        if let Some(flag) = flag {
            tree.set(&[field], flag);
        }
    }
    tree
}

impl Action {
    /// The `DeleteOptions` of a delete; none for other actions.
    #[must_use]
    pub fn delete_options(&self) -> Option<Value> {
        let Self::Delete { target, propagation, grace_seconds } = self else { return None };
        let policy = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut options = Value::map();
        options.set(&["apiVersion"], "v1");
        options.set(&["kind"], "DeleteOptions");
        options.set(&["propagationPolicy"], policy);
        options.set(&["preconditions", "uid"], target.uid.as_str());
        if let Some(revision) = &target.resource_version {
            options.set(&["preconditions", "resourceVersion"], revision.as_str());
        }
        if let Some(seconds) = grace_seconds {
            options.set(&["gracePeriodSeconds"], *seconds);
        }
        Some(options)
    }
}
