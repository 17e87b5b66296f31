//! What a node does that runs short: it throws garbage away, and when that does not help it ends a pod.

use std::collections::BTreeSet;
use std::sync::Arc;

use podplan::garbage::Owner;
use podplan::termination::{Ending, EndingVerdict};
use tokio::sync::Notify;

use super::{Kubelet, is_over, uid};
use crate::events::Notice;
use crate::garbage::{self, Owners};
use crate::pressure;
use crate::worker::Desired;

/// What an evicted pod has to end in (hard thresholds).
const EVICTION_GRACE_SECONDS: i64 = 1;

/// Whether garbage is being thrown away because disk runs short.
#[derive(Debug, Default)]
pub(super) struct Relief {
    working: bool,
    done: Arc<Notify>,
}

impl Relief {
    /// Waits until garbage has been thrown away.
    pub(super) async fn reclaimed(&mut self) {
        self.done.notified().await;
        self.working = false;
    }
}

impl Kubelet {
    /// Looks whether the node runs short. Where garbage may be the reason, it goes first: that takes a while, and
    /// [`Kubelet::evict`] comes after it.
    pub(super) async fn relieve(&mut self) {
        if self.relief.working {
            return;
        }
        let Some((threshold, _)) = pressure::crossed(&self.shared).await else { return };
        if !threshold.signal.is_relieved_by_garbage(pressure::are_images_apart(&self.shared)) {
            return self.evict().await;
        }
        self.relief.working = true;
        let (shared, owners, done) = (self.shared.clone(), self.owners(), self.relief.done.clone());
        env::task::spawn(env::task::Fate::Local, "reclaim", async move {
            // Whatever becomes of it, the node goes on.
            let work = async move { garbage::reclaim(&shared, &owners).await };
            if env::task::spawn(env::task::Fate::Local, "reclaim-garbage", work).await.is_none() {
                tracing::error!("throwing garbage away broke off");
            }
            done.notify_one();
        });
    }

    /// Who owns what is on the node.
    pub(super) fn owners(&self) -> Owners {
        let over = self.over();
        let owner = |uid: &String, desired: &Desired| match (desired.gone, over.contains(uid)) {
            (true, _) => Owner::Another,
            (false, true) => Owner::Over,
            (false, false) => Owner::Alive,
        };
        self.workers.iter().map(|(uid, handle)| (uid.clone(), owner(uid, &handle.desired.borrow()))).collect()
    }

    /// Ends one pod when the node runs short, and waits for the effect before it ends another.
    pub(super) async fn evict(&self) {
        let Some((threshold, reading)) = pressure::crossed(&self.shared).await else { return };
        let wanted: Vec<Desired> = self.workers.values().map(|handle| handle.desired.borrow().clone()).collect();
        let over: BTreeSet<String> = self.shared.statuses.pods().iter().filter(|pod| is_over(pod)).map(uid).collect();
        let alive = wanted.iter().filter(|desired| !over.contains(&uid(&desired.pod)));
        if alive.clone().any(|desired| desired.ending.is_some()) {
            return;
        }
        let pods = alive.map(|desired| desired.pod.clone()).collect();
        let Some((pod, verdict)) = pressure::victim(&self.shared, threshold, reading, pods).await else {
            return tracing::warn!(signal = ?threshold.signal, "the node runs short and has no pod to evict");
        };
        self.put_out(&uid(&pod), threshold.signal.name(), verdict);
    }

    /// Ends a pod that the node cannot keep because of `signal`, unless it is ending already.
    pub(super) fn put_out(&self, uid: &str, signal: &str, verdict: EndingVerdict) {
        let Some(handle) = self.workers.get(uid) else { return };
        let Desired { pod, ending, gone, .. } = handle.desired.borrow().clone();
        if ending.is_some() || gone {
            return;
        }
        self.shared.metrics.evicted(signal);
        self.shared.recorder.tell(&pod, None, Notice::warning("Evicted", &verdict.message));
        let ending = Ending { since: env::time::now(), grace_seconds: EVICTION_GRACE_SECONDS, verdict: Some(verdict) };
        handle.desired.send_modify(|desired| desired.ending = Some(ending));
    }
}
