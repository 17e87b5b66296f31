//! The objects and the rules by which writes change them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use plan::{
    Action, Guard, Index, Key, Kind, MetaPatch, Object, Part, Plan, Propagation, Refusal, Resource, Step, Target, View,
};
use plan::{Stage, hash_of_debug, meta, safe_encode};
use typed::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition};
use typed::meta::ObjectMeta;

/// A fixed beginning of time for tests, plus some seconds.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_750_000_000 + seconds).expect("test times lie within the calendar")
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Writes that changed something.
    pub writes: usize,
    /// Writes that changed nothing: a planner should not have asked for them.
    pub empty_writes: usize,
    /// The first refusal.
    pub refusal: Option<Refusal>,
}

/// All objects of the rehearsed cluster.
#[derive(Debug, Default, Clone)]
pub struct Playhouse {
    objects: BTreeMap<(Resource, Key), Object>,
    revision: u64,
    /// What was said: type, reason, message.
    pub said: Vec<String>,
    /// The clock for creation and deletion timestamps.
    pub now: Option<Timestamp>,
}

type Refused = (&'static str, String);

impl Playhouse {
    /// An empty cluster at a moment.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// A cluster of the objects in YAML documents separated by `---`.
    #[must_use]
    pub fn read(now: Timestamp, yaml: &str) -> Self {
        let mut house = Self::at(now);
        house.add_yaml(yaml);
        house
    }

    /// Adds the objects in YAML documents separated by `---`. Documents that cannot be read fail the test.
    pub fn add_yaml(&mut self, yaml: &str) {
        for document in yaml.split("\n---\n").filter(|document| !document.trim().is_empty()) {
            let tree =
                codec::yaml::parse(document.as_bytes()).unwrap_or_else(|problem| panic!("{problem}:\n{document}"));
            let object = Object::from_tree(&tree).unwrap_or_else(|| panic!("no object of a known kind:\n{document}"));
            self.insert(object);
        }
    }

    /// Plays scheduler and kubelet: binds every waiting pod to the node it is pinned to (else to `node-0`), runs it, and
    /// makes it ready now.
    pub fn run_pods(&mut self) {
        let now = meta::time(self.now.unwrap_or_else(|| at(0)));
        let waiting = |pod: &Arc<Pod>| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, None | Some("" | "Pending")) && !meta::is_deleting(&pod.metadata)
        };
        let all: Vec<Arc<Pod>> = self.all();
        for pod in all.into_iter().filter(waiting) {
            let node = pinned(&pod).unwrap_or_else(|| "node-0".to_owned());
            self.change::<Pod>(meta::namespace(&pod.metadata), meta::name(&pod.metadata), |pod| {
                pod.spec.get_or_insert_default().node_name.get_or_insert(node);
                let status = pod.status.get_or_insert_default();
                status.phase = Some("Running".to_owned());
                status.conditions = Some(vec![PodCondition {
                    type_: "Ready".to_owned(),
                    status: "True".to_owned(),
                    last_transition_time: Some(now.clone()),
                    ..PodCondition::default()
                }]);
            });
        }
    }

    /// Ends running pods with a phase, the first container with an exit code.
    pub fn end_pods(&mut self, phase: &str, exit_code: i32, which: impl Fn(&Pod) -> bool) {
        let now = meta::time(self.now.unwrap_or_else(|| at(0)));
        let all: Vec<Arc<Pod>> = self.all();
        for pod in all.into_iter().filter(|pod| which(pod)) {
            self.change::<Pod>(meta::namespace(&pod.metadata), meta::name(&pod.metadata), |pod| {
                let status = pod.status.get_or_insert_default();
                status.phase = Some(phase.to_owned());
                status.conditions = None;
                let terminated =
                    ContainerStateTerminated { exit_code, finished_at: Some(now.clone()), ..Default::default() };
                status.container_statuses = Some(vec![ContainerStatus {
                    name: "main".to_owned(),
                    state: Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() }),
                    ..ContainerStatus::default()
                }]);
            });
        }
    }

    /// How many writes have changed something since the beginning, clients' and tests' own included.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Puts an object in place as if a client had created it; returns it as stored.
    pub fn add<K: Kind>(&mut self, object: K) -> Arc<K> {
        let key = self.insert(Arc::new(object).erase());
        self.get(&key.namespace, &key.name).expect("it was just inserted")
    }

    /// Changes an object as some other client would, status included.
    pub fn change<K: Kind>(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut K)) {
        let mut object: K = self.expect::<K>(namespace, name).as_ref().clone();
        let before = object.clone();
        change(&mut object);
        if object == before {
            return;
        }
        let mut spec_before = object.clone();
        spec_before.take_status(&before);
        *spec_before.meta_mut() = before.meta().clone();
        if spec_before != before {
            bump_generation(object.meta_mut());
        }
        self.store(Arc::new(object).erase());
    }

    /// Removes an object at once, whatever its finalizers.
    pub fn vanish<K: Kind>(&mut self, namespace: &str, name: &str) {
        self.objects.remove(&(K::RESOURCE, Key::new(namespace, name)));
    }

    /// Asks for deletion as `kubectl delete` would.
    pub fn delete<K: Kind>(&mut self, namespace: &str, name: &str, propagation: Propagation) {
        let target = Target::identity(self.expect::<K>(namespace, name).as_ref());
        self.remove(&target, propagation, None).expect("an identity without revision is never stale");
    }

    /// An object that must be there.
    #[must_use]
    pub fn expect<K: Kind>(&self, namespace: &str, name: &str) -> Arc<K> {
        self.get(namespace, name).unwrap_or_else(|| panic!("no {} {namespace}/{name}", K::RESOURCE.kind))
    }

    /// Lets every pod that is being deleted be gone, as the kubelet would after the grace period.
    pub fn finish_terminations(&mut self) {
        let done = |object: &Object| {
            Pod::of(object).is_some_and(|pod| {
                meta::is_deleting(&pod.metadata) && pod.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
            })
        };
        self.objects.retain(|_, object| !done(object));
    }

    /// All objects with their rows, in a stable order.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// Executes the first steps of a plan, as an executor that is killed in the middle of it.
    pub fn play_part(&mut self, plan: &Plan, steps: usize) -> Outcome {
        let mut left = steps;
        let mut part = Plan { stages: Vec::new(), ..plan.clone() };
        for stage in &plan.stages {
            let taken: Vec<Step> = stage.steps.iter().take(left).cloned().collect();
            left -= taken.len();
            part.stages.push(Stage { steps: taken, always: stage.always });
        }
        self.play(&part)
    }

    /// Executes a plan by the rules of [`Plan`].
    pub fn play(&mut self, plan: &Plan) -> Outcome {
        let mut outcome = Outcome::default();
        for event in &plan.events {
            self.hear(&event.say, "", "");
        }
        for stage in plan.stages.iter() {
            if outcome.refusal.is_some() && !stage.always {
                continue;
            }
            for step in &stage.steps {
                self.step(step, &mut outcome);
            }
        }
        outcome
    }

    fn step(&mut self, step: &Step, outcome: &mut Outcome) {
        let revision = self.revision;
        match self.guarded(step) {
            Ok(name) => {
                if let Some(event) = &step.done {
                    self.hear(&event.say, &name, "");
                }
                let changed = revision != self.revision;
                outcome.writes += usize::from(changed);
                outcome.empty_writes += usize::from(!changed);
            }
            Err((reason, message)) => {
                if let Some(event) = &step.refused {
                    self.hear(&event.say, "", &message);
                }
                let resource = match &step.action {
                    Action::Create(object) | Action::Update { object, .. } => object.resource(),
                    Action::Patch { target, .. } | Action::Delete { target, .. } => target.resource.clone(),
                    Action::DeleteCollection { resource, .. } => resource.clone(),
                };
                let creating = matches!(step.action, Action::Create(_));
                let refusal = Refusal { resource, creating, reason: reason.to_owned(), message };
                outcome.refusal.get_or_insert(refusal);
            }
        }
    }

    fn guarded(&mut self, step: &Step) -> Result<String, Refused> {
        for guard in &step.guards {
            match guard {
                Guard::Alive(target) => {
                    let alive = self.find(target).is_some_and(|object| !meta::is_deleting(object.meta()));
                    if !alive {
                        return Err(("NotFound", format!("{} {} is gone", target.resource.kind, target.name)));
                    }
                }
                Guard::Gone(target) => {
                    let key = (target.resource.clone(), Key::new(&target.namespace, &target.name));
                    let there = self.objects.get(&key);
                    if there.is_some_and(|object| target.uid.is_empty() || meta::uid(object.meta()) == target.uid) {
                        return Err(("Conflict", format!("{} {} exists", target.resource.kind, target.name)));
                    }
                }
            }
        }
        self.act(&step.action)
    }

    fn hear(&mut self, say: &plan::Say, name: &str, refusal: &str) {
        self.said.push(format!("{} {} {}", say.event_type.as_str(), say.reason, say.note.words(name, refusal)));
    }

    fn act(&mut self, action: &Action) -> Result<String, Refused> {
        match action {
            Action::Create(object) => {
                let name = meta::name(object.meta());
                let key = (object.resource(), Key::new(meta::namespace(object.meta()), name));
                if self.objects.contains_key(&key) {
                    return Err(("AlreadyExists", format!("{} \"{name}\" already exists", object.resource().plural)));
                }
                Ok(self.insert(object.clone()).name.to_string())
            }
            Action::Update { object, part } => self.update(object, *part),
            Action::Patch { target, patch } => self.patch(target, patch),
            Action::Delete { target, propagation, grace_seconds } => self.remove(target, *propagation, *grace_seconds),
            Action::DeleteCollection { resource, namespace } => {
                let inside =
                    |object: &&Object| object.resource() == *resource && meta::namespace(object.meta()) == namespace;
                let targets: Vec<Target> = self.objects.values().filter(inside).map(target_of).collect();
                for target in &targets {
                    self.remove(target, Propagation::Background, None)?;
                }
                Ok(String::new())
            }
        }
    }

    fn insert(&mut self, mut object: Object) -> Key {
        self.revision += 1;
        let (revision, now) = (self.revision, self.now.unwrap_or_else(|| at(0)));
        let fresh = object.meta_mut();
        if meta::name(fresh).is_empty() {
            let prefix = fresh.generate_name.clone().expect("an object has a name or a prefix");
            let suffix = safe_encode(&format!("{:05}", hash_of_debug(&revision, None) % 100_000));
            fresh.name = Some(format!("{prefix}{suffix}"));
        }
        fresh.uid.get_or_insert_with(|| format!("uid-{revision}"));
        fresh.creation_timestamp.get_or_insert_with(|| meta::time(now));
        fresh.generation.get_or_insert(1);
        fresh.resource_version = Some(revision.to_string());
        let key = Key::new(meta::namespace(fresh), meta::name(fresh));
        self.objects.insert((object.resource(), key.clone()), object);
        key
    }

    fn store(&mut self, mut object: Object) {
        self.revision += 1;
        object.meta_mut().resource_version = Some(self.revision.to_string());
        let key = (object.resource(), Key::new(meta::namespace(object.meta()), meta::name(object.meta())));
        let held = matches!(&object, Object::Namespace(namespace) if {
            namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref()).is_some_and(|finalizers| !finalizers.is_empty())
        });
        let freed = object.meta().finalizers.as_ref().is_none_or(Vec::is_empty) && !held;
        let finished = meta::is_deleting(object.meta()) && freed;
        if finished && !matches!(object, Object::Pod(_)) {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, object);
        }
    }

    fn find(&self, target: &Target) -> Option<&Object> {
        let key = (target.resource.clone(), Key::new(&target.namespace, &target.name));
        self.objects.get(&key).filter(|object| meta::uid(object.meta()) == target.uid)
    }

    fn fresh(&self, target: &Target) -> Result<Option<Object>, Refused> {
        let key = (target.resource.clone(), Key::new(&target.namespace, &target.name));
        let Some(object) = self.objects.get(&key) else { return Ok(None) };
        let seen = (target.uid.as_str(), target.resource_version.as_deref());
        let stale = meta::uid(object.meta()) != seen.0
            || seen.1.is_some_and(|rv| object.meta().resource_version.as_deref() != Some(rv));
        if stale {
            Err(("Conflict", format!("{} {} has changed", target.resource.kind, target.name)))
        } else {
            Ok(Some(object.clone()))
        }
    }

    fn update(&mut self, object: &Object, part: Part) -> Result<String, Refused> {
        let target = target_of(object);
        let name = target.name.to_string();
        let Some(old) = self.fresh(&target)? else {
            return Err(("NotFound", format!("{} \"{name}\" not found", target.resource.plural)));
        };
        let mut new = match part {
            Part::Whole => {
                let mut new = object.clone();
                new.take_status(&old);
                new
            }
            Part::Status | Part::Approval => {
                // As upstream's status strategies: labels are reset, annotations are written.
                let mut new = old.clone();
                new.meta_mut().annotations.clone_from(&object.meta().annotations);
                new.take_status(object);
                new
            }
            Part::Finalize => object.clone(),
        };
        let mut without_meta = new.clone();
        *without_meta.meta_mut() = old.meta().clone();
        let mut same_status = without_meta.clone();
        same_status.take_status(&old);
        if same_status != old {
            bump_generation(new.meta_mut());
        }
        if new != old {
            self.store(new);
        }
        Ok(name)
    }

    fn patch(&mut self, target: &Target, patch: &MetaPatch) -> Result<String, Refused> {
        let Some(old) = self.fresh(target)? else { return Ok(target.name.to_string()) };
        let mut new = old.clone();
        let about = new.meta_mut();
        if let Some(finalizers) = &patch.finalizers {
            about.finalizers = (!finalizers.is_empty()).then(|| finalizers.clone());
        }
        if let Some(owners) = &patch.owner_references {
            about.owner_references = (!owners.is_empty()).then(|| owners.clone());
        }
        merge(&mut about.labels, &patch.labels);
        merge(&mut about.annotations, &patch.annotations);
        if new != old {
            self.store(new);
        }
        Ok(target.name.to_string())
    }

    fn remove(&mut self, target: &Target, propagation: Propagation, grace: Option<i64>) -> Result<String, Refused> {
        let Some(mut object) = self.fresh(target)? else { return Ok(target.name.to_string()) };
        let now = self.now.unwrap_or_else(|| at(0));
        let finalizer = match propagation {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        };
        let graceful = Pod::of(&object).is_some_and(|pod| grace != Some(0) && is_running_somewhere(pod));
        let about = object.meta_mut();
        let mut finalizers = about.finalizers.clone().unwrap_or_default();
        if let Some(finalizer) = finalizer.filter(|f| !meta::has_finalizer(about, f) && !meta::is_deleting(about)) {
            finalizers.push(finalizer.to_owned());
        }
        self.revision += 1;
        if finalizers.is_empty() && !graceful {
            self.objects.remove(&(target.resource.clone(), Key::new(&target.namespace, &target.name)));
            return Ok(target.name.to_string());
        }
        if meta::is_deleting(about) {
            self.revision -= 1;
            return Ok(target.name.to_string());
        }
        about.finalizers = (!finalizers.is_empty()).then_some(finalizers);
        let seconds = if graceful { grace.unwrap_or(30) } else { 0 };
        about.deletion_timestamp = Some(meta::time(now.saturating_add(seconds.seconds()).unwrap_or(now)));
        about.deletion_grace_period_seconds = Some(seconds);
        self.store(object);
        Ok(target.name.to_string())
    }
}

fn is_running_somewhere(pod: &Pod) -> bool {
    let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty());
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    bound && phase != "Succeeded" && phase != "Failed"
}

fn pinned(pod: &Pod) -> Option<String> {
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    terms.first()?.match_fields.as_ref()?.first()?.values.as_ref()?.first().cloned()
}

fn bump_generation(about: &mut ObjectMeta) {
    about.generation = Some(about.generation.unwrap_or(1) + 1);
}

fn merge(into: &mut Option<BTreeMap<String, String>>, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        let map = into.get_or_insert_default();
        match value {
            Some(value) => drop(map.insert(key.clone(), value.clone())),
            None => drop(map.remove(key)),
        }
    }
    if into.as_ref().is_some_and(BTreeMap::is_empty) && !changes.is_empty() {
        *into = None;
    }
}

fn target_of(object: &Object) -> Target {
    let about = object.meta();
    Target {
        resource: object.resource(),
        namespace: meta::namespace(about).into(),
        name: meta::name(about).into(),
        uid: meta::uid(about).into(),
        resource_version: about.resource_version.as_deref().map(Into::into),
    }
}

impl<K: Kind> View<K> for Playhouse {
    fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let object = self.objects.get(&(K::RESOURCE, Key::new(namespace, name)))?;
        K::of(object).cloned()
    }

    fn all(&self) -> Vec<Arc<K>> {
        self.objects.values().filter_map(K::of).cloned().collect()
    }

    fn by(&self, index: Index, value: &str) -> Vec<Arc<K>> {
        let under = |object: &&Arc<K>| plan::index_value(object.as_ref(), index).is_some_and(|v| v == value);
        self.objects.values().filter_map(K::of).filter(under).cloned().collect()
    }
}
