//! What every store owes its users, as checks to run against any engine.
//!
//! Each check works under a prefix of its own and measures revisions from where it began, so that all of them can share
//! one store. They panic with a reason when the promise is broken. A store that others build by wrapping one (with
//! encryption, with faults) should pass them as well.

mod concurrent;
mod history;
mod leases;
mod reading;
mod watching;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{Batch, Error, Event, Key, Outcome, Revision, Span, Store, Txn, Watcher};

/// How long anything may take before the check fails. Generous: a busy machine is no broken promise.
const DEADLINE_SECONDS: u64 = 30;

/// One promise.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    pub name: &'static str,
    run: fn(Ground) -> BoxFuture<'static, ()>,
}

/// Where a check runs.
#[derive(Debug, Clone)]
pub struct Ground {
    store: Arc<dyn Store>,
    /// Ends with `/`.
    prefix: String,
}

macro_rules! checks {
    ($($module:ident :: $name:ident,)*) => {
        /// All promises.
        pub const CHECKS: &[Check] = &[$(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |ground| Box::pin($module::$name(ground)),
        },)*];
    };
}

checks! {
    writing::creation_begins_a_history,
    writing::update_continues_it,
    writing::deletion_ends_it,
    writing::conflicts_change_nothing_and_tell_what_is,
    writing::unconditional_writes_overwrite,
    writing::several_keys_change_together_or_not_at_all,
    writing::changing_nothing_takes_no_revision,
    writing::bounds_are_refused_with_a_type,
    writing::large_values_survive,
    writing::keys_may_be_any_text,
    reading::ranges_are_ordered_and_half_open,
    reading::a_limit_cuts_and_the_rest_continues,
    reading::pages_at_one_revision_do_not_see_later_writes,
    reading::keys_and_counts_come_without_values,
    reading::many_keys_are_read_whole,
    history::the_past_can_be_read_exactly,
    history::the_future_cannot,
    history::compaction_forgets_the_past_alone,
    history::compaction_is_refused_twice_and_ahead,
    watching::changes_arrive_with_what_was_before,
    watching::a_watch_from_the_past_replays_it,
    watching::a_watch_from_the_future_waits,
    watching::only_the_span_is_told,
    watching::a_transaction_arrives_in_one_piece,
    watching::compacted_history_cannot_be_watched,
    watching::progress_is_told_on_request,
    watching::watches_of_one_key_and_of_everything,
    leases::keys_end_with_their_lease,
    leases::a_revoked_lease_takes_its_keys_along,
    leases::rewriting_a_key_detaches_it,
    leases::unknown_leases_are_refused,
    concurrent::one_of_many_writers_wins_each_round,
    concurrent::revisions_are_linear_and_watchers_see_all,
    concurrent::reads_follow_acknowledged_writes,
}

/// Runs every check against `store`.
///
/// # Panics
/// When a promise is broken.
pub async fn run_all(store: Arc<dyn Store>) {
    for check in CHECKS {
        eprintln!("contract: {}", check.name);
        check.run(store.clone()).await;
    }
}

impl Check {
    /// Runs this check under a fresh prefix of `store`.
    ///
    /// # Panics
    /// When the promise is broken.
    pub async fn run(&self, store: Arc<dyn Store>) {
        let prefix = format!("/contract/{}-{}/", self.name, env::rand::suffix(8));
        (self.run)(Ground { store, prefix }).await;
    }
}

impl Ground {
    fn key(&self, name: &str) -> Key {
        Key::from(format!("{}{name}", self.prefix))
    }

    fn span(&self) -> Span {
        Span::prefix(&self.prefix)
    }

    async fn current(&self) -> Revision {
        self.store.status().await.expect("a store tells its status").revision
    }

    /// Writes without a condition.
    async fn put(&self, name: &str, value: &str) -> Revision {
        self.commit(Txn::new().put(self.key(name), bytes(value))).await
    }

    async fn delete(&self, name: &str) -> Revision {
        self.commit(Txn::new().delete(self.key(name))).await
    }

    async fn commit(&self, txn: Txn) -> Revision {
        match self.store.txn(txn).await.expect("a sound transaction is decided") {
            Outcome::Committed { revision } => revision,
            conflict @ Outcome::Conflict { .. } => panic!("nothing stands in the way, yet: {conflict:?}"),
        }
    }

    async fn value(&self, name: &str, at: Option<Revision>) -> Option<String> {
        let got = self.store.get(&self.key(name), at).await.expect("a kept revision can be read");
        got.entry.map(|entry| text(&entry.value))
    }

    async fn names(&self, at: Option<Revision>) -> Vec<String> {
        let range = crate::Range { at, ..crate::Range::of(self.span()) };
        let page = self.store.range(range).await.expect("a kept revision can be read");
        page.entries.iter().map(|entry| entry.key.as_str()[self.prefix.len()..].to_owned()).collect()
    }

    /// Writes and deletes something elsewhere, so that there is a revision that does not concern this ground.
    async fn pass_time(&self) -> Revision {
        self.commit(Txn::new().put(Key::from("/contract-elsewhere"), bytes("x"))).await
    }
}

/// A watch with what it has delivered and nobody asked for yet.
struct Told {
    watcher: Watcher,
    ready: std::collections::VecDeque<Event>,
    revision: Revision,
}

impl Told {
    async fn begin(ground: &Ground, watch: crate::Watch) -> Told {
        let watcher = ground.store.watch(watch).await.expect("a watch begins");
        Told { watcher, ready: Default::default(), revision: Revision::ZERO }
    }

    async fn batch(&mut self) -> Result<Batch, Error> {
        let batch = in_time("a batch of a watch", self.watcher.next()).await;
        let batch = batch.expect("a watch goes on until it has failed")?;
        assert!(batch.revision >= self.revision, "a watch never goes back: {} after {}", batch.revision, self.revision);
        self.revision = batch.revision;
        Ok(batch)
    }

    /// The next event.
    async fn event(&mut self) -> Event {
        while self.ready.is_empty() {
            let batch = self.batch().await.expect("the watch is healthy");
            self.ready.extend(batch.events);
        }
        self.ready.pop_front().expect("it was waited for")
    }

    /// Fails if the watch has anything to say about revisions up to `revision`, which a write must then mark.
    async fn expect_next_at(&mut self, revision: Revision) -> Event {
        let event = self.event().await;
        assert_eq!(event.revision(), revision, "nothing else was to be told: {event:?}");
        event
    }

    /// The error that ends the watch.
    async fn error(&mut self) -> Error {
        loop {
            if let Err(error) = self.batch().await {
                let after = in_time("the end of a failed watch", self.watcher.next()).await;
                assert!(after.is_none(), "nothing comes after an error: {after:?}");
                return error;
            }
        }
    }
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = env::time::timeout(Duration::from_secs(DEADLINE_SECONDS), future).await;
    waited.unwrap_or_else(|_| panic!("{what} did not come within {DEADLINE_SECONDS} seconds"))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("the checks write text")
}
