//! Namespaces.

use kind::{Context, Problem};
use object::Value;

use super::over;
use super::spot::{Problems, Spot};

/// What is wrong with a new namespace.
pub(crate) fn namespace(_context: &Context<'_>, namespace: &Value) -> Vec<Problem> {
    over(namespace, |namespace, out| {
        let list = namespace.at("spec.finalizers");
        list.items().for_each(|finalizer| check_finalizer(&finalizer.moved(list.path.clone()), out));
    })
}

fn check_finalizer(finalizer: &Spot<'_>, out: &mut Problems) {
    let finalizer = finalizer.or_empty();
    finalizer.qualified(out);
    let standard = matches!(finalizer.text(), "kubernetes" | "orphan" | "foregroundDeletion");
    if !finalizer.text().contains('/') && !standard {
        finalizer.invalid(out, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

/// What is wrong with a changed namespace.
pub(crate) fn namespace_update(context: &Context<'_>, new: &Value, _old: &Value) -> Vec<Problem> {
    over(new, |namespace, out| {
        namespace.at("spec.finalizers").items().for_each(|finalizer| check_finalizer(&finalizer, out));
        let phase = namespace.at("status.phase");
        if context.subresource == "status" && namespace.at("metadata.deletionTimestamp").is_set() {
            if phase.text() != "Terminating" {
                phase.invalid(out, "may only be 'Terminating' if `deletionTimestamp` is not empty");
            }
        } else if context.subresource == "status" && phase.text() != "Active" {
            phase.invalid(out, "may only be 'Active' if `deletionTimestamp` is empty");
        }
    })
}
