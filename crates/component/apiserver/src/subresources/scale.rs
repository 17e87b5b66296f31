//! `scale`: how many replicas there are and should be, in one form for every kind that has them (autoscaling/v1).

use std::borrow::Cow;

use http::{Response, StatusCode};
use jiff::Timestamp;
use kind::{GroupKind, Problem, Refusal};
use object::selector::LabelSelector;
use object::{Meta, Path, Value};
use registry::{Edit, Freshness, Preconditions};
use serving::Body;

use super::Asked;
use crate::verbs::{ScalePatch, body_bytes};

const SCALE: (&str, &str) = ("autoscaling/v1", "Scale");

pub(super) async fn answer(asked: &Asked<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let (namespace, name) = asked.address();
    let cached = asked.registry.get(namespace, name, Freshness::Consistent).await?;
    let wanted = match asked.by.info().verb {
        "get" => return asked.answer(&scale_of(&asked.registry.tree(&cached)?), SCALE, StatusCode::OK),
        "patch" => Wanted::Patched(ScalePatch::new(asked.by.parts(), body_bytes(body).await?)),
        _ => Wanted::Sent(super::read(asked.by, body, &[SCALE]).await?),
    };
    let edit = Rescale { wanted, resource: asked.registry.strategy().resource().group_resource() };
    let (object, _) = asked.registry.update(asked.by, asked.address(), "scale", &edit, &asked.write_options()?).await?;
    asked.answer(&scale_of(&object), SCALE, StatusCode::OK)
}

/// The scale of an object that has `spec.replicas` and `spec.selector`.
fn scale_of(object: &Value) -> Value {
    let mut scale = Value::map();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.at(&["metadata", key]) {
            scale.set(&["metadata", key], value.clone());
        }
    }
    if let Some(replicas) = object.int_at(&["spec", "replicas"]).filter(|replicas| *replicas != 0) {
        scale.set(&["spec", "replicas"], replicas);
    } else {
        scale.set(&["spec"], Value::map());
    }
    scale.set(&["status", "replicas"], object.int_at(&["status", "replicas"]).unwrap_or(0));
    if let Some(selector) = object.at(&["spec", "selector"]) {
        scale.set(&["status", "selector"], LabelSelector::from_tree(selector).to_string());
    }
    scale
}

/// The scale that somebody wants.
enum Wanted {
    Sent(Value),
    /// That of the object at hand, patched: what changes meanwhile is no conflict.
    Patched(ScalePatch),
}

struct Rescale {
    wanted: Wanted,
    resource: GroupKind,
}

impl Edit for Rescale {
    fn edit(&self, old: Option<&Value>, _now: Timestamp) -> Result<Value, Refusal> {
        let Some(old) = old else { return Err(Refusal::Internal("a scale needs its object".to_owned())) };
        let wanted = match &self.wanted {
            Wanted::Sent(scale) => Cow::Borrowed(scale),
            Wanted::Patched(patch) => Cow::Owned(patch.apply(scale_of(old))?),
        };
        let (name, version) = (Meta::of(old).name(), Meta::of(&wanted).resource_version());
        if !version.is_empty() && version != Meta::of(old).resource_version() {
            return Err(Refusal::modified(self.resource.clone(), name));
        }
        let replicas = wanted.int_at(&["spec", "replicas"]).unwrap_or(0);
        if replicas < 0 {
            let problem = Problem::invalid(Path::of("spec.replicas"), replicas, "must be greater than or equal to 0");
            let kind = GroupKind { group: "autoscaling".into(), name: "Scale".into() };
            return Err(Refusal::Invalid { kind, name: name.to_owned(), problems: vec![problem] });
        }
        let mut object = old.clone();
        object.set(&["spec", "replicas"], replicas);
        Ok(object)
    }

    fn preconditions(&self) -> Preconditions {
        let Wanted::Sent(scale) = &self.wanted else { return Preconditions::default() };
        let uid = Some(Meta::of(scale).uid()).filter(|uid| !uid.is_empty()).map(str::to_owned);
        Preconditions { uid, resource_version: None }
    }
}
