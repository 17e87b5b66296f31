//! What a kubelet needs of the API server, as narrow as it is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use typed::api::core::v1::{ConfigMap, Node, PersistentVolume, Pod, PodStatus, Secret, Service};
use workqueue::Spoken;

/// The future of a call.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// The pods of this node, as they change.
pub type PodStream = Pin<Box<dyn Stream<Item = PodChange> + Send>>;

/// Why a call brought no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// There is no API server: the node runs static pods only.
    #[error("there is no API server")]
    Standalone,
    /// The object does not exist, or is another by now.
    #[error("{0}")]
    NotFound(String),
    /// The object changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// Anything else, in the server's words.
    #[error("{0}")]
    Failed(String),
}

/// A change among the pods of this node.
#[derive(Debug, Clone)]
pub enum PodChange {
    /// All of them: whatever is missing is gone.
    All(Vec<Arc<Pod>>),
    /// One is new or changed.
    Set(Arc<Pod>),
    /// One is gone.
    Gone(Arc<Pod>),
}

/// A token to ask for.
#[derive(Debug, Clone)]
pub struct TokenOrder {
    /// The pod that it is bound to.
    pub pod: Arc<Pod>,
    /// For whom it is meant; empty for the API server.
    pub audience: String,
    /// How long it should live.
    pub expiration_seconds: i64,
}

/// A token.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub token: String,
    /// When it ends.
    pub expires_at: jiff::Timestamp,
}

impl Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The API server, as the kubelet sees it.
pub trait Api: Debug + Send + Sync {
    /// The pods bound to this node: first all, then each change, for as long as the kubelet lives.
    fn pods(&self) -> PodStream;
    /// Writes a pod's status. The pod's uid is a precondition.
    fn pod_status(&self, pod: &Pod, status: PodStatus) -> Answer<'_, ()>;
    /// Removes a pod at last (grace period 0, uid as precondition).
    fn pod_delete(&self, pod: &Pod) -> Answer<'_, ()>;
    /// Makes a mirror pod.
    fn pod_create(&self, pod: Pod) -> Answer<'_, ()>;
    /// A config map, from what is watched or not older than a minute.
    fn config_map(&self, namespace: &str, name: &str) -> Answer<'_, Arc<ConfigMap>>;
    /// A secret, likewise.
    fn secret(&self, namespace: &str, name: &str) -> Answer<'_, Arc<Secret>>;
    /// All services, for the variables of containers.
    fn services(&self) -> Answer<'_, Vec<Arc<Service>>>;
    /// A token of a pod's service account. Asked again and again: the implementation keeps tokens for 80 % of their life.
    fn token(&self, order: TokenOrder) -> Answer<'_, Token>;
    /// The handler of a runtime class.
    fn runtime_handler(&self, class: &str) -> Answer<'_, String>;
    /// The volume that a claim is bound to, and that is bound to the claim.
    fn claimed(&self, namespace: &str, claim: &str) -> Answer<'_, Arc<PersistentVolume>>;
    /// Says an event, without waiting until it is heard.
    fn speak(&self, spoken: Spoken);
    /// Makes or updates the node with all it says of itself.
    fn node(&self, node: Node) -> Answer<'_, ()>;
    /// The labels of the node as the API server has them; `None` while they are not known.
    fn node_labels(&self) -> Option<BTreeMap<String, String>> {
        None
    }
    /// Renews the node's lease.
    fn lease(&self, now: jiff::Timestamp) -> Answer<'_, ()>;
}

/// No API server: static pods only. What would need one fails and says so.
#[derive(Debug, Clone, Copy)]
pub struct Standalone;

fn alone<T: Send + 'static>() -> Answer<'static, T> {
    Box::pin(std::future::ready(Err(ApiError::Standalone)))
}

impl Api for Standalone {
    fn pods(&self) -> PodStream {
        // That there are none is known at once.
        let none = futures::stream::iter([PodChange::All(Vec::new())]);
        Box::pin(none.chain(futures::stream::pending()))
    }

    fn pod_status(&self, _pod: &Pod, _status: PodStatus) -> Answer<'_, ()> {
        alone()
    }

    fn pod_delete(&self, _pod: &Pod) -> Answer<'_, ()> {
        alone()
    }

    fn pod_create(&self, _pod: Pod) -> Answer<'_, ()> {
        alone()
    }

    fn config_map(&self, _namespace: &str, _name: &str) -> Answer<'_, Arc<ConfigMap>> {
        alone()
    }

    fn secret(&self, _namespace: &str, _name: &str) -> Answer<'_, Arc<Secret>> {
        alone()
    }

    fn services(&self) -> Answer<'_, Vec<Arc<Service>>> {
        // Without an API server there are no services; a pod needs none to start.
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn token(&self, _order: TokenOrder) -> Answer<'_, Token> {
        alone()
    }

    fn runtime_handler(&self, _class: &str) -> Answer<'_, String> {
        alone()
    }

    fn claimed(&self, _namespace: &str, _claim: &str) -> Answer<'_, Arc<PersistentVolume>> {
        alone()
    }

    fn speak(&self, _spoken: Spoken) {}

    fn node(&self, _node: Node) -> Answer<'_, ()> {
        alone()
    }

    fn lease(&self, _now: jiff::Timestamp) -> Answer<'_, ()> {
        alone()
    }
}
