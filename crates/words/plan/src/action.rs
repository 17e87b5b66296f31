//! The plan: what to write, in which order, under which preconditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;
use typed::meta::OwnerReference;

use crate::{Event, Kind, Object, Resource, Say, meta};

/// Everything that should happen now for one key, and when to look again.
///
/// Execution: events are said; stages run one after the other, the steps of a stage in any order or at once. After a stage
/// in which a step was refused only stages marked [`Stage::always`] still run, then the key is retried with backoff. An
/// executor must not plan a key again before its views have seen the key's own writes.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Plan {
    /// The writes.
    pub stages: Vec<Stage>,
    /// Events whose words are known already.
    pub events: Vec<Event>,
    /// The moment at which time alone would change the plan.
    pub requeue_at: Option<Timestamp>,
}

/// Steps that do not depend on each other.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Stage {
    /// The steps.
    pub steps: Vec<Step>,
    /// Runs even if an earlier stage was refused (status writes).
    pub always: bool,
}

/// A write and what is said about its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The write.
    pub action: Action,
    /// What must hold by a live read just before the write, because no precondition on the written object says it.
    pub guards: Vec<Guard>,
    /// Said when it succeeded.
    pub done: Option<Event>,
    /// Said when it was refused.
    pub refused: Option<Event>,
}

/// A fact about another object than the written one, checked by a live read. If it does not hold the step is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The object exists with this uid and is not under deletion. Without it, an owner that was deleted a moment ago could
    /// adopt orphans and take them to its grave.
    Alive(Target),
    /// No object of this name has this uid; with an empty uid: there is no object of this name. Without it, a cache that has
    /// lost sight of an owner would cost its dependents their lives.
    Gone(Target),
}

/// One write.
///
/// A delete or patch whose target is gone (404) counts as done, because the wanted state is reached. A create of an existing
/// name (409 AlreadyExists) and a failed precondition (409 Conflict) are refusals.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// POST; the server may complete `generateName`.
    Create(Object),
    /// PUT of the whole object or a subresource; uid and resourceVersion inside are the precondition.
    Update {
        /// The new state.
        object: Object,
        /// Which part of it is written.
        part: Part,
    },
    /// A merge patch of metadata.
    Patch {
        /// What is patched; uid and, if given, resourceVersion go into the patch.
        target: Target,
        /// The change.
        patch: MetaPatch,
    },
    /// DELETE with preconditions.
    Delete {
        /// What is deleted.
        target: Target,
        /// What becomes of dependents.
        propagation: Propagation,
        /// Overrides the object's own grace period.
        grace_seconds: Option<i64>,
    },
    /// DELETE of all objects of a resource in a namespace.
    DeleteCollection {
        /// The resource.
        resource: Resource,
        /// The namespace.
        namespace: CompactString,
    },
}

/// The part of an object that an update writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything except subresources.
    Whole,
    /// `/status`.
    Status,
    /// `/approval` of a certificate signing request.
    Approval,
    /// `/finalize` of a namespace.
    Finalize,
}

/// An object as the planner saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its row.
    pub resource: Resource,
    /// Its namespace; empty for cluster scope.
    pub namespace: CompactString,
    /// Its name.
    pub name: CompactString,
    /// Its uid; always a precondition.
    pub uid: CompactString,
    /// Its revision, where the decision depends on more than its identity.
    pub resource_version: Option<CompactString>,
}

/// What a delete does to dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents go after the owner.
    Background,
    /// Dependents go first.
    Foreground,
    /// Dependents stay.
    Orphan,
}

/// A change of metadata; absent fields stay as they are, lists are replaced.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct MetaPatch {
    /// The new list of finalizers.
    pub finalizers: Option<Vec<String>>,
    /// The new list of owners.
    pub owner_references: Option<Vec<OwnerReference>>,
    /// Labels to set (`Some`) and to remove (`None`).
    pub labels: BTreeMap<String, Option<String>>,
    /// Annotations to set and to remove.
    pub annotations: BTreeMap<String, Option<String>>,
}

/// How the last attempt at a key ended, for planners that report failures in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The row of the object that was to be written.
    pub resource: Resource,
    /// Whether it was a create (otherwise a delete, patch or update).
    pub creating: bool,
    /// The machine-readable reason of the Status (`AlreadyExists`, `Forbidden`, ...).
    pub reason: String,
    /// The message of the Status.
    pub message: String,
}

// === impl Plan ===

impl Plan {
    /// Nothing to do.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Whether it writes, says and waits for nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stages.is_empty() && self.events.is_empty()
    }

    /// Adds steps that may run together, after all earlier ones.
    pub fn then(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(Stage { steps, always: false });
        }
    }

    /// Adds one write after all earlier ones.
    pub fn then_do(&mut self, action: Action) {
        self.then(vec![Step::of(action)]);
    }

    /// Adds a status write that happens even if earlier stages fail.
    pub fn finally(&mut self, action: Action) {
        self.stages.push(Stage { steps: vec![Step::of(action)], always: true });
    }

    /// Says something about an object.
    pub fn say<K: Kind>(&mut self, object: &K, say: Say) {
        self.events.push(Event::about(object, say));
    }

    /// Asks to be planned again at a moment; the earliest wish counts.
    pub fn look_again_at(&mut self, at: Timestamp) {
        self.requeue_at = Some(self.requeue_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Appends everything of another plan after this one.
    pub fn extend(&mut self, other: Self) {
        self.stages.extend(other.stages);
        self.events.extend(other.events);
        if let Some(at) = other.requeue_at {
            self.look_again_at(at);
        }
    }

    /// All writes in order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flat_map(|stage| &stage.steps).map(|step| &step.action)
    }
}

// === impl Step ===

impl Step {
    /// A write about which nothing is said.
    #[must_use]
    pub fn of(action: Action) -> Self {
        Self { action, guards: Vec::new(), done: None, refused: None }
    }

    /// Checks a fact before the write.
    #[must_use]
    pub fn guarded(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Says something about `object` when the write succeeded.
    #[must_use]
    pub fn done<K: Kind>(self, object: &K, say: Say) -> Self {
        Self { done: Some(Event::about(object, say)), ..self }
    }

    /// Says something about `object` when the write was refused.
    #[must_use]
    pub fn refused<K: Kind>(self, object: &K, say: Say) -> Self {
        Self { refused: Some(Event::about(object, say)), ..self }
    }
}

/// Cuts steps into stages of 1, 2, 4, … so that a write which can never succeed is refused once, not a thousand times.
#[must_use]
pub fn slow_start(steps: Vec<Step>) -> Vec<Stage> {
    let (mut stages, mut size, mut rest) = (Vec::new(), 1, steps.into_iter());
    loop {
        let batch: Vec<Step> = rest.by_ref().take(size).collect();
        if batch.is_empty() {
            return stages;
        }
        stages.push(Stage { steps: batch, always: false });
        size *= 2;
    }
}

// === impl Action ===

impl Action {
    /// Creates an object.
    #[must_use]
    pub fn create<K: Kind>(object: K) -> Self {
        Self::Create(Arc::new(object).erase())
    }

    /// Replaces an object.
    #[must_use]
    pub fn update<K: Kind>(object: K) -> Self {
        Self::Update { object: Arc::new(object).erase(), part: Part::Whole }
    }

    /// Replaces an object's status.
    #[must_use]
    pub fn update_status<K: Kind>(object: K) -> Self {
        Self::Update { object: Arc::new(object).erase(), part: Part::Status }
    }

    /// Deletes this very object, dependents in the background.
    #[must_use]
    pub fn delete<K: Kind>(object: &K) -> Self {
        Self::Delete { target: Target::identity(object), propagation: Propagation::Background, grace_seconds: None }
    }

    /// Patches the metadata of the object as it was seen.
    #[must_use]
    pub fn patch<K: Kind>(object: &K, patch: MetaPatch) -> Self {
        Self::Patch { target: Target::exactly(object), patch }
    }
}

// === impl Target ===

impl Target {
    /// Whatever object has this name.
    #[must_use]
    pub fn named(resource: Resource, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.into(),
            name: name.into(),
            uid: CompactString::default(),
            resource_version: None,
        }
    }

    /// The object with this uid, in whatever revision.
    #[must_use]
    pub fn identity<K: Kind>(object: &K) -> Self {
        let about = object.meta();
        Self {
            resource: K::RESOURCE,
            namespace: meta::namespace(about).into(),
            name: meta::name(about).into(),
            uid: meta::uid(about).into(),
            resource_version: None,
        }
    }

    /// The object in exactly the revision that was seen.
    #[must_use]
    pub fn exactly<K: Kind>(object: &K) -> Self {
        let resource_version = object.meta().resource_version.as_deref().map(CompactString::from);
        Self { resource_version, ..Self::identity(object) }
    }
}

// === impl MetaPatch ===

impl MetaPatch {
    /// Replaces the finalizers.
    #[must_use]
    pub fn finalizers(finalizers: Vec<String>) -> Self {
        Self { finalizers: Some(finalizers), ..Self::default() }
    }
}
