//! kube-scheduler: the scheduler's mind (`scheduling`) joined to a cluster.
//!
//! | file | noun |
//! |---|---|
//! | `eyes.rs` | what is seen: informers of every kind that bears on a decision, as one stream of inputs |
//! | `hands.rs` | what is done: outputs carried out at once, one pod's in their order |
//! | `writes.rs` | how each output is written |
//! | `volumes.rs` | the writes that come before a binding |
//! | `told.rs` | what it says of itself: checks, metrics, settings |
//!
//! It deliberately decides nothing: which pod, which node, who makes room and when to try again are `scheduling`'s.
//!
//! Invariants
//! - Nothing is decided before everything has been seen once, so a restart cannot overfill a node.
//! - One task owns the mind. Changes go in before the next decision is made, and a decision never waits for a write.
//! - Each write names the pod by uid: a new pod of an old name is never touched.

mod eyes;
mod hands;
mod told;
mod volumes;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use env::task::Shutdown;
use env::time::Instant;
use futures::FutureExt as _;
use informer::Informers;
use jiff::Timestamp;
use observe::pulse::Beat;
use scheduling::config::Problem;
use scheduling::{Input, Output};
use workqueue::{Election, Ended};

use crate::eyes::Eyes;
use crate::hands::Hands;
use crate::told::Told;

/// Decisions made before changes are looked at again: a few milliseconds' worth.
const DECISIONS_AT_ONCE_MAX: usize = 32;
/// The longest sleep; a deadline further away is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(300);

/// How a scheduler is set up.
#[derive(Debug)]
pub struct Config {
    /// The way to the API server, with the scheduler's own credentials.
    pub client: Client,
    /// Profiles, plugins, waits.
    pub scheduling: scheduling::Config,
    /// Stands for election under this name, which no other candidate has (`<host>_<uuid>`); none means that this scheduler
    /// is the only one.
    pub candidate: Option<String>,
    told: Told,
}

impl Config {
    /// The only scheduler, with upstream's default profile.
    pub fn new(client: Client) -> Self {
        Config { client, scheduling: scheduling::Config::default(), candidate: None, told: Told::new() }
    }

    /// What the scheduler says of itself, before and while it runs.
    pub fn vitals(&self) -> Arc<vitals::Vitals> {
        Arc::clone(&self.told.vitals)
    }
}

/// Why a scheduler does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is wrong with the configuration.
    #[error("the scheduler's configuration is not valid: {0:?}")]
    Config(Vec<Problem>),
    /// The lease could not be renewed in time: another scheduler may lead.
    #[error("the lead was lost")]
    LeadLost,
}

/// Schedules pods until shutdown, while this scheduler leads if there are candidates. Writes under way are finished then.
///
/// # Errors
/// What is wrong with the configuration, or that the lead was lost: then the process should start anew.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    let mind = Box::new(scheduling::Scheduler::new(&config.scheduling, env::rand::u64()).map_err(StartError::Config)?);
    let (client, told) = (config.client, config.told);
    told.settings(&config.scheduling, config.candidate.is_some());
    let Some(identity) = config.candidate else {
        schedule(client, mind, told, shutdown).await;
        return Ok(());
    };
    told.sight.stand_by();
    let election = Election::new(client.clone(), "kube-system", "kube-scheduler", identity).watched_by(&told.vitals);
    match Box::pin(election.lead(shutdown, |stop| schedule(client, mind, told, stop))).await {
        Ended::Lost => Err(StartError::LeadLost),
        Ended::Shutdown | Ended::WorkDone => Ok(()),
    }
}

async fn schedule(client: Client, mind: Box<scheduling::Scheduler>, told: Told, shutdown: Shutdown) {
    let beat = told.pulse.begin();
    let informers = Informers::new(client.clone());
    let eyes = Eyes::open(&informers);
    told.sight.look_with(&informers);
    let hands = Hands::new(client, &informers);
    let mut driver = Driver { mind, eyes, hands, told, beat };
    tokio::select! {
        () = informers.synced() => {}
        () = shutdown.cancelled() => return,
    }
    tracing::info!("the scheduler has seen the cluster and begins to decide");
    while !shutdown.is_cancelled() {
        driver.turn(&shutdown).await;
    }
    driver.hands.finish().await;
}

/// The mind between eyes and hands.
struct Driver {
    mind: Box<scheduling::Scheduler>,
    eyes: Eyes,
    hands: Hands,
    told: Told,
    beat: Beat,
}

/// What ended a rest.
enum Woken {
    Seen(Vec<Input>),
    Done(Input),
    Time,
}

impl Driver {
    /// Takes in everything that has happened, decides a few pods, and rests if there is nothing more to decide.
    async fn turn(&mut self, shutdown: &Shutdown) {
        self.beat.work();
        while let Some(inputs) = self.eyes.next().now_or_never() {
            self.observe(inputs);
        }
        while let Some(input) = self.hands.next().now_or_never() {
            self.observe(vec![input]);
        }
        if self.decide() {
            tokio::task::yield_now().await;
            return;
        }
        let rest = self.rest();
        self.told.wait(&self.mind.pending());
        self.beat.rest();
        let woken = tokio::select! {
            () = shutdown.cancelled() => return,
            inputs = self.eyes.next() => Woken::Seen(inputs),
            input = self.hands.next() => Woken::Done(input),
            () = env::time::sleep(rest) => Woken::Time,
        };
        match woken {
            Woken::Seen(inputs) => self.observe(inputs),
            Woken::Done(input) => self.observe(vec![input]),
            Woken::Time => {}
        }
    }

    fn observe(&mut self, inputs: Vec<Input>) {
        let now = env::time::now();
        for input in inputs {
            let outputs = self.mind.observe(input, now);
            self.act(outputs, now);
        }
    }

    /// Decides some pods; false when none is left to be decided now.
    fn decide(&mut self) -> bool {
        let now = env::time::now();
        let mut outputs = Vec::new();
        let mut decided = 0;
        while decided < DECISIONS_AT_ONCE_MAX {
            let began = Instant::now();
            if !self.mind.decide_next(now, &mut outputs) {
                break;
            }
            self.told.decided(began);
            decided += 1;
        }
        self.act(outputs, now);
        decided > 0
    }

    fn act(&mut self, outputs: Vec<Output>, now: Timestamp) {
        for output in outputs {
            self.told.acts(&output);
            self.hands.take(output, now);
        }
    }

    /// How long nothing is to be done unless something happens.
    fn rest(&self) -> Duration {
        let now = env::time::now();
        let Some(deadline) = self.mind.next_deadline(now) else { return SLEEP_MAX };
        // A millisecond more, so that the clock has reached the deadline when we wake.
        let rest = Duration::try_from(deadline.duration_since(now)).unwrap_or_default() + Duration::from_millis(1);
        rest.min(SLEEP_MAX)
    }
}
