//! Events: what happened to a pod, told to the API server and to the log.

use std::sync::Arc;

use parking_lot::Mutex;
use podplan::Role;
use podplan::resize::{self, Happened};
use tokio::sync::mpsc;
use typed::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use typed::meta::{ObjectMeta, Time};

use crate::api::Api;

/// How many events wait at most for a slow API server; what comes after is logged only.
const WAITING_EVENTS_MAX: usize = 1000;
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
    out: mpsc::Sender<Event>,
    recent: Mutex<std::collections::VecDeque<Told>>,
}

impl Recorder {
    /// A recorder that writes to `api` from a task of its own.
    pub(crate) fn start(api: Arc<dyn Api>, node_name: &str) -> Arc<Recorder> {
        let (out, mut waiting) = mpsc::channel::<Event>(WAITING_EVENTS_MAX);
        env::task::spawn(env::task::Fate::Local, "kubelet-events", async move {
            while let Some(event) = waiting.recv().await {
                if let Err(error) = api.event(event).await {
                    tracing::debug!(%error, "an event was not told");
                }
            }
        });
        Arc::new(Recorder { node_name: node_name.to_owned(), out, recent: Mutex::default() })
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
        tracing::info!(about, reason, message, "event");
        let told = Told { about, severity, reason: reason.to_owned(), message: message.to_owned() };
        let mut recent = self.recent.lock();
        recent.push_back(told);
        if recent.len() > RECENT_EVENTS_MAX {
            recent.pop_front();
        }
        drop(recent);
        if self.out.try_send(self.event(object, notice)).is_err() {
            tracing::warn!("too many events wait: one is dropped");
        }
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

    fn event(&self, object: ObjectReference, notice: Notice<'_>) -> Event {
        let instant = env::time::now();
        let now = Time(instant);
        let name = object.name.as_deref().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                // So that a list, which is ordered by name, tells them as they happened.
                name: Some(format!("{name}.{:x}", instant.as_nanosecond())),
                // What has no namespace is told about in the default one.
                namespace: object.namespace.clone().or_else(|| Some("default".to_owned())),
                ..Default::default()
            },
            involved_object: object,
            type_: Some(if notice.severity == Severity::Normal { "Normal" } else { "Warning" }.to_owned()),
            reason: Some(notice.reason.to_owned()),
            message: Some(notice.message.to_owned()),
            source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(self.node_name.clone()) }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(self.node_name.clone()),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            ..Default::default()
        }
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
