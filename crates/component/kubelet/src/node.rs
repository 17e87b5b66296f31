//! The node's pods: who is wanted, who works for them, what is left over.

mod relief;
mod resizing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cri::Runtime;
use cri::v1::{ContainerFilter, ContainerState, PodSandboxFilter, PodSandboxState};
use futures::StreamExt;
use mounts::cgroup::Cgroups;
use observe::said::Said;
use podplan::admission::{self, Room};
use podplan::identity::{self, annotation, label};
use podplan::resize::Pending;
use podplan::status;
use podplan::termination::{self, Ending};
use tokio::sync::{mpsc, watch};
use typed::api::core::v1::{Pod, PodSpec};
use typed::meta::ObjectMeta;

use self::relief::Relief;
use self::resizing::Grants;
use crate::api::{Api, ApiError, PodChange, PodStream};
use crate::config::Config;
use crate::events::{Notice, Recorder, Told};
use crate::garbage::{self, Garbage};
use crate::heartbeat;
use crate::images::Images;
use crate::manifests;
use crate::metrics::Metrics;
use crate::pressure;
use crate::shared::Shared;
use crate::statuses::Statuses;
use crate::storage;
use crate::upkeep;
use crate::volumes::Volumes;
use crate::worker::{Desired, Handle, Worker};

/// How long to wait before asking for the runtime's events again.
const EVENTS_RETRY: Duration = Duration::from_secs(5);
/// How long a pod whose worker died waits for another one.
const WORKER_RETRY: Duration = Duration::from_secs(5);
/// How many messages wait between the parts of the kubelet.
const QUEUE_LENGTH_MAX: usize = 1024;

/// Why a kubelet does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime did not answer.
    #[error("the container runtime does not answer")]
    Runtime(#[source] cri::Failure),
    /// The server's certificate is none.
    #[error("the certificate of the kubelet's server cannot be used")]
    Certificate(#[source] pki::Error),
    /// The machine could not be looked at, or state not be written.
    #[error("the node's state cannot be reached")]
    Io(#[from] std::io::Error),
}

/// A kubelet.
#[derive(Debug)]
pub struct Kubelet {
    shared: Arc<Shared>,
    workers: BTreeMap<String, Handle>,
    /// Wanted pods of the API, and of manifests.
    from_api: BTreeMap<String, Arc<Pod>>,
    from_manifests: BTreeMap<String, Arc<Pod>>,
    /// What they were granted.
    grants: Grants,
    /// Static pods that wait for an earlier pod of the same uid to go.
    ended: mpsc::Sender<String>,
    ended_in: mpsc::Receiver<String>,
    /// What the last relist saw of each pod.
    listed: BTreeMap<String, u64>,
    unread: Unread,
    relief: Relief,
}

/// Whose pods are not known yet.
#[derive(Debug, Clone, Copy)]
struct Unread {
    manifests: bool,
    api: bool,
}

/// A view into a running kubelet.
#[derive(Debug, Clone)]
pub struct View {
    shared: Arc<Shared>,
}

impl View {
    /// All pods of the node with their latest statuses.
    pub fn pods(&self) -> Vec<Pod> {
        self.shared.statuses.pods()
    }

    /// Changes whenever a pod or its status does.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.statuses.watch()
    }

    /// The latest events, the oldest first.
    pub fn events(&self) -> Vec<Told> {
        self.shared.recorder.recent()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// What all pods share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The machine.
    pub(crate) fn machine(&self) -> &mounts::machine::Machine {
        &self.shared.machine
    }

    /// The cgroups.
    pub(crate) fn cgroups(&self) -> &Cgroups {
        &self.shared.cgroups
    }

    /// The runtime.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.shared.runtime
    }
}

impl Kubelet {
    /// Makes a kubelet: looks at the machine and at the runtime, and touches nothing.
    pub async fn new(config: Config, runtime: Arc<dyn Runtime>, api: Arc<dyn Api>) -> Result<Kubelet, StartError> {
        let version = runtime.version().await.map_err(StartError::Runtime)?;
        let config = Arc::new(config);
        env::fs::create_dir_all(&config.root)?;
        let recorder = Recorder::new(api.clone(), &config.node_name);
        let shared = Shared {
            images: Images::new(runtime.clone(), api.clone(), recorder.clone(), config.clone()),
            volumes: Volumes { config: config.clone(), api: api.clone() },
            garbage: Garbage::default(),
            metrics: Metrics::default(),
            unmeasured: Said::default(),
            cgroups: Cgroups::at(&config.cgroup_mount, config.cgroup_driver),
            machine: mounts::machine::machine()?,
            statuses: Statuses::start(api.clone()),
            runtime_name: version.runtime_name,
            config,
            runtime,
            api,
            recorder,
        };
        let (ended, ended_in) = mpsc::channel(QUEUE_LENGTH_MAX);
        Ok(Kubelet {
            shared: Arc::new(shared),
            workers: BTreeMap::new(),
            from_api: BTreeMap::new(),
            from_manifests: BTreeMap::new(),
            grants: Grants::default(),
            ended,
            ended_in,
            listed: BTreeMap::new(),
            unread: Unread { manifests: true, api: true },
            relief: Relief::default(),
        })
    }

    /// A view that stays when the kubelet runs.
    pub fn view(&self) -> View {
        View { shared: self.shared.clone() }
    }

    /// Keeps the node's pods as they are wanted, until `shutdown`. Containers outlive it.
    pub async fn run(mut self, shutdown: env::task::Shutdown) {
        let (manifests_out, mut manifests_in) = mpsc::channel(4);
        let folder = self.shared.config.manifests.clone();
        let has_manifests = folder.is_some();
        let _manifests = folder.map(|folder| {
            let watched = manifests::watch(folder, self.shared.config.node_name.clone(), manifests_out);
            env::task::spawn(env::task::Fate::Vital, "manifests", watched).abort_on_drop()
        });
        let (nudges, mut nudged) = mpsc::channel(QUEUE_LENGTH_MAX);
        let events = follow_events(self.shared.runtime.clone(), nudges);
        let _events = env::task::spawn(env::task::Fate::Local, "runtime-events", events).abort_on_drop();
        let heartbeat = heartbeat::run(self.shared.clone());
        let _heartbeat = env::task::spawn(env::task::Fate::Vital, "heartbeat", heartbeat).abort_on_drop();
        let images = garbage::run(self.shared.clone());
        let _images = env::task::spawn(env::task::Fate::Vital, "image-garbage", images).abort_on_drop();
        let (verdicts, mut judged) = mpsc::channel(QUEUE_LENGTH_MAX);
        let measuring = storage::run(self.shared.clone(), verdicts);
        let _measuring = env::task::spawn(env::task::Fate::Vital, "disk-use", measuring).abort_on_drop();
        let mut api: PodStream = self.shared.api.pods();
        let (interval, relist_interval) = (self.shared.config.upkeep_interval, self.shared.config.relist_interval);
        let (mut relist, mut upkeep) = (next(relist_interval), next(interval));
        // Whoever is not wanted is ended only when we know who is: from the folder, and from the API server.
        self.unread = Unread { manifests: has_manifests, api: true };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(pods) = manifests_in.recv() => {
                    let first = std::mem::replace(&mut self.unread.manifests, false);
                    self.manifests_changed(pods);
                    if first && !self.unread.api {
                        self.relist(true).await;
                    }
                }
                Some(change) = api.next() => {
                    let first = std::mem::replace(&mut self.unread.api, false);
                    self.api_changed(change);
                    if first && !self.unread.manifests {
                        self.relist(true).await;
                    }
                }
                Some(uid) = self.ended_in.recv() => self.worker_ended(&uid),
                Some(uid) = nudged.recv() => self.nudge(&uid),
                () = env::time::sleep_until(relist) => {
                    self.relist(!self.unread.manifests && !self.unread.api).await;
                    self.mirror();
                    // What kept a resize waiting may be over without a word.
                    self.grant_resizes();
                    relist = next(relist_interval);
                }
                Some((uid, limit, verdict)) = judged.recv() => self.put_out(&uid, limit, verdict),
                () = self.relief.reclaimed() => self.evict().await,
                () = env::time::sleep_until(upkeep) => {
                    upkeep::run(&self.shared).await;
                    self.relieve().await;
                    upkeep = next(interval);
                }
            }
        }
    }

    fn nudge(&self, uid: &str) {
        if let Some(handle) = self.workers.get(uid) {
            handle.notify.notify_one();
        }
    }

    fn manifests_changed(&mut self, pods: Vec<Arc<Pod>>) {
        let wanted: BTreeMap<String, Arc<Pod>> = pods.into_iter().map(|pod| (uid(&pod), pod)).collect();
        let gone: Vec<_> = self.from_manifests.iter().filter(|(uid, _)| !wanted.contains_key(*uid)).collect();
        for (_, pod) in gone {
            self.dismiss(pod);
        }
        self.from_manifests = wanted;
        self.hire_wanted();
    }

    fn api_changed(&mut self, change: PodChange) {
        match change {
            PodChange::All(pods) => {
                let wanted: BTreeMap<String, Arc<Pod>> = pods.into_iter().map(|pod| (uid(&pod), pod)).collect();
                let gone: Vec<_> = self.from_api.iter().filter(|(uid, _)| !wanted.contains_key(*uid)).collect();
                gone.into_iter().for_each(|(_, pod)| self.dismiss(pod));
                self.from_api = wanted;
            }
            PodChange::Set(pod) => drop(self.from_api.insert(uid(&pod), pod)),
            PodChange::Gone(pod) => {
                self.dismiss(&pod);
                self.from_api.remove(&uid(&pod));
            }
        }
        self.hire_wanted();
    }

    /// Makes every wanted pod have a worker that knows its latest specification, and as much of it as was granted.
    fn hire_wanted(&mut self) {
        let api = self.from_api.values().filter(|pod| !identity::is_mirror(pod));
        let mut wanted: Vec<Arc<Pod>> = api.chain(self.from_manifests.values()).cloned().collect();
        // Who has a place already keeps it: the others are measured against them.
        wanted.sort_by_key(|pod| !has_begun(pod));
        // Whether there is room for a resize is known before a worker learns of it: it never says that all is done when
        // nothing has begun.
        self.grant_resizes();
        let mut hired = Vec::new();
        for pod in wanted {
            let (uid, granted) = (uid(&pod), self.grants.granted(&self.shared.config, &pod));
            let is_whole = Arc::ptr_eq(&pod, &granted);
            let ending = deletion(&pod);
            match self.workers.get(&uid) {
                // What is on its way out comes back only after it has gone.
                Some(handle) if handle.desired.borrow().gone => {}
                Some(handle) => {
                    handle.desired.send_if_modified(|known| {
                        let ending = known.ending.clone().or(ending);
                        let pending = known.pending.clone().filter(|_| !is_whole);
                        let changed = known.pod != granted || known.ending != ending || known.pending != pending;
                        *known = Desired { pod: granted, ending, pending, ..known.clone() };
                        changed
                    });
                }
                None => {
                    let ending = ending.or_else(|| self.refusal(&granted));
                    let told = granted.status.as_ref().and_then(Pending::told);
                    let pending = told.filter(|_| !is_whole);
                    hired.push(self.engage(&uid, Desired { ending, pending, ..Desired::of(granted) }));
                }
            }
        }
        if !hired.is_empty() {
            self.grant_resizes();
        }
        hired.into_iter().for_each(|(uid, worker)| self.set_to_work(uid, worker));
        self.mirror();
    }

    /// Why the node turns away a pod that it has not seen before, if it does.
    fn refusal(&self, pod: &Arc<Pod>) -> Option<Ending> {
        if has_begun(pod) || self.listed.contains_key(&uid(pod)) {
            return None;
        }
        let here = self.here(None);
        let verdict = admission::refuses(pod, &self.room(&here, self.shared.api.node_labels().as_ref()))?;
        self.shared.recorder.tell(pod, None, Notice::warning(&verdict.reason, &verdict.message));
        Some(Ending { since: env::time::now(), grace_seconds: 0, verdict: Some(verdict) })
    }

    /// The pods that take room on the node, but for one.
    fn here(&self, except: Option<&str>) -> Vec<Arc<Pod>> {
        let others = self.workers.iter().filter(|(uid, _)| Some(uid.as_str()) != except);
        // Who has been turned away or evicted takes no room; nor has who was deleted, by the scheduler's count either.
        let stays =
            |desired: &Desired| !desired.gone && desired.ending.as_ref().is_none_or(|ending| ending.verdict.is_none());
        let wanted = others.map(|(_, handle)| handle.desired.borrow().clone());
        let over = self.over();
        // The API's latest word says what of a pod that shrinks is still in force.
        let latest = |pod: Arc<Pod>| {
            let news = self.from_api.get(&uid(&pod)).and_then(|news| self.grants.known(news));
            news.unwrap_or(pod)
        };
        let here = wanted.filter(stays).map(|desired| latest(desired.pod));
        here.filter(|pod| !over.contains(&uid(pod)) && !is_over(pod)).collect()
    }

    /// The uids of the pods whose statuses say that they are over.
    fn over(&self) -> BTreeSet<String> {
        self.shared.statuses.pods().iter().filter(|pod| is_over(pod)).map(uid).collect()
    }

    /// What the node has for pods, with `here` on it.
    fn room<'a>(&'a self, here: &'a [Arc<Pod>], labels: Option<&'a BTreeMap<String, String>>) -> Room<'a> {
        let (cpu_milli, memory_bytes) = self.shared.allocatable();
        Room {
            name: &self.shared.config.node_name,
            labels,
            cpu_milli,
            memory_bytes,
            pods_max: self.shared.config.pods_max,
            pods: here.iter().map(|pod| &**pod).collect(),
            pressure: pressure::now(&self.shared),
        }
    }

    /// Keeps the API's pictures of static pods as those are, and takes away those of none.
    fn mirror(&self) {
        if self.unread.api || self.unread.manifests {
            return;
        }
        let note = |pod: &Pod, name: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(name).cloned());
        let name = |pod: &Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        let mirrors: Vec<Arc<Pod>> = self.from_api.values().filter(|pod| identity::is_mirror(pod)).cloned().collect();
        let mut wrong = Vec::new();
        let mut missing: BTreeMap<_, Arc<Pod>> =
            self.from_manifests.values().map(|pod| (name(pod), pod.clone())).collect();
        for mirror in mirrors {
            let of = missing.get(&name(&mirror));
            let right =
                of.is_some_and(|pod| note(pod, annotation::CONFIG_HASH) == note(&mirror, annotation::CONFIG_MIRROR));
            if right && mirror.metadata.deletion_timestamp.is_none() {
                missing.remove(&name(&mirror));
            } else {
                // Its successor is made when its end is told.
                missing.remove(&name(&mirror));
                wrong.push(mirror);
            }
        }
        let api = self.shared.api.clone();
        let missing: Vec<Pod> = missing.into_values().map(|pod| identity::mirror(&pod)).collect();
        if wrong.is_empty() && missing.is_empty() {
            return;
        }
        let statuses = self.shared.statuses.clone();
        env::task::spawn(env::task::Fate::Local, "mirror-pods", async move {
            for mirror in wrong {
                if let Err(error) = api.pod_delete(&mirror).await {
                    tracing::warn!(pod = mirror.metadata.name, %error, "a mirror pod was not deleted");
                }
            }
            for mirror in missing {
                let what = mirror.metadata.name.clone();
                match api.pod_create(mirror).await {
                    Ok(()) => statuses.again(what.as_deref()),
                    Err(ApiError::Standalone) => {}
                    Err(error) => tracing::warn!(pod = what, %error, "a mirror pod was not made"),
                }
            }
        });
    }

    /// Makes a worker that does not work yet.
    fn engage(&mut self, uid: &str, desired: Desired) -> (String, Worker) {
        let (worker, handle) = Worker::new(self.shared.clone(), desired);
        self.workers.insert(uid.to_owned(), handle);
        (uid.to_owned(), worker)
    }

    fn set_to_work(&self, uid: String, worker: Worker) {
        let ended = self.ended.clone();
        env::task::spawn(env::task::Fate::Local, "pod-worker", async move {
            let work = env::task::spawn(env::task::Fate::Local, "pod", worker.run());
            if work.await.is_none() {
                // It panicked. Another worker adopts what runs, but not as fast as the first one may fall again.
                env::time::sleep(WORKER_RETRY).await;
            }
            if ended.send(uid).await.is_err() {
                tracing::debug!("a pod ended while the kubelet shut down");
            }
        });
    }

    /// Ends a pod that nobody wants any more, with the grace that it has.
    fn dismiss(&self, pod: &Pod) {
        let Some(handle) = self.workers.get(&uid(pod)) else { return };
        handle.desired.send_modify(|desired| {
            let grace_seconds = termination::pod_grace_seconds(&desired.pod);
            let ending = || Ending { since: env::time::now(), grace_seconds, verdict: None };
            desired.ending.get_or_insert_with(ending);
            desired.gone = true;
        });
    }

    fn worker_ended(&mut self, uid: &str) {
        self.workers.remove(uid);
        self.listed.remove(uid);
        self.grants.forget(uid);
        self.hire_wanted();
    }

    /// Looks at the whole node: wakes the workers of pods that changed, and ends what belongs to nobody.
    async fn relist(&mut self, may_end: bool) {
        let began = env::time::Instant::now();
        let (sandboxes, containers) = match futures::try_join!(
            self.shared.runtime.sandbox_list(PodSandboxFilter::default()),
            self.shared.runtime.container_list(ContainerFilter::default())
        ) {
            Ok(lists) => lists,
            Err(failure) => return tracing::warn!(%failure, "the runtime did not answer"),
        };
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        let mut owners: BTreeMap<String, Pod> = BTreeMap::new();
        let listed_sandboxes = sandboxes
            .iter()
            .map(|it| (&it.labels, &it.annotations, &it.id, it.state() == PodSandboxState::SandboxReady));
        let listed_containers = containers
            .iter()
            .map(|it| (&it.labels, &it.annotations, &it.id, it.state() == ContainerState::ContainerRunning));
        for (labels, annotations, id, alive) in listed_sandboxes.chain(listed_containers) {
            let Some(uid) = labels.get(label::POD_UID) else { continue };
            *seen.entry(uid.clone()).or_default() ^= fingerprint(id, alive);
            owners.entry(uid.clone()).or_insert_with(|| stranger(labels, annotations));
        }
        for (uid, print) in &seen {
            if self.listed.get(uid).is_some_and(|known| known != print) {
                self.nudge(uid);
            }
        }
        let strangers: BTreeSet<&String> = owners.keys().filter(|uid| !self.workers.contains_key(*uid)).collect();
        let strangers: Vec<String> = strangers.into_iter().filter(|_| may_end).cloned().collect();
        for uid in strangers {
            let pod = Arc::new(owners.remove(&uid).unwrap_or_default());
            tracing::info!(%uid, pod = pod.metadata.name, "ending a pod that nobody wants");
            let grace_seconds = termination::pod_grace_seconds(&pod);
            let ending = Some(Ending { since: env::time::now(), grace_seconds, verdict: None });
            let (uid, worker) = self.engage(&uid, Desired { ending, gone: true, ..Desired::of(pod) });
            self.set_to_work(uid, worker);
        }
        self.listed = seen;
        self.shared.metrics.relisted(began.elapsed());
        garbage::collect_containers(&self.shared, &containers, &sandboxes, &self.owners(), false).await;
        if may_end {
            let known: BTreeSet<String> = self.workers.keys().cloned().collect();
            garbage::sweep(&self.shared, &known).await;
        }
    }
}

fn next(interval: Duration) -> env::time::Instant {
    env::time::Instant::now() + interval
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// Whether the node took the pod some time before.
fn has_begun(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.start_time.is_some())
}

/// The ending that the API asks for.
fn deletion(pod: &Pod) -> Option<Ending> {
    let at = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace_seconds = termination::pod_grace_seconds(pod);
    // The time stamp is when the grace is over.
    let since = at.saturating_sub(jiff::SignedDuration::from_secs(grace_seconds)).unwrap_or(at);
    Some(Ending { since: since.max(env::time::now()), grace_seconds, verdict: None })
}

/// What is known of a pod of which only its sandbox or containers are left.
fn stranger(labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> Pod {
    let grace = annotations.get(annotation::GRACE).and_then(|grace| grace.parse().ok());
    Pod {
        metadata: ObjectMeta {
            name: labels.get(label::POD_NAME).cloned(),
            namespace: labels.get(label::POD_NAMESPACE).cloned(),
            uid: labels.get(label::POD_UID).cloned(),
            ..Default::default()
        },
        spec: Some(PodSpec { termination_grace_period_seconds: grace, ..Default::default() }),
        status: None,
    }
}

/// A number that changes with an object's state (FNV-1a).
fn fingerprint(id: &str, alive: bool) -> u64 {
    let bytes = id.bytes().chain([u8::from(alive)]);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Passes on whose container something happened to, as the runtime tells it.
async fn follow_events(runtime: Arc<dyn Runtime>, nudges: mpsc::Sender<String>) {
    loop {
        let failure = match runtime.events().await {
            Err(failure) => failure,
            Ok(mut events) => loop {
                match events.next().await {
                    Some(Ok(event)) => {
                        let metadata = event.pod_sandbox_status.and_then(|status| status.metadata);
                        if let Some(metadata) = metadata
                            && nudges.send(metadata.uid).await.is_err()
                        {
                            return;
                        }
                    }
                    Some(Err(failure)) => break failure,
                    None => break cri::Failure::Unreachable { message: "the event stream ended".to_owned() },
                }
            },
        };
        if failure.is_unimplemented() {
            tracing::info!("the runtime tells no events: ends of processes are watched instead");
            return;
        }
        tracing::warn!(%failure, "the runtime's events broke off");
        env::time::sleep(EVENTS_RETRY).await;
    }
}

/// Whether a pod's status says that it is over.
pub fn is_over(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(status::is_terminal)
}
