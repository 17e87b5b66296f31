//! kube-scheduler: the scheduler's mind (`scheduling`) joined to a cluster.
//!
//! | file | noun |
//! |---|---|
//! | `eyes.rs` | what is seen: informers of every kind that bears on a decision, as one stream of inputs |
//! | `hands.rs` | what is done: outputs carried out at once, one pod's in their order |
//! | `writes.rs` | how each output is written |
//! | `volumes.rs` | the writes that come before a binding |
//!
//! It deliberately decides nothing: which pod, which node, who makes room and when to try again are `scheduling`'s.
//!
//! Invariants
//! - Nothing is decided before everything has been seen once, so a restart cannot overfill a node.
//! - One task owns the mind. Changes go in before the next decision is made, and a decision never waits for a write.
//! - Each write names the pod by uid: a new pod of an old name is never touched.

mod events;
mod eyes;
mod hands;
mod volumes;
mod writes;

use std::time::Duration;

use client::Client;
use env::task::Shutdown;
use futures::FutureExt as _;
use informer::Informers;
use jiff::Timestamp;
use scheduling::config::Problem;
use scheduling::{Input, Output};

use crate::eyes::Eyes;
use crate::hands::Hands;

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
}

/// Why a scheduler does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is wrong with the configuration.
    #[error("the scheduler's configuration is not valid: {0:?}")]
    Config(Vec<Problem>),
}

/// Schedules pods until shutdown. Writes under way are finished then.
///
/// # Errors
/// What is wrong with the configuration; nothing afterwards.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    let mind = scheduling::Scheduler::new(&config.scheduling, env::rand::u64()).map_err(StartError::Config)?;
    let informers = Informers::new(config.client.clone());
    let eyes = Eyes::open(&informers);
    let hands = Hands::new(config.client, &informers);
    let mut driver = Driver { mind, eyes, hands };
    tokio::select! {
        () = informers.synced() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    tracing::info!("the scheduler has seen the cluster and begins to decide");
    while !shutdown.is_cancelled() {
        driver.turn(&shutdown).await;
    }
    driver.hands.finish().await;
    Ok(())
}

/// The mind between eyes and hands.
struct Driver {
    mind: scheduling::Scheduler,
    eyes: Eyes,
    hands: Hands,
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
        let decided = (0..DECISIONS_AT_ONCE_MAX).take_while(|_| self.mind.decide_next(now, &mut outputs)).count();
        self.act(outputs, now);
        decided > 0
    }

    fn act(&mut self, outputs: Vec<Output>, now: Timestamp) {
        for output in outputs {
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
