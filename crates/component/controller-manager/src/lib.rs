//! kube-controller-manager: wires planners (`workloads`, `endpoints`, `lifecycle`) to informers and work queues.
//!
//! | file | noun |
//! |---|---|
//! | `roster.rs` | all controllers of v1.36: names, aliases, accounts, when they run |
//! | `table.rs`, `table/` | the built ones: what wakes each, and which planner it asks |
//! | `controller.rs` | what a row is made of |
//! | `accounts.rs` | controllers' own credentials |
//! | `config.rs` | settings |
//! | `told.rs` | what it says of itself: checks, metrics, settings |
//!
//! It holds no algorithm: the roster says which controllers there are, the planners decide, the queue executes.
//!
//! Invariants
//! - No controller plans before all caches have their first full state.
//! - Caches are filled with the manager's credentials; each controller writes with its own.

mod accounts;
mod config;
mod controller;
pub mod roster;
mod served;
mod table;
mod told;

use env::task::{Fate, Shutdown, Task};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use informer::Informers;
use workqueue::{Controller, Election, Recorder};

pub use accounts::accounts;
pub use config::{Clients, Config, StartError};
pub use lifecycle::node_health::Config as NodeHealth;

use crate::controller::Site;

/// Runs the selected controllers until shutdown, while this manager leads if there are candidates; plans under way are
/// finished.
///
/// # Errors
/// What is wrong with the configuration, or that the server does not answer at the start, or that the lead was lost: then
/// the process should start anew.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    config.check()?;
    config.told.settings(&config);
    let Some(identity) = config.candidate.clone() else { return control(&config, shutdown).await };
    config.told.sight.stand_by();
    let election = Election::new(config.client.clone(), "kube-system", "kube-controller-manager", identity);
    let election = election.watched_by(&config.told.vitals);
    let mut outcome = Ok(());
    let ended = election.lead(shutdown, async |stop| outcome = control(&config, stop).await).await;
    if ended == workqueue::Ended::Lost { Err(StartError::LeadLost) } else { outcome }
}

async fn control(config: &Config, shutdown: Shutdown) -> Result<(), StartError> {
    let informers = Informers::new(config.client.clone());
    let wired = config.told.controllers(wire(config, &informers).await?);
    config.told.sight.look_with(&informers);
    tokio::select! {
        () = informers.synced() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    let running: FuturesUnordered<Task<()>> = wired
        .into_iter()
        .map(|(name, controller, pulse)| {
            let shutdown = shutdown.clone();
            env::task::spawn(Fate::Vital, name, async move {
                let _beat = pulse.begin();
                controller.run(shutdown).await;
            })
        })
        .collect();
    tracing::info!(controllers = running.len(), "the controllers run");
    running.for_each(async |_ended| {}).await;
    Ok(())
}

/// Makes every selected controller that is built, and says which are not.
async fn wire(config: &Config, informers: &Informers) -> Result<Vec<(&'static str, Controller)>, StartError> {
    let mut wired = Vec::new();
    for row in roster::CONTROLLERS.iter().filter(|row| config.selection.runs(row, |_gate| false)) {
        let client = config.client_of(row.account);
        let recorder = Recorder::start(client.clone(), row.name, "");
        let site = Site { informers, name: row.name, client, recorder, metrics: &config.metrics };
        let made = if row.built { table::wire(row, &site, config).await? } else { Vec::new() };
        if made.is_empty() {
            tracing::info!(controller = row.name, built = row.built, "this controller does not run");
        }
        wired.extend(made.into_iter().map(|controller| (row.name, controller)));
    }
    Ok(wired)
}
