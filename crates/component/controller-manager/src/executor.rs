//! Carries out plans: guards, writes, events, and the wait until the caches have seen what was written.

use std::time::Duration;

use client::{Client, DeleteOptions, Depth, Error, ListOptions, Patch};
use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt as _, StreamExt as _};
use informer::{Informers, Written};
use jiff::Timestamp;
use object::{Meta, Value};
use plan::{Action, Guard, Key, Plan, Refusal, Stage, Step, Target};

use crate::events::Events;
use crate::rows;

/// Steps of one stage that run at the same time.
const STEPS_AT_ONCE_MAX: usize = 16;
/// How long to wait for a cache to see a write; a watch that is being reopened may need this long.
const SEEN_SECONDS_MAX: u64 = 60;

/// Writes with one controller's credentials.
pub(crate) struct Executor {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    pub(crate) informers: Informers,
    pub(crate) events: Events,
}

/// How a plan ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Something failed: the key is to be tried again.
    pub(crate) failed: bool,
    /// The first refusal.
    pub(crate) refusal: Option<Refusal>,
    /// When time alone may change the plan.
    pub(crate) requeue_at: Option<Timestamp>,
}

/// A step's end.
enum Ended {
    Done { name: String, seen: Option<(plan::Resource, Written)> },
    Refused { refusal: Option<Refusal>, again: bool, words: String },
}

impl Executor {
    /// Carries out `plan`.
    pub(crate) async fn execute(&self, key: &Key, plan: Plan) -> Outcome {
        let mut outcome = Outcome { requeue_at: plan.requeue_at, ..Outcome::default() };
        for event in &plan.events {
            self.events.record(self.name, event, "", "");
        }
        let mut written = Vec::new();
        let mut refused = false;
        for stage in &plan.stages {
            if !refused || stage.always {
                refused |= self.stage(key, stage, &mut written, &mut outcome).await;
            }
        }
        self.wait_until_seen(key, written).await;
        outcome
    }

    /// Runs one stage; true if a step was refused.
    async fn stage(
        &self,
        key: &Key,
        stage: &Stage,
        written: &mut Vec<(plan::Resource, Written)>,
        outcome: &mut Outcome,
    ) -> bool {
        let work: Vec<BoxFuture<'_, (&Step, Ended)>> =
            stage.steps.iter().map(|step| async move { (step, self.step(step).await) }.boxed()).collect();
        let mut running = stream::iter(work).buffer_unordered(STEPS_AT_ONCE_MAX);
        let mut refused = false;
        while let Some((step, ended)) = running.next().await {
            match ended {
                Ended::Done { name, seen } => {
                    written.extend(seen);
                    if let Some(event) = &step.done {
                        self.events.record(self.name, event, &name, "");
                    }
                }
                Ended::Refused { refusal, again, words } => {
                    tracing::debug!(controller = self.name, %key, refusal = %words, "a step was refused");
                    refused = true;
                    outcome.failed |= again;
                    outcome.refusal = outcome.refusal.take().or(refusal);
                    if let Some(event) = &step.refused {
                        self.events.record(self.name, event, "", &words);
                    }
                }
            }
        }
        refused
    }

    async fn step(&self, step: &Step) -> Ended {
        for guard in &step.guards {
            match self.holds(guard).await {
                Ok(true) => {}
                Ok(false) => {
                    let words = format!("{guard:?} does not hold");
                    return Ended::Refused { refusal: None, again: true, words };
                }
                Err(error) => return Ended::Refused { refusal: None, again: true, words: error.to_string() },
            }
        }
        match self.write(&step.action).await {
            Ok((name, seen)) => Ended::Done { name, seen },
            Err(error) if is_done(&step.action, &error) => Ended::Done { name: String::new(), seen: None },
            Err(error) => Ended::Refused {
                refusal: Some(refusal(&step.action, &error)),
                // In a namespace that ends nothing can be made, now or later.
                again: !error.is_namespace_terminating(),
                words: error.to_string(),
            },
        }
    }

    async fn holds(&self, guard: &Guard) -> Result<bool, Error> {
        let (Guard::Alive(target) | Guard::Gone(target)) = guard;
        let row = rows::row(&target.resource);
        let found = match self.client.get_tree(&row, &target.namespace, &target.name, Depth::Metadata).await {
            Ok(tree) => Some(tree),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let same = |tree: &Value| target.uid.is_empty() || Meta::of(tree).uid() == target.uid;
        Ok(match guard {
            Guard::Alive(_) => found.is_some_and(|tree| same(&tree) && !Meta::of(&tree).is_deleting()),
            Guard::Gone(_) => !found.is_some_and(|tree| same(&tree)),
        })
    }

    /// Writes; the name of what was written, and what the caches will show.
    async fn write(&self, action: &Action) -> Result<(String, Option<(plan::Resource, Written)>), Error> {
        let tree = match action {
            Action::Create(object) => {
                let row = rows::row(&object.resource());
                self.client.create_tree(&row, plan::meta::namespace(object.meta()), &object.to_tree()).await?
            }
            Action::Update { object, part } => {
                let row = rows::row(&object.resource());
                self.client.update_tree(&row, part.subresource().unwrap_or_default(), &object.to_tree()).await?
            }
            Action::Patch { target, patch } => {
                let row = rows::row(&target.resource);
                let change = Patch::Merge(patch.to_tree(target));
                self.client.patch_tree(&row, (&target.namespace, &target.name, ""), &change).await?
            }
            Action::Delete { target, propagation, grace_seconds } => {
                let row = rows::row(&target.resource);
                let options = delete_options(target, *propagation, *grace_seconds);
                self.client.delete_tree(&row, &target.namespace, &target.name, &options).await?;
                let key = Key { namespace: target.namespace.clone(), name: target.name.clone() };
                let seen = (target.resource.clone(), Written::deleted(key, &target.uid));
                return Ok((target.name.to_string(), Some(seen)));
            }
            Action::DeleteCollection { resource, namespace } => {
                let which = ListOptions { namespace: namespace.to_string(), ..ListOptions::default() };
                self.client.delete_collection(&rows::row(resource), &which, &DeleteOptions::default()).await?;
                return Ok((String::new(), None));
            }
        };
        let name = Meta::of(&tree).name().to_owned();
        Ok((name, Some((resource_of(action), Written::object(&tree)))))
    }

    /// Waits until every cache that sees the written kinds shows what was written.
    async fn wait_until_seen(&self, key: &Key, written: Vec<(plan::Resource, Written)>) {
        if written.is_empty() {
            return;
        }
        let witnesses = self.informers.witnesses();
        let all = async {
            for (resource, write) in written {
                for witness in &witnesses {
                    let row = witness.resource();
                    let same = row.plural == *resource.plural && row.group == *resource.group;
                    if same && witness.sees(&write.key.namespace) {
                        witness.seen(write.clone()).await;
                    }
                }
            }
        };
        if env::time::timeout(Duration::from_secs(SEEN_SECONDS_MAX), all).await.is_err() {
            tracing::warn!(controller = self.name, %key, "the caches are late: a write has not been seen yet");
        }
    }
}

fn resource_of(action: &Action) -> plan::Resource {
    match action {
        Action::Create(object) | Action::Update { object, .. } => object.resource(),
        Action::Patch { target, .. } | Action::Delete { target, .. } => target.resource.clone(),
        Action::DeleteCollection { resource, .. } => resource.clone(),
    }
}

/// Whether the wanted state is reached although the server refused: what should go is gone.
fn is_done(action: &Action, error: &Error) -> bool {
    matches!(action, Action::Delete { .. } | Action::Patch { .. } | Action::DeleteCollection { .. })
        && error.is_not_found()
}

fn refusal(action: &Action, error: &Error) -> Refusal {
    Refusal {
        resource: resource_of(action),
        creating: matches!(action, Action::Create(_)),
        reason: error.reason().to_owned(),
        message: error.to_string(),
    }
}

fn delete_options(target: &Target, propagation: plan::Propagation, grace_seconds: Option<i64>) -> DeleteOptions {
    let propagation = match propagation {
        plan::Propagation::Background => client::Propagation::Background,
        plan::Propagation::Foreground => client::Propagation::Foreground,
        plan::Propagation::Orphan => client::Propagation::Orphan,
    };
    DeleteOptions {
        uid: (!target.uid.is_empty()).then(|| target.uid.to_string()),
        resource_version: target.resource_version.as_deref().map(str::to_owned),
        grace_seconds,
        propagation: Some(propagation),
        dry_run: false,
    }
}
