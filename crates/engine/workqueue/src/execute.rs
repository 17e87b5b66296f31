//! Executing plans: stages one after the other, steps of a stage at once, everything through the client.

use std::sync::Arc;

use client::{Client, Creation, DeleteOptions, Depth, Error, ListOptions, Patch};
use env::task::Fate;
use futures::{Stream, StreamExt};
use informer::Written;
use kind::{Refusal, Resource, Stored, Verbs};
use object::{Meta, Value};
use plan::{Action, Guard, Key, Object, Plan, Propagation, Step, Target};

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

/// What a step wrote, or how it was refused.
type Outcome = Result<Option<(Arc<Resource>, Written)>, (plan::Refusal, Error)>;

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
            let mut outcomes = std::pin::pin!(self.take_all(stage.steps));
            while let Some(outcome) = outcomes.next().await {
                match outcome {
                    Ok(written) => executed.written.extend(written),
                    Err(refused) => executed.refused = executed.refused.or(Some(refused)),
                }
            }
        }
        executed
    }

    /// Takes the steps of a stage. Each that is not alone is a task of its own: in one process a step is also the
    /// server's work for it, and all processors should share that. One that has begun is finished, whoever waits for it.
    fn take_all(&self, steps: Vec<Step>) -> impl Stream<Item = Outcome> {
        let is_alone = steps.len() == 1;
        let mut drafts = Drafts::default();
        let take = move |step: Step| {
            let (executor, draft) = (self.clone(), drafts.of(&step.action));
            async move {
                if is_alone {
                    return executor.take(step, draft).await;
                }
                let work = async move { executor.take(step, draft).await };
                let task = env::task::spawn(Fate::Local, "step of a plan", work);
                task.await.expect("a step that panics ends its key's turn, and the key is tried again")
            }
        };
        futures::stream::iter(steps).map(take).buffer_unordered(STEPS_AT_ONCE_MAX)
    }

    async fn take(&self, step: Step, draft: Option<Draft>) -> Outcome {
        let outcome = match self.check(&step.guards).await {
            Ok(()) => self.act(&step.action, draft).await,
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

    async fn act(&self, action: &Action, draft: Option<Draft>) -> Result<Option<(Arc<Resource>, Written)>, Error> {
        match action {
            Action::Create(object) => {
                let Draft { row, creation } = draft.unwrap_or_else(|| Draft::of(object));
                let tree = self.client.create_prepared(&creation).await?;
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

/// An object that is encoded to be created.
#[derive(Debug, Clone)]
struct Draft {
    row: Arc<Resource>,
    creation: Creation,
}

impl Draft {
    fn of(object: &Object) -> Self {
        let row = row(&object.resource());
        let creation = Creation::of(&row, plan::meta::namespace(object.meta()), &object.to_tree());
        Draft { row, creation }
    }
}

/// Encodes one object once, in however many successive steps it is to be created: a thousand pods of one template.
#[derive(Debug, Default)]
struct Drafts(Option<(Object, Draft)>);

impl Drafts {
    fn of(&mut self, action: &Action) -> Option<Draft> {
        let Action::Create(object) = action else { return None };
        let is_it = |known: &&mut (Object, Draft)| std::ptr::eq(known.0.meta(), object.meta());
        if let Some((_, draft)) = self.0.as_mut().filter(is_it) {
            return Some(draft.clone());
        }
        let draft = Draft::of(object);
        self.0 = Some((object.clone(), draft.clone()));
        Some(draft)
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
    left.plural == right.plural && left.group == right.group
}
