//! What somebody does with a cluster, command by command, on the real runtime; the time limits are part of the promise.
//!
//! Each scenario has a cluster of its own, and ends with two checks: nothing but expected errors was logged, and nothing
//! is left behind.

mod access;
mod first_pod;
mod forgetting;
mod kubectl;
mod names;
mod node_port;
mod rolling_update;
mod self_healing;
mod services;

use std::time::Duration;

use e2e::{Cluster, Fixture};

/// The number of the only node's address on the switch.
const M1: u8 = 11;
/// That of a host outside the cluster.
const C1: u8 = 100;

/// A cluster of one node called m1; `None`, said on the output, for users who cannot have one.
async fn single_node() -> anyhow::Result<Option<(Cluster, Fixture)>> {
    let Some(fixture) = Fixture::open().await? else { return Ok(None) };
    Ok(Some((Cluster::up(fixture.host("m1", M1).await?).await?, fixture)))
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
