//! Rows of kinds, from the words of plans.

use std::sync::Arc;

use kind::{Resource, Stored, Verbs};

/// The row of a resource: a built-in one, or one made from what the plan says.
pub(crate) fn row(wanted: &plan::Resource) -> Arc<Resource> {
    let same = |row: &&Arc<Resource>| {
        row.plural == *wanted.plural && row.group == *wanted.group && row.version == *wanted.version
    };
    kind::builtin().iter().find(same).map_or_else(|| Arc::new(custom(wanted)), Arc::clone)
}

fn custom(wanted: &plan::Resource) -> Resource {
    Resource {
        group: wanted.group.as_ref().into(),
        version: wanted.version.as_ref().into(),
        plural: wanted.plural.as_ref().into(),
        singular: "".into(),
        kind: wanted.kind.as_ref().into(),
        namespaced: wanted.namespaced,
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs: Verbs::ALL,
        subresources: Vec::new(),
        // Where a server stores things is its own affair.
        stored: Stored { prefix: "".into(), api_version: "".into() },
    }
}
