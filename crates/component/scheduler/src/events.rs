//! What is said about pods, as `events.k8s.io/v1` Events.

use client::Client;
use env::task::{Fate, Owned};
use kind::Resource;
use object::{Value, timestamp};
use scheduling::{Output, PodRef};
use tokio::sync::mpsc;

/// Events that wait to be written; more are dropped, because pods must not wait for words.
const EVENTS_WAITING_MAX: usize = 1024;
const CONTROLLER: &str = "default-scheduler";

/// Writes events, one after the other, in the background.
pub(crate) struct Events {
    queue: mpsc::Sender<(String, Value)>,
    _writer: Owned<()>,
}

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(String, Value)>(EVENTS_WAITING_MAX);
        let row = row();
        let writer = env::task::spawn(Fate::Local, "scheduler-events", async move {
            while let Some((namespace, event)) = waiting.recv().await {
                if let Err(error) = client.create_tree(row, &namespace, &event).await {
                    tracing::debug!(%error, "an event is lost");
                }
            }
        });
        Events { queue, _writer: writer.abort_on_drop() }
    }

    pub(crate) fn record(&self, output: Output) {
        let Output::Event { regarding, related, warning, reason, action, note } = output else { return };
        let mut event = Value::from_pairs([("apiVersion", "events.k8s.io/v1"), ("kind", "Event")]);
        event.set(&["metadata", "name"], format!("{}.{:016x}", regarding.name, env::rand::u64()));
        event.set(&["metadata", "namespace"], regarding.namespace.as_str());
        event.set(&["eventTime"], timestamp::micros(env::time::now()));
        event.set(&["reportingController"], CONTROLLER);
        event.set(&["reportingInstance"], CONTROLLER);
        event.set(&["type"], if warning { "Warning" } else { "Normal" });
        event.set(&["reason"], reason);
        event.set(&["action"], action);
        event.set(&["note"], note);
        if let Some(related) = related {
            event.set(&["related"], reference(&related));
        }
        let namespace = regarding.namespace.clone();
        event.set(&["regarding"], reference(&regarding));
        if self.queue.try_send((namespace, event)).is_err() {
            tracing::debug!("too many events wait; one is lost");
        }
    }
}

fn reference(pod: &PodRef) -> Value {
    Value::from_pairs([
        ("apiVersion", "v1"),
        ("kind", "Pod"),
        ("namespace", pod.namespace.as_str()),
        ("name", pod.name.as_str()),
        ("uid", pod.uid.as_str()),
    ])
}

fn row() -> &'static Resource {
    let found = kind::builtin().iter().find(|row| row.kind == "Event" && row.api_version() == "events.k8s.io/v1");
    found.expect("events are a built-in kind")
}
