//! A child process, and what the kernel says it uses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use env::process::{Child, Command, Stdio};

/// One tick of `/proc/PID/stat`; Linux reports 100 per second to every program, whatever it counts in.
const TICK: Duration = Duration::from_millis(10);

/// A program that we started. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    id: u32,
    /// What it says.
    pub(crate) log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to `<name>.log` in `folder`.
    pub(crate) fn spawn(name: &'static str, mut command: Command, folder: &Path) -> Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let file = env::fs::File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let id = child.id().context("a new child has a process id")?;
        Ok(Process { name, child, id, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Refuses a process that has ended.
    pub(crate) fn alive(&self) -> Result<()> {
        // Its child is not reaped before we wait for it, so the number is still its own.
        let stat = env::fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            let text = env::fs::read_to_string(&self.log).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(3).collect();
            bail!("{} has ended: {}", self.name, last.join(" | "));
        }
        Ok(())
    }

    /// Whether it waits for programs that it runs.
    pub(crate) fn has_children(&self) -> Result<bool> {
        let told = |thread| env::fs::read_to_string(format!("/proc/{}/task/{thread}/children", self.id));
        let has = |thread| told(thread).is_ok_and(|text| !text.trim().is_empty());
        Ok(threads(self.id)?.into_iter().any(has))
    }

    /// Ends it as a crash would, and waits.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("cannot end {}", self.name))
    }
}

/// Processor time of a set of processes, by thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu {
    threads: BTreeMap<(u32, u32), Duration>,
    totals: BTreeMap<u32, Duration>,
    /// Of programs that it ran and that have ended.
    children: BTreeMap<u32, Duration>,
}

impl Cpu {
    /// Reads `/proc/PID/task/*/schedstat` of each process.
    pub(crate) fn of(ids: impl IntoIterator<Item = u32>) -> Result<Cpu> {
        let mut cpu = Cpu::default();
        for id in ids {
            for thread in threads(id)? {
                // A thread may end between the two looks.
                let Ok(text) = env::fs::read_to_string(format!("/proc/{id}/task/{thread}/schedstat")) else { continue };
                let running = text.split_whitespace().next().and_then(|field| field.parse().ok());
                cpu.threads.insert((id, thread), Duration::from_nanos(running.context("schedstat is malformed")?));
            }
            let (own, children) = totals(id)?;
            cpu.totals.insert(id, own);
            cpu.children.insert(id, children);
        }
        Ok(cpu)
    }

    /// What was used since `before`.
    ///
    /// Threads are exact to the nanosecond but forgotten when they end; the total of a process remembers them, in ticks.
    /// The larger of the two is the truth up to two ticks.
    pub(crate) fn since(&self, before: &Cpu) -> Duration {
        let of = |id: u32| {
            let threads = self.threads.range((id, 0)..=(id, u32::MAX));
            let exact: Duration = threads
                .map(|(thread, now)| now.saturating_sub(before.threads.get(thread).copied().unwrap_or_default()))
                .sum();
            let known = before.totals.get(&id).copied().unwrap_or_default();
            let coarse = self.totals.get(&id).copied().unwrap_or_default().saturating_sub(known);
            let ended = before.children.get(&id).copied().unwrap_or_default();
            let children = self.children.get(&id).copied().unwrap_or_default().saturating_sub(ended);
            exact.max(coarse.saturating_sub(TICK * 2)) + children
        };
        self.totals.keys().map(|id| of(*id)).sum()
    }
}

fn threads(id: u32) -> Result<Vec<u32>> {
    let folder = env::fs::read_dir(format!("/proc/{id}/task")).with_context(|| format!("process {id} is gone"))?;
    let names = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(names.collect())
}

/// Of the process itself, and of its children that have ended.
fn totals(id: u32) -> Result<(Duration, Duration)> {
    let text = env::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after = text.rsplit(") ").next().context("stat is malformed")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok()).context("stat is malformed");
    // proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17; the state, here first, is field 3.
    Ok((TICK * (field(11)? + field(12)?), TICK * (field(13)? + field(14)?)))
}

/// What an idle process uses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Footprint {
    pub(crate) rss_bytes: u64,
    /// Times that a thread went to sleep by itself.
    pub(crate) switches: u64,
    /// Bytes sent to the disk.
    pub(crate) written_bytes: u64,
}

impl Footprint {
    /// The sum over processes.
    pub(crate) fn of(ids: impl IntoIterator<Item = u32>) -> Result<Footprint> {
        let mut sum = Footprint::default();
        for id in ids {
            sum.rss_bytes += labelled(&format!("/proc/{id}/status"), "VmRSS:")? << 10;
            sum.written_bytes += labelled(&format!("/proc/{id}/io"), "write_bytes:")?;
            for thread in threads(id)? {
                let path = format!("/proc/{id}/task/{thread}/status");
                sum.switches += labelled(&path, "voluntary_ctxt_switches:").unwrap_or_default();
            }
        }
        Ok(sum)
    }
}

fn labelled(path: &str, label: &str) -> Result<u64> {
    let text = env::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let value = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse().ok());
    value.with_context(|| format!("{path} has no {label}"))
}
