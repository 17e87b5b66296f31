//! The protocol by which a cache follows the server, as a state with a step.
//!
//! First the whole state comes as a stream that ends in a marked bookmark (WatchList), from servers that do not do this
//! as a list in pages; then a watch from that revision on, resumed wherever it ends, until the server has forgotten the
//! revision.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, Depth, Error, Event, ListOptions, TreeEvent, TreeWatch, WatchOptions};
use env::time::Instant;
use futures::FutureExt as _;
use kind::Resource;
use object::Value;

use crate::Scope;

/// Objects per page of a list (upstream: 500).
const PAGE_OBJECTS: u32 = 500;
/// A watch is ended by the server after this long to twice as long (upstream: 5 minutes).
const WATCH_SECONDS_MIN: u32 = 300;
/// A watch that ends sooner than this is treated as a failure, so that it cannot spin.
const SHORT_WATCH: Duration = Duration::from_secs(1);
/// Waits after failures: the first, the factor, the most; each up to twice as long by chance (upstream's numbers).
const BACKOFF_FIRST: Duration = Duration::from_millis(800);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// After so long without failure the waits begin small again.
const BACKOFF_RESET: Duration = Duration::from_secs(120);

/// Changes that are taken over together: about a millisecond's work.
const EVENTS_AT_ONCE_MAX: usize = 64;

/// Where the objects go.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Keeps an object for [`Sink::commit`].
    fn stage(&mut self, tree: Value);
    /// Forgets what is staged.
    fn reset(&mut self);
    /// What is staged is the whole state at a revision.
    fn commit(&mut self, resource_version: &str);
    /// Takes changes over.
    fn apply(&mut self, events: Vec<TreeEvent>);
}

/// Follows one resource.
pub(crate) struct Reflector {
    pub(crate) client: Client,
    pub(crate) resource: Arc<Resource>,
    pub(crate) scope: Scope,
    pub(crate) depth: Depth,
    pub(crate) sink: Box<dyn Sink>,
    /// Whether the server streams lists.
    pub(crate) streams_lists: bool,
    pub(crate) backoff: Backoff,
}

/// What the reflector does next.
#[derive(Debug)]
enum State {
    /// Get the whole state.
    Begin,
    /// Get changes after a revision.
    Follow(String),
    /// Read an open watch whose last event was of a revision.
    Reading(Box<TreeWatch>, String),
}

impl Reflector {
    /// Follows until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut state = State::Begin;
        loop {
            state = self.step(state).await;
        }
    }

    async fn step(&mut self, state: State) -> State {
        match state {
            State::Begin if self.streams_lists => match self.stream_list().await {
                Ok((watch, revision)) => State::Reading(watch, revision),
                Err(error) if error.is_invalid() => {
                    tracing::debug!(resource = %self.resource.plural, %error, "the server does not stream lists");
                    self.streams_lists = false;
                    State::Begin
                }
                Err(error) => self.start_over(&error).await,
            },
            State::Begin => match self.list().await {
                Ok(revision) => State::Follow(revision),
                Err(error) => self.start_over(&error).await,
            },
            State::Follow(revision) => match self.watch(&revision, false).await {
                Ok(watch) => State::Reading(Box::new(watch), revision),
                Err(error) => self.resume(&error, revision).await,
            },
            State::Reading(watch, revision) => self.read(*watch, revision).await,
        }
    }

    /// Opens a watch that begins with the whole state, and reads that.
    async fn stream_list(&mut self) -> Result<(Box<TreeWatch>, String), Error> {
        self.sink.reset();
        let mut watch = self.watch("", true).await?;
        loop {
            match watch.next().await {
                Some(Ok(Event::Added(tree) | Event::Modified(tree))) => self.sink.stage(tree),
                // Nothing is deleted from a state of one revision; a server that sends it has begun with changes.
                Some(Ok(Event::Deleted(_))) => {
                    return Err(Error::Decode("a deletion came before the end of the state".to_owned()));
                }
                Some(Ok(Event::Bookmark { resource_version, initial_end: true })) => {
                    self.sink.commit(&resource_version);
                    return Ok((Box::new(watch), resource_version));
                }
                Some(Ok(Event::Bookmark { .. })) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Error::Decode("the watch ended before the end of the state".to_owned())),
            }
        }
    }

    /// Reads the whole state in pages of one revision.
    async fn list(&mut self) -> Result<String, Error> {
        self.sink.reset();
        let mut options = ListOptions {
            namespace: self.scope.namespace.clone(),
            label_selector: self.scope.label_selector.clone(),
            field_selector: self.scope.field_selector.clone(),
            limit_objects: PAGE_OBJECTS,
            ..ListOptions::default()
        };
        loop {
            let page = self.client.list_trees(&self.resource, &options, self.depth).await?;
            for tree in page.items {
                self.sink.stage(tree);
            }
            if page.continue_token.is_empty() {
                self.sink.commit(&page.resource_version);
                return Ok(page.resource_version);
            }
            options.continue_token = page.continue_token;
        }
    }

    async fn watch(&self, revision: &str, send_initial_events: bool) -> Result<TreeWatch, Error> {
        let chance = u32::try_from(env::rand::below(u64::from(WATCH_SECONDS_MIN))).unwrap_or(0);
        let options = WatchOptions {
            namespace: self.scope.namespace.clone(),
            label_selector: self.scope.label_selector.clone(),
            field_selector: self.scope.field_selector.clone(),
            resource_version: revision.to_owned(),
            send_initial_events,
            allow_bookmarks: true,
            timeout_seconds: WATCH_SECONDS_MIN + chance,
        };
        self.client.watch_trees(&self.resource, &options, self.depth).await
    }

    /// Takes over changes until the watch ends.
    async fn read(&mut self, mut watch: TreeWatch, mut revision: String) -> State {
        let begun = Instant::now();
        let mut is_empty = true;
        loop {
            let (events, end) = batch(&mut watch).await;
            if let Some(newest) = events.last() {
                is_empty = false;
                newest.resource_version().clone_into(&mut revision);
                self.sink.apply(events);
            }
            match end {
                None => {}
                Some(Some(error)) => return self.resume(&error, revision).await,
                Some(None) if is_empty && begun.elapsed() < SHORT_WATCH => {
                    self.pause(&Error::Decode("the watch ended at once".to_owned())).await;
                    return State::Follow(revision);
                }
                Some(None) => return State::Follow(revision),
            }
        }
    }

    /// After a failure of a watch: goes on after `revision`, unless the server has refused exactly that.
    async fn resume(&mut self, error: &Error, revision: String) -> State {
        let passing = match error {
            Error::Transport(_) => true,
            Error::Decode(_) => false,
            Error::Refused(refusal) => matches!(refusal.code(), 401 | 403 | 429 | 500..),
        };
        if !passing {
            return self.start_over(error).await;
        }
        self.pause(error).await;
        State::Follow(revision)
    }

    async fn start_over(&mut self, error: &Error) -> State {
        self.pause(error).await;
        State::Begin
    }

    async fn pause(&mut self, error: &Error) {
        let wanted = error.refusal().and_then(kind::Refusal::retry_after_seconds).unwrap_or(0);
        let wait = self.backoff.next().max(Duration::from_secs(u64::from(wanted)).min(BACKOFF_MAX));
        let (resource, wait_ms) = (&self.resource.plural, wait.as_millis());
        if error.is_expired() {
            tracing::debug!(%resource, %error, wait_ms, "the watch is too old and begins anew");
        } else {
            tracing::warn!(%resource, %error, wait_ms, "cannot follow the server");
        }
        env::time::sleep(wait).await;
    }
}

/// The changes that are here, after waiting for the first, and whether the watch has ended, perhaps with an error. In a
/// storm the cache is locked, and its readers are woken, once for many.
async fn batch(watch: &mut TreeWatch) -> (Vec<TreeEvent>, Option<Option<Error>>) {
    let mut events = Vec::new();
    let mut next = watch.next().await;
    loop {
        match next {
            Some(Ok(event)) => events.push(event),
            Some(Err(error)) => return (events, Some(Some(error))),
            None => return (events, Some(None)),
        }
        if events.len() == EVENTS_AT_ONCE_MAX {
            return (events, None);
        }
        match watch.next().now_or_never() {
            Some(further) => next = further,
            None => return (events, None),
        }
    }
}

/// Growing waits.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    last: Option<(Instant, Duration)>,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let now = Instant::now();
        let base = match self.last {
            Some((at, wait)) if now.duration_since(at) < BACKOFF_RESET => (wait * 2).min(BACKOFF_MAX),
            _ => BACKOFF_FIRST,
        };
        self.last = Some((now, base));
        base.mul_f64(1.0 + env::rand::unit())
    }
}
