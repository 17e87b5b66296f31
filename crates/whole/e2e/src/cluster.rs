//! A cluster on a host, from `up` to `down`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use client::Client;
use pki::kubeconfig::Kubeconfig;

use crate::host::Host;
use crate::image::{self, Image};
use crate::pictures;
use crate::traces::Traces;

/// A node is ready within this, on a machine that does other things too.
const UP_LIMIT: Duration = Duration::from_secs(120);
const DOWN_LIMIT: Duration = Duration::from_secs(90);
const SOCKET: &str = "/run/ferrokube/containerd/containerd.sock";
const LOG: &str = "/var/lib/ferrokube/ferrokube.log";
const POD_LOGS: &str = "/var/log/pods";
/// In the paths of the cluster's own pods' logs.
const OWN_PODS: &str = "/pods/kube-system_";
/// Lines of the log that a failure shows.
const LINES_SHOWN_MAX: usize = 40;
const KUBECONFIG: &str = "/etc/kubernetes/admin.conf";
/// Hosts know no name server, and cluster DNS says that, as the plugin `errors` has it, when it looks for loops.
const NO_NAME_SERVER: [&str; 2] = ["plugin/errors: 2 ", ":53: Connection refused"];

/// A running cluster of one node.
#[derive(Debug)]
pub struct Cluster {
    host: Host,
    before: Traces,
}

impl Cluster {
    /// Brings `host` up as a cluster with the scenarios' images.
    pub async fn up(host: Host) -> anyhow::Result<Cluster> {
        let before = host.traces().await?;
        let cluster = Cluster { host, before };
        let said = cluster.host.sh_within(UP_LIMIT, "ferrokube up --detach").await;
        anyhow::ensure!(said.code == Some(0), "no cluster: {said}\n{}", cluster.log());
        cluster.import(&pictures::all().await?).await?;
        Ok(cluster)
    }

    /// The host it runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Puts images into its container runtime.
    pub async fn import(&self, images: &[Image]) -> anyhow::Result<()> {
        let file = format!("/tmp/images-{}.tar", env::rand::suffix(5));
        env::fs::write_atomic(&self.host.path(&file), &image::archive(images)?, env::fs::PUBLIC)?;
        let said = self.host.sh(&format!("ctr -a {SOCKET} -n k8s.io images import {file}; rm {file}")).await;
        anyhow::ensure!(said.code == Some(0) && said.err.is_empty(), "images cannot be imported: {said}");
        Ok(())
    }

    /// Runs `work` with an administrator's client, in the host's network.
    pub async fn with_client<R, W>(&self, work: impl FnOnce(Client) -> W + Send + 'static) -> anyhow::Result<R>
    where
        R: Send + 'static,
        W: Future<Output = R>,
    {
        let file = Kubeconfig::load(&self.host.path(KUBECONFIG)).context("the cluster has no kubeconfig")?;
        let answer = self
            .host
            .within(move || async move {
                let client = Client::from_kubeconfig(&file, None, "scenario")?;
                Ok::<R, client::SetupError>(work(client).await)
            })
            .await?;
        Ok(answer?)
    }

    /// What its processes have logged: on the host, and in the pods that the cluster itself consists of.
    pub fn log(&self) -> String {
        let mut text = env::fs::read_to_string(self.host.path(LOG)).unwrap_or_default();
        let mut files = Vec::new();
        collect(&self.host.path(POD_LOGS), &mut files);
        for file in files.iter().filter(|file| file.to_string_lossy().contains(OWN_PODS)) {
            let lines = env::fs::read_to_string(file).unwrap_or_default();
            // Time, stream and a mark stand before what was said.
            let said = lines.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
            text.extend(said.flat_map(|line| [line, "\n"]));
        }
        text
    }

    /// Takes it down, and checks what every scenario ends with: no error was logged except those that have one of
    /// `expected` in them, and nothing is left that was not there before.
    pub async fn down(&self, expected: &[&str]) -> anyhow::Result<()> {
        let before = self.log();
        let said = self.host.sh_within(DOWN_LIMIT, "ferrokube down").await;
        anyhow::ensure!(said.code == Some(0), "it does not go down: {said}");
        let log = before + &self.log();
        let is_expected = |line: &str| {
            expected.iter().any(|known| line.contains(known)) || NO_NAME_SERVER.iter().all(|part| line.contains(part))
        };
        let errors: BTreeSet<&str> = log.lines().filter(|line| is_error(line) && !is_expected(line)).collect();
        anyhow::ensure!(errors.is_empty(), "unexpected errors were logged: {errors:#?}");
        let left = self.host.traces().await?.beyond(&self.before);
        anyhow::ensure!(left.is_empty(), "left behind:\n{}\n{said}", left.join("\n"));
        Ok(())
    }
}

/// A failure is seldom told by what was expected alone.
impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(LINES_SHOWN_MAX);
        let bad = lines[..last].iter().filter(|line| is_error(line));
        eprintln!("the log's errors, and its last lines:");
        for line in bad.chain(&lines[last..]) {
            eprintln!("{line}");
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in env::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            _ => files.push(entry.path()),
        }
    }
}

/// Whether a line in klog's form is of the level error or above, or a panic's.
fn is_error(line: &str) -> bool {
    let mut letters = line.chars();
    let level = letters.next();
    let is_dated = letters.take(4).filter(char::is_ascii_digit).count() == 4;
    (is_dated && matches!(level, Some('E' | 'F'))) || line.contains("panicked at")
}
