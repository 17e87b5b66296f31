//! The client, and its methods for typed kinds.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use object::Value;
use pki::kubeconfig::Kubeconfig;
use serving::{Body, Door};
use typed::Kind;

use crate::{
    DeleteOptions, Depth, Error, Known, ListOptions, Patch, Remote, SetupError, Transport, WatchOptions, WatchStream,
};

/// How long a request may take when nobody says otherwise; a watch: until it begins.
const REQUEST_TIMEOUT_SECONDS: u64 = 60;

/// A list of objects in one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<K> {
    /// The objects.
    pub items: Vec<K>,
    /// The revision of which they are the state.
    pub resource_version: String,
    /// Where the next list goes on; empty when this is the end.
    pub continue_token: String,
}

/// The way to an API server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    user_agent: HeaderValue,
    request_timeout: Duration,
    known: Option<Known>,
}

impl Client {
    /// A client of the component `component` (it names itself to the server) over any transport.
    ///
    /// # Panics
    /// When `component` is not fit for a header: a programmer's error.
    pub fn new(transport: Arc<dyn Transport>, component: &str) -> Self {
        let words = format!("ferrokube-{component}/{}", observe::version().git_version);
        Client {
            transport,
            user_agent: HeaderValue::from_str(&words).expect("a component's name is visible ASCII"),
            request_timeout: Duration::from_secs(REQUEST_TIMEOUT_SECONDS),
            known: None,
        }
    }

    /// A client within the server's process.
    pub fn through(door: Door, component: &str) -> Self {
        Self::new(Arc::new(door), component)
    }

    /// A client of the server in a kubeconfig's context; of the current one when `context` is `None`.
    pub fn from_kubeconfig(config: &Kubeconfig, context: Option<&str>, component: &str) -> Result<Self, SetupError> {
        let (_, cluster, user) = config
            .resolve(context)
            .ok_or_else(|| SetupError::Config("the kubeconfig has no such context, cluster or user".to_owned()))?;
        Ok(Self::new(Arc::new(Remote::new(cluster, user)?), component))
    }

    /// A client for a program in a pod, with the pod's service account.
    pub fn in_cluster(component: &str) -> Result<Self, SetupError> {
        Ok(Self::new(Arc::new(Remote::in_cluster()?), component))
    }

    /// The same client with another limit for each request.
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Client { request_timeout, ..self }
    }

    /// The same client, whose informers share what they hold with all others that know `known`. All must be clients of one
    /// server: elsewhere the same uid and revision may be another object.
    pub fn sharing(self, known: &Known) -> Self {
        Client { known: Some(known.clone()), ..self }
    }

    /// What it shares with other clients.
    pub fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    pub(crate) fn user_agent(&self) -> &HeaderValue {
        &self.user_agent
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Sends any request, as this client, and returns any answer; no timeout, no retries. For logs, exec and proxies;
    /// after a 101, [`crate::upgraded`] gives the connection.
    pub async fn raw(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        request.headers_mut().entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        Ok(self.transport.send(request).await?)
    }

    /// One object. `namespace` is empty for cluster-scoped kinds.
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<K, Error> {
        let tree = self.get_tree(K::resource(), namespace, name, Depth::Whole).await?;
        Ok(K::from_tree(&tree)?)
    }

    /// Many objects.
    pub async fn list<K: Kind>(&self, options: &ListOptions) -> Result<Listed<K>, Error> {
        let trees = self.list_trees(K::resource(), options, Depth::Whole).await?;
        let items = trees.items.iter().map(K::from_tree).collect::<Result<_, _>>()?;
        Ok(Listed { items, resource_version: trees.resource_version, continue_token: trees.continue_token })
    }

    /// Changes as they happen.
    pub async fn watch<K: Kind>(&self, options: &WatchOptions) -> Result<WatchStream<K>, Error> {
        Ok(WatchStream::new(self.watch_trees(K::resource(), options, Depth::Whole).await?))
    }

    /// Creates an object and returns it as it is stored.
    pub async fn create<K: Kind>(&self, object: &K) -> Result<K, Error> {
        let tree = self.create_tree(K::resource(), object.namespace(), &object.to_tree()).await?;
        Ok(K::from_tree(&tree)?)
    }

    /// Replaces an object; uid and resourceVersion in it are preconditions.
    pub async fn update<K: Kind>(&self, object: &K) -> Result<K, Error> {
        self.update_part(object, "").await
    }

    /// Replaces an object's status.
    pub async fn update_status<K: Kind>(&self, object: &K) -> Result<K, Error> {
        self.update_part(object, "status").await
    }

    /// Replaces what the subresource `part` (`approval`, `finalize`, …; empty: the object) stands for.
    pub async fn update_part<K: Kind>(&self, object: &K, part: &str) -> Result<K, Error> {
        let tree = self.update_tree(K::resource(), part, &object.to_tree()).await?;
        Ok(K::from_tree(&tree)?)
    }

    /// Changes an object, or its `subresource` unless that is empty.
    pub async fn patch<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<K, Error> {
        let tree = self.patch_tree(K::resource(), (namespace, name, subresource), patch).await?;
        Ok(K::from_tree(&tree)?)
    }

    /// Deletes an object.
    pub async fn delete<K: Kind>(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<(), Error> {
        self.delete_tree(K::resource(), namespace, name, options).await.map(|_remains| ())
    }

    /// Posts `body`, which names its kind, to a subresource: `binding`, `eviction`, `token`.
    pub async fn create_subresource<K: Kind>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        self.create_subresource_tree(K::resource(), (namespace, name, subresource), body).await
    }
}
