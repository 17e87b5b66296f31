//! Certificates and kubeconfigs of a place, made once and renewed before they end.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use pki::kubeconfig::{CLIENTS, ClientRow, Kubeconfig, Target};
use pki::layout::{self, LEAF_VALIDITY, Outcome, RENEW_BEFORE, Site};
use pki::{Algorithm, Authority};

use crate::place::Place;

/// The cluster's name in kubeconfigs, kubeadm's default.
const CLUSTER: &str = "kubernetes";
const ADMIN: &str = "admin.conf";

/// What the credentials are for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The node's name.
    pub(crate) node_name: String,
    /// Where clients find the API server.
    pub(crate) advertise: IpAddr,
    /// Its port.
    pub(crate) port: u16,
    /// The address of the `kubernetes` Service.
    pub(crate) service_address: IpAddr,
}

impl Wanted {
    /// `https://host:port`.
    pub(crate) fn server(&self) -> String {
        match self.advertise {
            IpAddr::V4(address) => format!("https://{address}:{}", self.port),
            IpAddr::V6(address) => format!("https://[{address}]:{}", self.port),
        }
    }
}

/// Makes or renews all certificates; says what was done.
pub(crate) fn certificates(place: &Place, wanted: &Wanted, now: Timestamp) -> anyhow::Result<String> {
    let mut site = Site::new(&wanted.node_name, "cluster.local", wanted.advertise, wanted.service_address);
    site.api_server_names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let done = layout::ensure_all(&place.pki(), &site, now)?;
    let outcomes: Vec<Outcome> = done.into_iter().map(|(_, outcome)| outcome).collect();
    Ok(format!("{} in {}", tally(&outcomes), place.pki().display()))
}

/// Makes or renews all kubeconfigs; says what was done.
pub(crate) fn kubeconfigs(place: &Place, wanted: &Wanted, now: Timestamp) -> anyhow::Result<String> {
    let authority = pki::files::load_authority(&place.pki(), "ca")?.context("the cluster's authority is gone")?;
    let mut outcomes = Vec::new();
    for row in &CLIENTS {
        let usual = place.kubernetes_dir.join(row.file);
        let path = if row.file == ADMIN { &place.kubeconfig } else { &usual };
        outcomes.push(ensure_kubeconfig(path, row, &authority, wanted, now)?);
    }
    Ok(format!("{}; yours is {}", tally(&outcomes), place.kubeconfig.display()))
}

fn ensure_kubeconfig(
    path: &Path,
    row: &ClientRow,
    authority: &Authority,
    wanted: &Wanted,
    now: Timestamp,
) -> anyhow::Result<Outcome> {
    let target = Target { cluster: CLUSTER.to_owned(), server: wanted.server() };
    let known = if path.exists() { Some(Kubeconfig::load(path)?) } else { None };
    if known.as_ref().is_some_and(|known| is_good(known, &target, authority, now)) {
        return Ok(Outcome::Reused);
    }
    let subject = row.subject(&wanted.node_name);
    let made = Kubeconfig::issue(&target, authority, subject, Algorithm::default(), (now, LEAF_VALIDITY))?;
    if let Some(folder) = path.parent() {
        env::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    made.store(path)?;
    Ok(if known.is_some() { Outcome::Renewed } else { Outcome::Created })
}

/// Whether a file leads to the right place with a certificate that lasts.
fn is_good(known: &Kubeconfig, target: &Target, authority: &Authority, now: Timestamp) -> bool {
    let Some((_, cluster, user)) = known.resolve(None) else { return false };
    let Ok(Some(pair)) = user.certificate() else { return false };
    let leaf = pair.leaf();
    cluster.server == target.server
        && leaf.is_current(now)
        && leaf.not_after.duration_since(now) > RENEW_BEFORE
        && leaf.is_signed_by(authority.certificate())
}

fn tally(outcomes: &[Outcome]) -> String {
    let kinds = [(Outcome::Created, "made"), (Outcome::Renewed, "renewed"), (Outcome::Reused, "kept")];
    let counts = kinds.map(|(kind, word)| (outcomes.iter().filter(|outcome| **outcome == kind).count(), word));
    let told: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    told.join(", ")
}

/// Removes what this module makes, and nobody else's files beside them.
pub(crate) fn remove(place: &Place) -> anyhow::Result<()> {
    let pki = place.pki();
    let names = layout::AUTHORITIES.iter().map(|row| row.file).chain(layout::LEAVES.iter().map(|row| row.file));
    let mut files: Vec<_> =
        names.flat_map(|name| [pki::files::certificate_path(&pki, name), pki::files::key_path(&pki, name)]).collect();
    files.extend([pki.join("sa.key"), pki.join("sa.pub"), place.kubeconfig.clone()]);
    files.extend(CLIENTS.iter().map(|row| place.kubernetes_dir.join(row.file)));
    for file in files {
        env::fs::remove_file_if_exists(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    for folder in [pki.join("etcd"), pki, place.kubernetes_dir.clone()] {
        if let Err(error) = env::fs::remove_dir(&folder) {
            tracing::debug!(folder = %folder.display(), %error, "the folder stays");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
