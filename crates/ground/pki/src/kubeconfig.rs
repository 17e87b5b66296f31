//! kubeconfig: clusters, users and contexts, `apiVersion: v1, kind: Config`.
//!
//! Every field that clients write survives a round trip. Merging several files and running credential plugins is the
//! client's business, not this module's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::files::{self, Pair};
use crate::{Algorithm, Authority, Error, Leaf, PrivateKey, Subject, Usage};

/// A kubeconfig file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kubeconfig {
    /// `v1`.
    #[serde(rename = "apiVersion", default = "version")]
    pub api_version: String,
    /// Clusters by name.
    #[serde(default, deserialize_with = "absent")]
    pub clusters: Vec<NamedCluster>,
    /// Contexts by name.
    #[serde(default, deserialize_with = "absent")]
    pub contexts: Vec<NamedContext>,
    /// The context in use; empty when none is.
    #[serde(default)]
    pub current_context: String,
    /// `Config`.
    #[serde(default = "kind")]
    pub kind: String,
    /// Unused by clients of today, always written.
    #[serde(default, deserialize_with = "absent")]
    pub preferences: BTreeMap<String, serde_json::Value>,
    /// Users by name.
    #[serde(default, deserialize_with = "absent")]
    pub users: Vec<NamedUser>,
    /// Foreign additions, kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<serde_json::Value>>,
}

/// A cluster and its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedCluster {
    /// The cluster.
    pub cluster: Cluster,
    /// Its name.
    pub name: String,
}

/// A context and its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedContext {
    /// The context.
    pub context: Context,
    /// Its name.
    pub name: String,
}

/// A user and its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedUser {
    /// Its name.
    pub name: String,
    /// The user.
    #[serde(default)]
    pub user: User,
}

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cluster {
    /// A file with the authorities' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// The same in place: base64 of PEM. Wins over the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// Do not ask for compressed answers.
    #[serde(skip_serializing_if = "is_false")]
    pub disable_compression: bool,
    /// Foreign additions, kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<serde_json::Value>>,
    /// Trust whoever answers.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure_skip_tls_verify: bool,
    /// An HTTP, HTTPS or SOCKS5 proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// `https://host:port`.
    pub server: String,
    /// The name to verify in the server's certificate, where it differs from the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
}

/// A user at a cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// A cluster's name.
    pub cluster: String,
    /// Foreign additions, kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<serde_json::Value>>,
    /// The namespace where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A user's name.
    pub user: String,
}

/// Credentials.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct User {
    /// Impersonated user.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub impersonate: Option<String>,
    /// Impersonated groups.
    #[serde(rename = "as-groups", skip_serializing_if = "Vec::is_empty")]
    pub impersonate_groups: Vec<String>,
    /// Impersonated UID.
    #[serde(rename = "as-uid", skip_serializing_if = "Option::is_none")]
    pub impersonate_uid: Option<String>,
    /// Impersonated extra fields.
    #[serde(rename = "as-user-extra", skip_serializing_if = "BTreeMap::is_empty")]
    pub impersonate_extra: BTreeMap<String, Vec<String>>,
    /// An in-tree credential plugin of old clients, kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_provider: Option<serde_json::Value>,
    /// A file with the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The same in place: base64 of PEM. Wins over the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// A file with the client's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// The same in place: base64 of PEM. Wins over the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// An external credential plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// Foreign additions, kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<serde_json::Value>>,
    /// Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A file with a bearer token, read anew from time to time.
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("as", &self.impersonate).finish_non_exhaustive()
    }
}

/// An external credential plugin (`client.authentication.k8s.io`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exec {
    /// The version of the protocol.
    pub api_version: String,
    /// Its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// The program.
    pub command: String,
    /// Its additional environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<ExecVariable>>,
    /// What to tell a user who lacks the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_hint: Option<String>,
    /// `Never`, `IfAvailable` or `Always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive_mode: Option<String>,
    /// Whether to tell the program about the cluster.
    #[serde(skip_serializing_if = "is_false")]
    pub provide_cluster_info: bool,
}

/// A variable of a plugin's environment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExecVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A client of the control plane, in a kubeconfig of its own: a row of [`CLIENTS`].
#[derive(Debug, Clone, Copy)]
pub struct ClientRow {
    /// The file below `/etc/kubernetes`.
    pub file: &'static str,
    /// The user; `None` is `system:node:<node>`.
    pub common_name: Option<&'static str>,
    /// The groups.
    pub organizations: &'static [&'static str],
}

/// The kubeconfig files that kubeadm writes.
pub const CLIENTS: [ClientRow; 5] = [
    ClientRow { file: "admin.conf", common_name: Some("kubernetes-admin"), organizations: &["kubeadm:cluster-admins"] },
    ClientRow {
        file: "super-admin.conf",
        common_name: Some("kubernetes-super-admin"),
        organizations: &["system:masters"],
    },
    ClientRow { file: "kubelet.conf", common_name: None, organizations: &["system:nodes"] },
    ClientRow {
        file: "controller-manager.conf",
        common_name: Some("system:kube-controller-manager"),
        organizations: &[],
    },
    ClientRow { file: "scheduler.conf", common_name: Some("system:kube-scheduler"), organizations: &[] },
];

impl ClientRow {
    /// The certificate's subject on the node `node`.
    pub fn subject(&self, node: &str) -> Subject {
        let user = self.common_name.map_or_else(|| format!("system:node:{node}"), str::to_owned);
        Subject::new(user, self.organizations)
    }
}

/// Where a generated kubeconfig leads.
#[derive(Debug, Clone)]
pub struct Target {
    /// The cluster's name; kubeadm's default is `kubernetes`.
    pub cluster: String,
    /// `https://host:port`.
    pub server: String,
}

impl Kubeconfig {
    /// A file with one cluster, one user and the context `<user>@<cluster>` in use.
    pub fn single(target: &Target, authorities_pem: &str, user_name: &str, user: User) -> Self {
        let cluster = Cluster {
            certificate_authority_data: Some(STANDARD.encode(authorities_pem)),
            server: target.server.clone(),
            ..Cluster::default()
        };
        let context = Context { cluster: target.cluster.clone(), user: user_name.to_owned(), ..Context::default() };
        let context_name = format!("{user_name}@{}", target.cluster);
        Kubeconfig {
            api_version: version(),
            clusters: vec![NamedCluster { cluster, name: target.cluster.clone() }],
            contexts: vec![NamedContext { context, name: context_name.clone() }],
            current_context: context_name,
            kind: kind(),
            preferences: BTreeMap::new(),
            users: vec![NamedUser { name: user_name.to_owned(), user }],
            extensions: None,
        }
    }

    /// A file for `subject` with a client certificate that `authority` issues here and now.
    pub fn issue(
        target: &Target,
        authority: &Authority,
        subject: Subject,
        algorithm: Algorithm,
        (now, validity): (Timestamp, SignedDuration),
    ) -> Result<Self, Error> {
        let key = PrivateKey::generate(algorithm)?;
        let name = subject.common_name.clone();
        let leaf = Leaf::new(subject, &[Usage::Client], now, validity);
        let certificate = authority.issue(&leaf, &key.public())?;
        let user = User {
            client_certificate_data: Some(STANDARD.encode(certificate.to_pem())),
            client_key_data: Some(STANDARD.encode(key.to_pem())),
            ..User::default()
        };
        Ok(Self::single(target, &authority.certificate().to_pem(), &name, user))
    }

    /// Reads YAML (JSON is YAML too).
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        serde_saphyr::from_str(text).map_err(|error| Error::Kubeconfig(error.to_string()))
    }

    /// Writes YAML, with a line for each certificate and key: people take them out with `grep` and `awk`.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        serde_saphyr::to_string_with_options(self, options).map_err(|error| Error::Kubeconfig(error.to_string()))
    }

    /// Reads a file; relative paths in it become relative to its folder, as clients agree.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = files::read(path)?;
        let text = str::from_utf8(&bytes).map_err(|error| Error::Kubeconfig(error.to_string()))?;
        let mut config = Self::from_yaml(text)
            .map_err(|source| Error::InFile { path: path.to_owned(), source: Box::new(source) })?;
        config.resolve_paths(path.parent().unwrap_or_else(|| Path::new(".")));
        Ok(config)
    }

    /// Writes a file that only its owner can read.
    pub fn store(&self, path: &Path) -> Result<(), Error> {
        files::write(path, self.to_yaml()?.as_bytes(), env::fs::PRIVATE)
    }

    /// The cluster and user of a context; of the current one when `context` is `None`.
    pub fn resolve(&self, context: Option<&str>) -> Option<(&Context, &Cluster, &User)> {
        let wanted = context.unwrap_or(&self.current_context);
        let context = &self.contexts.iter().find(|entry| entry.name == wanted)?.context;
        let cluster = &self.clusters.iter().find(|entry| entry.name == context.cluster)?.cluster;
        let user = &self.users.iter().find(|entry| entry.name == context.user)?.user;
        Some((context, cluster, user))
    }

    fn resolve_paths(&mut self, base: &Path) {
        let fix = |path: &mut Option<String>| {
            if let Some(path) = path.as_mut().filter(|path| !path.is_empty() && Path::new(path.as_str()).is_relative())
            {
                *path = base.join(&*path).to_string_lossy().into_owned();
            }
        };
        for entry in &mut self.clusters {
            fix(&mut entry.cluster.certificate_authority);
        }
        for entry in &mut self.users {
            fix(&mut entry.user.client_certificate);
            fix(&mut entry.user.client_key);
            fix(&mut entry.user.token_file);
        }
    }
}

impl Cluster {
    /// The authorities' certificates in PEM form, from the data or the file; `None` when neither is given.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, Error> {
        material(self.certificate_authority_data.as_deref(), self.certificate_authority.as_deref())
    }
}

impl User {
    /// The client certificate with its key, from the data or the files; `None` when it is not complete.
    pub fn certificate(&self) -> Result<Option<Pair>, Error> {
        let certificate = material(self.client_certificate_data.as_deref(), self.client_certificate.as_deref())?;
        let key = material(self.client_key_data.as_deref(), self.client_key.as_deref())?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => Pair::from_pem(&certificate, &key).map(Some),
            _ => Ok(None),
        }
    }

    /// The bearer token, from the file or in place; the file wins, as it may rotate.
    pub fn bearer_token(&self) -> Result<Option<String>, Error> {
        match self.token_file.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => {
                let bytes = files::read(Path::new(path))?;
                Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
            }
            None => Ok(self.token.clone().filter(|token| !token.is_empty())),
        }
    }
}

fn material(data: Option<&str>, path: Option<&str>) -> Result<Option<Vec<u8>>, Error> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let bytes = STANDARD.decode(data).map_err(|error| Error::Kubeconfig(error.to_string()))?;
        return Ok(Some(bytes));
    }
    path.filter(|path| !path.is_empty()).map(|path| files::read(&PathBuf::from(path))).transpose()
}

fn version() -> String {
    "v1".to_owned()
}

fn kind() -> String {
    "Config".to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// `null` and a missing field mean the same.
fn absent<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
