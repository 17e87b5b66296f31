//! A pod's way through the scheduler, as the API tells it: it appears, changes, is bound, goes.

use std::sync::Arc;

use jiff::Timestamp;
use typed::api::core::v1::Pod;

use crate::config::DEFAULT_SCHEDULER;
use crate::event::{Event, PodAspects};
use crate::message::{Change, Nomination, Output, PodRef};
use crate::resources::Usage;
use crate::scheduler::{Eviction, Scheduler};
use crate::shape::{Subject, priority};

/// The node the pod is bound to.
fn assigned(pod: &Pod) -> Option<&str> {
    let name = pod.spec.as_ref()?.node_name.as_deref()?;
    (!name.is_empty()).then_some(name)
}

/// Whether all containers ended for good; such a pod uses nothing.
fn finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

impl Scheduler {
    pub(super) fn pod_changes(&mut self, change: Change<Pod>, now: Timestamp, outputs: &mut Vec<Output>) {
        let (pod, present) = change.split();
        if !present || finished(&pod) {
            self.pod_goes(pod.metadata.uid.as_deref().unwrap_or_default(), now);
        } else if let Some(node) = assigned(&pod) {
            self.pod_stands(&pod, node, now);
        } else if let Some(profile) = self.responsible(&pod) {
            self.pod_waits(&pod, profile, now, outputs);
        }
    }

    pub(super) fn responsible(&self, pod: &Pod) -> Option<usize> {
        let name = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(DEFAULT_SCHEDULER);
        self.frameworks.iter().position(|framework| framework.name == name)
    }

    pub(super) fn subject(&mut self, pod: &Arc<Pod>, on_node: bool) -> Arc<Subject> {
        let shape = self.shapes.of(pod, &mut self.snapshot);
        let usage = if on_node { Usage::held(pod, &mut self.snapshot.nodes) } else { shape.usage.clone() };
        let uid = pod.metadata.uid.as_deref().unwrap_or_default().into();
        Arc::new(Subject { object: Arc::clone(pod), uid, priority: priority(pod), shape, usage })
    }

    /// A pod is on a node: it was there, was bound by us or by somebody else.
    fn pod_stands(&mut self, pod: &Arc<Pod>, node: &str, now: Timestamp) {
        let subject = self.subject(pod, true);
        let uid = Arc::clone(&subject.uid);
        self.queue.remove(&uid);
        self.nominations.remove(&uid);
        let assumed = self.assumed.remove(&uid);
        if let Some(assumed) = &assumed {
            self.storage.forget(&assumed.steps);
        }
        let before = self.placed.get(&uid).copied();
        let mut aspects = PodAspects { added: before.is_none() || assumed.is_some(), ..PodAspects::default() };
        if let Some(slot) = before {
            let old = Arc::clone(&self.snapshot.pod(slot).subject);
            let same_node = &**self.snapshot.nodes.name(self.snapshot.pod(slot).node) == node;
            aspects.labels = old.shape.labels != subject.shape.labels;
            aspects.scaled_down = subject.usage.requests.iter().any(|&(dim, amount)| amount < old.usage.amount(dim))
                || subject.usage.requests.len() < old.usage.requests.len();
            if !(same_node && self.snapshot.refresh(slot, &subject)) {
                self.snapshot.remove(slot);
                let slot = self.snapshot.place(Arc::clone(&subject), node);
                self.placed.insert(uid, slot);
            }
        } else {
            let slot = self.snapshot.place(Arc::clone(&subject), node);
            self.placed.insert(uid, slot);
        }
        if aspects != PodAspects::default() {
            self.announce(&Event::Placed(aspects, subject), now);
        }
    }

    fn pod_waits(&mut self, pod: &Arc<Pod>, profile: usize, now: Timestamp, outputs: &mut Vec<Output>) {
        let subject = self.subject(pod, false);
        if self.assumed.contains_key(&subject.uid) {
            if subject.terminating() {
                // The binding will fail, or the pod is seen on its node; until then it need not block others.
                self.pod_goes(&subject.uid, now);
            }
            return;
        }
        let gate = self.gate(&subject, profile);
        let Some(before) = self.queue.get(&subject.uid).map(|queued| Arc::clone(&queued.subject)) else {
            if let Some(node) = subject.nominated() {
                self.nominations.set(&subject, Some(node));
            }
            if gate.is_some() {
                report_gated(&subject, outputs);
            }
            self.queue.add(subject, profile, gate.is_some(), now);
            return;
        };
        self.renominate(&before, &subject, now);
        self.queue.replace(Arc::clone(&subject));
        let uid = &subject.uid;
        let reshaped = before.shape.id != subject.shape.id;
        if self.queue.is_gated(uid) {
            if gate.is_none() {
                self.queue.wake(uid, now);
            }
        } else if gate.is_some() && self.queue.is_resting(uid) {
            self.queue.gate(uid, now);
        } else if reshaped
            && self.queue.is_resting(uid)
            && self.queue.get(uid).is_some_and(|queued| self.helps(&Event::Target, queued))
        {
            self.queue.wake(uid, now);
        }
    }

    /// The API's word on the nomination counts when it changes; else ours, which the API may not have heard yet.
    fn renominate(&mut self, before: &Subject, subject: &Arc<Subject>, now: Timestamp) {
        match (before.nominated(), subject.nominated()) {
            (_, Some(node)) => self.nominations.set(subject, Some(node)),
            (Some(_), None) => self.withdraw(subject, now),
            (None, None) => {
                let node = self.nominations.node_of(&subject.uid).map(str::to_owned);
                self.nominations.set(subject, node.as_deref());
            }
        }
    }

    /// Ends a nomination. Pods that had to treat the pod as if it stood on its node may fit there now.
    pub(super) fn withdraw(&mut self, subject: &Arc<Subject>, now: Timestamp) {
        if self.nominations.node_of(&subject.uid).is_some() {
            self.nominations.remove(&subject.uid);
            let gone = PodAspects { deleted: true, ..PodAspects::default() };
            self.announce(&Event::Placed(gone, Arc::clone(subject)), now);
        }
    }

    /// PreEnqueue: why the pod may not be queued.
    fn gate(&self, subject: &Subject, profile: usize) -> Option<String> {
        let seats = self.frameworks[profile].seats.iter().filter(|seat| seat.gates);
        seats.filter_map(|seat| seat.plugin.gate(subject)).next()
    }

    fn pod_goes(&mut self, uid: &str, now: Timestamp) {
        let waiting = self.queue.remove(uid);
        let nominated = self.nominations.node_of(uid).is_some();
        self.nominations.remove(uid);
        if let Some(assumed) = self.assumed.remove(uid) {
            self.storage.forget(&assumed.steps);
        }
        let gone = PodAspects { deleted: true, ..PodAspects::default() };
        if let Some(slot) = self.placed.remove(uid) {
            let subject = Arc::clone(&self.snapshot.pod(slot).subject);
            self.snapshot.remove(slot);
            self.announce(&Event::Placed(gone, subject), now);
        } else if let (Some(queued), true) = (waiting, nominated) {
            // Pods of lower priority had to treat it as if it stood on its node.
            self.announce(&Event::Placed(gone, queued.subject), now);
        }
    }

    /// A binding was carried out.
    pub(super) fn bound(&mut self, uid: &str, outputs: &mut Vec<Output>) {
        let Some(slot) = self.placed.get(uid) else { return };
        let placed = self.snapshot.pod(*slot);
        let (subject, node) = (&placed.subject, self.snapshot.nodes.name(placed.node));
        outputs.push(Output::Event {
            regarding: PodRef::from(&**subject),
            related: None,
            warning: false,
            reason: "Scheduled",
            action: "Binding",
            note: format!("Successfully assigned {}/{} to {node}", subject.namespace(), subject.name()),
        });
        self.queue.remove(uid);
    }

    /// A binding failed: the pod leaves its node and is tried again after a while.
    pub(super) fn bind_failed(&mut self, uid: &str, why: &str, now: Timestamp, outputs: &mut Vec<Output>) {
        let Some(assumed) = self.assumed.remove(uid) else { return };
        self.storage.forget(&assumed.steps);
        let Some(slot) = self.placed.remove(uid) else { return };
        let subject = Arc::clone(&self.snapshot.pod(slot).subject);
        self.snapshot.remove(slot);
        let message = format!("running Bind plugin \"DefaultBinder\": {why}");
        super::attempt::report(&subject, ("SchedulerError", message), Nomination::Clear, outputs);
        self.queue.fail(uid, now);
        let gone = PodAspects { deleted: true, ..PodAspects::default() };
        self.announce(&Event::Placed(gone, subject), now);
    }

    /// A victim is on its way out.
    pub(super) fn evicted(&mut self, uid: &str, now: Timestamp, outputs: &mut Vec<Output>) {
        let Some(eviction) = self.evictions.remove(uid) else { return };
        let related = eviction.preemptors.first().cloned();
        let preemptor = related.as_ref().map_or("", |preemptor| preemptor.uid.as_str());
        outputs.push(Output::Event {
            note: format!("Preempted by pod {preemptor} on node {}", eviction.node),
            regarding: eviction.victim,
            related,
            warning: false,
            reason: "Preempted",
            action: "Preempting",
        });
        for preemptor in &eviction.preemptors {
            let waits = |other: &Eviction| other.preemptors.contains(preemptor);
            if !self.evictions.values().any(waits) {
                self.queue.unhold(&preemptor.uid, now);
            }
        }
    }

    /// A victim stays: the preemptor looks again at once.
    pub(super) fn eviction_failed(&mut self, uid: &str, now: Timestamp) {
        let Some(eviction) = self.evictions.remove(uid) else { return };
        for preemptor in &eviction.preemptors {
            self.queue.unhold(&preemptor.uid, now);
            self.queue.activate(&preemptor.uid, now);
        }
    }
}

/// Tells once that gates hold the pod back; the API server says it of new pods by itself.
fn report_gated(subject: &Subject, outputs: &mut Vec<Output>) {
    let conditions = subject.object.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let told = conditions
        .any(|condition| condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("SchedulingGated"));
    if !told {
        outputs.push(Output::Refuse {
            pod: PodRef::from(subject),
            reason: "SchedulingGated",
            message: "Scheduling is blocked due to non-empty scheduling gates".to_owned(),
            nomination: Nomination::Keep,
        });
    }
}
