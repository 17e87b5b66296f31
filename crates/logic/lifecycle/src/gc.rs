//! The garbage collector: objects whose owners are gone go too, in the background, in the foreground, or not at all.
//!
//! The graph is fed with the metadata of every object of every resource. Owners that nobody has shown us are *unseen*: whether
//! they exist is checked by a live read ([`Guard::Gone`]) before anything is deleted because of them.
//! Rules: `kubernetes.io/docs/concepts/architecture/garbage-collection`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use compact_str::CompactString;
use plan::{Action, Event, EventType, Guard, MetaPatch, Note, Plan, Propagation, Resource, Say, Step, Target, meta};
use typed::api::core::v1::ObjectReference;
use typed::meta::{ObjectMeta, OwnerReference};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Which resource an `apiVersion` and `kind` mean, from discovery; none if it is not known (yet).
pub type Resolve<'a> = &'a dyn Fn(&str, &str) -> Option<Resource>;

/// All objects by uid, with their owners and dependents.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<CompactString, Node>,
    /// Dependents by the uid of an owner, whether or not the owner has been seen.
    dependents: BTreeMap<CompactString, BTreeSet<CompactString>>,
}

#[derive(Debug, Clone)]
struct Node {
    target: Target,
    owners: Vec<OwnerReference>,
    finalizers: Vec<String>,
    deleting: bool,
}

impl Node {
    fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|one| one == finalizer)
    }

    fn waits_for_dependents(&self) -> bool {
        self.deleting && self.has(FOREGROUND)
    }
}

/// The owners of an object, by what they mean for its life.
#[derive(Debug, Default)]
struct Owners {
    /// Alive, or at least not certainly dead.
    solid: usize,
    /// Not in view.
    absent: Vec<(OwnerReference, Guard)>,
    /// Waiting, in foreground deletion, for this object among others.
    waiting: Vec<OwnerReference>,
    /// Impossible: a namespaced owner of a cluster-scoped object.
    invalid: Vec<OwnerReference>,
    /// Of a kind that discovery does not know: no decision.
    unknown: usize,
}

impl Graph {
    /// Records an object as it is now; the uids that should be planned because of it.
    pub fn observe(&mut self, resource: &Resource, about: &ObjectMeta) -> Vec<CompactString> {
        let uid = CompactString::from(meta::uid(about));
        let target = Target {
            resource: resource.clone(),
            namespace: meta::namespace(about).into(),
            name: meta::name(about).into(),
            uid: uid.clone(),
            resource_version: about.resource_version.as_deref().map(CompactString::from),
        };
        let node = Node {
            target,
            owners: about.owner_references.clone().unwrap_or_default(),
            finalizers: about.finalizers.clone().unwrap_or_default(),
            deleting: meta::is_deleting(about),
        };
        let mut affected: BTreeSet<CompactString> = BTreeSet::from([uid.clone()]);
        affected.extend(self.unlink(&uid));
        for owner in &node.owners {
            let owner = CompactString::from(owner.uid.as_str());
            self.dependents.entry(owner.clone()).or_default().insert(uid.clone());
            affected.insert(owner);
        }
        if node.waits_for_dependents() {
            affected.extend(self.dependents_of(&uid).cloned());
        }
        self.nodes.insert(uid, node);
        affected.into_iter().collect()
    }

    /// Records that an object is gone; the uids that should be planned because of it.
    pub fn forget(&mut self, uid: &str) -> Vec<CompactString> {
        let mut affected = self.unlink(uid);
        self.nodes.remove(uid);
        affected.extend(self.dependents_of(uid).cloned());
        affected
    }

    fn unlink(&mut self, uid: &str) -> Vec<CompactString> {
        let owners: Vec<CompactString> = self
            .nodes
            .get(uid)
            .map(|node| node.owners.iter().map(|owner| owner.uid.as_str().into()).collect())
            .unwrap_or_default();
        for owner in &owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        owners
    }

    fn dependents_of(&self, uid: &str) -> impl Iterator<Item = &CompactString> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// Plans one object, by uid.
    #[must_use]
    pub fn plan(&self, uid: &str, resolve: Resolve<'_>) -> Plan {
        let mut plan = Plan::default();
        let Some(node) = self.nodes.get(uid) else { return plan };
        if node.deleting && node.has(ORPHAN) {
            self.let_go(node, &mut plan);
        } else if node.waits_for_dependents() {
            self.finish_foreground(node, &mut plan);
        } else if !node.deleting && !node.owners.is_empty() {
            self.judge(node, resolve, &mut plan);
        }
        plan
    }

    /// Orphaning: the dependents lose the reference, then the owner its finalizer.
    fn let_go(&self, node: &Node, plan: &mut Plan) {
        let uid = node.target.uid.as_str();
        let dependents = self.dependents_of(uid).filter_map(|dependent| self.nodes.get(dependent));
        let release = |dependent: &Node| {
            let owners = dependent.owners.iter().filter(|owner| owner.uid != uid).cloned().collect();
            patch_owners(dependent, owners)
        };
        plan.then(dependents.map(release).collect());
        plan.then(vec![without_finalizer(node, ORPHAN)]);
    }

    /// The owner may go as soon as no dependent blocks it.
    fn finish_foreground(&self, node: &Node, plan: &mut Plan) {
        let uid = node.target.uid.as_str();
        let blocks = |dependent: &Node| {
            dependent.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true))
        };
        let blocked = self.dependents_of(uid).filter_map(|one| self.nodes.get(one)).any(blocks);
        if !blocked {
            plan.then(vec![without_finalizer(node, FOREGROUND)]);
        }
    }

    fn judge(&self, node: &Node, resolve: Resolve<'_>, plan: &mut Plan) {
        let owners = self.classify(node, resolve);
        for owner in &owners.invalid {
            plan.events.push(invalid_owner(node, owner));
        }
        if owners.solid > 0 {
            self.drop_dead_owners(node, &owners, plan);
            return;
        }
        if owners.unknown > 0 || !owners.invalid.is_empty() || (owners.absent.is_empty() && owners.waiting.is_empty()) {
            return;
        }
        let own_dependents = || self.dependents_of(&node.target.uid).filter_map(|one| self.nodes.get(one));
        let foreground = node.has(FOREGROUND) || (!owners.waiting.is_empty() && own_dependents().next().is_some());
        // A circle of owners that wait for each other would wait for ever.
        if !owners.waiting.is_empty() && own_dependents().any(Node::waits_for_dependents) {
            let unblocked =
                node.owners.iter().map(|owner| OwnerReference { block_owner_deletion: Some(false), ..owner.clone() });
            let unblocked: Vec<_> = unblocked.collect();
            if unblocked != node.owners {
                plan.then(vec![patch_owners(node, unblocked)]);
                return;
            }
        }
        let propagation = match () {
            () if node.has(ORPHAN) => Propagation::Orphan,
            () if foreground => Propagation::Foreground,
            () => Propagation::Background,
        };
        let mut step = Step::of(Action::Delete { target: node.target.clone(), propagation, grace_seconds: None });
        step.guards = owners.absent.into_iter().map(|(_, guard)| guard).collect();
        plan.then(vec![step]);
    }

    /// An object with a living owner loses its references to dead and dying ones.
    fn drop_dead_owners(&self, node: &Node, owners: &Owners, plan: &mut Plan) {
        let dead: BTreeSet<&str> = owners
            .absent
            .iter()
            .map(|(owner, _)| owner)
            .chain(&owners.waiting)
            .map(|owner| owner.uid.as_str())
            .collect();
        if dead.is_empty() {
            return;
        }
        let left = node.owners.iter().filter(|owner| !dead.contains(owner.uid.as_str())).cloned().collect();
        let mut step = patch_owners(node, left);
        step.guards = owners.absent.iter().map(|(_, guard)| guard.clone()).collect();
        plan.then(vec![step]);
    }

    fn classify(&self, node: &Node, resolve: Resolve<'_>) -> Owners {
        let mut owners = Owners::default();
        for owner in &node.owners {
            let Some(resource) = resolve(&owner.api_version, &owner.kind) else {
                owners.unknown += 1;
                continue;
            };
            if resource.namespaced && node.target.namespace.is_empty() {
                owners.invalid.push(owner.clone());
                continue;
            }
            let namespace = if resource.namespaced { node.target.namespace.as_str() } else { "" };
            let seen = self.nodes.get(owner.uid.as_str()).filter(|seen| {
                seen.target.namespace == namespace
                    && seen.target.name == owner.name
                    && seen.target.resource.plural == resource.plural
            });
            match seen {
                Some(seen) if seen.waits_for_dependents() && owner.block_owner_deletion == Some(true) => {
                    owners.waiting.push(owner.clone());
                }
                Some(seen) if seen.waits_for_dependents() => owners.waiting.push(owner.clone()),
                Some(_) => owners.solid += 1,
                None => {
                    let target =
                        Target { uid: owner.uid.as_str().into(), ..Target::named(resource, namespace, &owner.name) };
                    owners.absent.push((owner.clone(), Guard::Gone(target)));
                }
            }
        }
        owners
    }
}

fn patch_owners(node: &Node, owners: Vec<OwnerReference>) -> Step {
    let patch = MetaPatch { owner_references: Some(owners), ..MetaPatch::default() };
    Step::of(Action::Patch { target: node.target.clone(), patch })
}

fn without_finalizer(node: &Node, finalizer: &str) -> Step {
    let left = node.finalizers.iter().filter(|one| *one != finalizer).cloned().collect();
    Step::of(Action::Patch { target: node.target.clone(), patch: MetaPatch::finalizers(left) })
}

fn invalid_owner(node: &Node, owner: &OwnerReference) -> Event {
    let words = format!(
        "ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace {:?}",
        owner.api_version, owner.kind, node.target.namespace, owner.name, owner.uid, node.target.namespace
    );
    let text = |text: &CompactString| Some(text.to_string());
    Event {
        regarding: ObjectReference {
            api_version: Some(node.target.resource.api_version()),
            kind: Some(node.target.resource.kind.to_string()),
            name: text(&node.target.name),
            namespace: text(&node.target.namespace),
            uid: text(&node.target.uid),
            ..ObjectReference::default()
        },
        say: Say { event_type: EventType::Warning, reason: "OwnerRefInvalidNamespace", note: Note::Text(words) },
    }
}

#[cfg(test)]
mod tests;
