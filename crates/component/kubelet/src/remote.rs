//! The API server, reached through a client with the node's own credentials.
//!
//! Pods and services are followed. Config maps and secrets are asked for one by one, as the node's rights have it, and
//! kept for a minute at most; a pod that is new to the node finds what it refers to asked for anew.

mod registration;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, DeleteOptions, Error, Kept};
use futures::stream;
use informer::{Informer, Informers, Scope, Subscription};
use object::Value;
use parking_lot::Mutex;
use podplan::identity::{self, annotation};
use podplan::resize::CONDITIONS;
use typed::Kind;
use typed::api::coordination::v1::Lease;
use typed::api::core::v1::{
    ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodStatus, Secret, Service, ServiceAccount,
};
use typed::api::node::v1::RuntimeClass;
use workqueue::Spoken;

use crate::api::{Answer, Api, ApiError, PodChange, PodStream, Token, TokenOrder};

/// How long a config map or a secret is kept.
const OBJECT_LIFE: Duration = Duration::from_secs(60);
/// How many of each are kept.
const OBJECTS_MAX: usize = 10_000;
/// How many tokens are kept.
const TOKENS_MAX: usize = 10_000;
/// A token is asked for anew after this long, however long it lives.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long the first list of services is waited for.
const SERVICES_PATIENCE: Duration = Duration::from_secs(10);
/// How often a write is made anew after somebody else's came first.
const CONFLICTS_MAX: usize = 5;

/// The API server.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    node_name: String,
    pods: Informer<Pod>,
    services: Informer<Service>,
    /// The node itself.
    nodes: Informer<Node>,
    config_maps: Arc<Kept<Arc<ConfigMap>>>,
    secrets: Arc<Kept<Arc<Secret>>>,
    tokens: Kept<Token>,
    recorder: workqueue::Recorder,
    lease: Mutex<Option<Lease>>,
}

impl Remote {
    /// The API server as the node `node_name` sees it. Must be called within the runtime.
    pub fn new(client: Client, node_name: &str) -> Remote {
        let informers = Informers::new(client.clone());
        let recorder = workqueue::Recorder::start(client.clone(), "kubelet", node_name);
        Remote {
            pods: informers.scoped(Scope::fields(&format!("spec.nodeName={node_name}"))),
            services: informers.of(),
            nodes: informers.scoped(Scope::fields(&format!("metadata.name={node_name}"))),
            client,
            node_name: node_name.to_owned(),
            config_maps: Arc::new(Kept::new(OBJECTS_MAX)),
            secrets: Arc::new(Kept::new(OBJECTS_MAX)),
            tokens: Kept::new(TOKENS_MAX),
            recorder,
            lease: Mutex::default(),
        }
    }

    async fn object<K: Kind>(&self, kept: &Kept<Arc<K>>, namespace: &str, name: &str) -> Result<Arc<K>, ApiError> {
        let key = format!("{namespace}/{name}");
        if let Some(known) = kept.get(&key) {
            return Ok(known);
        }
        let object = Arc::new(self.client.get::<K>(namespace, name).await.map_err(problem)?);
        kept.put(key, object.clone(), OBJECT_LIFE);
        Ok(object)
    }

    async fn write_status(&self, pod: &Pod, status: PodStatus) -> Result<(), ApiError> {
        let (namespace, name) = (pod.namespace(), pod.name());
        // What is cached may be old, and then the server says so.
        let mut known = self.pods.get(namespace, name).filter(|cached| is_same(pod, cached)).map(|it| (*it).clone());
        for _attempt in 0..CONFLICTS_MAX {
            let live = match known.take() {
                Some(cached) => cached,
                None => self.client.get::<Pod>(namespace, name).await.map_err(problem)?,
            };
            if !is_same(pod, &live) {
                return Err(ApiError::NotFound(format!("pods \"{name}\" is another by now")));
            }
            let status = Some(merged(live.status.as_ref(), status.clone()));
            match self.client.update_status(&Pod { status, ..live }).await {
                Err(error) if error.is_conflict() => {}
                other => return other.map(drop).map_err(problem),
            }
        }
        Err(ApiError::Conflict(format!("the status of pods \"{name}\" changes too often")))
    }

    async fn let_go(&self, pod: &Pod) -> Result<(), ApiError> {
        let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::of_uid(pod.uid()) };
        match self.client.delete::<Pod>(pod.namespace(), pod.name(), &options).await {
            // It is gone already, or another has its name.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            other => other.map_err(problem),
        }
    }

    async fn order(&self, order: TokenOrder) -> Result<Token, ApiError> {
        let TokenOrder { pod, audience, expiration_seconds } = order;
        let spec = pod.spec.as_ref();
        let account = spec.and_then(|spec| spec.service_account_name.clone()).filter(|name| !name.is_empty());
        let account = account.unwrap_or_else(|| "default".to_owned());
        let key = format!("{}/{account}/{audience}/{expiration_seconds}", pod.uid());
        if let Some(known) = self.tokens.get(&key) {
            return Ok(known);
        }
        let mut body = Value::from_pairs([("apiVersion", "authentication.k8s.io/v1"), ("kind", "TokenRequest")]);
        if !audience.is_empty() {
            body.set(&["spec", "audiences"], vec![audience.as_str()]);
        }
        body.set(&["spec", "expirationSeconds"], expiration_seconds);
        let bound = [("apiVersion", "v1"), ("kind", "Pod"), ("name", pod.name()), ("uid", pod.uid())];
        body.set(&["spec", "boundObjectRef"], Value::from_pairs(bound));
        let asked = self.client.create_subresource::<ServiceAccount>(pod.namespace(), &account, "token", &body);
        let answer = asked.await.map_err(problem)?;
        let told = |name| answer.str_at(&["status", name]).unwrap_or_default().to_owned();
        let expires_at: jiff::Timestamp = told("expirationTimestamp")
            .parse()
            .map_err(|_bad| ApiError::Failed("the server tells no end of the token".to_owned()))?;
        let token = Token { token: told("token"), expires_at };
        let life = Duration::try_from(expires_at.duration_since(env::time::now())).unwrap_or_default();
        self.tokens.put(key, token.clone(), (life * 4 / 5).min(TOKEN_LIFE_MAX));
        Ok(token)
    }

    /// The volume to which a claim is bound, and which is bound to it.
    async fn bound_volume(&self, namespace: &str, claim: &str) -> Result<Arc<PersistentVolume>, ApiError> {
        let claim: PersistentVolumeClaim = self.client.get(namespace, claim).await.map_err(problem)?;
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default();
        if phase != "Bound" || volume.is_empty() {
            let who = format!("{}/{}", claim.namespace(), claim.name());
            return Err(ApiError::Failed(format!(
                "PVC {who} has non-bound phase (\"{phase}\") or empty pvc.Spec.VolumeName (\"{volume}\")"
            )));
        }
        let volume: PersistentVolume = self.client.get("", volume).await.map_err(problem)?;
        let holder = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.as_deref());
        if holder != Some(claim.uid()) {
            return Err(ApiError::Failed(format!(
                "PV {} is not bound to PVC {}/{}",
                volume.name(),
                claim.namespace(),
                claim.name()
            )));
        }
        Ok(Arc::new(volume))
    }
}

impl Api for Remote {
    fn pods(&self) -> PodStream {
        let news = News {
            pods: self.pods.clone(),
            subscription: None,
            config_maps: self.config_maps.clone(),
            secrets: self.secrets.clone(),
        };
        Box::pin(stream::unfold(news, News::next))
    }

    fn pod_status(&self, pod: &Pod, status: PodStatus) -> Answer<'_, ()> {
        let pod = pod.clone();
        Box::pin(async move { self.write_status(&pod, status).await })
    }

    fn pod_delete(&self, pod: &Pod) -> Answer<'_, ()> {
        let pod = pod.clone();
        Box::pin(async move { self.let_go(&pod).await })
    }

    fn pod_create(&self, pod: Pod) -> Answer<'_, ()> {
        Box::pin(async move {
            match self.client.create(&pod).await {
                Err(error) if error.is_already_exists() => Ok(()),
                other => other.map(drop).map_err(problem),
            }
        })
    }

    fn config_map(&self, namespace: &str, name: &str) -> Answer<'_, Arc<ConfigMap>> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Box::pin(async move { self.object(&self.config_maps, &namespace, &name).await })
    }

    fn secret(&self, namespace: &str, name: &str) -> Answer<'_, Arc<Secret>> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Box::pin(async move { self.object(&self.secrets, &namespace, &name).await })
    }

    fn services(&self) -> Answer<'_, Vec<Arc<Service>>> {
        Box::pin(async move {
            let unknown = "services have not yet been read at least once, cannot construct envvars";
            let synced = env::time::timeout(SERVICES_PATIENCE, self.services.synced()).await;
            synced.map_err(|_elapsed| ApiError::Failed(unknown.to_owned()))?;
            Ok(self.services.all())
        })
    }

    fn token(&self, order: TokenOrder) -> Answer<'_, Token> {
        Box::pin(self.order(order))
    }

    fn runtime_handler(&self, class: &str) -> Answer<'_, String> {
        let class = class.to_owned();
        Box::pin(async move {
            let found: RuntimeClass = self.client.get("", &class).await.map_err(problem)?;
            Ok(found.handler)
        })
    }

    fn claimed(&self, namespace: &str, claim: &str) -> Answer<'_, Arc<PersistentVolume>> {
        let (namespace, claim) = (namespace.to_owned(), claim.to_owned());
        Box::pin(async move { self.bound_volume(&namespace, &claim).await })
    }

    fn speak(&self, spoken: Spoken) {
        self.recorder.speak(spoken);
    }

    fn node(&self, node: Node) -> Answer<'_, ()> {
        Box::pin(registration::register(&self.client, node))
    }

    fn node_labels(&self) -> Option<BTreeMap<String, String>> {
        let node = self.nodes.get("", &self.node_name)?;
        Some(node.metadata.labels.clone().unwrap_or_default())
    }

    fn lease(&self, now: jiff::Timestamp) -> Answer<'_, ()> {
        Box::pin(registration::renew(&self.client, &self.node_name, &self.lease, now))
    }
}

/// The pods of the node as they change.
struct News {
    pods: Informer<Pod>,
    subscription: Option<Subscription<Pod>>,
    config_maps: Arc<Kept<Arc<ConfigMap>>>,
    secrets: Arc<Kept<Arc<Secret>>>,
}

impl News {
    async fn next(mut self) -> Option<(PodChange, News)> {
        let Some(subscription) = &mut self.subscription else {
            self.pods.synced().await;
            // What is told as having come is among all of them as well: being told twice changes nothing.
            self.subscription = Some(self.pods.subscribe());
            return Some((PodChange::All(self.pods.all()), self));
        };
        let changed = subscription.next().await?;
        if changed.old.is_none()
            && let Some(pod) = &changed.new
        {
            // What a new pod refers to may have been written the moment before.
            let prefix = format!("{}/", pod.namespace());
            self.config_maps.forget(&prefix);
            self.secrets.forget(&prefix);
        }
        let change = match (changed.old, changed.new) {
            (_, Some(pod)) => PodChange::Set(pod),
            (Some(pod), None) => PodChange::Gone(pod),
            (None, None) => return None,
        };
        Some((change, self))
    }
}

/// Whether `live` is the object of `pod`: itself or, of a static pod, the API's picture of this version of it.
fn is_same(pod: &Pod, live: &Pod) -> bool {
    let note = |pod: &Pod, name: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(name).cloned());
    if identity::is_static(pod) && !identity::is_mirror(pod) {
        return note(live, annotation::CONFIG_MIRROR) == note(pod, annotation::CONFIG_HASH);
    }
    pod.metadata.uid == live.metadata.uid
}

/// The status to write: ours, with what others write into it left as it is.
fn merged(live: Option<&PodStatus>, ours: PodStatus) -> PodStatus {
    let Some(live) = live else { return ours };
    let mut conditions = ours.conditions.clone().unwrap_or_default();
    let foreign = live.conditions.iter().flatten();
    // What tells of a resize goes when it is over.
    let theirs = |type_: &str| !CONDITIONS.contains(&type_) && conditions.iter().all(|own| own.type_ != type_);
    let foreign: Vec<_> = foreign.filter(|it| theirs(&it.type_)).cloned().collect();
    conditions.extend(foreign);
    PodStatus {
        conditions: Some(conditions),
        nominated_node_name: live.nominated_node_name.clone(),
        resource_claim_statuses: live.resource_claim_statuses.clone(),
        extended_resource_claim_status: live.extended_resource_claim_status.clone(),
        ..ours
    }
}

/// A refusal or a failure in the words of the kubelet.
fn problem(error: Error) -> ApiError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if error.is_not_found() {
        ApiError::NotFound(text)
    } else if error.is_conflict() {
        ApiError::Conflict(text)
    } else {
        ApiError::Failed(text)
    }
}
