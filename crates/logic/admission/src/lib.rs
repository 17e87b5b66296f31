//! The built-in admission plugins: what completes objects on their way in, and what may not come in.
//!
//! Each plugin is a row of [`PLUGINS`], in upstream's order; [`mutate`] and [`validate`] walk the table. A plugin sees the
//! request, the object's tree and [`Facts`], look-ups into caches that the component provides; what it wants done beyond
//! the object (a quota to charge, a warning to send, a note for the audit log) it returns as data in [`Notes`].
//!
//! Not here: webhooks and admission policies, and any waiting: where a fact may be stale (a namespace that seems absent),
//! the component looks again in the store and asks anew.
//!
//! Invariants
//! - Nothing a plugin refuses depends on anything but its arguments.
//! - Applying [`mutate`] to its own result changes nothing.
//!
//! Rules: `k8s.io/kubernetes/pkg/kubeapiserver/options/plugins.go` and the plugins it lists.

mod amounts;
mod plugins;
mod request;
mod tree;

pub use plugins::{Judge, Mutate, PLUGINS, Plugin, Validate};
pub use plugins::{QuotaEvaluator, in_quota_scope};
pub use request::{Fact, Facts, Notes, QuotaCharge, Request};

use kind::{Operation, Refusal};
use object::Value;

/// First pass: completes or changes `object`, a creation or update.
pub fn mutate(request: &Request<'_>, facts: &dyn Facts, object: &mut Value) -> Result<Notes, Refusal> {
    let mut notes = Notes::default();
    for plugin in plugins_for(request) {
        if let Some(judge) = plugin.judge {
            judge(request, facts, Some(object))?;
        }
        if let Some(mutate) = plugin.mutate {
            mutate(request, facts, object, &mut notes)?;
        }
    }
    Ok(notes)
}

/// Second pass: accepts or refuses what will be stored; `None` where the request brings no object, as deletions do.
pub fn validate(request: &Request<'_>, facts: &dyn Facts, object: Option<&Value>) -> Result<Notes, Refusal> {
    let mut notes = Notes::default();
    let mutated = matches!(request.operation, Operation::Create | Operation::Update);
    for plugin in plugins_for(request) {
        // Requests without a first pass are judged here.
        if let Some(judge) = plugin.judge.filter(|_| !mutated) {
            judge(request, facts, object)?;
        }
        if let (Some(validate), Some(object)) = (plugin.validate, object) {
            validate(request, facts, object, &mut notes)?;
        }
    }
    Ok(notes)
}

fn plugins_for<'a>(request: &'a Request<'_>) -> impl Iterator<Item = &'static Plugin> + use<'a> {
    let operation = request.operation;
    PLUGINS.iter().filter(move |plugin| plugin.operations.contains(&operation))
}
