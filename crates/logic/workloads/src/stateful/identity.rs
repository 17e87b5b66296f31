//! What a pod of an ordinal is: its name, labels, hostname and volume claims.

use plan::{Action, Say, Step, View, controller_of, controller_reference, meta};
use typed::api::apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy};
use typed::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume};

use crate::history::REVISION_LABEL;
use crate::pods;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// `web-3` → (`web`, 3).
pub(super) fn parent_and_ordinal(name: &str) -> Option<(&str, i32)> {
    let (parent, digits) = name.rsplit_once('-')?;
    let ordinal = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((parent, ordinal))
}

/// The pod of an ordinal, not yet created.
pub(super) fn pod(set: &StatefulSet, template: &PodTemplateSpec, ordinal: i32, revision: &str) -> Pod {
    let mut pod = pods::from_template(template, set);
    pod.metadata.generate_name = None;
    give_identity(set, &mut pod, ordinal);
    meta::set_label(&mut pod.metadata, REVISION_LABEL, revision);
    let name = pod.metadata.name.clone();
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = name;
    spec.subdomain = set.spec.as_ref().and_then(|spec| spec.service_name.clone()).filter(|name| !name.is_empty());
    let volumes = Claims::of(set, ordinal).volumes(spec.volumes.take());
    spec.volumes = (!volumes.is_empty()).then_some(volumes);
    pod
}

/// The pod with the labels that others have lost, if it has lost any.
pub(super) fn repaired(set: &StatefulSet, pod: &Pod, ordinal: i32) -> Option<Pod> {
    let mut repaired = pod.clone();
    give_identity(set, &mut repaired, ordinal).then_some(repaired)
}

fn give_identity(set: &StatefulSet, pod: &mut Pod, ordinal: i32) -> bool {
    let name = format!("{}-{ordinal}", meta::name(&set.metadata));
    let named = meta::set_label(&mut pod.metadata, POD_NAME, &name);
    let indexed = meta::set_label(&mut pod.metadata, POD_INDEX, &ordinal.to_string());
    pod.metadata.name = Some(name);
    named || indexed
}

/// The volume claims of one ordinal.
pub(super) struct Claims<'a> {
    set: &'a StatefulSet,
    pod_name: String,
    /// (volume name, claim).
    wanted: Vec<(String, PersistentVolumeClaim)>,
}

impl<'a> Claims<'a> {
    pub(super) fn of(set: &'a StatefulSet, ordinal: i32) -> Self {
        let pod_name = format!("{}-{ordinal}", meta::name(&set.metadata));
        let spec = set.spec.as_ref();
        let labels = spec.and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default();
        let wanted = spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten()).map(|template| {
            let volume = meta::name(&template.metadata).to_owned();
            let mut claim = template.clone();
            claim.metadata.name = Some(format!("{volume}-{pod_name}"));
            claim.metadata.namespace.clone_from(&set.metadata.namespace);
            claim.metadata.labels.get_or_insert_default().extend(labels.clone());
            claim.status = None;
            if policy(set).1 {
                claim.metadata.owner_references = Some(vec![controller_reference(set)]);
            }
            (volume, claim)
        });
        let wanted = wanted.collect();
        Self { set, pod_name, wanted }
    }

    fn found(&self, view: &dyn View<PersistentVolumeClaim>) -> Vec<std::sync::Arc<PersistentVolumeClaim>> {
        let namespace = meta::namespace(&self.set.metadata);
        self.wanted.iter().filter_map(|(_, claim)| view.get(namespace, meta::name(&claim.metadata))).collect()
    }

    /// Whether a claim still belongs to an earlier pod of the same name, or is on its way out: creating the pod must wait.
    pub(super) fn are_stale(&self, view: &dyn View<PersistentVolumeClaim>, pod_uid: Option<&str>) -> bool {
        let earlier = |claim: &PersistentVolumeClaim| {
            let mut owners = claim.metadata.owner_references.iter().flatten();
            owners
                .any(|owner| owner.kind == "Pod" && owner.name == self.pod_name && Some(owner.uid.as_str()) != pod_uid)
        };
        self.found(view).iter().any(|claim| meta::is_deleting(&claim.metadata) || earlier(claim))
    }

    /// Creates the claims that do not exist.
    pub(super) fn missing(&self, view: &dyn View<PersistentVolumeClaim>) -> Vec<Step> {
        let (namespace, set) = (meta::namespace(&self.set.metadata), meta::name(&self.set.metadata));
        let absent = self.wanted.iter().filter(|(_, claim)| view.get(namespace, meta::name(&claim.metadata)).is_none());
        let create = |(_, claim): &(String, PersistentVolumeClaim)| {
            let (name, pod) = (meta::name(&claim.metadata), &self.pod_name);
            let done =
                Say::normal("SuccessfulCreate", format!("create Claim {name} Pod {pod} in StatefulSet {set} success"));
            let refused = Say::refused(
                "FailedCreate",
                format!("create Claim {name} for Pod {pod} in StatefulSet {set} failed error: "),
            );
            Step::of(Action::create(claim.clone())).done(self.set, done).refused(self.set, refused)
        };
        absent.map(create).collect()
    }

    /// Makes the owners of the claims say what the retention policy wants.
    pub(super) fn retention(&self, view: &dyn View<PersistentVolumeClaim>, pod: &Pod, condemned: bool) -> Vec<Step> {
        let (on_scale, on_delete) = policy(self.set);
        let (set_owns, pod_owns) = (on_delete && !(on_scale && condemned), on_scale && condemned);
        let mut steps = Vec::new();
        for claim in self.found(view) {
            let (set_uid, pod_uid) = (meta::uid(&self.set.metadata), meta::uid(&pod.metadata));
            let foreign =
                controller_of(&claim.metadata).is_some_and(|owner| owner.uid != set_uid && owner.uid != pod_uid);
            let before = claim.metadata.owner_references.clone().unwrap_or_default();
            let has = |uid: &str| before.iter().any(|owner| owner.uid == uid);
            if foreign || (has(set_uid) == set_owns && has(pod_uid) == pod_owns) {
                continue;
            }
            let mut after: Vec<_> =
                before.into_iter().filter(|owner| owner.uid != set_uid && owner.uid != pod_uid).collect();
            after.extend(set_owns.then(|| controller_reference(self.set)));
            after.extend(pod_owns.then(|| controller_reference(pod)));
            let mut claim = claim.as_ref().clone();
            claim.metadata.owner_references = Some(after).filter(|owners| !owners.is_empty());
            // The controller's role lets it update claims and not patch them.
            steps.push(Step::of(Action::update(claim)));
        }
        steps
    }

    /// The template's volumes, with those of the same name replaced by the claims.
    fn volumes(&self, others: Option<Vec<Volume>>) -> Vec<Volume> {
        let mine = self.wanted.iter().map(|(name, claim)| Volume {
            name: name.clone(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: meta::name(&claim.metadata).to_owned(),
                read_only: None,
            }),
            ..Volume::default()
        });
        let others =
            others.into_iter().flatten().filter(|volume| self.wanted.iter().all(|(name, _)| *name != volume.name));
        mine.chain(others).collect()
    }
}

/// (delete when scaled down, delete with the set).
fn policy(set: &StatefulSet) -> (bool, bool) {
    let policy = set.spec.as_ref().and_then(|spec| spec.persistent_volume_claim_retention_policy.as_ref());
    let deletes = |field: fn(&StatefulSetPersistentVolumeClaimRetentionPolicy) -> &Option<String>| {
        policy.and_then(|policy| field(policy).as_deref()) == Some("Delete")
    };
    (deletes(|policy| &policy.when_scaled), deletes(|policy| &policy.when_deleted))
}
