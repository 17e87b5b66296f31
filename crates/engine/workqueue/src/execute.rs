//! Executing plans: stages one after the other, steps of a stage at once, everything through the client.

use std::sync::Arc;

use client::{Client, DeleteOptions, Depth, Error, ListOptions, Patch};
use futures::StreamExt;
use informer::Written;
use kind::{GroupKind, Refusal, Resource, Stored, Verbs};
use object::{Meta, Value};
use plan::{Action, Guard, Key, Plan, Propagation, Step, Target};

use crate::Recorder;

/// Writes of one stage that are on their way at the same time.
const STEPS_AT_ONCE_MAX: usize = 64;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Executed {
    /// Writes that the server accepted, by the row they belong to.
    pub written: Vec<(Arc<Resource>, Written)>,
    /// The first write that it refused, and what it said.
    pub refused: Option<(plan::Refusal, Error)>,
}

/// Executes plans as one component.
#[derive(Debug, Clone)]
pub struct Executor {
    client: Client,
    recorder: Recorder,
}

impl Executor {
    /// Writes by `client`, speaks by `recorder`.
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Executor { client, recorder }
    }

    /// Says the plan's events and does its writes. After a stage with a refusal only stages that always run still do.
    pub async fn execute(&self, plan: Plan) -> Executed {
        for event in &plan.events {
            self.recorder.say(event, "", "");
        }
        let mut executed = Executed::default();
        for stage in plan.stages {
            if executed.refused.is_some() && !stage.always {
                continue;
            }
            let steps = futures::stream::iter(stage.steps.into_iter().map(|step| self.take(step)));
            let mut outcomes = steps.buffer_unordered(STEPS_AT_ONCE_MAX);
            while let Some(outcome) = outcomes.next().await {
                match outcome {
                    Ok(written) => executed.written.extend(written),
                    Err(refused) => executed.refused = executed.refused.or(Some(refused)),
                }
            }
        }
        executed
    }

    async fn take(&self, step: Step) -> Result<Option<(Arc<Resource>, Written)>, (plan::Refusal, Error)> {
        let outcome = match self.check(&step.guards).await {
            Ok(()) => self.act(&step.action).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(written) => {
                let name = written.as_ref().map_or("", |(_, written)| written.key.name.as_str());
                if let Some(event) = &step.done {
                    self.recorder.say(event, name, "");
                }
                Ok(written)
            }
            Err(error) => {
                let message = error.to_string();
                if let Some(event) = &step.refused {
                    self.recorder.say(event, named(&step.action), &message);
                }
                let creating = matches!(step.action, Action::Create(_));
                let (resource, reason) = (resource_of(&step.action), error.reason().to_owned());
                Err((plan::Refusal { resource, creating, reason, message }, error))
            }
        }
    }

    /// Live reads of what must hold just before a write.
    async fn check(&self, guards: &[Guard]) -> Result<(), Error> {
        for guard in guards {
            let (Guard::Alive(target) | Guard::Gone(target)) = guard;
            let row = row(&target.resource);
            let found = self.client.get_tree(&row, &target.namespace, &target.name, Depth::Metadata).await;
            let found = match found {
                Ok(tree) => Some(tree),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error),
            };
            let same = |tree: &Value| target.uid.is_empty() || Meta::of(tree).uid() == target.uid;
            let holds = match guard {
                Guard::Alive(_) => found.is_some_and(|tree| same(&tree) && !Meta::of(&tree).is_deleting()),
                Guard::Gone(_) => !found.is_some_and(|tree| same(&tree)),
            };
            if !holds {
                let message = match guard {
                    Guard::Alive(_) => {
                        format!("it is gone or being deleted, or is not the one with uid {}", target.uid)
                    }
                    Guard::Gone(_) => "it is still there".to_owned(),
                };
                let (resource, name) = (row.group_resource(), target.name.to_string());
                return Err(Refusal::Conflict { resource, name, message }.into());
            }
        }
        Ok(())
    }

    async fn act(&self, action: &Action) -> Result<Option<(Arc<Resource>, Written)>, Error> {
        match action {
            Action::Create(object) => {
                let row = row(&object.resource());
                let namespace = plan::meta::namespace(object.meta());
                let tree = self.client.create_tree(&row, namespace, &object.to_tree()).await?;
                Ok(Some((row, Written::object(&tree))))
            }
            Action::Update { object, part } => {
                let row = row(&object.resource());
                let tree =
                    self.client.update_tree(&row, part.subresource().unwrap_or_default(), &object.to_tree()).await?;
                Ok(Some((row, Written::object(&tree))))
            }
            Action::Patch { target, patch } => {
                let row = row(&target.resource);
                let patch = Patch::Merge(patch.to_tree(target));
                let at = (target.namespace.as_str(), target.name.as_str(), "");
                let patched = gone_is_done(self.client.patch_tree(&row, at, &patch).await)?;
                Ok(patched.map(|tree| (row, Written::object(&tree))))
            }
            Action::Delete { target, propagation, grace_seconds } => {
                let row = row(&target.resource);
                let options = delete_options(target, *propagation, *grace_seconds);
                let deleted = self.client.delete_tree(&row, &target.namespace, &target.name, &options).await;
                let key = Key { namespace: target.namespace.clone(), name: target.name.clone() };
                let seen = Written::deleted(key, &target.uid);
                gone_is_done(deleted)?;
                Ok((!target.uid.is_empty()).then_some((row, seen)))
            }
            Action::DeleteCollection { resource, namespace } => {
                let which = ListOptions { namespace: namespace.to_string(), ..ListOptions::default() };
                let options =
                    DeleteOptions { propagation: Some(client::Propagation::Background), ..DeleteOptions::default() };
                self.client.delete_collection(&row(resource), &which, &options).await.map(|()| None)
            }
        }
    }
}

/// A target that is gone is what a delete or patch of metadata wanted.
fn gone_is_done(outcome: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match outcome {
        Ok(tree) => Ok(Some(tree)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn resource_of(action: &Action) -> plan::Resource {
    match action {
        Action::Create(object) | Action::Update { object, .. } => object.resource(),
        Action::Patch { target, .. } | Action::Delete { target, .. } => target.resource.clone(),
        Action::DeleteCollection { resource, .. } => resource.clone(),
    }
}

fn named(action: &Action) -> &str {
    match action {
        Action::Create(object) | Action::Update { object, .. } => plan::meta::name(object.meta()),
        Action::Patch { target, .. } | Action::Delete { target, .. } => &target.name,
        Action::DeleteCollection { .. } => "",
    }
}

fn delete_options(target: &Target, propagation: Propagation, grace_seconds: Option<i64>) -> DeleteOptions {
    DeleteOptions {
        uid: Some(target.uid.to_string()).filter(|uid| !uid.is_empty()),
        resource_version: target.resource_version.as_ref().map(ToString::to_string),
        grace_seconds,
        propagation: Some(match propagation {
            Propagation::Background => client::Propagation::Background,
            Propagation::Foreground => client::Propagation::Foreground,
            Propagation::Orphan => client::Propagation::Orphan,
        }),
        dry_run: false,
    }
}

/// The row that a plan means: a built-in one, or one for a resource that only the server knows.
fn row(resource: &plan::Resource) -> Arc<Resource> {
    let is_it = |row: &&Arc<Resource>| {
        row.plural == resource.plural && row.group == resource.group && row.version == resource.version
    };
    kind::builtin().iter().find(is_it).cloned().unwrap_or_else(|| {
        Arc::new(Resource {
            group: resource.group.as_ref().into(),
            version: resource.version.as_ref().into(),
            plural: resource.plural.as_ref().into(),
            singular: object::Text::default(),
            kind: resource.kind.as_ref().into(),
            namespaced: resource.namespaced,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: Verbs::ALL,
            subresources: Vec::new(),
            stored: Stored { prefix: object::Text::default(), api_version: object::Text::default() },
        })
    })
}

/// Whether a row is the one that a plan or an informer means.
pub(crate) fn same_resource(left: &Resource, right: &Resource) -> bool {
    let group = |row: &Resource| GroupKind { group: row.group.clone(), name: row.plural.clone() };
    group(left) == group(right)
}
