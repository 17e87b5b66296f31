//! What a host has that could leak: processes, mounts, links, rules, cgroups, sockets. Looked at from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;

use crate::host::cgroups;
use crate::switch::in_network_of;

/// The number of a host's first process, as the host counts.
const FIRST: i32 = 1;

/// What is there, by sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    found: BTreeMap<&'static str, Vec<String>>,
}

impl Traces {
    /// Those of the host whose first process is `pid` and whose cgroup is `cgroup`.
    pub(crate) async fn of(pid: i32, cgroup: &str) -> anyhow::Result<Traces> {
        let root = Path::new("/proc").join(pid.to_string()).join("root");
        let links = ask(pid, "ip", &["-oneline", "link", "show"]).await?;
        let rules = ask(pid, "nft", &["list", "ruleset"]).await?;
        let mut found = BTreeMap::from([
            ("cgroup", cgroups::below(cgroup)?),
            // `2: eth0@if5: <BROADCAST,...`
            ("link", links.lines().filter_map(|line| Some(line.split(": ").nth(1)?.to_owned())).collect()),
            ("mount", mounts_of(pid)?),
            ("process", processes(&root.join("proc"))),
            ("rule", rules.lines().map(|line| line.trim().to_owned()).collect()),
            ("file", Vec::new()),
        ]);
        files(&root.join("run"), found.entry("file").or_default());
        for kind in found.values_mut() {
            kind.sort_unstable();
        }
        Ok(Traces { found })
    }

    /// What is here and was not there `before`, a line each.
    pub fn beyond(&self, before: &Traces) -> Vec<String> {
        let mut new = Vec::new();
        for (kind, all) in &self.found {
            let mut known = before.found.get(kind).cloned().unwrap_or_default();
            for one in all {
                match known.iter().position(|other| other == one) {
                    Some(index) => drop(known.swap_remove(index)),
                    None => new.push(format!("{kind} {one}")),
                }
            }
        }
        new
    }
}

async fn ask(pid: i32, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = in_network_of(pid, program);
    let output = command.args(arguments).stdin(Stdio::null()).output().await?;
    let err = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} {arguments:?}: {err}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn mounts_of(pid: i32) -> anyhow::Result<Vec<String>> {
    let text = env::fs::read_to_string(format!("/proc/{pid}/mountinfo")).context("the host has ended")?;
    Ok(text.lines().filter_map(|line| Some(line.split(' ').nth(4)?.to_owned())).collect())
}

/// A process of a host, by the host's own count.
struct Process {
    name: String,
    is_dead: bool,
    parent: i32,
}

impl Process {
    /// Reads a `/proc/PID/stat` (proc(5)): the name may have spaces and parentheses of its own.
    fn read(stat: &str) -> Option<Process> {
        let (name, rest) = (stat.split_once('(')?.1.rsplit_once(')')?.0, stat.rsplit_once(") ")?.1);
        let mut rest = rest.split(' ');
        let is_dead = rest.next()? == "Z";
        Some(Process { name: name.to_owned(), is_dead, parent: rest.next()?.parse().ok()? })
    }
}

/// Names of programs; the dead that nobody buried too. Who came in from outside, with all below, is the test's own.
fn processes(proc: &Path) -> Vec<String> {
    let entries = env::fs::read_dir(proc).into_iter().flatten().flatten();
    let all: BTreeMap<i32, Process> = entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = env::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, Process::read(&stat)?))
        })
        .collect();
    // The parent of who came from outside has no number here.
    let is_hosts = |mut pid: i32| loop {
        match all.get(&pid).map(|process| process.parent) {
            Some(0) => break pid == FIRST,
            Some(parent) => pid = parent,
            // It ended while we looked, and its children are the first process's.
            None => break true,
        }
    };
    let hosts = all.iter().filter(|(pid, _)| is_hosts(**pid)).map(|(_, process)| process);
    hosts
        .map(|process| match process.is_dead {
            true => format!("{} (dead, not buried)", process.name),
            false => process.name.clone(),
        })
        .collect()
}

/// All that is not a folder.
fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in env::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            _ => found.push(entry.path().display().to_string()),
        }
    }
}
