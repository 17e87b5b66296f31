//! A cluster on a host, from `up` to `down`.

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
const KUBECONFIG: &str = "/etc/kubernetes/admin.conf";

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

    /// What its process has logged.
    pub fn log(&self) -> String {
        env::fs::read_to_string(self.host.path(LOG)).unwrap_or_default()
    }

    /// Takes it down, and checks what every scenario ends with: no error was logged except those that have one of
    /// `expected` in them, and nothing is left that was not there before.
    pub async fn down(self, expected: &[&str]) -> anyhow::Result<Host> {
        let said = self.host.sh_within(DOWN_LIMIT, "ferrokube down").await;
        anyhow::ensure!(said.code == Some(0), "it does not go down: {said}\n{}", self.log());
        let log = self.log();
        let errors: Vec<&str> = log
            .lines()
            .filter(|line| is_error(line) && !expected.iter().any(|known| line.contains(known)))
            .collect();
        anyhow::ensure!(errors.is_empty(), "{} unexpected errors were logged:\n{}", errors.len(), errors.join("\n"));
        let left = self.host.traces().await?.beyond(&self.before);
        anyhow::ensure!(left.is_empty(), "left behind:\n{}\n{said}", left.join("\n"));
        Ok(self.host)
    }
}

/// Whether a line in klog's form is of the level error or above, or a panic's.
fn is_error(line: &str) -> bool {
    let mut letters = line.chars();
    let level = letters.next();
    let is_dated = letters.take(4).filter(char::is_ascii_digit).count() == 4;
    (is_dated && matches!(level, Some('E' | 'F'))) || line.contains("panicked at")
}
