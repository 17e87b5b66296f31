//! Who the client says it is: certificate, token or password, read again when their files change.
//!
//! Nothing watches the files: a request that comes more than [`REREAD`] after the last look, looks again. A client that
//! sends nothing does nothing.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use env::time::Instant;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use parking_lot::Mutex;
use pki::files::Pair;
use pki::kubeconfig::{Cluster, User};
use pki::tls::{ClientCertificate, ServerTrust};
use pki::trust::Roots;

use crate::{SetupError, TransportError};

/// How old the last look at the files may be (upstream: a minute).
const REREAD: Duration = Duration::from_secs(60);

/// The identity of a client and whom it believes.
#[derive(Debug)]
pub(crate) struct Credentials {
    cluster: Cluster,
    user: User,
    trust: Arc<ServerTrust>,
    certificate: Option<Arc<ClientCertificate>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None`: the next request looks.
    looked: Option<Instant>,
    /// The certificate in use, to notice a new one.
    leaf: Vec<u8>,
    authorities: Vec<u8>,
    headers: Arc<HeaderMap>,
}

/// What a look at the files found.
struct Found {
    pair: Option<Pair>,
    authorities: Option<Vec<u8>>,
    token: Option<String>,
}

impl Credentials {
    pub(crate) fn new(cluster: &Cluster, user: &User) -> Result<Self, SetupError> {
        let found = look(cluster, user)?;
        let trust = match &found.authorities {
            _ if cluster.insecure_skip_tls_verify => ServerTrust::anybody(),
            Some(pem) => ServerTrust::roots(Roots::from_pem(pem)?)?,
            // Other programs would ask the operating system's list here; a cluster is never on it.
            None => ServerTrust::roots(Roots::new(Vec::new())?)?,
        };
        let certificate = found.pair.as_ref().map(ClientCertificate::new).transpose()?;
        let state = State {
            looked: Some(Instant::now()),
            leaf: found.pair.as_ref().map(leaf).unwrap_or_default(),
            authorities: found.authorities.unwrap_or_default(),
            headers: Arc::new(headers(user, found.token.as_deref())?),
        };
        let (cluster, user) = (cluster.clone(), user.clone());
        Ok(Credentials { cluster, user, trust, certificate, state: Mutex::new(state) })
    }

    pub(crate) fn trust(&self) -> Arc<ServerTrust> {
        Arc::clone(&self.trust)
    }

    pub(crate) fn certificate(&self) -> Option<Arc<ClientCertificate>> {
        self.certificate.clone()
    }

    /// The headers that say who asks.
    pub(crate) fn headers(&self) -> Arc<HeaderMap> {
        Arc::clone(&self.state.lock().headers)
    }

    /// Looks at the files again if it is time; true if connections made before show an outdated identity.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<bool, TransportError> {
        if !self.has_files() || !self.is_due() {
            return Ok(false);
        }
        let me = Arc::clone(self);
        env::task::blocking(move || me.reread()).await
    }

    /// The server did not accept who we are: the next request looks at the files.
    pub(crate) fn doubt(&self) {
        self.state.lock().looked = None;
    }

    fn has_files(&self) -> bool {
        let user = &self.user;
        let files = [&user.token_file, &user.client_certificate, &self.cluster.certificate_authority];
        files.into_iter().any(|path| path.as_deref().is_some_and(|path| !path.is_empty()))
    }

    fn is_due(&self) -> bool {
        let mut state = self.state.lock();
        let due = state.looked.is_none_or(|looked| looked.elapsed() >= REREAD);
        if due {
            state.looked = Some(Instant::now());
        }
        due
    }

    fn reread(&self) -> Result<bool, TransportError> {
        let found = match look(&self.cluster, &self.user) {
            Ok(found) => found,
            Err(error) => {
                // Half-written files and mounts in motion: what we have may still be good.
                tracing::warn!(%error, "the credentials cannot be read again; those in use stay");
                return Ok(false);
            }
        };
        let mut outdated = false;
        let mut state = self.state.lock();
        if let (Some(pair), Some(certificate)) = (&found.pair, &self.certificate)
            && leaf(pair) != state.leaf
        {
            certificate.replace(pair).map_err(TransportError::Credentials)?;
            state.leaf = leaf(pair);
            outdated = true;
        }
        if let Some(pem) = found.authorities.filter(|pem| *pem != state.authorities) {
            let roots = Roots::from_pem(&pem).map_err(TransportError::Credentials)?;
            self.trust.replace(roots).map_err(TransportError::Credentials)?;
            state.authorities = pem;
        }
        if let Ok(headers) = headers(&self.user, found.token.as_deref()) {
            state.headers = Arc::new(headers);
        }
        Ok(outdated)
    }
}

fn look(cluster: &Cluster, user: &User) -> Result<Found, pki::Error> {
    Ok(Found { pair: user.certificate()?, authorities: cluster.authorities()?, token: user.bearer_token()? })
}

fn leaf(pair: &Pair) -> Vec<u8> {
    pair.leaf().der().to_vec()
}

fn headers(user: &User, token: Option<&str>) -> Result<HeaderMap, SetupError> {
    if user.exec.is_some() || user.auth_provider.is_some() {
        return Err(SetupError::Config("credential plugins are not built".to_owned()));
    }
    let basic = || {
        let (name, password) = (user.username.as_deref()?, user.password.as_deref().unwrap_or_default());
        Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    };
    let mut headers = HeaderMap::new();
    if let Some(words) = token.map(|token| format!("Bearer {token}")).or_else(basic) {
        let mut value = visible(&words)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let single = [("impersonate-user", &user.impersonate), ("impersonate-uid", &user.impersonate_uid)];
    for (name, value) in single {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            headers.insert(HeaderName::from_static(name), visible(value)?);
        }
    }
    for group in &user.impersonate_groups {
        headers.append(HeaderName::from_static("impersonate-group"), visible(group)?);
    }
    for (key, values) in &user.impersonate_extra {
        let name = HeaderName::from_bytes(format!("impersonate-extra-{key}").as_bytes());
        let name = name.map_err(|_invalid| SetupError::Config(format!("no header can be named after {key:?}")))?;
        for value in values {
            headers.append(name.clone(), visible(value)?);
        }
    }
    Ok(headers)
}

fn visible(words: &str) -> Result<HeaderValue, SetupError> {
    HeaderValue::from_str(words)
        .map_err(|_secret| SetupError::Config("a token or name holds what cannot stand in a header".to_owned()))
}
