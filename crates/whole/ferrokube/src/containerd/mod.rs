//! A container runtime with a configuration of its own: started, adopted, supervised, stopped.
//!
//! It is a process beside this one, not below it: when this one dies, containerd and all containers go on, and the next
//! run adopts it by its socket. When containerd dies, it is started again; containers do not notice.
//!
//! Why an own one, even where one runs: what a stranger configured (another pod network, the CRI switched off) is not
//! ours to repair, and `down` promises to leave nothing behind.

mod config;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use cri::Runtime;
use env::net::Stream;
use env::process::Stdio;
use env::time::Instant;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::place::Place;
use config::Settings;

/// A containerd that has not opened its socket after this long will not.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at something that nothing tells about.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// A containerd that is asked to end and does not is killed after this long.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Between restarts of a containerd that dies again and again.
const RESTART_MAX: Duration = Duration::from_secs(30);
const RESTART_MIN: Duration = Duration::from_millis(100);
/// One that lived this long has its delays forgotten.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Lines of its log that a failure shows.
const LOG_LINES_SHOWN: usize = 3;

/// A running containerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its socket.
    pub(crate) socket: PathBuf,
    /// Its process.
    pub(crate) pid: i32,
    /// Whether it ran before.
    pub(crate) is_adopted: bool,
}

/// The place's own containerd.
#[derive(Debug, Clone)]
pub(crate) struct Containerd {
    settings: Settings,
}

impl Containerd {
    /// That of `place`; looks which snapshotter works there.
    pub(crate) fn at(place: &Place) -> anyhow::Result<Containerd> {
        let root = place.containerd_root();
        env::fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Containerd {
            settings: Settings {
                snapshotter: config::snapshotter_for(&root),
                may_shield: config::may_shield(),
                root,
                state: place.containerd_state(),
                socket: place.containerd_socket(),
                cni_bin: place.cni_bin(),
                cni_conf: place.cni_conf(),
                pause_image: crate::images::PAUSE.to_owned(),
            },
        })
    }

    /// Starts it, or adopts the one that runs there. One that was configured otherwise is started anew: containers
    /// outlive that.
    pub(crate) async fn ensure(&self) -> anyhow::Result<Running> {
        let text = self.settings.render();
        let path = self.config_path();
        let is_as_wanted = env::fs::read_to_string(&path).is_ok_and(|known| known == text);
        if let Some(pid) = process_behind(&self.settings.socket).await {
            if is_as_wanted {
                return Ok(self.running(pid, true));
            }
            end_process(pid).await?;
        }
        for folder in [&self.settings.state, &self.settings.cni_bin, &self.settings.cni_conf] {
            env::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        env::fs::write_atomic(&path, text.as_bytes(), env::fs::PUBLIC)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.start().await
    }

    fn running(&self, pid: i32, is_adopted: bool) -> Running {
        Running { socket: self.settings.socket.clone(), pid, is_adopted }
    }

    fn config_path(&self) -> PathBuf {
        self.settings.root.join("config.toml")
    }

    fn log_path(&self) -> PathBuf {
        self.settings.root.join("containerd.log")
    }

    async fn start(&self) -> anyhow::Result<Running> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let mut command = env::process::command("containerd");
        command
            .arg("--config")
            .arg(self.config_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // It outlives us, and an interrupt on our terminal is not meant for it.
            .kill_on_drop(false)
            .process_group(0);
        let mut child = command.spawn().context("cannot run containerd; it has to be installed")?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(pid) = process_behind(&self.settings.socket).await
                && is_ready(&self.settings.socket).await
            {
                return Ok(self.running(pid, false));
            }
            if let Some(status) = child.try_wait()? {
                bail!("containerd ended with {status}: {}", self.last_words());
            }
            if Instant::now() > deadline {
                child.kill().await?;
                bail!("containerd opens no socket within {} s: {}", START_TIMEOUT.as_secs(), self.last_words());
            }
            env::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn last_words(&self) -> String {
        let text = env::fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(LOG_LINES_SHOWN).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    /// Starts it again whenever it dies, until the future is dropped.
    pub(crate) async fn supervise(self, mut running: Running) {
        let mut delay = RESTART_MIN;
        loop {
            let since = Instant::now();
            if let Err(error) = mounts::process::ended(running.pid).await {
                tracing::error!(%error, "cannot watch containerd");
                return;
            }
            if since.elapsed() > STABLE_AFTER {
                delay = RESTART_MIN;
            }
            tracing::warn!(pid = running.pid, "containerd died; starting it again");
            loop {
                match self.start().await {
                    Ok(again) => {
                        running = again;
                        break;
                    }
                    Err(error) => tracing::error!(error = format!("{error:#}"), "cannot start containerd"),
                }
                env::time::sleep(delay).await;
                delay = (delay * 2).min(RESTART_MAX);
            }
        }
    }
}

/// The process that serves the Unix socket `path`; `None` when nobody does.
pub(crate) async fn process_behind(path: &Path) -> Option<i32> {
    match env::net::connect_unix(path).await {
        Ok(Stream::Unix(stream)) => stream.peer_cred().ok()?.pid(),
        _ => None,
    }
}

/// Whether the containerd behind `socket` serves pods; its socket opens before it has found out what it has.
pub(crate) async fn is_ready(socket: &Path) -> bool {
    let runtime = cri::Remote::new(socket, cri::TimeLimits::default());
    runtime.image_list().await.is_ok()
}

/// Stops the containerd behind `socket`, if one runs. Containers go on; end them before.
pub(crate) async fn stop(socket: &Path) -> anyhow::Result<()> {
    match process_behind(socket).await {
        Some(pid) => end_process(pid).await,
        None => Ok(()),
    }
}

/// Asks the process to end, and kills it when it does not.
pub(crate) async fn end_process(pid: i32) -> anyhow::Result<()> {
    for (signal, patience) in [(Signal::SIGTERM, STOP_TIMEOUT), (Signal::SIGKILL, STOP_TIMEOUT)] {
        match kill(Pid::from_raw(pid), signal) {
            Err(nix::Error::ESRCH) => return Ok(()),
            other => other.with_context(|| format!("cannot end process {pid}"))?,
        }
        if let Ok(ended) = env::time::timeout(patience, mounts::process::ended(pid)).await {
            return ended.with_context(|| format!("cannot watch process {pid}"));
        }
    }
    bail!("process {pid} does not end")
}

/// Name and version of the runtime behind `socket`, and why it or its network is not ready.
pub(crate) async fn health(socket: &Path) -> anyhow::Result<(String, Vec<String>)> {
    let runtime = cri::Remote::new(socket, cri::TimeLimits::default());
    let version = runtime.version().await?;
    let conditions = runtime.status(false).await?.status.unwrap_or_default().conditions;
    let bad = conditions.into_iter().filter(|condition| !condition.status);
    let reasons = bad.map(|condition| format!("{}: {} {}", condition.r#type, condition.reason, condition.message));
    Ok((format!("{} {}", version.runtime_name, version.runtime_version), reasons.collect()))
}
