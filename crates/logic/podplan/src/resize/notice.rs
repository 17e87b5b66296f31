//! What events say of a resize: words, and the resources in question as JSON.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod, ResourceRequirements};
use typed::resource::Quantity;

use crate::spec;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened<'a> {
    /// It was granted.
    Started,
    /// It is in force.
    Completed,
    /// It waits, for this reason.
    Deferred(&'a str),
    /// Carrying it out failed.
    Failed(&'a str),
}

impl Happened<'_> {
    /// The event's reason.
    pub fn reason(self) -> &'static str {
        match self {
            Happened::Started => "ResizeStarted",
            Happened::Completed => "ResizeCompleted",
            Happened::Deferred(_) => "ResizeDeferred",
            Happened::Failed(_) => "ResizeError",
        }
    }

    /// Whether the event is a warning.
    pub fn is_warning(self) -> bool {
        matches!(self, Happened::Deferred(_) | Happened::Failed(_))
    }
}

/// The event's message: `Pod resize started: {"containers":[...],"generation":2}`.
pub fn message(pod: &Pod, generation: i64, happened: Happened<'_>) -> String {
    let (words, error) = match happened {
        Happened::Started => ("started", None),
        Happened::Completed => ("completed", None),
        Happened::Deferred(why) => ("Deferred", Some(why)),
        Happened::Failed(why) => ("error", Some(why)),
    };
    let mut fields = Vec::new();
    if let Some(pod_spec) = &pod.spec {
        let lists = [("initContainers", spec::inits(pod_spec)), ("containers", pod_spec.containers.as_slice())];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let items: Vec<String> = list.iter().map(container).collect();
            fields.push(format!("\"{name}\":[{}]", items.join(",")));
        }
    }
    fields.push(format!("\"generation\":{generation}"));
    fields.extend(error.map(|error| format!("\"error\":{}", quoted(error))));
    format!("Pod resize {words}: {{{}}}", fields.join(","))
}

fn container(container: &Container) -> String {
    let none = ResourceRequirements::default();
    let requirements = container.resources.as_ref().unwrap_or(&none);
    let lists = [("limits", &requirements.limits), ("requests", &requirements.requests)];
    let fields = lists.into_iter().filter_map(|(name, list)| {
        let list = list.as_ref().filter(|list| !list.is_empty())?;
        Some(format!("\"{name}\":{{{}}}", amounts(list)))
    });
    let fields: Vec<String> = fields.collect();
    format!("{{\"name\":{},\"resources\":{{{}}}}}", quoted(&container.name), fields.join(","))
}

fn amounts(list: &BTreeMap<String, Quantity>) -> String {
    let pairs: Vec<String> =
        list.iter().map(|(name, amount)| format!("{}:{}", quoted(name), quoted(&amount.0))).collect();
    pairs.join(",")
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    codec::json::write_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
