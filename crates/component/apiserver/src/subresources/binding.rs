//! `binding`: a scheduler says where a pod runs.

use http::{Response, StatusCode};
use jiff::Timestamp;
use kind::Refusal;
use object::{Meta, Value, timestamp};
use registry::{Edit, Preconditions};
use serving::Body;

use super::Asked;

pub(crate) async fn bind(asked: &Asked<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let binding = super::read(asked.by, body, &[("v1", "Binding")]).await?;
    let meta = Meta::of(&binding);
    if !meta.name().is_empty() && meta.name() != asked.target.name {
        return Err(Refusal::BadRequest("name in URL does not match name in Binding object".to_owned()));
    }
    let target_kind = binding.str_at(&["target", "kind"]).unwrap_or_default();
    if !matches!(target_kind, "" | "Node") {
        return Err(Refusal::BadRequest(format!("binding target kind must be Node, not {target_kind:?}")));
    }
    let node = binding.str_at(&["target", "name"]).unwrap_or_default().to_owned();
    if node.is_empty() {
        return Err(Refusal::BadRequest("the binding's target has no name".to_owned()));
    }
    let edit = Bind { node, uid: Some(meta.uid().to_owned()).filter(|uid| !uid.is_empty()), binding: binding.clone() };
    asked.registry.update(asked.by, asked.address(), "binding", &edit, &asked.write_options()?).await?;
    let mut status = Value::map();
    status.set(&["metadata"], Value::map());
    status.set(&["status"], "Success");
    status.set(&["code"], 201);
    asked.answer(&status, ("v1", "Status"), StatusCode::CREATED)
}

struct Bind {
    node: String,
    uid: Option<String>,
    binding: Value,
}

impl Edit for Bind {
    fn edit(&self, old: Option<&Value>, now: Timestamp) -> Result<Value, Refusal> {
        let Some(old) = old else { return Err(Refusal::Internal("a binding needs its pod".to_owned())) };
        let name = Meta::of(old).name();
        let conflict = |message: String| Refusal::Conflict {
            resource: kind::GroupKind { group: object::Text::default(), name: "pods/binding".into() },
            name: name.to_owned(),
            message,
        };
        if Meta::of(old).is_deleting() {
            return Err(conflict(format!("pod {name} is being deleted, cannot be assigned to a host")));
        }
        if let Some(assigned) = old.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty()) {
            return Err(conflict(format!("pod {name} is already assigned to node {assigned:?}")));
        }
        if !old.list_at(&["spec", "schedulingGates"]).is_empty() {
            return Err(conflict(format!("pod {name} has non-empty .spec.schedulingGates")));
        }
        let mut pod = old.clone();
        pod.set(&["spec", "nodeName"], self.node.as_str());
        pod.remove(&["status", "nominatedNodeName"]);
        for key in ["annotations", "labels"] {
            for (name, value) in
                self.binding.at(&["metadata", key]).and_then(Value::as_map).into_iter().flat_map(object::Map::iter)
            {
                pod.set(&["metadata", key, name], value.clone());
            }
        }
        set_scheduled(&mut pod, now);
        Ok(pod)
    }

    fn is_trusted(&self) -> bool {
        true
    }

    fn preconditions(&self) -> Preconditions {
        Preconditions { uid: self.uid.clone(), resource_version: None }
    }
}

/// The condition that the pod is scheduled.
fn set_scheduled(pod: &mut Value, now: Timestamp) {
    let mut conditions = pod.list_at(&["status", "conditions"]).to_vec();
    conditions.retain(|condition| condition.str_at(&["type"]) != Some("PodScheduled"));
    conditions.push(Value::from_pairs([
        ("type", Value::from("PodScheduled")),
        ("status", Value::from("True")),
        ("lastProbeTime", Value::Null),
        ("lastTransitionTime", Value::from(timestamp::seconds(now))),
    ]));
    pod.set(&["status", "conditions"], conditions);
}
