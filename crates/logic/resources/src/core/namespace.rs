//! Namespaces.

use kind::{Context, Deletion};
use object::{Meta, Text, Value};

use crate::promises::Promises;
use crate::tree::{carry, default_text, put, texts, within};

/// Label by which a namespace can be selected by its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Finalizer of the contents, in `spec.finalizers`.
const CONTENTS: &str = "kubernetes";

/// A namespace: its contents are deleted before it is.
pub(crate) const NAMESPACE: Promises = Promises {
    name: object::names::dns_label,
    default,
    create,
    update,
    check_create: crate::check::core::namespace,
    check_update: crate::check::core::namespace_update,
    resets: &[("", "status"), ("status", "spec"), ("finalize", "status")],
    selectable: &["status.phase"],
    select,
    deletion,
    begin_deletion,
    columns: crate::print::core::NAMESPACE,
    cells: crate::print::core::namespace,
    ..Promises::STATUS
};

fn default(namespace: &mut Value) {
    label(namespace);
    within(namespace, "status", |status| default_text(status, "phase", "Active"));
}

fn label(namespace: &mut Value) {
    let name = Text::from(Meta::of(namespace).name());
    if !name.is_empty() && Meta::of(namespace).label(NAME_LABEL) != Some(&name) {
        namespace.set(&["metadata", "labels", NAME_LABEL], name);
    }
}

fn create(_context: &Context<'_>, namespace: &mut Value) {
    label(namespace);
    namespace.set(&["status"], Value::from_pairs([("phase", "Active")]));
    if !texts(namespace, &["spec", "finalizers"]).any(|finalizer| finalizer == CONTENTS) {
        let mut finalizers = namespace.list_at(&["spec", "finalizers"]).to_vec();
        finalizers.push(Value::from(CONTENTS));
        namespace.set(&["spec", "finalizers"], finalizers);
    }
}

fn deletion(namespace: &Value, _requested_seconds: Option<i64>) -> Deletion {
    let held = !namespace.list_at(&["spec", "finalizers"]).is_empty();
    if held { Deletion::Held } else { Deletion::Immediate }
}

fn begin_deletion(namespace: &mut Value) {
    namespace.set(&["status", "phase"], "Terminating");
}

fn update(context: &Context<'_>, new: &mut Value, old: &Value) {
    label(new);
    match context.subresource {
        "finalize" => carry(new, old, &["status"]),
        "" => carry(new, old, &["spec", "finalizers"]),
        _ => within(new, "status", |status| {
            if crate::tree::blank(status.get("phase")) {
                put(status, "phase", "Active");
            }
        }),
    }
}

fn select(namespace: &Value) -> Vec<(&'static str, Text)> {
    vec![("status.phase", crate::tree::owned(namespace, &["status", "phase"]))]
}
