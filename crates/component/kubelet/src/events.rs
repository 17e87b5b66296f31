//! Events: what happened to a pod or to the node, told to the API server and to the log.

use std::sync::Arc;

use parking_lot::Mutex;
use podplan::Role;
use podplan::resize::{self, Happened};
use typed::api::core::v1::{ObjectReference, Pod};
use workqueue::Spoken;

use crate::api::Api;

/// How many of the latest events are kept for those who look at the node itself.
const RECENT_EVENTS_MAX: usize = 200;

/// `Normal` or `Warning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Information.
    Normal,
    /// Something to look at.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

/// What an event says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice<'a> {
    severity: Severity,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Notice<'a> {
    /// Information. `reason` is one of upstream's words (`pkg/kubelet/events`).
    pub(crate) fn normal(reason: &'a str, message: &'a str) -> Notice<'a> {
        Notice { severity: Severity::Normal, reason, message }
    }

    /// Something to look at.
    pub(crate) fn warning(reason: &'a str, message: &'a str) -> Notice<'a> {
        Notice { severity: Severity::Warning, reason, message }
    }
}

/// An event as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `namespace/name` of the pod, or the name of the node.
    pub about: String,
    /// How severe.
    pub severity: Severity,
    /// One of upstream's words (`pkg/kubelet/events`).
    pub reason: String,
    /// In words.
    pub message: String,
}

/// Tells events.
#[derive(Debug)]
pub(crate) struct Recorder {
    node_name: String,
    api: Arc<dyn Api>,
    recent: Mutex<std::collections::VecDeque<Told>>,
}

impl Recorder {
    /// A recorder that speaks through `api`.
    pub(crate) fn new(api: Arc<dyn Api>, node_name: &str) -> Arc<Recorder> {
        Arc::new(Recorder { node_name: node_name.to_owned(), api, recent: Mutex::default() })
    }

    /// Tells something about a pod, or about one of its containers.
    pub(crate) fn tell(&self, pod: &Pod, container: Option<&str>, notice: Notice<'_>) {
        let meta = &pod.metadata;
        let object = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            field_path: container.and_then(|name| field_path(pod, name)),
        };
        self.say(object, notice);
    }

    /// Tells something about the node.
    pub(crate) fn tell_node(&self, notice: Notice<'_>) {
        let object = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(self.node_name.clone()),
            // The node's own uid is not known to its kubelet; upstream's says the name as well.
            uid: Some(self.node_name.clone()),
            ..Default::default()
        };
        self.say(object, notice);
    }

    fn say(&self, object: ObjectReference, notice: Notice<'_>) {
        let Notice { severity, reason, message } = notice;
        let name = object.name.as_deref().unwrap_or_default();
        let about = match &object.namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        };
        tracing::info!(about, reason, words = message, "event");
        let told = Told { about, severity, reason: reason.to_owned(), message: message.to_owned() };
        let mut recent = self.recent.lock();
        recent.push_back(told);
        if recent.len() > RECENT_EVENTS_MAX {
            recent.pop_front();
        }
        drop(recent);
        self.api.speak(Spoken {
            regarding: object,
            event_type: severity.word(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Tells what became of a pod's resize; `pod` has the resources in question.
    pub(crate) fn tell_resize(&self, pod: &Pod, generation: i64, happened: Happened<'_>) {
        let severity = if happened.is_warning() { Severity::Warning } else { Severity::Normal };
        let message = resize::message(pod, generation, happened);
        self.tell(pod, None, Notice { severity, reason: happened.reason(), message: &message });
    }

    /// The latest events, the oldest first.
    pub(crate) fn recent(&self) -> Vec<Told> {
        self.recent.lock().iter().cloned().collect()
    }
}

/// Where in the pod a container stands: `spec.initContainers{name}`.
fn field_path(pod: &Pod, name: &str) -> Option<String> {
    let (role, _) = podplan::container(pod, name)?;
    let list = match role {
        Role::Init | Role::Sidecar => "initContainers",
        Role::Regular => "containers",
        Role::Ephemeral => "ephemeralContainers",
    };
    Some(format!("spec.{list}{{{name}}}"))
}
