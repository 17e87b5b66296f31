//! How components reach the API: each as itself, by a door within the process where the server runs there, and over
//! TLS with its kubeconfig where it does not.
//!
//! Both ways lead through the same front door; a component has the rights of its own certificate and no others.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, bail};
use client::{Client, Known};
use http::{Request, StatusCode};
use pki::kubeconfig::Kubeconfig;
use pki::layout::LEAF_VALIDITY;
use pki::trust::PeerChain;
use pki::{Algorithm, Authority, Leaf, PrivateKey, Subject, Usage};
use serving::{Body, Door};

use crate::place::Place;

/// Health texts are at most this long.
const HEALTH_BYTES_MAX: u64 = 1 << 20;
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A component that speaks to the API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker {
    /// The component's name.
    pub(crate) component: &'static str,
    /// Its user; `None` is the node's.
    pub(crate) user: Option<&'static str>,
    /// Its groups.
    pub(crate) groups: &'static [&'static str],
    /// Its kubeconfig, for when the server is elsewhere.
    pub(crate) kubeconfig: &'static str,
}

/// Everybody who speaks to the API from within the process.
pub(crate) const SPEAKERS: [Speaker; 5] = [
    speaker("controller-manager", Some("system:kube-controller-manager"), &[], "controller-manager.conf"),
    speaker("scheduler", Some("system:kube-scheduler"), &[], "scheduler.conf"),
    speaker("kubelet", None, &["system:nodes"], "kubelet.conf"),
    speaker("podnet", None, &["system:nodes"], "kubelet.conf"),
    speaker("proxy", Some("system:kube-proxy"), &[], "kube-proxy.conf"),
];

const fn speaker(
    component: &'static str,
    user: Option<&'static str>,
    groups: &'static [&'static str],
    kubeconfig: &'static str,
) -> Speaker {
    Speaker { component, user, groups, kubeconfig }
}

impl Speaker {
    /// The certificate chain by which the component is known within the process.
    pub(crate) fn chain(&self, authority: &Authority, node_name: &str) -> anyhow::Result<Option<PeerChain>> {
        let user = self.user.map_or_else(|| format!("system:node:{node_name}"), str::to_owned);
        chain(authority, Subject::new(user, self.groups))
    }
}

/// The name of a controller's door; slashes keep it apart from components.
pub(crate) fn account_door(account: &str) -> String {
    format!("kube-system/{account}")
}

/// The certificate chain of a controller's service account.
pub(crate) fn account_chain(authority: &Authority, account: &str) -> anyhow::Result<Option<PeerChain>> {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];
    chain(authority, Subject::new(format!("system:serviceaccount:kube-system:{account}"), &groups))
}

fn chain(authority: &Authority, subject: Subject) -> anyhow::Result<Option<PeerChain>> {
    let key = PrivateKey::generate(Algorithm::default())?;
    let leaf = Leaf::new(subject, &[Usage::Client], env::time::now(), LEAF_VALIDITY);
    let certificate = authority.issue(&leaf, &key.public())?;
    Ok(PeerChain::new(vec![certificate.der().clone()]))
}

/// The doors of the server in this process, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Access {
    doors: OnceLock<BTreeMap<String, Door>>,
    /// What components of this process have read of its server's objects, and still hold.
    known: Known,
}

impl Access {
    /// Opens the doors of a server.
    pub(crate) fn open(&self, doors: BTreeMap<String, Door>) {
        self.doors.set(doors).expect("a process has one API server");
    }

    /// The client of a controller that writes as a service account; `None` where the server is elsewhere.
    pub(crate) fn account(&self, name: &str) -> Option<Client> {
        let door = self.doors.get()?.get(&account_door(name))?;
        Some(Client::through(door.clone(), name).sharing(&self.known))
    }

    /// The client of the component called `name`.
    pub(crate) fn client(&self, place: &Place, name: &str) -> anyhow::Result<Client> {
        let Some(speaker) = SPEAKERS.iter().find(|speaker| speaker.component == name) else {
            bail!("{name} does not speak to the API");
        };
        match self.doors.get().and_then(|doors| doors.get(name)) {
            Some(door) => Ok(Client::through(door.clone(), name).sharing(&self.known)),
            None => {
                let path = place.kubernetes_dir.join(speaker.kubeconfig);
                let file = Kubeconfig::load(&path).with_context(|| format!("cannot read {}", path.display()))?;
                Ok(Client::from_kubeconfig(&file, None, name)?)
            }
        }
    }
}

/// The administrator's client, over TLS as everybody else's.
pub(crate) fn administrator(kubeconfig: &std::path::Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::load(kubeconfig).with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    Ok(Client::from_kubeconfig(&file, None, "ferrokube")?)
}

/// What the server answers at a health path; an error says which checks fail.
pub(crate) async fn health(client: &Client, path: &str) -> anyhow::Result<String> {
    let ask = async {
        let request = Request::get(path).body(Body::empty())?;
        let response = client.raw(request).await?;
        let status = response.status();
        let text = serving::collect(response.into_body(), HEALTH_BYTES_MAX).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if status == StatusCode::OK {
            return Ok(text);
        }
        let failed: Vec<&str> = text.lines().filter(|line| line.starts_with("[-]")).collect();
        let why = if failed.is_empty() { text.trim().to_owned() } else { failed.join(", ") };
        Err(anyhow::anyhow!("{path} answers {status}: {why}"))
    };
    env::time::timeout(HEALTH_TIMEOUT, ask).await.with_context(|| format!("{path} does not answer"))?
}
