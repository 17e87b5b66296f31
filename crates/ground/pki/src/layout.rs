//! kubeadm's certificates as rows: names, subjects, alternative names and usages, made or renewed in place.
//!
//! Paths are those below `/etc/kubernetes/pki`, so that tools and habits made for kubeadm go on working.

use std::net::IpAddr;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::files::{self, Pair};
use crate::{Algorithm, AlternativeNames, Authority, Error, Leaf, PrivateKey, PublicKey, Subject, Usage};

/// kubeadm's default `certificateValidityPeriod`.
pub const LEAF_VALIDITY: SignedDuration = SignedDuration::from_hours(8760);
/// kubeadm's default `caCertificateValidityPeriod`.
pub const AUTHORITY_VALIDITY: SignedDuration = SignedDuration::from_hours(87600);
/// A leaf that has less than this left is renewed when it is looked at.
pub const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// An authority of the set.
#[derive(Debug, Clone, Copy)]
pub struct AuthorityRow {
    /// The file name without ending.
    pub file: &'static str,
    /// Its common name.
    pub common_name: &'static str,
}

/// Which alternative names a certificate carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// None: a client.
    None,
    /// Those under which the API server is reached.
    ApiServer,
    /// Those under which this machine's etcd is reached.
    Etcd,
}

/// A certificate of the set.
#[derive(Debug, Clone, Copy)]
pub struct LeafRow {
    /// The file name without ending.
    pub file: &'static str,
    /// The file name of the authority that signs it.
    pub authority: &'static str,
    /// Its common name; `None` is the name of the node.
    pub common_name: Option<&'static str>,
    /// Its organizations.
    pub organizations: &'static [&'static str],
    /// What it may be used for.
    pub usages: &'static [Usage],
    /// Its alternative names.
    pub names: Names,
}

/// The authorities: of the cluster, of aggregated API servers' front proxy, of etcd.
pub const AUTHORITIES: [AuthorityRow; 3] = [
    AuthorityRow { file: "ca", common_name: "kubernetes" },
    AuthorityRow { file: "front-proxy-ca", common_name: "front-proxy-ca" },
    AuthorityRow { file: "etcd/ca", common_name: "etcd-ca" },
];

const CLIENT: &[Usage] = &[Usage::Client];
const BOTH: &[Usage] = &[Usage::Server, Usage::Client];

/// The certificates that live in files of their own.
pub const LEAVES: [LeafRow; 7] = [
    LeafRow {
        file: "apiserver",
        authority: "ca",
        common_name: Some("kube-apiserver"),
        organizations: &[],
        usages: &[Usage::Server],
        names: Names::ApiServer,
    },
    client("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", &["kubeadm:cluster-admins"]),
    client("front-proxy-client", "front-proxy-ca", "front-proxy-client", &[]),
    etcd("etcd/server"),
    etcd("etcd/peer"),
    client("etcd/healthcheck-client", "etcd/ca", "kube-etcd-healthcheck-client", &[]),
    client("apiserver-etcd-client", "etcd/ca", "kube-apiserver-etcd-client", &[]),
];

const fn client(
    file: &'static str,
    authority: &'static str,
    common_name: &'static str,
    organizations: &'static [&'static str],
) -> LeafRow {
    LeafRow { file, authority, common_name: Some(common_name), organizations, usages: CLIENT, names: Names::None }
}

const fn etcd(file: &'static str) -> LeafRow {
    LeafRow { file, authority: "etcd/ca", common_name: None, organizations: &[], usages: BOTH, names: Names::Etcd }
}

/// What differs from cluster to cluster and node to node.
#[derive(Debug, Clone)]
pub struct Site {
    /// The node's name.
    pub node_name: String,
    /// `cluster.local` or what stands in its place.
    pub dns_domain: String,
    /// The address under which this machine's API server is reached.
    pub advertise_address: IpAddr,
    /// The first address of each service range: the `kubernetes` Service.
    pub service_addresses: Vec<IpAddr>,
    /// Further names of the API server: `certSANs` and the control-plane endpoint's host.
    pub api_server_names: Vec<String>,
    /// Further names of etcd's server and peer.
    pub etcd_names: Vec<String>,
    /// What kind of keys to make.
    pub algorithm: Algorithm,
    /// How long leaves live.
    pub leaf_validity: SignedDuration,
    /// How long authorities live.
    pub authority_validity: SignedDuration,
}

impl Site {
    /// A site with default algorithm, validities and no further names.
    pub fn new(node_name: &str, dns_domain: &str, advertise_address: IpAddr, service_address: IpAddr) -> Self {
        Site {
            node_name: node_name.to_owned(),
            dns_domain: dns_domain.to_owned(),
            advertise_address,
            service_addresses: vec![service_address],
            api_server_names: Vec::new(),
            etcd_names: Vec::new(),
            algorithm: Algorithm::default(),
            leaf_validity: LEAF_VALIDITY,
            authority_validity: AUTHORITY_VALIDITY,
        }
    }

    fn names(&self, which: Names) -> AlternativeNames {
        let node = self.node_name.clone();
        let advertise = self.advertise_address.to_string();
        let (mut names, extra) = match which {
            Names::None => return AlternativeNames::default(),
            Names::ApiServer => {
                let full = format!("kubernetes.default.svc.{}", self.dns_domain);
                let short = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned);
                let mut names = vec![node];
                names.extend(short);
                names.push(full);
                names.extend(self.service_addresses.iter().map(IpAddr::to_string));
                (names, &self.api_server_names)
            }
            Names::Etcd => {
                (vec![node, "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()], &self.etcd_names)
            }
        };
        names.push(advertise);
        names.extend_from_slice(extra);
        AlternativeNames::from_hosts(names.iter().map(String::as_str))
    }
}

/// What was done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did not exist.
    Created,
    /// It was good and stays.
    Reused,
    /// It was near its end, lacked a name, or came from another authority; its key stays.
    Renewed,
}

/// Loads the authority of `row` or makes it.
pub fn ensure_authority(
    dir: &Path,
    row: &AuthorityRow,
    site: &Site,
    now: Timestamp,
) -> Result<(Authority, Outcome), Error> {
    if let Some(authority) = files::load_authority(dir, row.file)? {
        return Ok((authority, Outcome::Reused));
    }
    let key = PrivateKey::generate(site.algorithm)?;
    let authority = Authority::create(row.common_name, key, now, site.authority_validity)?;
    files::store_authority(dir, row.file, &authority)?;
    Ok((authority, Outcome::Created))
}

/// Loads the certificate of `row`, makes it, or renews it when less than [`RENEW_BEFORE`] is left.
pub fn ensure_leaf(
    dir: &Path,
    row: &LeafRow,
    authority: &Authority,
    site: &Site,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let common_name = row.common_name.unwrap_or(&site.node_name);
    let subject = Subject::new(common_name, row.organizations);
    let leaf = Leaf::new(subject, row.usages, now, site.leaf_validity).with_names(site.names(row.names));
    ensure_issued(dir, row.file, authority, &leaf, site.algorithm)
}

/// Loads the certificate `file`, makes it as `leaf` says, or renews it with its old key when it is near its end,
/// lacks a name that `leaf` has, or is not from `authority`.
pub fn ensure_issued(
    dir: &Path,
    file: &str,
    authority: &Authority,
    leaf: &Leaf,
    algorithm: Algorithm,
) -> Result<Outcome, Error> {
    let (key, outcome) = match files::load_pair(dir, file)? {
        Some(pair) if is_good(pair.leaf(), authority, leaf) => return Ok(Outcome::Reused),
        Some(pair) => (pair.key, Outcome::Renewed),
        // A key of an interrupted run, or of an administrator, is as good as a new one.
        None => match files::read_if_exists(&files::key_path(dir, file))? {
            Some(text) => (PrivateKey::from_pem(&text)?, Outcome::Created),
            None => (PrivateKey::generate(algorithm)?, Outcome::Created),
        },
    };
    let certificate = authority.issue(leaf, &key.public())?;
    files::store_pair(dir, file, &Pair::new(vec![certificate], key)?)?;
    Ok(outcome)
}

fn is_good(have: &crate::Certificate, authority: &Authority, want: &Leaf) -> bool {
    // `want` was written for now: its start is now minus the backdating.
    let now = crate::authority::shift(want.not_before, crate::BACKDATE);
    let wanted_life = want.not_after.duration_since(now);
    let renew_before = RENEW_BEFORE.min(wanted_life / 3);
    have.is_current(now)
        && have.not_after.duration_since(now) > renew_before
        && have.names.covers(&want.names)
        && have.subject == want.subject
        && have.is_signed_by(authority.certificate())
}

/// Makes `sa.key` (0600) and `sa.pub` (0644), the key pair of service-account tokens; loads them when present.
pub fn ensure_service_account_key(dir: &Path, algorithm: Algorithm) -> Result<(PrivateKey, Outcome), Error> {
    let path = files::key_path(dir, "sa");
    let (key, outcome) = match files::read_if_exists(&path)? {
        Some(text) => (PrivateKey::from_pem(&text)?, Outcome::Reused),
        None => (PrivateKey::generate(algorithm)?, Outcome::Created),
    };
    if outcome == Outcome::Created {
        files::write(&path, key.to_pem().as_bytes(), env::fs::PRIVATE)?;
    }
    let public = dir.join("sa.pub");
    let known = files::read_if_exists(&public)?;
    if known.is_none_or(|text| PublicKey::all_from_pem(&text).is_err()) {
        files::write(&public, key.public().to_pem().as_bytes(), env::fs::PUBLIC)?;
    }
    Ok((key, outcome))
}

/// Makes or loads the whole set: authorities, leaves and the service-account key, each with what was done.
pub fn ensure_all(dir: &Path, site: &Site, now: Timestamp) -> Result<Vec<(String, Outcome)>, Error> {
    let mut done = Vec::new();
    for row in &AUTHORITIES {
        let (authority, outcome) = ensure_authority(dir, row, site, now)?;
        done.push((row.file.to_owned(), outcome));
        for leaf in LEAVES.iter().filter(|leaf| leaf.authority == row.file) {
            done.push((leaf.file.to_owned(), ensure_leaf(dir, leaf, &authority, site, now)?));
        }
    }
    done.push(("sa".to_owned(), ensure_service_account_key(dir, site.algorithm)?.1));
    Ok(done)
}
