//! What a cluster's last `up` was told and who runs it now.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// What `down` and `status` need to know, kept in the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The components that were started.
    pub(crate) components: Vec<String>,
    /// `https://host:port`.
    pub(crate) server: String,
    /// The administrator's kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// The node's name.
    pub(crate) node_name: String,
    /// Whether this machine is a node: it has links, rules, mounts and cgroups of ours.
    pub(crate) is_node: bool,
    /// A runtime that is not ours to stop.
    pub(crate) foreign_runtime: Option<PathBuf>,
}

impl Record {
    /// The record of the cluster at `place`; `None` when there never was one.
    pub(crate) fn load(place: &Place) -> anyhow::Result<Option<Record>> {
        let path = place.record();
        let text = match env::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        serde_json::from_str(&text).map(Some).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes it down.
    pub(crate) fn store(&self, place: &Place) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let path = place.record();
        env::fs::write_atomic(&path, text.as_bytes(), env::fs::PUBLIC)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Being the one running instance of a place. Ends with its drop or with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Instance {
    _file: Flock<File>,
}

impl Instance {
    /// Becomes the instance of `place`; an error says who is.
    pub(crate) fn begin(place: &Place) -> anyhow::Result<Instance> {
        let path = place.lock();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let mut held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((mut file, nix::Error::EWOULDBLOCK)) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                bail!("it is up already, as process {}", text.trim());
            }
            Err((_, error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
        };
        held.set_len(0)?;
        held.rewind()?;
        writeln!(held, "{}", std::process::id())?;
        Ok(Instance { _file: held })
    }

    /// The process that is the instance of `place` now.
    pub(crate) fn running(place: &Place) -> anyhow::Result<Option<i32>> {
        let mut file = match File::open(place.lock()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot open {}", place.lock().display()))?,
        };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_nobody) => Ok(None),
            Err((_, nix::Error::EWOULDBLOCK)) => {
                let pid = text.trim().parse();
                pid.map(Some).with_context(|| format!("{} names no process", place.lock().display()))
            }
            Err((_, error)) => Err(error).with_context(|| format!("cannot look at {}", place.lock().display())),
        }
    }
}

#[cfg(test)]
mod tests;
