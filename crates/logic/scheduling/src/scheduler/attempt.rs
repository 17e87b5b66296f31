//! One pod's attempt: decide, then assume and bind, or refuse and perhaps preempt.

use std::sync::Arc;

use jiff::Timestamp;
use typed::api::core::v1::Pod;

use crate::decision::{Desk, Diagnosis, Placement, decide, explain};
use crate::framework::Cycle;
use crate::message::{Nomination, Output, PodRef};
use crate::preemption::{Candidate, Grounds, Preemption, preempt};
use crate::queue::Queued;
use crate::scheduler::{Assumed, DefaultSpread, Eviction, NOTE_BYTES_MAX, Scheduler};
use crate::shape::{SpreadConstraint, Subject, default_constraints};

/// Shapes whose default constraints are kept.
const DEFAULT_SPREADS_MAX: usize = 4096;

impl Scheduler {
    pub(super) fn attempt(&mut self, queued: &Queued, now: Timestamp, outputs: &mut Vec<Output>) {
        let subject = &queued.subject;
        if subject.terminating() {
            let note = format!("skip schedule deleting pod: {}/{}", subject.namespace(), subject.name());
            outputs.push(warning(subject, note));
            self.queue.remove(&subject.uid);
            return;
        }
        let defaults = self.default_spread(subject, queued.profile);
        let system_spread = defaults.is_some() && self.frameworks[queued.profile].system_spread;
        let cycle = Cycle {
            snapshot: &self.snapshot,
            storage: &self.storage,
            subject,
            shape: &subject.shape,
            spread: defaults.as_deref().unwrap_or(&subject.shape.spread),
            system_spread,
        };
        let mut desk = Desk {
            framework: &self.frameworks[queued.profile],
            nominations: &self.nominations,
            tables: &mut self.tables[queued.profile],
            scratch: &mut self.scratch,
            random: &mut self.random,
        };
        match decide(&mut desk, &cycle) {
            Ok(placement) => self.assume(queued, placement, now, outputs),
            Err(diagnosis) => {
                let grounds =
                    Grounds { framework: desk.framework, nominations: &self.nominations, budgets: &self.budgets, now };
                let preemption = (grounds.framework.preempts && diagnosis.nodes > 0)
                    .then(|| preempt(&grounds, &cycle, &diagnosis, (&*desk.scratch, &mut *desk.random)));
                self.refuse(queued, &diagnosis, preemption, (now, outputs));
            }
        }
    }

    /// What a decision about `pod` would look at now: the nodes on which it fits with their scores, best first, or the
    /// message with which it would be refused. Changes nothing. `None` for pods of other schedulers.
    pub fn explain(&mut self, pod: &Arc<Pod>) -> Option<Result<Vec<(String, i64)>, String>> {
        let profile = self.responsible(pod)?;
        let subject = self.subject(pod, false);
        let defaults = self.default_spread(&subject, profile);
        let cycle = Cycle {
            snapshot: &self.snapshot,
            storage: &self.storage,
            subject: &subject,
            shape: &subject.shape,
            spread: defaults.as_deref().unwrap_or(&subject.shape.spread),
            system_spread: defaults.is_some() && self.frameworks[profile].system_spread,
        };
        let mut desk = Desk {
            framework: &self.frameworks[profile],
            nominations: &self.nominations,
            tables: &mut self.tables[profile],
            scratch: &mut self.scratch,
            random: &mut self.random,
        };
        let scores = explain(&mut desk, &cycle).map_err(|diagnosis| diagnosis.message(&self.snapshot, ""));
        let named = |(node, score)| (self.snapshot.nodes.name(node).to_string(), score);
        Some(scores.map(|scores| {
            let mut scores: Vec<(String, i64)> = scores.into_iter().map(named).collect();
            scores.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            scores
        }))
    }

    fn assume(&mut self, queued: &Queued, placement: Placement, now: Timestamp, outputs: &mut Vec<Output>) {
        let (subject, attempts) = (&queued.subject, queued.attempts);
        let node = self.snapshot.nodes.name(placement.node).to_string();
        let slot = self.snapshot.place(Arc::clone(subject), &node);
        self.placed.insert(Arc::clone(&subject.uid), slot);
        self.storage.promise(&placement.steps);
        if self.nominations.node_of(&subject.uid) == Some(&node) {
            self.nominations.remove(&subject.uid);
        } else {
            self.withdraw(subject, now);
        }
        let assumed = Assumed { steps: placement.steps.clone() };
        self.assumed.insert(Arc::clone(&subject.uid), assumed);
        outputs.push(Output::Bind { pod: PodRef::from(&**subject), node, steps: placement.steps, attempts });
    }

    fn refuse(
        &mut self,
        queued: &Queued,
        diagnosis: &Diagnosis,
        preemption: Option<Preemption>,
        (now, outputs): (Timestamp, &mut Vec<Output>),
    ) {
        let subject = &queued.subject;
        let framework = &self.frameworks[queued.profile];
        let mut post_filter = Vec::new();
        if framework.deallocates && diagnosis.nodes > 0 {
            post_filter.push("no new claims to deallocate".to_owned());
        }
        let mut nomination = Nomination::Keep;
        let mut candidate = None;
        match preemption {
            Some(Preemption::Evict(found)) => {
                post_filter.clear();
                nomination = Nomination::Node(self.snapshot.nodes.name(found.node).to_string());
                candidate = Some(found);
            }
            Some(Preemption::Futile(why)) => {
                post_filter.push(format!("preemption: {why}"));
                nomination = Nomination::Clear;
            }
            Some(Preemption::Wait(why)) => post_filter.push(format!("preemption: {why}")),
            None => {}
        }
        let message = diagnosis.message(&self.snapshot, &post_filter.join(", "));
        // Without any node there is nobody to say no; the first node wakes whoever rests on any plugin.
        let plugins = if diagnosis.nodes == 0 { u32::MAX } else { diagnosis.plugins };
        if nomination == Nomination::Clear {
            self.withdraw(subject, now);
            if subject.nominated().is_none() {
                nomination = Nomination::Keep;
            }
        }
        report(subject, ("Unschedulable", message), nomination, outputs);
        self.queue.refuse(&subject.uid, plugins, now);
        if let Some(candidate) = candidate {
            self.evict(subject, &candidate, now, outputs);
        }
    }

    fn evict(&mut self, subject: &Arc<Subject>, candidate: &Candidate, now: Timestamp, outputs: &mut Vec<Output>) {
        let node = self.snapshot.nodes.name(candidate.node).to_string();
        // Less important pods that counted on this room look for another place at once.
        for other in self.nominations.below(&node, subject.priority) {
            self.nominations.remove(&other.uid);
            self.queue.wake(&other.uid, now);
            outputs.push(Output::Unnominate { pod: PodRef::from(&*other) });
        }
        self.nominations.set(subject, Some(&node));
        let scheduler = subject.object.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
        let scheduler = scheduler.unwrap_or(crate::config::DEFAULT_SCHEDULER);
        for &pod in &candidate.victims {
            let victim = &self.snapshot.pod(pod).subject;
            if victim.terminating() {
                continue;
            }
            self.queue.hold(&subject.uid);
            let preemptor = PodRef::from(&**subject);
            if let Some(ordered) = self.evictions.get_mut(&*victim.uid) {
                ordered.preemptors.push(preemptor);
                continue;
            }
            let preemptors = vec![preemptor];
            let eviction = Eviction { victim: PodRef::from(&**victim), preemptors, node: node.clone() };
            outputs.push(Output::Evict {
                victim: eviction.victim.clone(),
                message: format!("{scheduler}: preempting to accommodate a higher priority pod"),
            });
            self.evictions.insert(victim.uid.to_string(), eviction);
        }
    }

    /// The constraints of a pod that has none of its own; `None` when it has some or gets none.
    fn default_spread(&mut self, subject: &Subject, profile: usize) -> Option<Arc<[SpreadConstraint]>> {
        let framework = &self.frameworks[profile];
        if !subject.shape.spread.is_empty() || framework.default_spread.is_empty() {
            return None;
        }
        let (key, epoch) = ((profile, subject.shape.id), self.groups.epoch());
        if let Some(known) = self.default_spreads.get(&key).filter(|known| known.epoch == epoch) {
            return Some(Arc::clone(&known.constraints)).filter(|constraints| !constraints.is_empty());
        }
        let made = self.groups.selector(&subject.object).map(|selector| {
            let group = (&selector, &subject.shape.labels);
            default_constraints(&framework.default_spread, subject.namespace(), group, &mut self.snapshot)
        });
        let constraints: Arc<[SpreadConstraint]> = made.unwrap_or_default().into();
        if self.default_spreads.len() >= DEFAULT_SPREADS_MAX {
            let all = std::mem::take(&mut self.default_spreads);
            let mut stale: Vec<_> = all.into_iter().collect();
            stale.sort_unstable_by_key(|(key, _)| *key);
            stale.iter().for_each(|(_, spread)| self.release(spread));
        }
        let spread = DefaultSpread { epoch, constraints: Arc::clone(&constraints) };
        if let Some(stale) = self.default_spreads.insert(key, spread) {
            self.release(&stale);
        }
        Some(constraints).filter(|constraints| !constraints.is_empty())
    }

    fn release(&mut self, spread: &DefaultSpread) {
        let relations = &mut self.snapshot.relations;
        spread.constraints.iter().for_each(|constraint| relations.release_matcher(constraint.matcher));
    }
}

/// The event and, when it says something new, the status of a pod that was not placed.
pub(super) fn report(
    subject: &Subject,
    (reason, message): (&'static str, String),
    nomination: Nomination,
    outputs: &mut Vec<Output>,
) {
    outputs.push(warning(subject, shortened(&message)));
    let conditions = subject.object.status.as_ref().and_then(|status| status.conditions.as_ref());
    let told = conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some(reason)
            && condition.message.as_deref() == Some(&message)
    });
    if !told || nomination != Nomination::Keep {
        outputs.push(Output::Refuse { pod: PodRef::from(subject), reason, message, nomination });
    }
}

fn warning(subject: &Subject, note: String) -> Output {
    Output::Event {
        regarding: PodRef::from(subject),
        related: None,
        warning: true,
        reason: "FailedScheduling",
        action: "Scheduling",
        note,
    }
}

/// Cut to what an event can hold.
fn shortened(message: &str) -> String {
    if message.len() <= NOTE_BYTES_MAX {
        return message.to_owned();
    }
    let mut end = NOTE_BYTES_MAX - " ...".len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ...", &message[..end])
}
