//! The server: parts joined, state prepared, and the front door open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use authn::TokenUser;
use env::net::Listener;
use env::task::{Fate, Shutdown};
use futures::future::BoxFuture;
use gate::{Admission, Authorizer};
use kind::{Resource, User, Verb};
use observe::health::Checks;
use pki::serviceaccount::{Issuer, Verifier};
use pki::tls::{ClientCertificate, ServerTrust, ServingCertificates};
use pki::trust::ClientTrust;
use registry::{Cache, Registry, StoredForm};
use serving::{Door, Drained, Peer};
use store::{Revision, Store};

use crate::authz::{self, Roles};
use crate::chain::Front;
use crate::components::Components;
use crate::computed::{Computed, Source};
use crate::config::{Config, StartError};
use crate::documents::Documents;
use crate::reviews::{Question, Reviews, TokenJudge};
use crate::routes::{Answerer, Route, Routes};
use crate::seats::Seats;
use crate::service_addresses::ServiceAddresses;
use crate::subresources::{Kubelets, Subresources};
use crate::verbs::Verbs;
use crate::{admission, authn, bootstrap};

/// History that is kept for watches and pages: upstream compacts every five minutes.
const COMPACT_EVERY: Duration = Duration::from_secs(300);

/// A server that is ready to be spoken to.
pub struct Server {
    front: Arc<Front>,
    tls: Arc<rustls::ServerConfig>,
    shutdown: Shutdown,
    loopback_token: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Joins the parts, and makes sure of the objects that every cluster has.
    pub async fn start(config: Config, shutdown: Shutdown) -> Result<Server, StartError> {
        let tls = pki::tls::server_config(ServingCertificates::new(std::slice::from_ref(&config.serving))?)?;
        let routes = Arc::new(Routes::default());
        let roles = Roles::new();
        let admission = admission::Chain::new(Arc::clone(&routes), Arc::clone(&roles));
        routes.install(rows(&config, Arc::new(admission))?);
        admission::Chain::ready(&routes).await?;
        let loopback_token = env::rand::uuid();
        let authenticator = Arc::new(authenticator(&config, &routes, &loopback_token));
        let authorizer: Arc<dyn Authorizer> = Arc::new(authz::Union(vec![
            crate::node_authorizer::follow(&routes, &shutdown).await?,
            Arc::clone(&roles) as Arc<dyn Authorizer>,
        ]));
        let front = Arc::new(Front {
            authenticator: Arc::clone(&authenticator) as Arc<dyn gate::Authenticator>,
            authorizer: Arc::clone(&authorizer),
            seats: Seats::new(config.inflight_max.0, config.inflight_max.1),
            verbs: Arc::new(verbs(&config, &routes, authenticator, authorizer, (&roles, &shutdown))?),
        });
        roles.follow(&routes, &shutdown).await?;
        let server = Server { front, tls, shutdown, loopback_token };
        bootstrap::ensure(&server.loopback(), &config).await?;
        compact_regularly(Arc::clone(&config.store), server.shutdown.clone());
        Ok(server)
    }

    /// The way in for a caller within the process, with the certificate chain that it would present on a socket.
    pub fn door(&self, chain: Option<pki::trust::PeerChain>) -> Door {
        Door::new(Arc::clone(&self.front) as Arc<dyn serving::Service>, Peer::in_memory(chain))
    }

    /// The server's own way in: everything is allowed, and nothing is skipped.
    pub(crate) fn loopback(&self) -> bootstrap::Loopback {
        bootstrap::Loopback { door: self.door(None), token: self.loopback_token.clone() }
    }

    /// Serves until shutdown.
    pub async fn run(self, listener: Listener) -> Drained {
        let service = Arc::clone(&self.front) as Arc<dyn serving::Service>;
        serving::Server::new(service).with_tls(self.tls).run(listener, self.shutdown).await
    }
}

/// Every built-in resource with what answers it.
fn rows(config: &Config, admission: Arc<dyn Admission>) -> Result<Vec<Route>, StartError> {
    let mut caches: HashMap<String, Arc<Cache>> = HashMap::new();
    // What cannot be watched is not stored.
    let is_stored = |row: &&Arc<Resource>| row.verbs.contains(Verb::Watch) && !row.converts();
    let stored_rows: Vec<&Arc<Resource>> = kind::builtin().iter().filter(is_stored).collect();
    let components = Arc::new(Components {
        rows: config.components.clone(),
        store: Arc::clone(&config.store),
        tls: pki::tls::client_config(ServerTrust::anybody(), None, &[])?,
    });
    for row in stored_rows {
        if let Some(strategy) = resources::strategy_for(row) {
            let form = StoredForm::new(strategy, true);
            caches.insert(form.prefix().to_owned(), Cache::new(form, Arc::clone(&config.store)));
        }
    }
    let addresses = caches.get("/registry/ipaddresses/").map(|cache| {
        Arc::new(ServiceAddresses {
            store: Arc::clone(&config.store),
            ip_addresses: cache.stored_form().clone(),
            ranges: config.service_ranges.clone(),
            node_ports: config.node_ports,
        })
    });
    let row = |resource: &Arc<Resource>| {
        let cache = caches.get(&format!("/registry/{}/", resource.stored.prefix));
        let answerer = match (resources::strategy_for(resource), cache) {
            (Some(strategy), Some(cache)) => {
                let registry =
                    Registry::new(strategy, Arc::clone(&config.store), Arc::clone(cache), Arc::clone(&admission));
                let is_service = resource.plural == "services" && resource.group.is_empty();
                let registry = match addresses.as_ref().filter(|_| is_service) {
                    Some(addresses) => registry.with_companion(Arc::clone(addresses) as Arc<dyn registry::Companion>),
                    None => registry,
                };
                Answerer::Stored(Arc::new(registry))
            }
            (Some(strategy), None) => {
                Answerer::Computed(Computed { strategy, source: Arc::clone(&components) as Arc<dyn Source> })
            }
            _ => Answerer::Virtual(Question::of(&resource.kind)),
        };
        Route { resource: Arc::clone(resource), answerer }
    };
    Ok(kind::builtin().iter().map(row).collect())
}

fn authenticator(config: &Config, routes: &Arc<Routes>, loopback_token: &str) -> authn::Union {
    let front_proxy =
        config.front_proxy.as_ref().map(|(roots, names)| (Arc::new(ClientTrust::new(roots.clone())), names.clone()));
    authn::Union {
        clients: Arc::new(ClientTrust::new(config.client_authorities.clone())),
        front_proxy,
        tokens: Arc::new(verifier(config)),
        audiences: vec![config.issuer.clone()],
        routes: Arc::clone(routes),
        fixed: vec![TokenUser {
            token: loopback_token.to_owned(),
            user: User {
                name: "system:apiserver".to_owned(),
                groups: vec![User::AUTHENTICATED.to_owned(), User::MASTERS.to_owned()],
                ..User::default()
            },
        }],
    }
}

fn verifier(config: &Config) -> Verifier {
    Verifier::new(vec![config.issuer.clone()], config.token_public_keys.clone())
}

fn verbs(
    config: &Config,
    routes: &Arc<Routes>,
    authenticator: Arc<authn::Union>,
    authorizer: Arc<dyn Authorizer>,
    (roles, shutdown): (&Arc<Roles>, &Shutdown),
) -> Result<Verbs, StartError> {
    let kubelet_tls = pki::tls::client_config(
        ServerTrust::roots(config.kubelet_authorities.clone())?,
        Some(ClientCertificate::new(&config.kubelet_client)?),
        &[],
    )?;
    Ok(Verbs {
        routes: Arc::clone(routes),
        shutdown: shutdown.clone(),
        documents: Documents {
            healthz: checks("healthz", &config.store),
            livez: checks("livez", &config.store),
            readyz: checks("readyz", &config.store),
            metrics: Arc::new(observe::metrics::Registry::new()),
            openapi: crate::openapi::Published::default(),
            tokens: Arc::new(verifier(config)),
            keys_uri: format!("https://{}:{}/openid/v1/jwks", config.advertise_address, config.secure_port),
        },
        subresources: Subresources {
            routes: Arc::clone(routes),
            issuer: Arc::new(Issuer::new(config.issuer.clone(), clone_key(&config.token_key)?)?),
            audiences: vec![config.issuer.clone()],
            reviews: Reviews {
                authorizer,
                tokens: authenticator as Arc<dyn TokenJudge>,
                rules: Arc::clone(roles) as Arc<dyn crate::reviews::Rules>,
            },
            kubelets: Kubelets::new(kubelet_tls, pki::tls::client_config(ServerTrust::anybody(), None, &[])?),
        },
    })
}

fn clone_key(key: &pki::PrivateKey) -> Result<pki::PrivateKey, pki::Error> {
    pki::PrivateKey::from_pem(key.to_pem().as_bytes())
}

fn checks(endpoint: &'static str, store: &Arc<dyn Store>) -> Checks {
    let checks = Checks::new(endpoint);
    checks.add("log", || Ok(()));
    let store = Arc::clone(store);
    checks.add("etcd", move || match futures::FutureExt::now_or_never(store.status()) {
        // A store in this process answers at once; one elsewhere is judged by the requests that need it.
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(_)) | None => Ok(()),
    });
    checks
}

/// Forgets history as upstream does: what is older than one interval, every interval.
fn compact_regularly(store: Arc<dyn Store>, shutdown: Shutdown) {
    env::task::spawn(Fate::Vital, "compaction", async move {
        let mut before: Option<Revision> = None;
        loop {
            tokio::select! {
                () = env::time::sleep(COMPACT_EVERY) => {}
                () = shutdown.cancelled() => return,
            }
            if let Some(revision) = before.filter(|revision| revision.0 > 0)
                && let Err(error) = store.compact(revision).await
            {
                tracing::debug!(%error, "nothing was compacted");
            }
            before = store.status().await.ok().map(|status| status.revision);
        }
    });
}

impl TokenJudge for authn::Union {
    fn judge<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
    ) -> BoxFuture<'a, Result<(User, Vec<String>), String>> {
        Box::pin(self.review_token(token, audiences))
    }
}
