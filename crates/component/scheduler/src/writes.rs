//! How outputs are written.

use client::{Client, DeleteOptions, Error, Patch};
use informer::{Informer, Informers, Scope};
use jiff::Timestamp;
use object::{Value, timestamp};
use scheduling::{Input, Nomination, Output, PodRef, VolumeStep};
use tokio::sync::Semaphore;
use typed::api::core::v1::{PersistentVolumeClaim, Pod, PodCondition};

use crate::eyes::LIVE_PODS;
use crate::volumes;

/// Writes with the scheduler's credentials.
pub(crate) struct Pen {
    pub(crate) client: Client,
    pub(crate) claims: Informer<PersistentVolumeClaim>,
    pods: Informer<Pod>,
}

impl Pen {
    pub(crate) fn new(client: Client, informers: &Informers) -> Self {
        Pen { client, claims: informers.of(), pods: informers.scoped(Scope::fields(LIVE_PODS)) }
    }

    /// Carries out one output; what the mind must know of the outcome.
    pub(crate) async fn write(&self, output: Output, decided_at: Timestamp, places: &Semaphore) -> Option<Input> {
        if let Output::Bind { steps, pod, .. } = &output
            && let Err(error) = self.prepare(pod, steps).await
        {
            return Some(Input::BindFailed { uid: pod.uid.clone(), message: error.to_string() });
        }
        // Preparing may take minutes; only requests take a place.
        let _place = places.acquire().await;
        match output {
            Output::Bind { pod, node, .. } => Some(match self.bind(&pod, &node).await {
                Ok(()) => Input::Bound { uid: pod.uid },
                Err(error) => Input::BindFailed { uid: pod.uid, message: error.to_string() },
            }),
            Output::Refuse { pod, reason, message, nomination } => {
                let refusal = Condition { kind: "PodScheduled", status: "False", reason, message };
                self.refuse(&pod, &refusal, &nomination, decided_at).await;
                None
            }
            Output::Unnominate { pod } => {
                self.log(&pod, self.patch_status(&pod, nominated(&Nomination::Clear)).await);
                None
            }
            Output::Evict { victim, message } => Some(match self.evict(&victim, message, decided_at).await {
                Ok(()) => Input::Evicted { uid: victim.uid },
                Err(error) => {
                    tracing::warn!(pod = %victim.name, namespace = %victim.namespace, %error, "a pod cannot be evicted");
                    Input::EvictFailed { uid: victim.uid }
                }
            }),
            Output::Event { .. } => None,
        }
    }

    async fn prepare(&self, pod: &PodRef, steps: &[VolumeStep]) -> Result<(), volumes::Error> {
        for step in steps {
            volumes::take(self, step).await?;
        }
        volumes::bound(self, pod, steps).await
    }

    async fn bind(&self, pod: &PodRef, node: &str) -> Result<(), Error> {
        let mut binding = Value::from_pairs([("apiVersion", "v1"), ("kind", "Binding")]);
        binding.set(&["metadata", "name"], pod.name.as_str());
        binding.set(&["metadata", "namespace"], pod.namespace.as_str());
        binding.set(&["metadata", "uid"], pod.uid.as_str());
        binding.set(&["target", "kind"], "Node");
        binding.set(&["target", "name"], node);
        self.client.create_subresource::<Pod>(&pod.namespace, &pod.name, "binding", &binding).await.map(drop)
    }

    async fn refuse(&self, pod: &PodRef, refusal: &Condition, nomination: &Nomination, now: Timestamp) {
        let known = self.pods.get(&pod.namespace, &pod.name).filter(|known| is(known, pod));
        let says_so_already = known.as_ref().is_some_and(|known| {
            condition(known, refusal.kind).is_some_and(|old| refusal.is(old)) && has(known, nomination)
        });
        if says_so_already {
            return;
        }
        let since = known.as_ref().and_then(|known| condition(known, refusal.kind));
        let mut status = nominated(nomination);
        status.set(&["conditions"], vec![refusal.tree(known.as_deref(), since, now)]);
        self.log(pod, self.patch_status(pod, status).await);
    }

    async fn evict(&self, victim: &PodRef, message: String, now: Timestamp) -> Result<(), Error> {
        let target = Condition { kind: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler", message };
        let known = self.pods.get(&victim.namespace, &victim.name).filter(|known| is(known, victim));
        let mut status = Value::map();
        status.set(&["conditions"], vec![target.tree(known.as_deref(), None, now)]);
        let options = DeleteOptions::of_uid(&victim.uid);
        let done = match self.patch_status(victim, status).await {
            Ok(()) => self.client.delete::<Pod>(&victim.namespace, &victim.name, &options).await,
            Err(error) => Err(error),
        };
        match done {
            // Gone, or another pod of the same name by now.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            done => done,
        }
    }

    async fn patch_status(&self, pod: &PodRef, status: Value) -> Result<(), Error> {
        let mut patch = Value::map();
        patch.set(&["metadata", "uid"], pod.uid.as_str());
        patch.set(&["status"], status);
        self.client.patch::<Pod>(&pod.namespace, &pod.name, "status", &Patch::Strategic(patch)).await.map(drop)
    }

    fn log(&self, pod: &PodRef, outcome: Result<(), Error>) {
        match outcome {
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => {
                tracing::warn!(pod = %pod.name, namespace = %pod.namespace, %error, "a pod's status cannot be patched");
            }
            Ok(()) => {}
        }
    }
}

/// A condition of a pod, as we want it.
struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Condition {
    fn is(&self, old: &PodCondition) -> bool {
        old.status == self.status
            && old.reason.as_deref() == Some(self.reason)
            && old.message.as_deref() == Some(self.message.as_str())
    }

    fn tree(&self, pod: Option<&Pod>, old: Option<&PodCondition>, now: Timestamp) -> Value {
        let same_status = old.filter(|old| old.status == self.status);
        let since = same_status.and_then(|old| old.last_transition_time.as_ref()).map_or(now, |time| time.0);
        let mut tree = Value::map();
        tree.set(&["type"], self.kind);
        tree.set(&["status"], self.status);
        tree.set(&["reason"], self.reason);
        tree.set(&["message"], self.message.as_str());
        tree.set(&["lastTransitionTime"], timestamp::seconds(since));
        if let Some(generation) = pod.and_then(|pod| pod.metadata.generation) {
            tree.set(&["observedGeneration"], generation);
        }
        tree
    }
}

fn is(known: &Pod, pod: &PodRef) -> bool {
    known.metadata.uid.as_deref() == Some(pod.uid.as_str())
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn has(pod: &Pod, nomination: &Nomination) -> bool {
    let node = pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref()).unwrap_or_default();
    match nomination {
        Nomination::Keep => true,
        Nomination::Clear => node.is_empty(),
        Nomination::Node(name) => node == name,
    }
}

fn nominated(nomination: &Nomination) -> Value {
    let mut status = Value::map();
    match nomination {
        Nomination::Keep => {}
        Nomination::Clear => status.set(&["nominatedNodeName"], Value::Null),
        Nomination::Node(name) => status.set(&["nominatedNodeName"], name.as_str()),
    }
    status
}
