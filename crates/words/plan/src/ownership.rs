//! Owner references: who controls whom, and how control is taken and given up.

use std::collections::BTreeSet;
use std::sync::Arc;

use typed::meta::{ObjectMeta, OwnerReference};

use crate::{Guard, Key, Kind, MetaPatch, Selector, Step, Target, View, meta};

/// The one owner reference with `controller: true`.
#[must_use]
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// Whether the object with this uid controls it.
#[must_use]
pub fn is_controlled_by(meta: &ObjectMeta, uid: &str) -> bool {
    controller_of(meta).is_some_and(|owner| owner.uid == uid)
}

/// The key of the controlling owner, if it is of this kind.
#[must_use]
pub fn controller_key<O: Kind>(child: &ObjectMeta) -> Option<Key> {
    let owner = controller_of(child)?;
    let of_kind = owner.kind == O::RESOURCE.kind && owner.api_version == O::RESOURCE.api_version();
    let namespace = if O::RESOURCE.namespaced { meta::namespace(child) } else { "" };
    of_kind.then(|| Key::new(namespace, &owner.name))
}

/// The owners to plan because a child came, changed or went: its controllers before and after, and, for a child without
/// one, every owner that would adopt it.
#[must_use]
pub fn owners_to_wake<O: Kind>(
    old: Option<&ObjectMeta>,
    new: Option<&ObjectMeta>,
    owners: &dyn View<O>,
    selector: fn(&O) -> Selector,
) -> BTreeSet<Key> {
    let mut keys: BTreeSet<Key> = [old, new].into_iter().flatten().filter_map(controller_key::<O>).collect();
    if let Some(orphan) = new.filter(|child| controller_of(child).is_none() && !meta::is_deleting(child)) {
        let adopts = |owner: &Arc<O>| selector(owner).matches(orphan.labels.as_ref());
        keys.extend(
            owners.within(meta::namespace(orphan)).into_iter().filter(adopts).map(|owner| Key::of(owner.as_ref())),
        );
    }
    keys
}

/// The reference a controller puts on what it makes: controlling, and blocking foreground deletion.
#[must_use]
pub fn controller_reference<K: Kind>(owner: &K) -> OwnerReference {
    OwnerReference { controller: Some(true), block_owner_deletion: Some(true), ..owner_reference(owner) }
}

/// A plain reference to an owner.
#[must_use]
pub fn owner_reference<K: Kind>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::RESOURCE.api_version(),
        kind: K::RESOURCE.kind.to_string(),
        name: meta::name(owner.meta()).to_owned(),
        uid: meta::uid(owner.meta()).to_owned(),
        controller: None,
        block_owner_deletion: None,
    }
}

/// What a controller says about the objects that its selector reaches.
#[derive(Debug)]
pub struct Claim<'a, O: Kind> {
    /// The claiming owner.
    pub owner: &'a O,
    /// Its selector.
    pub selector: &'a Selector,
    /// A finalizer to put on adopted objects.
    pub finalizer: Option<&'static str>,
}

/// The outcome of a claim.
#[derive(Debug)]
pub struct Claimed<T> {
    /// Objects controlled by the owner and matching its selector.
    pub mine: Vec<Arc<T>>,
    /// Adoptions and releases that make the references say so. While there are any, the owner should do nothing else:
    /// the next look sees the outcome.
    pub steps: Vec<Step>,
}

/// Sorts the objects within reach of an owner: keeps its own, releases those that no longer match, adopts orphans that do.
///
/// An owner that is being deleted adopts and releases nothing. Adoption asks the server to check the object's uid.
#[must_use]
pub fn claim<O: Kind, T: Kind>(claim: &Claim<'_, O>, children: &dyn View<T>) -> Claimed<T> {
    let (owner, owner_uid) = (claim.owner.meta(), meta::uid(claim.owner.meta()));
    let mut claimed = Claimed { mine: Vec::new(), steps: Vec::new() };
    for child in children.controlled_by(owner_uid) {
        if claim.selector.matches(child.meta().labels.as_ref()) {
            claimed.mine.push(child);
        } else if !meta::is_deleting(owner) {
            claimed.steps.push(Step::of(release(claim, child.as_ref(), owner_uid)));
        }
    }
    if meta::is_deleting(owner) {
        return claimed;
    }
    for orphan in children.uncontrolled(meta::namespace(owner)) {
        if meta::is_deleting(orphan.meta()) || !claim.selector.matches(orphan.meta().labels.as_ref()) {
            continue;
        }
        let guard = Guard::Alive(Target::identity(claim.owner));
        claimed.steps.push(Step::of(adopt(claim, orphan.as_ref())).guarded(guard));
    }
    claimed
}

fn adopt<O: Kind, T: Kind>(claim: &Claim<'_, O>, orphan: &T) -> crate::Action {
    let mut owners = orphan.meta().owner_references.clone().unwrap_or_default();
    owners.push(controller_reference(claim.owner));
    let finalizers = claim.finalizer.filter(|f| !meta::has_finalizer(orphan.meta(), f)).map(|finalizer| {
        let mut all = orphan.meta().finalizers.clone().unwrap_or_default();
        all.push(finalizer.to_owned());
        all
    });
    let patch = MetaPatch { owner_references: Some(owners), finalizers, ..MetaPatch::default() };
    crate::Action::Patch { target: Target::exactly(orphan), patch }
}

fn release<O: Kind, T: Kind>(claim: &Claim<'_, O>, child: &T, owner_uid: &str) -> crate::Action {
    let owners =
        child.meta().owner_references.iter().flatten().filter(|owner| owner.uid != owner_uid).cloned().collect();
    let finalizers = claim
        .finalizer
        .filter(|f| meta::has_finalizer(child.meta(), f))
        .map(|f| meta::finalizers_without(child.meta(), f));
    let patch = MetaPatch { owner_references: Some(owners), finalizers, ..MetaPatch::default() };
    crate::Action::Patch { target: Target::exactly(child), patch }
}
