//! Events: what components say about objects, merged and limited.
//!
//! As upstream's `tools/record`: the same words again raise a count; many similar words become one event that says so;
//! whoever talks too much about one object is not heard. Speaking never waits: a queue takes the words, and one task
//! sends them, several at once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client::{Client, Error, Patch};
use env::task::Fate;
use env::time::Instant;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use object::Value;
use tokio::sync::mpsc;
use typed::api::core::v1::{Event, EventSource, ObjectReference};
use typed::meta::{ObjectMeta, Time};

/// Words that wait to be sent; more are dropped (upstream: 1000, and in the scheduler as many more as are being sent).
const WAITING_MAX: usize = 10_000;
/// Events that are being sent at the same time, all by one task: whoever is spoken of does not wait for it.
const SENDS_AT_ONCE_MAX: usize = 8;
/// How often it is told that events were dropped.
const TELL_DROPPED_EVERY: Duration = Duration::from_secs(10);
/// Things that are remembered for merging and limiting (upstream: 4096).
const REMEMBERED_MAX: usize = 4096;
/// So many similar events within [`SIMILAR_WINDOW`] become one.
const SIMILAR_MAX: usize = 10;
const SIMILAR_WINDOW: Duration = Duration::from_secs(600);
/// Events about one object that may come at once, and how long until one more may.
const BURST: f64 = 25.0;
const ONE_MORE_AFTER: Duration = Duration::from_secs(300);
/// When the server cannot be reached (upstream: 12 times, 10 s).
const SEND_RETRIES_MAX: u32 = 12;
const SEND_RETRY: Duration = Duration::from_secs(10);

/// Says events. Cheap to clone; the task behind it ends with the last clone, after the last words.
#[derive(Debug, Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Spoken>,
    dropped: Arc<AtomicU64>,
}

/// An event with all its words.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// The object that it is about.
    pub regarding: ObjectReference,
    /// `Normal` or `Warning`.
    pub event_type: &'static str,
    /// The machine-readable reason.
    pub reason: String,
    /// The words.
    pub message: String,
}

impl Recorder {
    /// A recorder of the component `component` on `host` (empty for components that are on no node). Must be called
    /// within the runtime.
    pub fn start(client: Client, component: &str, host: &str) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::<AtomicU64>::default();
        let source = Source { component: component.to_owned(), host: host.to_owned() };
        let speaker = Speaker {
            correlator: Correlator::default(),
            on_their_way: HashSet::new(),
            held: None,
            dropped: Arc::clone(&dropped),
            told: None,
        };
        let work = async move { speaker.run(Mouth { client, source }, receiver).await };
        env::task::spawn(Fate::Vital, "event recorder", work);
        Recorder { sender, dropped }
    }

    /// Says a planned event. `name` is the name of the object that was written, `refusal` what the server said.
    pub fn say(&self, event: &plan::Event, name: &str, refusal: &str) {
        self.speak(Spoken {
            regarding: event.regarding.clone(),
            event_type: event.say.event_type.as_str(),
            reason: event.say.reason.to_owned(),
            message: event.say.note.words(name, refusal),
        });
    }

    /// Says anything. What there is no room for is dropped, and counted.
    pub fn speak(&self, spoken: Spoken) {
        if self.sender.try_send(spoken).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug)]
struct Source {
    component: String,
    host: String,
}

struct Speaker {
    correlator: Correlator,
    /// What is being sent. Never two that would be merged: the second is to raise the count of the first.
    on_their_way: HashSet<Same>,
    /// Waits for the end of one of those.
    held: Option<Heard>,
    dropped: Arc<AtomicU64>,
    told: Option<Instant>,
}

impl Speaker {
    async fn run(mut self, mouth: Mouth, mut receiver: mpsc::Receiver<Spoken>) {
        let mut sending = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || self.held.is_some() || !sending.is_empty() {
            let has_room = self.held.is_none() && sending.len() < SENDS_AT_ONCE_MAX;
            let next = tokio::select! {
                Some((heard, event)) = sending.next() => self.is_sent(&heard, event),
                spoken = receiver.recv(), if is_open && has_room => {
                    is_open = spoken.is_some();
                    spoken.and_then(|spoken| self.hear(spoken, Instant::now()))
                }
            };
            sending.extend(next.map(|heard| mouth.deliver(heard)));
        }
    }

    /// What is to be sent now because of `spoken`.
    fn hear(&mut self, spoken: Spoken, now: Instant) -> Option<Heard> {
        self.tell_dropped(now);
        let heard = self.correlator.hear(spoken, now)?;
        self.begin(heard)
    }

    fn begin(&mut self, mut heard: Heard) -> Option<Heard> {
        if self.on_their_way.contains(&heard.same) {
            self.held = Some(heard);
            return None;
        }
        heard.known = self.correlator.sent.get(&heard.same).cloned();
        self.on_their_way.insert(heard.same.clone());
        Some(heard)
    }

    /// Remembers the outcome; what is to be sent after it.
    fn is_sent(&mut self, heard: &Heard, event: Option<Named>) -> Option<Heard> {
        self.on_their_way.remove(&heard.same);
        if let Some(event) = event {
            self.correlator.sent(heard, event);
        }
        let held = self.held.take()?;
        self.begin(held)
    }

    /// One line for many: whoever speaks too fast to be heard is not to fill the log.
    fn tell_dropped(&mut self, now: Instant) {
        if self.told.is_some_and(|told| now.duration_since(told) < TELL_DROPPED_EVERY) {
            return;
        }
        let events = self.dropped.swap(0, Ordering::Relaxed);
        if events > 0 {
            self.told = Some(now);
            tracing::warn!(events, "events are dropped: too many were said at once");
        }
    }
}

/// Speaks to the server.
struct Mouth {
    client: Client,
    source: Source,
}

impl Mouth {
    /// Sends an event; the event that is at the server now, if it took it.
    async fn deliver(&self, heard: Heard) -> (Heard, Option<Named>) {
        let mut attempt = 1;
        loop {
            match self.send(&heard).await {
                Ok(event) => return (heard, Some(event)),
                Err(error @ Error::Transport(_)) if attempt < SEND_RETRIES_MAX => {
                    tracing::debug!(%error, attempt, "an event is sent again");
                    env::time::sleep(SEND_RETRY).await;
                    attempt += 1;
                }
                Err(error) => {
                    let (object, reason) = (heard.spoken.regarding.name.as_deref(), &heard.spoken.reason);
                    tracing::warn!(%error, object, reason, "the server does not take an event");
                    return (heard, None);
                }
            }
        }
    }

    /// Raises the count of an event that is there, or makes a new one.
    async fn send(&self, heard: &Heard) -> Result<Named, Error> {
        let now = env::time::now();
        if let Some(known) = &heard.known {
            let mut change = Value::map();
            change.set(&["count"], i64::from(known.count) + 1);
            change.set(&["lastTimestamp"], object::timestamp::seconds(now));
            change.set(&["message"], heard.spoken.message.as_str());
            let patched =
                self.client.patch::<Event>(&known.namespace, &known.name, "", &Patch::Strategic(change)).await;
            match patched {
                Ok(_) => return Ok(Named { count: known.count + 1, ..known.clone() }),
                // Events are forgotten after an hour.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let event = self.event(&heard.spoken, now);
        let named = Named {
            namespace: event.metadata.namespace.clone().unwrap_or_default(),
            name: event.metadata.name.clone().unwrap_or_default(),
            count: 1,
        };
        self.client.create(&event).await?;
        Ok(named)
    }

    fn event(&self, spoken: &Spoken, now: Timestamp) -> Event {
        let regarding = &spoken.regarding;
        let of = regarding.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default");
        let about = regarding.name.as_deref().unwrap_or_default();
        let at = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{about}.{:x}", now.as_nanosecond())),
                namespace: Some(of.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: regarding.clone(),
            reason: Some(spoken.reason.clone()),
            message: Some(spoken.message.clone()),
            source: Some(EventSource {
                component: Some(self.source.component.clone()),
                host: Some(self.source.host.clone()).filter(|host| !host.is_empty()),
            }),
            first_timestamp: Some(at.clone()),
            last_timestamp: Some(at),
            count: Some(1),
            type_: Some(spoken.event_type.to_owned()),
            reporting_component: Some(self.source.component.clone()),
            reporting_instance: Some(self.source.host.clone()),
            ..Event::default()
        }
    }
}

/// An event at the server.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    namespace: String,
    name: String,
    count: i32,
}

/// What is to be sent.
#[derive(Debug)]
struct Heard {
    spoken: Spoken,
    same: Same,
    /// The event whose count is raised.
    known: Option<Named>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct About {
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    field_path: String,
}

/// What makes events similar.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Similar {
    about: About,
    event_type: &'static str,
    reason: String,
}

/// What makes events the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Same {
    similar: Similar,
    /// Absent for the one that stands for many similar ones.
    message: Option<String>,
}

/// Merges and limits. Makes no event, sends nothing.
#[derive(Debug, Default)]
struct Correlator {
    tokens: Remembered<About, (f64, Instant)>,
    similar: Remembered<Similar, (Vec<String>, Instant)>,
    sent: Remembered<Same, Named>,
}

impl Correlator {
    /// What to send because of `spoken`; nothing when too much has been said about the object.
    fn hear(&mut self, mut spoken: Spoken, now: Instant) -> Option<Heard> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let of = &spoken.regarding;
        let about = About {
            kind: text(&of.kind),
            namespace: text(&of.namespace),
            name: text(&of.name),
            uid: text(&of.uid),
            field_path: text(&of.field_path),
        };
        let similar = Similar { about: about.clone(), event_type: spoken.event_type, reason: spoken.reason.clone() };
        let (messages, last) = self.similar.entry(similar.clone(), || (Vec::new(), now));
        if now.duration_since(*last) > SIMILAR_WINDOW {
            messages.clear();
        }
        *last = now;
        if !messages.contains(&spoken.message) {
            messages.push(spoken.message.clone());
        }
        let is_crowd = messages.len() >= SIMILAR_MAX;
        if is_crowd {
            // Ten are a crowd; which ten is all that matters.
            messages.truncate(SIMILAR_MAX);
            spoken.message = format!("(combined from similar events): {}", spoken.message);
        }
        if !self.allows(about, now) {
            return None;
        }
        let same = Same { similar, message: (!is_crowd).then(|| spoken.message.clone()) };
        let known = self.sent.get(&same).cloned();
        Some(Heard { spoken, same, known })
    }

    fn allows(&mut self, about: About, now: Instant) -> bool {
        let (tokens, filled) = self.tokens.entry(about, || (BURST, now));
        let gained = now.duration_since(*filled).as_secs_f64() / ONE_MORE_AFTER.as_secs_f64();
        *tokens = (*tokens + gained).min(BURST);
        *filled = now;
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }

    fn sent(&mut self, heard: &Heard, event: Named) {
        self.sent.put(heard.same.clone(), event);
    }
}

/// A map that forgets what came first when it is full.
#[derive(Debug)]
struct Remembered<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Remembered { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        match self.entries.get_mut(&key) {
            Some(known) => *known = value,
            None => {
                self.entry(key, || value);
            }
        }
    }

    fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            if self.order.len() >= REMEMBERED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.entries.entry(key).or_insert_with(make)
    }
}

#[cfg(test)]
mod tests;
