//! What controllers say about objects, as Events of `v1`.

use client::Client;
use env::task::{Fate, Owned};
use object::{Value, timestamp};
use plan::Event;
use tokio::sync::mpsc;
use typed::Kind as _;

/// Events that wait to be written; more are dropped, because nothing may wait for words.
const EVENTS_WAITING_MAX: usize = 1024;

/// Writes events, one after the other, in the background. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<(String, Value)>,
    _writer: std::sync::Arc<Owned<()>>,
}

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(String, Value)>(EVENTS_WAITING_MAX);
        let writer = env::task::spawn(Fate::Local, "events", async move {
            let row = typed::api::core::v1::Event::resource();
            while let Some((namespace, event)) = waiting.recv().await {
                if let Err(error) = client.create_tree(row, &namespace, &event).await {
                    tracing::debug!(%error, "an event is lost");
                }
            }
        });
        Events { queue, _writer: std::sync::Arc::new(writer.abort_on_drop()) }
    }

    /// Says `event`; `name` and `refusal` complete its words.
    pub(crate) fn record(&self, controller: &'static str, event: &Event, name: &str, refusal: &str) {
        let about = &event.regarding;
        let namespace = about.namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let now = timestamp::seconds(env::time::now());
        let subject = about.name.as_deref().unwrap_or_default();
        let mut tree = Value::from_pairs([("apiVersion", "v1"), ("kind", "Event")]);
        tree.set(&["metadata", "name"], format!("{subject}.{:016x}", env::rand::u64()));
        tree.set(&["metadata", "namespace"], namespace.as_str());
        for (field, value) in [
            ("apiVersion", &about.api_version),
            ("kind", &about.kind),
            ("namespace", &about.namespace),
            ("name", &about.name),
            ("uid", &about.uid),
            ("resourceVersion", &about.resource_version),
        ] {
            if let Some(value) = value {
                tree.set(&["involvedObject", field], value.as_str());
            }
        }
        tree.set(&["type"], event.say.event_type.as_str());
        tree.set(&["reason"], event.say.reason);
        tree.set(&["message"], event.say.note.words(name, refusal));
        tree.set(&["source", "component"], controller);
        tree.set(&["reportingComponent"], controller);
        tree.set(&["firstTimestamp"], now.clone());
        tree.set(&["lastTimestamp"], now);
        tree.set(&["count"], 1);
        if self.queue.try_send((namespace, tree)).is_err() {
            tracing::debug!("too many events wait; one is lost");
        }
    }
}
