//! Patches as edits of the newest object.

use bytes::Bytes;
use codec::{DecodeError, Root, json, yaml};
use gate::{Authorized, Query};
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use kind::{Cause, Problem, Refusal, Resource};
use object::{Path, Schema, Text, Value};
use patch::apply::ApplyError;
use patch::{PatchError, merge, strategic};
use registry::{Edit, Registry, WriteOptions};

use super::options::FieldValidation;
use super::{Call, options, write};

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, \
                        application/strategic-merge-patch+json, application/apply-patch+yaml";

/// How the object is to be changed.
enum Change {
    Json(patch::json::Patch),
    Merge(Value),
    Strategic(Value),
    Apply { config: Value, force: bool },
}

/// A patch that a client has sent.
pub(super) struct Patch<'a> {
    change: Change,
    registry: &'a Registry,
    subresource: &'a str,
    validation: FieldValidation,
    manager: String,
    /// Who is told what the patch brought that no field is for.
    by: &'a Authorized,
}

impl<'a> Patch<'a> {
    /// Reads the body by its media type.
    pub(super) fn read(
        call: &'a Call,
        body: Bytes,
        validation: FieldValidation,
        write: &WriteOptions,
    ) -> Result<Patch<'a>, Refusal> {
        let headers = &call.by.parts().headers;
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = content_type.split(';').next().unwrap_or_default().trim();
        let query = &call.by.info().query;
        let change = match media {
            "application/json-patch+json" => Change::Json(patch::json::Patch::parse(&body).map_err(refused)?),
            "application/merge-patch+json" => Change::Merge(parse(&body)?),
            "application/strategic-merge-patch+json" => Change::Strategic(parse(&body)?),
            "application/apply-patch+yaml" => apply_change(call.resource(), query, &body)?,
            _ => return Err(Refusal::UnsupportedMediaType(ACCEPTED.to_owned())),
        };
        if query.get("force").is_some() && !matches!(change, Change::Apply { .. }) {
            let problem = Problem::forbidden(Path::of("force"), "may not be specified for non-apply patch");
            options::judged("PatchOptions", vec![problem])?;
        }
        Ok(Patch {
            change,
            registry: &call.registry,
            subresource: &call.target.subresource,
            validation,
            manager: write.field_manager.clone(),
            by: &call.by,
        })
    }

    fn root(&self) -> Root<'_> {
        let (schema, id) = self.registry.strategy().root();
        Root { schema, id }
    }

    fn changed(&self, old: &Value, now: Timestamp) -> Result<Value, Refusal> {
        match &self.change {
            Change::Json(patch) => patch.apply(old.clone()).map_err(refused),
            Change::Merge(patch) => merge::apply(old.clone(), patch.clone()).map_err(refused),
            Change::Strategic(patch) => strategic::apply(old.clone(), patch.clone(), self.root()).map_err(refused),
            Change::Apply { config, force } => self.applied(Some(old), config, *force, now),
        }
    }

    fn applied(&self, old: Option<&Value>, config: &Value, force: bool, now: Timestamp) -> Result<Value, Refusal> {
        let write = self.registry.ownership_write(&self.manager, self.subresource, now);
        let applied = write.with(|write| patch::apply::apply(write, old, config, force));
        applied.map(|applied| applied.value).map_err(not_applied)
    }

    /// Back to the canonical form, with what the patch brought that no field is for.
    fn conform(&self, value: Value) -> Result<Value, Refusal> {
        let kind = &self.registry.strategy().resource().kind;
        let version = &self.registry.strategy().resource().version;
        let unusable = |error: DecodeError| {
            Refusal::BadRequest(format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
        };
        let decoded = codec::conform(value, self.root()).map_err(unusable)?;
        let mut problems = decoded.strict_problems;
        if let Change::Json(patch) = &self.change {
            problems.extend(patch.strict_problems.iter().cloned());
        }
        if write::is_strict(self.validation) && !problems.is_empty() {
            return Err(Refusal::BadRequest(format!("strict decoding error: {}", problems.join(", "))));
        }
        if self.validation == FieldValidation::Warn {
            self.by.warn(problems);
        }
        Ok(decoded.value)
    }
}

impl Edit for Patch<'_> {
    fn edit(&self, old: Option<&Value>, now: Timestamp) -> Result<Value, Refusal> {
        let changed = match (old, &self.change) {
            (Some(old), _) => self.changed(old, now)?,
            (None, Change::Apply { config, force }) => self.applied(None, config, *force, now)?,
            (None, _) => return Err(Refusal::Internal("only an apply patch creates".to_owned())),
        };
        self.conform(changed)
    }

    fn owns_fields(&self) -> bool {
        matches!(self.change, Change::Apply { .. })
    }

    fn creates(&self) -> bool {
        self.owns_fields()
    }
}

fn apply_change(resource: &Resource, query: &Query, body: &[u8]) -> Result<Change, Refusal> {
    if query.get("fieldManager").unwrap_or_default().is_empty() {
        let problem = Problem::required(Path::of("fieldManager"), "is required for apply patch");
        options::judged("PatchOptions", vec![problem])?;
    }
    let config = yaml::parse(body).map_err(|error| Refusal::BadRequest(format!("error decoding YAML: {error}")))?;
    let said: (Option<&str>, Option<&str>) = (config.str_at(&["apiVersion"]), config.str_at(&["kind"]));
    let api_version: Text = resource.api_version();
    if said != (Some(&api_version), Some(&resource.kind)) {
        return Err(Refusal::BadRequest(format!(
            "invalid object type: {}, Kind={}",
            said.0.unwrap_or_default(),
            said.1.unwrap_or_default()
        )));
    }
    Ok(Change::Apply { config, force: query.flag("force") })
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    match json::decode_shape(body, Schema::builtin(), &object::schema::Shape::Any) {
        Ok(decoded) => Ok(decoded.value),
        Err(error) => Err(Refusal::BadRequest(format!("error decoding patch: {error}"))),
    }
}

fn refused(error: PatchError) -> Refusal {
    match error {
        PatchError::Malformed(text) => Refusal::BadRequest(text),
        PatchError::Unprocessable(text) => {
            tracing::debug!(%text, "a patch does not fit its object");
            Refusal::Unprocessable("the server rejected our request due to an error in our request".to_owned())
        }
        PatchError::TooLarge(text) => {
            let mut status = Refusal::TooLarge { bytes_max: super::body::BODY_BYTES_MAX }.status();
            status.set(&["message"], format!("Request entity too large: {text}"));
            Refusal::Status(Box::new(status))
        }
        PatchError::Unexpected(text) => Refusal::BadRequest(text),
    }
}

fn not_applied(error: ApplyError) -> Refusal {
    match error {
        ApplyError::BadRequest(text) | ApplyError::Unusable(text) => Refusal::BadRequest(text),
        ApplyError::Conflict(conflicts) => Refusal::ApplyConflict {
            message: conflicts.to_string(),
            causes: conflicts
                .causes()
                .map(|(message, field)| Cause { reason: patch::apply::CAUSE_TYPE.to_owned(), message, field })
                .collect(),
        },
    }
}

/// A patch of a `Scale`, which is not an object but a view of one.
#[derive(Debug)]
pub(crate) struct ScalePatch {
    content_type: String,
    body: Bytes,
}

impl ScalePatch {
    /// The patch in `body`.
    pub(crate) fn new(parts: &http::request::Parts, body: Bytes) -> ScalePatch {
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ScalePatch { content_type: content_type.to_owned(), body }
    }

    /// The scale after it.
    pub(crate) fn apply(&self, scale: Value) -> Result<Value, Refusal> {
        let ScalePatch { content_type, body } = self;
        let root = Root::builtin("autoscaling/v1", "Scale")
            .ok_or_else(|| Refusal::Internal("the table holds no Scale".to_owned()))?;
        let patched = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => {
                patch::json::Patch::parse(body).and_then(|patch| patch.apply(scale)).map_err(refused)?
            }
            "application/merge-patch+json" => merge::apply(scale, parse(body)?).map_err(refused)?,
            "application/strategic-merge-patch+json" => strategic::apply(scale, parse(body)?, root).map_err(refused)?,
            "application/apply-patch+yaml" => {
                return Err(Refusal::NotImplemented(
                    "server-side apply of the scale subresource is not built".to_owned(),
                ));
            }
            _ => return Err(Refusal::UnsupportedMediaType(ACCEPTED.to_owned())),
        };
        let decoded = codec::conform(patched, root).map_err(|error| Refusal::BadRequest(error.to_string()))?;
        Ok(decoded.value)
    }
}
