//! Statuses of pods: the latest of each, told to the API server in order, the newest only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use typed::api::core::v1::{Pod, PodStatus};

use crate::api::{Api, ApiError};

/// How long to wait after a write that failed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The board of statuses.
#[derive(Debug)]
pub(crate) struct Statuses {
    board: Mutex<BTreeMap<String, (Arc<Pod>, PodStatus)>>,
    pending: Mutex<BTreeSet<String>>,
    work: Notify,
    revision: watch::Sender<u64>,
}

impl Statuses {
    pub(crate) fn start(api: Arc<dyn Api>) -> Arc<Statuses> {
        let statuses = Arc::new(Statuses {
            board: Mutex::default(),
            pending: Mutex::default(),
            work: Notify::new(),
            revision: watch::Sender::new(0),
        });
        let writer = statuses.clone();
        env::task::spawn(env::task::Fate::Vital, "pod-statuses", async move { writer.write_all(&*api).await });
        statuses
    }

    /// Puts up a status.
    pub(crate) fn set(&self, pod: &Arc<Pod>, status: PodStatus) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        self.board.lock().insert(uid.clone(), (pod.clone(), status));
        self.pending.lock().insert(uid);
        self.work.notify_one();
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Writes the statuses of the pods called `name` again: there is a new object to write them to.
    pub(crate) fn again(&self, name: Option<&str>) {
        let named = |(pod, _): &&(Arc<Pod>, PodStatus)| pod.metadata.name.as_deref() == name;
        let uids: Vec<_> =
            self.board.lock().values().filter(named).filter_map(|(pod, _)| pod.metadata.uid.clone()).collect();
        self.pending.lock().extend(uids);
        self.work.notify_one();
    }

    /// Takes a pod off the board.
    pub(crate) fn forget(&self, uid: &str) {
        self.board.lock().remove(uid);
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// All pods with their latest statuses.
    pub(crate) fn pods(&self) -> Vec<Pod> {
        let board = self.board.lock();
        board.values().map(|(pod, status)| Pod { status: Some(status.clone()), ..Pod::clone(pod) }).collect()
    }

    /// Those pods for whose objects `holds` is true, with their latest statuses.
    pub(crate) fn pods_that(&self, holds: impl Fn(&Pod) -> bool) -> Vec<Pod> {
        let board = self.board.lock();
        let fitting = board.values().filter(|(pod, _)| holds(pod));
        fitting.map(|(pod, status)| Pod { status: Some(status.clone()), ..Pod::clone(pod) }).collect()
    }

    /// Changes whenever the board does.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    async fn write_all(&self, api: &dyn Api) {
        loop {
            let Some(uid) = self.pending.lock().pop_first() else {
                self.work.notified().await;
                continue;
            };
            let Some((pod, status)) = self.board.lock().get(&uid).cloned() else { continue };
            match api.pod_status(&pod, status).await {
                Ok(()) | Err(ApiError::Standalone | ApiError::NotFound(_)) => {}
                Err(error) => {
                    tracing::warn!(%uid, %error, "a pod's status was not written");
                    self.pending.lock().insert(uid);
                    env::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }
}
