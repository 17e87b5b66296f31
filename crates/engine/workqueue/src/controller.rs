//! The loop of every controller: news wake keys, keys are planned, plans are executed.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, Error};
use env::task::{Fate, Owned, Shutdown};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use informer::{Changed, Informer, Informers, Item, Witness, Written};
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

/// What a planner is asked that has questions of its own for the server.
#[derive(Debug)]
pub struct Asked {
    /// The key to plan.
    pub key: Key,
    /// The moment of asking.
    pub now: Timestamp,
    /// How the last plan for this key was refused, if it was.
    pub refusal: Option<plan::Refusal>,
    /// The controller's client.
    pub client: Client,
}

type Pure = dyn Fn(&Ask<'_>) -> Plan + Send + Sync;
type Asking = dyn Fn(Asked) -> BoxFuture<'static, Result<Plan, Error>> + Send + Sync;

/// Planners, of two sorts.
enum Plans {
    Pure(Box<Pure>),
    Asking(Client, Box<Asking>),
}
type Wake = Box<dyn FnOnce(Queue) -> BoxFuture<'static, ()> + Send>;

/// A controller, being put together and then run.
pub struct Controller {
    name: &'static str,
    plans: Plans,
    executor: Executor,
    workers: u32,
    limits: Limits,
    metrics: Option<Metrics>,
    informers: Option<Informers>,
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
        Self::with(name, client, recorder, Plans::Pure(Box::new(plans)))
    }

    /// A controller whose planner asks the server, besides its caches, before it plans. An error is a question without
    /// an answer: the key is tried again.
    pub fn asking<F>(
        name: &'static str,
        client: Client,
        recorder: Recorder,
        plans: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Plan, Error>> + Send + 'static,
    {
        let plans = Plans::Asking(client.clone(), Box::new(move |asked| Box::pin(plans(asked))));
        Self::with(name, client, recorder, plans)
    }

    fn with(name: &'static str, client: Client, recorder: Recorder, plans: Plans) -> Self {
        Controller {
            name,
            plans,
            informers: None,
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
                loop {
                    let batch = news.batch().await;
                    if batch.is_empty() {
                        return;
                    }
                    queue.add_all(batch.iter().flat_map(&keys));
                }
            })
        }));
        self.reads(informer)
    }

    /// Wakes the keys that a stream names, for controllers whose informers come and go. The planner is not asked again
    /// before every informer of `informers`, as they are then, has seen what it wrote.
    pub fn wakes_by(mut self, informers: &Informers, keys: impl Stream<Item = Vec<Key>> + Send + 'static) -> Self {
        self.wakes.push(Box::new(move |queue| {
            Box::pin(async move {
                let mut keys = std::pin::pin!(keys);
                while let Some(woken) = keys.next().await {
                    queue.add_all(woken);
                }
            })
        }));
        self.informers = Some(informers.clone());
        self.witnesses.extend(informers.witnesses());
        self
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
            informers: self.informers,
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
    plans: Plans,
    executor: Executor,
    informers: Option<Informers>,
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
        let plan = match self.plan(key, refusal).await {
            Ok(plan) => plan,
            Err(error) => {
                let wait_ms = self.queue.retry(key.clone()).as_millis();
                tracing::warn!(controller = self.name, %key, %error, wait_ms, "a question has no answer");
                return Vec::new();
            }
        };
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

    async fn plan(&self, key: &Key, refusal: Option<plan::Refusal>) -> Result<Plan, Error> {
        let now = env::time::now();
        match &self.plans {
            Plans::Pure(plans) => Ok(plans(&Ask { key, now, refusal: refusal.as_ref() })),
            Plans::Asking(client, plans) => {
                plans(Asked { key: key.clone(), now, refusal, client: client.clone() }).await
            }
        }
    }

    /// Waits until the caches hold what was written.
    async fn wait_for(&self, mut written: Vec<(Arc<Resource>, Written)>) {
        if written.is_empty() {
            return;
        }
        // Whoever has seen the newest has seen them all: one wait instead of many.
        written.sort_unstable_by_key(|(_, write)| Reverse(write.revision));
        let those_now = self.informers.as_ref().map(Informers::witnesses);
        let witnesses = those_now.as_ref().unwrap_or(&self.witnesses);
        let seen = async {
            for (row, write) in written {
                let witness = witnesses
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
