//! Our program.

use std::path::PathBuf;

use anyhow::{Context, Result};
use env::time::Instant;
use futures::future::BoxFuture;

use super::process::Process;
use super::{Cluster, Parts, Site, StoreProcess, System};

/// One executable.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) binary: PathBuf,
}

impl Ours {
    fn spawn(&self, site: &Site, parts: Parts) -> Result<Process> {
        let mut components = vec!["apiserver"];
        components.extend(parts.controllers.then_some("controller-manager"));
        components.extend(parts.scheduler.then_some("scheduler"));
        let mut command = env::process::command(&self.binary);
        command
            .args(["up", "--components", &components.join(","), "--bind-address", "127.0.0.1", "--data-dir"])
            .arg(data(site))
            .args(["--secure-port", &site.api.to_string()]);
        Process::spawn("ferrokube", command, &site.folder)
    }

    fn launch(&self, site: &Site, parts: Parts) -> Result<Cluster> {
        let started = Instant::now();
        let processes = vec![self.spawn(site, parts)?];
        let kubeconfig = data(site).join("kubernetes/super-admin.conf");
        Ok(Cluster { site: site.clone(), processes, started, kubeconfig, parts })
    }
}

fn data(site: &Site) -> PathBuf {
    site.folder.join("data")
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn start<'a>(&'a self, site: &'a Site, parts: Parts) -> BoxFuture<'a, Result<Cluster>> {
        Box::pin(async move { self.launch(site, parts) })
    }

    /// Everything is one process, so the scheduler comes with a restart.
    fn add_scheduler<'a>(&'a self, cluster: Cluster) -> BoxFuture<'a, Result<Cluster>> {
        Box::pin(async move {
            let (site, parts) = (cluster.site.clone(), Parts { scheduler: true, ..cluster.parts });
            cluster.stop().await?;
            self.launch(&site, parts)
        })
    }

    /// The store is a library: it works within its writer.
    fn store<'a>(&'a self, site: &'a Site) -> BoxFuture<'a, Result<StoreProcess>> {
        Box::pin(async move {
            let file = site.folder.join("store.redb");
            let file = file.to_str().context("the folder's name is not UTF-8")?;
            Ok(StoreProcess { server: None, place: vec!["--embedded".to_owned(), file.to_owned()] })
        })
    }

    fn proxy(&self) -> Option<PathBuf> {
        None
    }

    fn programs(&self) -> Vec<PathBuf> {
        vec![self.binary.clone()]
    }
}
