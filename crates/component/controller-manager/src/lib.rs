//! kube-controller-manager: wires planners (`workloads`, `endpoints`, `lifecycle`) to informers and work queues.
//!
//! | file | noun |
//! |---|---|
//! | `roster.rs` | all controllers of v1.36: names, aliases, accounts, when they run |
//! | `table.rs`, `table/` | the built ones: what wakes each, and which planner it asks |
//! | `controller.rs` | one of them, ready to run |
//! | `driver.rs` | its queue: keys, workers, retries |
//! | `executor.rs`, `events.rs`, `rows.rs` | plans carried out |
//! | `config.rs` | settings |
//!
//! It holds no algorithm: the roster says which controllers there are, the planners decide, the queue executes.
//!
//! Invariants
//! - No controller plans before all caches have their first full state.
//! - Caches are filled with the manager's credentials; each controller writes with its own.

mod config;
mod controller;
mod driver;
mod events;
mod executor;
pub mod roster;
mod rows;
mod table;

use env::task::{Fate, Shutdown, Task};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use informer::Informers;

pub use config::{Clients, Config, StartError};
pub use lifecycle::node_health::Config as NodeHealth;

use crate::controller::Controller;
use crate::events::Events;
use crate::executor::Executor;

/// Runs the selected controllers until shutdown; plans under way are finished.
///
/// # Errors
/// What is wrong with the configuration, or that the server does not answer; nothing after the start.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    config.check()?;
    let informers = Informers::new(config.client.clone());
    let mut wired: Vec<(&'static roster::Controller, Controller)> = Vec::new();
    for row in roster::CONTROLLERS.iter().filter(|row| config.selection.runs(row, |_gate| false)) {
        let made = if row.built { table::wire(row, &informers, &config).await? } else { Vec::new() };
        if made.is_empty() {
            tracing::info!(controller = row.name, built = row.built, "this controller does not run");
        }
        wired.extend(made.into_iter().map(|controller| (row, controller)));
    }
    tokio::select! {
        () = informers.synced() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    let mut running: FuturesUnordered<Task<()>> = FuturesUnordered::new();
    for (row, controller) in wired {
        let client = config.client_of(row.account);
        let events = Events::new(client.clone());
        let executor = Executor { name: row.name, client, informers: informers.clone(), events };
        let driven = driver::run(controller, executor, shutdown.clone());
        running.push(env::task::spawn(Fate::Vital, row.name, driven));
    }
    tracing::info!(controllers = running.len(), "the controllers run");
    while running.next().await.is_some() {}
    Ok(())
}
