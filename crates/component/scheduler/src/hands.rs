//! Outputs carried out: many pods' at once, one pod's in their order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use client::Client;
use env::task::{Fate, Task};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use informer::Informers;
use jiff::Timestamp;
use scheduling::{Input, Output};
use tokio::sync::Semaphore;

use crate::events::Events;
use crate::writes::Pen;

/// Writes under way at most; more wait for their turn.
const WRITES_AT_ONCE_MAX: usize = 64;

/// One output done: for which pod, and what the mind must know of it.
type Done = (String, Option<Input>);

/// The executors.
pub(crate) struct Hands {
    pen: Arc<Pen>,
    events: Events,
    places: Arc<Semaphore>,
    /// Pods with a write under way, and what is to be done for them afterwards.
    busy: HashMap<String, VecDeque<(Output, Timestamp)>>,
    running: FuturesUnordered<Task<Done>>,
}

impl Hands {
    pub(crate) fn new(client: Client, informers: &Informers) -> Self {
        Hands {
            events: Events::new(client.clone()),
            pen: Arc::new(Pen::new(client, informers)),
            places: Arc::new(Semaphore::new(WRITES_AT_ONCE_MAX)),
            busy: HashMap::new(),
            running: FuturesUnordered::new(),
        }
    }

    /// Does what was decided at `decided_at`, after everything that was decided before for the same pod.
    pub(crate) fn take(&mut self, output: Output, decided_at: Timestamp) {
        let uid = match &output {
            Output::Bind { pod, .. } | Output::Refuse { pod, .. } | Output::Unnominate { pod } => pod.uid.clone(),
            Output::Evict { victim, .. } => victim.uid.clone(),
            Output::Event { .. } => return self.events.record(output),
        };
        if let Some(waiting) = self.busy.get_mut(&uid) {
            waiting.push_back((output, decided_at));
            return;
        }
        self.busy.insert(uid.clone(), VecDeque::new());
        self.start(uid, output, decided_at);
    }

    fn start(&mut self, uid: String, output: Output, decided_at: Timestamp) {
        let (pen, places) = (Arc::clone(&self.pen), Arc::clone(&self.places));
        // Without its answer a pod would count on its node for ever.
        let task = env::task::spawn(Fate::Vital, "scheduler-write", async move {
            let answer = pen.write(output, decided_at, &places).await;
            (uid, answer)
        });
        self.running.push(task);
    }

    /// The next outcome that the mind must know. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            if self.running.is_empty() {
                std::future::pending::<()>().await;
            }
            let Some(Some((uid, answer))) = self.running.next().await else { continue };
            self.go_on(uid);
            if let Some(input) = answer {
                return input;
            }
        }
    }

    fn go_on(&mut self, uid: String) {
        match self.busy.get_mut(&uid).and_then(VecDeque::pop_front) {
            Some((output, decided_at)) => self.start(uid, output, decided_at),
            None => drop(self.busy.remove(&uid)),
        }
    }

    /// Finishes what is under way; what has not begun is left to the next scheduler.
    pub(crate) async fn finish(mut self) {
        self.busy.clear();
        while self.running.next().await.is_some() {}
    }
}
