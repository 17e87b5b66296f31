//! NamespaceLifecycle: nothing comes into namespaces that are not there or that go away, and some never go.

use kind::{Operation, Refusal};
use object::Value;

use crate::request::{Fact, Facts, Request, not_found};
use crate::tree;

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) fn judge(request: &Request<'_>, facts: &dyn Facts, object: Option<&Value>) -> Result<(), Refusal> {
    if request.is("", "namespaces") {
        if request.operation == Operation::Delete && IMMORTAL.contains(&request.name) {
            return Err(request.forbidden(object, "this namespace may not be deleted"));
        }
        return Ok(());
    }
    // To say whether a namespace exists would answer more than an access review may.
    let is_review = request.is("authorization.k8s.io", "localsubjectaccessreviews");
    if request.namespace.is_empty() || request.operation == Operation::Delete || is_review {
        return Ok(());
    }
    let Some(namespace) = facts.get(Fact::Namespace, "", request.namespace) else {
        return Err(not_found(Fact::Namespace, request.namespace));
    };
    if request.operation == Operation::Create && tree::text(&namespace, &["status", "phase"]) == "Terminating" {
        return Err(terminating(request, object));
    }
    Ok(())
}

fn terminating(request: &Request<'_>, object: Option<&Value>) -> Refusal {
    let namespace = request.namespace;
    let message = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = request.forbidden(object, message).status();
    let cause = Value::from_pairs([
        ("reason", "NamespaceTerminating".to_owned()),
        ("message", format!("namespace {namespace} is being terminated")),
        ("field", "metadata.namespace".to_owned()),
    ]);
    status.set(&["details", "causes"], vec![cause]);
    Refusal::Status(Box::new(status))
}
