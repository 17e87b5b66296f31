//! The model of what is wanted, tied to the kernel that is to have it.

use netlink::{Connections, Error, PacketFilter};
use nftables::Change;
use servicerules::{Facts, Model, Plan, StaleUdp, TABLE4, TABLE6};

/// The transport protocol whose flows do not end by themselves.
const UDP: u8 = 17;

/// The packet filter's Services, in the network namespace of the thread that opened them.
#[derive(Debug)]
pub struct Rules {
    model: Model,
    filter: PacketFilter,
    connections: Connections,
    /// The kernel's generation when the tables were last known to be right.
    generation: Option<u32>,
}

/// What a synchronization did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced {
    /// Bytes sent to the kernel; 0 when nothing had changed.
    pub bytes: usize,
    /// Tracked connections forgotten.
    pub forgotten: usize,
    /// The tables were made anew because the kernel refused a difference.
    pub rebuilt: bool,
}

impl Rules {
    /// Nothing is changed until [`Rules::sync`].
    pub fn open(facts: Facts) -> Result<Self, Error> {
        Ok(Self {
            model: Model::new(facts),
            filter: PacketFilter::open()?,
            connections: Connections::open()?,
            generation: None,
        })
    }

    /// What is wanted; to be told of changes, then [`Rules::sync`].
    pub fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Brings the kernel to what is wanted.
    pub fn sync(&mut self) -> Result<Synced, Error> {
        let plan = self.model.plan();
        match self.carry_out(&plan) {
            Err(error) => {
                tracing::warn!(error = %error, cause = ?std::error::Error::source(&error), "service rules are rebuilt");
                self.rebuild()
            }
            done => done,
        }
    }

    /// Makes the tables anew if somebody else has changed them; to be called when the kernel's generation moved, or
    /// now and then. When nobody committed anything since the last call, that is one question to the kernel.
    pub fn repair(&mut self) -> Result<Synced, Error> {
        let generation = self.filter.generation()?;
        if self.generation == Some(generation) {
            return Ok(Synced::default());
        }
        if !self.is_intact()? {
            tracing::warn!("somebody has changed the service tables; they are rebuilt");
            return self.rebuild();
        }
        self.generation = Some(generation);
        Ok(Synced::default())
    }

    fn is_intact(&mut self) -> Result<bool, Error> {
        for (table, ipv4) in [(TABLE4, true), (TABLE6, false)] {
            if !self.filter.table_exists(&table)? {
                return Ok(false);
            }
            for (map, expected) in self.model.census(ipv4) {
                match self.filter.elements(&table, map) {
                    Ok(elements) if elements.len() == expected => {}
                    Err(error) if !error.is_absent() => return Err(error),
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    /// Makes the tables anew from what is wanted.
    pub fn rebuild(&mut self) -> Result<Synced, Error> {
        self.model.restart();
        let plan = self.model.plan();
        let done = self.carry_out(&plan);
        if done.is_err() {
            self.model.restart();
        }
        done.map(|synced| Synced { rebuilt: true, ..synced })
    }

    /// Removes everything that the proxy ever makes on a node.
    pub fn remove_all() -> Result<(), Error> {
        let changes: Vec<Change> = [TABLE4, TABLE6].iter().flat_map(Change::remove).collect();
        PacketFilter::open()?.commit(&changes).map(|_| ())
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<Synced, Error> {
        let committed = self.filter.commit(&plan.changes)?;
        let forgotten = self.forget(&plan.stale_udp)?;
        Ok(Synced { bytes: committed.bytes, forgotten, rebuilt: false })
    }

    fn forget(&mut self, stale: &[StaleUdp]) -> Result<usize, Error> {
        let mut forgotten = 0;
        for ipv4 in [true, false] {
            let of_family: Vec<&StaleUdp> = stale.iter().filter(|stale| stale.ipv4 == ipv4).collect();
            if of_family.is_empty() {
                continue;
            }
            forgotten += self.connections.forget(ipv4, |flow| {
                flow.protocol == UDP && of_family.iter().any(|stale| stale.covers(flow.destination, flow.answers))
            })?;
        }
        Ok(forgotten)
    }
}
