//! PersistentVolumes and PersistentVolumeClaims.

use kind::Context;
use object::{Value, timestamp};

use crate::podspec::{default_claim_spec, default_volume_source};
use crate::promises::Promises;
use crate::tree::{blank, default_text, default_to, put, round_quantities, same, text, unset, within};

/// A PersistentVolumeClaim.
pub(crate) const CLAIM: Promises = Promises {
    default: default_claim,
    create: |_, claim| {
        within(claim, "spec", mirror_sources);
        claim.set(&["status"], Value::from_pairs([("phase", "Pending")]));
    },
    update: |_, claim, _| within(claim, "spec", mirror_sources),
    check_create: crate::check::volume::claim,
    check_update: crate::check::volume::claim_update,
    warn: crate::check::warnings::claim,
    columns: crate::print::volume::CLAIM,
    cells: crate::print::volume::claim,
    ..Promises::STATUS
};

/// A PersistentVolume.
pub(crate) const VOLUME: Promises = Promises {
    default: default_volume,
    create: |context, volume| {
        volume.set(&["status"], Value::from_pairs([("phase", "Pending")]));
        mark_transition(context, volume);
    },
    update: |context, new, old| {
        if context.subresource == "status"
            && text(new, &["status", "phase"]) != text(old, &["status", "phase"])
            && same(new, old, &["status", "lastPhaseTransitionTime"])
        {
            mark_transition(context, new);
        }
    },
    check_create: crate::check::volume::volume,
    check_update: crate::check::volume::volume_update,
    warn: crate::check::warnings::volume,
    columns: crate::print::volume::VOLUME,
    cells: crate::print::volume::volume,
    ..Promises::STATUS
};

fn mark_transition(context: &Context<'_>, volume: &mut Value) {
    volume.set(&["status", "lastPhaseTransitionTime"], timestamp::seconds(context.now));
}

/// Defaults of a claim, also where it is the template of one.
pub(crate) fn default_claim(claim: &mut Value) {
    within(claim, "spec", default_claim_spec);
    within(claim, "status", |status| {
        default_text(status, "phase", "Pending");
        round_quantities(status, "capacity");
        round_quantities(status, "allocatedResources");
    });
}

/// `dataSource` and `dataSourceRef` say the same, unless the latter names another namespace.
fn mirror_sources(spec: &mut Value) {
    let (source, reference) = (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned());
    match (unset(source.as_ref()), unset(reference.as_ref())) {
        (false, true) => put(spec, "dataSourceRef", source),
        (true, false) => {
            let foreign = reference.as_ref().is_some_and(|reference| !blank(reference.get("namespace")));
            if !foreign {
                put(spec, "dataSource", reference);
            }
        }
        _ => {}
    }
}

fn default_volume(volume: &mut Value) {
    within(volume, "spec", |spec| {
        default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        default_to(spec, "volumeMode", "Filesystem");
        round_quantities(spec, "capacity");
        within(spec, "hostPath", |source| default_to(source, "type", ""));
        default_volume_source(spec);
    });
    within(volume, "status", |status| default_text(status, "phase", "Pending"));
}
