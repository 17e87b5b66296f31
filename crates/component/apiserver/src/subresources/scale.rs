//! `scale`: how many replicas there are and should be, in one form for every kind that has them (autoscaling/v1).

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
    let current = scale_of(&asked.registry.tree(&cached)?);
    let wanted = match asked.by.info().verb {
        "get" => return asked.answer(&current, SCALE, StatusCode::OK),
        "patch" => ScalePatch::apply(asked.by.parts(), body_bytes(body).await?, current)?,
        _ => super::read(asked.by, body, &[SCALE]).await?,
    };
    let edit = Rescale { wanted };
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

struct Rescale {
    wanted: Value,
}

impl Edit for Rescale {
    fn edit(&self, old: Option<&Value>, _now: Timestamp) -> Result<Value, Refusal> {
        let Some(old) = old else { return Err(Refusal::Internal("a scale needs its object".to_owned())) };
        let replicas = self.wanted.int_at(&["spec", "replicas"]).unwrap_or(0);
        if replicas < 0 {
            let problem = Problem::invalid(Path::of("spec.replicas"), replicas, "must be greater than or equal to 0");
            let kind = GroupKind { group: "autoscaling".into(), name: "Scale".into() };
            return Err(Refusal::Invalid { kind, name: Meta::of(old).name().to_owned(), problems: vec![problem] });
        }
        let mut object = old.clone();
        object.set(&["spec", "replicas"], replicas);
        Ok(object)
    }

    fn preconditions(&self) -> Preconditions {
        let text =
            |key: &str| self.wanted.str_at(&["metadata", key]).filter(|text| !text.is_empty()).map(str::to_owned);
        Preconditions { uid: text("uid"), resource_version: text("resourceVersion") }
    }
}
