//! create, update, patch, delete and deletecollection.

use std::sync::Arc;

use http::{Response, StatusCode};
use kind::Refusal;
use object::{Meta, Value};
use registry::{Deleted, negotiate};
use serving::Body;

use super::options::FieldValidation;
use super::{Call, body, edits, options, read};
use crate::answer;

pub(super) async fn create(call: &Call, body: Body) -> Result<Response<Body>, Refusal> {
    let wanted = read::wanted(call)?;
    let (write, validation) = options::write(call, "CreateOptions")?;
    let strategy = call.registry.strategy();
    let object = body::object(&call.by, body, strategy.as_ref(), validation).await?;
    let object = call.registry.create(&call.by, &call.target.namespace, object, &write).await?;
    answered(call, &object, StatusCode::CREATED, wanted)
}

pub(super) async fn update(call: &Call, body: Body) -> Result<Response<Body>, Refusal> {
    let wanted = read::wanted(call)?;
    let (write, validation) = options::write(call, "UpdateOptions")?;
    let strategy = call.registry.strategy();
    let object = body::object(&call.by, body, strategy.as_ref(), validation).await?;
    let edit = registry::Replace(Arc::new(object));
    let address = (call.target.namespace.as_str(), call.target.name.as_str());
    let (object, created) = call.registry.update(&call.by, address, &call.target.subresource, &edit, &write).await?;
    let code = if created { StatusCode::CREATED } else { StatusCode::OK };
    answered(call, &object, code, wanted)
}

pub(super) async fn patch(call: &Call, body: Body) -> Result<Response<Body>, Refusal> {
    let wanted = read::wanted(call)?;
    let (write, validation) = options::write(call, "PatchOptions")?;
    let bytes = body::collect(body).await?;
    let edit = edits::Patch::read(call, bytes, validation, &write)?;
    let address = (call.target.namespace.as_str(), call.target.name.as_str());
    let (object, created) = call.registry.update(&call.by, address, &call.target.subresource, &edit, &write).await?;
    let code = if created { StatusCode::CREATED } else { StatusCode::OK };
    answered(call, &object, code, wanted)
}

pub(super) async fn delete(call: &Call, body: Body) -> Result<Response<Body>, Refusal> {
    let wanted = read::wanted(call)?;
    let query = &call.by.info().query;
    let sent = delete_options(call, body).await?;
    let delete = options::delete(query, sent.as_ref())?;
    let address = (call.target.namespace.as_str(), call.target.name.as_str());
    warn_of_orphans(call, &delete);
    let deleted = call.registry.delete(&call.by, address, &delete).await?;
    match deleted {
        // Kinds whose deletion takes time return the object, so that the client can see what it waits for.
        Deleted::Going(object) => answered(call, &object, StatusCode::OK, wanted),
        Deleted::Gone(object) if returns_deleted(&call.resource().plural) => {
            answered(call, &object, StatusCode::OK, wanted)
        }
        Deleted::Gone(object) => {
            let plain = answer::wanted_for_refusals(&call.by.parts().headers);
            Ok(answer::status(&success(call, &object), StatusCode::OK, plain))
        }
    }
}

pub(super) async fn delete_collection(call: &Call, body: Body) -> Result<Response<Body>, Refusal> {
    let wanted = read::wanted(call)?;
    let sent = delete_options(call, body).await?;
    let delete = options::delete(&call.by.info().query, sent.as_ref())?;
    let mut list = options::list(call)?;
    list.limit = 0;
    warn_of_orphans(call, &delete);
    let deleted = call.registry.delete_collection(&call.by, &list, &delete).await?;
    let resource = call.resource();
    let mut tree = Value::map();
    tree.set(&["metadata"], Value::map());
    tree.set(&["items"], deleted);
    let kind = format!("{}List", resource.kind);
    answer::builtin(&tree, (&resource.api_version(), &kind), StatusCode::OK, wanted)
}

/// What somebody should know who deletes a job and does not say what becomes of its pods.
const ORPHANED: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
                        them or set propagationPolicy=Orphan to suppress this warning";

fn warn_of_orphans(call: &Call, delete: &registry::DeleteOptions) {
    let stay = call.registry.strategy().orphans_dependents() && delete.propagation.is_none();
    if stay && call.resource().group == "batch" {
        call.by.warn([ORPHANED.to_owned()]);
    }
}

/// Kinds whose last state is the answer to their deletion (upstream's `ReturnDeletedObject`).
fn returns_deleted(plural: &str) -> bool {
    matches!(
        plural,
        "pods"
            | "services"
            | "podtemplates"
            | "persistentvolumes"
            | "persistentvolumeclaims"
            | "resourcequotas"
            | "serviceaccounts"
            | "volumeattributesclasses"
            | "storageclasses"
            | "volumeattachments"
            | "csidrivers"
            | "csinodes"
            | "namespaces"
            | "deviceclasses"
            | "resourceclaims"
            | "resourceclaimtemplates"
            | "resourceslices"
    )
}

async fn delete_options(call: &Call, body: Body) -> Result<Option<Value>, Refusal> {
    let bytes = body::collect(body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let media = body::media(call.by.parts())?;
    let root = codec::Root::builtin("v1", "DeleteOptions")
        .ok_or_else(|| Refusal::Internal("the table holds no DeleteOptions".to_owned()))?;
    let decoded = match media {
        registry::form::Media::Json => codec::json::decode(&bytes, root),
        registry::form::Media::Yaml => codec::yaml::decode(&bytes, root),
        registry::form::Media::Protobuf => {
            codec::proto::open(&bytes).and_then(|envelope| codec::proto::decode(envelope.message, root))
        }
    };
    let decoded = decoded.map_err(|error| Refusal::BadRequest(error.to_string()))?;
    let kind = decoded.value.str_at(&["kind"]).unwrap_or_default();
    if !kind.is_empty() && kind != "DeleteOptions" {
        return Err(Refusal::BadRequest("decoded object cannot be converted to DeleteOptions".to_owned()));
    }
    Ok(Some(decoded.value))
}

/// `Success` with what was deleted.
fn success(call: &Call, object: &Value) -> Value {
    let resource = call.resource();
    let meta = Meta::of(object);
    let mut status = Value::map();
    status.set(&["metadata"], Value::map());
    status.set(&["status"], "Success");
    for (key, text) in [
        ("name", meta.name()),
        ("group", resource.group.as_str()),
        ("kind", resource.plural.as_str()),
        ("uid", meta.uid()),
    ] {
        if !text.is_empty() {
            status.set(&["details", key], text);
        }
    }
    status
}

fn answered(
    call: &Call,
    object: &Value,
    code: StatusCode,
    wanted: registry::form::Wanted,
) -> Result<Response<Body>, Refusal> {
    let pieces = call.registry.tree_body(object, wanted, env::time::now())?;
    Ok(answer::pieces_with(code, negotiate::content_type(wanted, false), pieces))
}

/// Whether problems with fields are errors; named here for the edits.
pub(super) fn is_strict(validation: FieldValidation) -> bool {
    validation == FieldValidation::Strict
}
