//! The loop of every controller: news wake keys, keys are planned, plans are executed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use env::task::{Fate, Owned, Shutdown};
use futures::future::BoxFuture;
use informer::{Changed, Informer, Item, Witness, Written};
use jiff::Timestamp;
use kind::Resource;
use parking_lot::Mutex;
use plan::{Key, Plan};
use tokio::sync::Semaphore;

use crate::execute::same_resource;
use crate::{Executor, Limits, Metrics, Queue, Recorder};

/// How long a key waits for its own writes to come into view before it is planned anyway (upstream's expectations: the
/// same).
const OWN_WRITES_TIMEOUT: Duration = Duration::from_secs(300);
/// Keys that are in hand at once: planned, or waiting for their own writes to come into view.
const IN_HAND_MAX: u32 = 4096;

/// What a planner is asked.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The key to plan.
    pub key: &'a Key,
    /// The moment of asking.
    pub now: Timestamp,
    /// How the last plan for this key was refused, if it was.
    pub refusal: Option<&'a plan::Refusal>,
}

type Plans = dyn Fn(&Ask<'_>) -> Plan + Send + Sync;
type Wake = Box<dyn FnOnce(Queue) -> BoxFuture<'static, ()> + Send>;

/// A controller, being put together and then run.
pub struct Controller {
    name: &'static str,
    plans: Arc<Plans>,
    executor: Executor,
    workers: u32,
    limits: Limits,
    metrics: Option<Metrics>,
    witnesses: Vec<Arc<dyn Witness>>,
    wakes: Vec<Wake>,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, workers, witnesses) = (self.name, self.workers, &self.witnesses);
        let mut out = f.debug_struct("Controller");
        out.field("name", &name).field("workers", &workers).field("witnesses", witnesses).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller that plans with `plans`, a pure function of the caches it holds and of what it is asked.
    pub fn new(
        name: &'static str,
        client: Client,
        recorder: Recorder,
        plans: impl Fn(&Ask<'_>) -> Plan + Send + Sync + 'static,
    ) -> Self {
        Controller {
            name,
            plans: Arc::new(plans),
            executor: Executor::new(client, recorder),
            workers: 5,
            limits: Limits::default(),
            metrics: None,
            witnesses: Vec::new(),
            wakes: Vec::new(),
        }
    }

    /// Wakes the keys that `keys` names whenever something in `informer` changes, and first for everything in it. The
    /// planner is not asked again before the informer has seen what it wrote.
    pub fn wakes<T: Item, Keys: IntoIterator<Item = Key>>(
        mut self,
        informer: &Informer<T>,
        keys: impl Fn(&Changed<T>) -> Keys + Send + 'static,
    ) -> Self {
        let source = informer.clone();
        self.wakes.push(Box::new(move |queue| {
            Box::pin(async move {
                let mut news = source.subscribe();
                while let Some(changed) = news.next().await {
                    queue.add_all(keys(&changed));
                }
            })
        }));
        self.reads(informer)
    }

    /// Says that the planner reads a cache whose changes wake nobody.
    pub fn reads<T: Item>(mut self, informer: &Informer<T>) -> Self {
        self.witnesses.push(Arc::new(informer.clone()));
        self
    }

    /// So many keys are planned and written at once (5 if nobody says).
    pub fn workers(self, workers: u32) -> Self {
        Controller { workers: workers.max(1), ..self }
    }

    /// Other limits for retries.
    pub fn limits(self, limits: Limits) -> Self {
        Controller { limits, ..self }
    }

    /// Measures its queue.
    pub fn measured(self, metrics: &Metrics) -> Self {
        Controller { metrics: Some(metrics.clone()), ..self }
    }

    /// Runs until `shutdown`, then finishes what is in hand.
    pub async fn run(self, shutdown: Shutdown) {
        for witness in &self.witnesses {
            tokio::select! {
                () = witness.when_synced() => {}
                () = shutdown.cancelled() => return,
            }
        }
        let queue = Queue::new(self.name, self.limits, self.metrics.as_ref());
        let wake =
            |wake: Wake| env::task::spawn(Fate::Vital, "controller's wakes", wake(queue.clone())).abort_on_drop();
        let _wakes: Vec<Owned<()>> = self.wakes.into_iter().map(wake).collect();
        let driver = Arc::new(Driver {
            name: self.name,
            plans: self.plans,
            executor: self.executor,
            witnesses: self.witnesses,
            refusals: Mutex::default(),
            queue: queue.clone(),
            hands: Arc::new(Semaphore::new(IN_HAND_MAX as usize)),
        });
        let workers = Arc::new(Semaphore::new(self.workers as usize));
        tracing::debug!(controller = self.name, "begins");
        tokio::select! {
            () = driver.hand_out(&workers) => {}
            () = shutdown.cancelled() => queue.shut_down(),
        }
        // Whoever has a permit is writing; with all of them in our hands nobody is.
        let _all = workers.acquire_many(self.workers).await;
        tracing::debug!(controller = self.name, "ends");
    }
}

struct Driver {
    name: &'static str,
    plans: Arc<Plans>,
    executor: Executor,
    witnesses: Vec<Arc<dyn Witness>>,
    /// How the last plan of a key was refused; keys that succeed are not here.
    refusals: Mutex<HashMap<Key, plan::Refusal>>,
    queue: Queue,
    hands: Arc<Semaphore>,
}

impl Driver {
    /// Hands keys to tasks, as many at once as there are workers.
    async fn hand_out(self: &Arc<Self>, workers: &Arc<Semaphore>) {
        loop {
            let hand = Arc::clone(&self.hands).acquire_owned().await;
            let worker = Arc::clone(workers).acquire_owned().await;
            let (Ok(hand), Ok(worker)) = (hand, worker) else { return };
            let Some(key) = self.queue.next().await else { return };
            let driver = Arc::clone(self);
            env::task::spawn(Fate::Local, "controller's key", async move {
                let in_hand = InHand { queue: driver.queue.clone(), key, is_settled: false };
                let written = driver.reconcile(&in_hand.key).await;
                drop(worker);
                driver.wait_for(written).await;
                in_hand.settle();
                drop(hand);
            });
        }
    }

    /// Plans a key and executes the plan; says what it wrote.
    async fn reconcile(&self, key: &Key) -> Vec<(Arc<Resource>, Written)> {
        let refusal = self.refusals.lock().get(key).cloned();
        let plan = (self.plans)(&Ask { key, now: env::time::now(), refusal: refusal.as_ref() });
        let requeue_at = plan.requeue_at;
        let executed = self.executor.execute(plan).await;
        match executed.refused {
            None => {
                self.queue.forget(key);
                self.refusals.lock().remove(key);
            }
            Some((refusal, error)) => {
                let wait_ms = self.queue.retry(key.clone()).as_millis();
                let (controller, resource) = (self.name, &refusal.resource.plural);
                if error.is_conflict() || error.is_already_exists() || error.is_not_found() {
                    tracing::debug!(controller, %key, %resource, %error, wait_ms, "a write is refused");
                } else {
                    tracing::warn!(controller, %key, %resource, %error, wait_ms, "a write is refused");
                }
                self.refusals.lock().insert(key.clone(), refusal);
            }
        }
        if let Some(at) = requeue_at {
            let wait = Duration::try_from(at.duration_since(env::time::now())).unwrap_or(Duration::ZERO);
            self.queue.add_after(key.clone(), wait.max(Duration::from_millis(1)));
        }
        executed.written
    }

    /// Waits until the caches hold what was written.
    async fn wait_for(&self, written: Vec<(Arc<Resource>, Written)>) {
        let seen = async {
            for (row, write) in written {
                let witness = self
                    .witnesses
                    .iter()
                    .find(|witness| same_resource(witness.resource(), &row) && witness.sees(&write.key.namespace));
                if let Some(witness) = witness {
                    witness.seen(write).await;
                }
            }
        };
        if env::time::timeout(OWN_WRITES_TIMEOUT, seen).await.is_err() {
            tracing::warn!(controller = self.name, "own writes did not come into view; planning goes on without them");
        }
    }
}

/// A key in hand. If the planner panics the key is put back, to be tried again later.
struct InHand {
    queue: Queue,
    key: Key,
    is_settled: bool,
}

impl InHand {
    fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if !self.is_settled {
            self.queue.retry(self.key.clone());
        }
        self.queue.done(&self.key);
    }
}
