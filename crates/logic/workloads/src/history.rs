//! ControllerRevisions: the numbered templates of StatefulSets and DaemonSets.
//!
//! Templates are compared by value after decoding, never by hash or by bytes: revisions written by another version or
//! another implementation are recognised.

use std::sync::Arc;

use object::Value;
use plan::{
    Action, Claim, Kind, Plan, Selector, Step, View, claim, controller_reference, hash_of_debug, meta, safe_encode,
};
use typed::Kind as _;
use typed::api::apps::v1::ControllerRevision;
use typed::api::core::v1::{PodTemplate, PodTemplateSpec};
use typed::meta::ObjectMeta;

/// The label on StatefulSet revisions that carries their hash.
pub const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// The label on pods and DaemonSet revisions.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// A revision with nothing but its data: `{"spec":{"template":{…,"$patch":"replace"}}}`, a patch of the owner.
fn snapshot(template: &PodTemplateSpec) -> ControllerRevision {
    let whole = PodTemplate { template: Some(template.clone()), ..PodTemplate::default() }.to_tree();
    let mut template = whole.get("template").cloned().unwrap_or_else(Value::map);
    template.set(&["$patch"], "replace");
    let mut tree = Value::map();
    tree.set(&["data", "spec", "template"], template);
    tree.set(&["revision"], 0);
    ControllerRevision::from_tree(&tree).expect("a template is valid data of a revision")
}

/// The template in a revision's data, or none if it cannot be read.
#[must_use]
pub fn restore(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.to_tree().at(&["data", "spec", "template"])?.clone();
    template.remove(&["$patch"]);
    let mut tree = Value::map();
    tree.set(&["template"], template);
    PodTemplate::from_tree(&tree).ok()?.template
}

/// What a revision is made from.
#[derive(Debug)]
pub struct Source<'a, O> {
    /// The StatefulSet or DaemonSet.
    pub owner: &'a O,
    /// Its selector.
    pub selector: &'a Selector,
    /// Its template.
    pub template: &'a PodTemplateSpec,
    /// How often a hash of its templates has collided.
    pub collisions: Option<i32>,
    /// The label that carries the hash on the revision.
    pub label: &'static str,
}

/// What must happen before the owner has a revision for its template.
#[derive(Debug)]
pub enum Next {
    /// There is one, and it is the newest.
    Ready(Arc<ControllerRevision>),
    /// Write first, look again later.
    First(Plan),
    /// The name is taken by another template; count the collision and look again.
    Collision,
}

/// The owner's revisions, oldest first.
#[derive(Debug)]
pub struct History {
    /// The revisions.
    pub all: Vec<Arc<ControllerRevision>>,
    /// Whether the newest one holds today's template, and what to do if not.
    pub next: Next,
}

/// Looks up the revision of today's template.
#[must_use]
pub fn look_up<O: Kind>(source: &Source<'_, O>, view: &dyn View<ControllerRevision>) -> History {
    let claimed = claim(&Claim { owner: source.owner, selector: source.selector, finalizer: None }, view);
    let mut all = claimed.mine;
    all.sort_by_key(|revision| {
        (revision.revision, meta::created(&revision.metadata), meta::name(&revision.metadata).to_owned())
    });
    if !claimed.steps.is_empty() {
        let mut plan = Plan::default();
        plan.then(claimed.steps);
        return History { all, next: Next::First(plan) };
    }
    let next = decide(source, &all, view);
    History { all, next }
}

fn decide<O: Kind>(
    source: &Source<'_, O>,
    all: &[Arc<ControllerRevision>],
    view: &dyn View<ControllerRevision>,
) -> Next {
    let number = all.last().map_or(1, |last| last.revision + 1);
    let same =
        |revision: &&Arc<ControllerRevision>| restore(revision).is_some_and(|template| template == *source.template);
    let mut plan = Plan::default();
    if let Some(equal) = all.iter().rev().find(same) {
        if equal.revision + 1 == number {
            return Next::Ready(equal.clone());
        }
        // A rollback: the old revision becomes the newest.
        let mut bumped = equal.as_ref().clone();
        bumped.revision = number;
        plan.then_do(Action::update(bumped));
        return Next::First(plan);
    }
    let fresh = fresh(source, number);
    if view.get(meta::namespace(&fresh.metadata), meta::name(&fresh.metadata)).is_some() {
        return Next::Collision;
    }
    plan.then_do(Action::create(fresh));
    Next::First(plan)
}

fn fresh<O: Kind>(source: &Source<'_, O>, number: i64) -> ControllerRevision {
    let owner = source.owner.meta();
    let hash = safe_encode(&hash_of_debug(source.template, source.collisions).to_string());
    let prefix: String = meta::name(owner).chars().take(223).collect();
    let mut metadata = ObjectMeta {
        name: Some(format!("{prefix}-{hash}")),
        namespace: owner.namespace.clone(),
        labels: source.template.metadata.as_ref().and_then(|about| about.labels.clone()),
        annotations: owner.annotations.clone(),
        owner_references: Some(vec![controller_reference(source.owner)]),
        ..ObjectMeta::default()
    };
    meta::set_label(&mut metadata, source.label, &hash);
    ControllerRevision { metadata, revision: number, ..snapshot(source.template) }
}

/// Deletes the oldest revisions beyond the limit that nothing uses.
#[must_use]
pub fn forget(all: &[Arc<ControllerRevision>], is_used: impl Fn(&ControllerRevision) -> bool, limit: i32) -> Vec<Step> {
    let unused: Vec<_> = all.iter().filter(|revision| !is_used(revision)).collect();
    let surplus = unused.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
    unused.into_iter().take(surplus).map(|revision| Step::of(Action::delete(revision.as_ref()))).collect()
}
