//! Grants: which pods get the resources that they ask for while they run, and which wait for room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podplan::resize::{self, Allocation, Happened, Pending};
use typed::api::core::v1::Pod;

use super::{Kubelet, is_over, uid};
use crate::config::Config;
use crate::worker::{Desired, kept};

/// What each pod was granted. Workers keep it on disk before they make anything of it.
#[derive(Debug, Default)]
pub(super) struct Grants {
    known: BTreeMap<String, Allocation>,
}

impl Grants {
    /// `pod` as it was granted; all that it asks for when it is new to the node.
    pub(super) fn granted(&mut self, config: &Config, pod: &Arc<Pod>) -> Arc<Pod> {
        self.known.entry(uid(pod)).or_insert_with_key(|uid| {
            let found = kept::allocation(config, uid);
            found.unwrap_or_else(|| Allocation::of(pod))
        });
        self.known(pod).unwrap_or_else(|| pod.clone())
    }

    /// `pod` as it was granted, if it was.
    pub(super) fn known(&self, pod: &Arc<Pod>) -> Option<Arc<Pod>> {
        let known = self.known.get(&uid(pod))?;
        Some(if known.matches(pod) { pod.clone() } else { Arc::new(known.apply(pod)) })
    }

    pub(super) fn forget(&mut self, uid: &str) {
        self.known.remove(uid);
    }
}

impl Kubelet {
    /// Looks at every pod that asks for other resources than it was granted.
    pub(super) fn grant_resizes(&mut self) {
        let mut waiting: Vec<(Arc<Pod>, Arc<Pod>)> = Vec::new();
        let mut over: Option<BTreeSet<String>> = None;
        for pod in self.from_api.values().chain(self.from_manifests.values()) {
            let uid = uid(pod);
            let Some(known) = self.grants.known.get(&uid).filter(|known| !known.matches(pod)) else { continue };
            let Some(handle) = self.workers.get(&uid) else { continue };
            let over = over.get_or_insert_with(|| self.over());
            if handle.desired.borrow().ending.is_none() && !is_over(pod) && !over.contains(&uid) {
                waiting.push((pod.clone(), Arc::new(known.apply(pod))));
            }
        }
        resize::in_turn(&mut waiting);
        for (pod, granted) in waiting {
            let others = self.here(Some(&uid(&pod)));
            let verdict = resize::admit(&pod, &self.room(&others, self.shared.api.node_labels().as_ref()));
            match verdict {
                Ok(()) => self.grant(&pod),
                Err(message) => self.defer(&pod, &granted, message),
            }
        }
    }

    fn grant(&mut self, pod: &Arc<Pod>) {
        let (uid, generation) = (uid(pod), pod.metadata.generation.unwrap_or_default());
        self.grants.known.insert(uid.clone(), Allocation::of(pod));
        let Some(handle) = self.workers.get(&uid) else { return };
        handle.desired.send_modify(|desired| {
            *desired =
                Desired { pod: pod.clone(), pending: None, granted_generation: Some(generation), ..desired.clone() };
        });
        self.shared.recorder.tell_resize(pod, generation, Happened::Started);
    }

    fn defer(&self, pod: &Arc<Pod>, granted: &Arc<Pod>, message: String) {
        let Some(handle) = self.workers.get(&uid(pod)) else { return };
        let pending = Pending { message, generation: pod.metadata.generation.unwrap_or_default() };
        let mut news = false;
        handle.desired.send_if_modified(|desired| {
            news = desired.pending.as_ref().is_none_or(|known| known.generation != pending.generation);
            let changed = desired.pending.as_ref() != Some(&pending);
            desired.pod = granted.clone();
            desired.pending = Some(pending.clone());
            changed
        });
        if news {
            let happened = Happened::Deferred(&pending.message);
            self.shared.recorder.tell_resize(pod, pending.generation, happened);
        }
    }
}
