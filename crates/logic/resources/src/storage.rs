//! The kinds of the group `storage.k8s.io`.

use kind::Context;
use object::{Meta, MetaMut, Value};

use crate::promises::Promises;
use crate::tree::{default_to, empty, put, same, within};

/// A CSIDriver.
pub(crate) const CSI_DRIVER: Promises = Promises {
    default: |driver| within(driver, "spec", default_driver),
    update: count_driver,
    check_create: crate::check::storage::driver,
    check_update: crate::check::storage::driver_update,
    warn: crate::check::warnings::csi_driver,
    columns: crate::print::volume::CSI_DRIVER,
    cells: crate::print::volume::csi_driver,
    ..Promises::DATA.versioned_updates()
};

/// A CSINode.
pub(crate) const CSI_NODE: Promises = Promises {
    check_create: crate::check::storage::csi_node,
    check_update: crate::check::storage::csi_node_update,
    columns: crate::print::volume::CSI_NODE,
    cells: crate::print::volume::csi_node,
    ..Promises::DATA.versioned_updates()
};

/// A CSIStorageCapacity.
pub(crate) const CSI_STORAGE_CAPACITY: Promises = Promises {
    check_create: crate::check::storage::capacity,
    check_update: crate::check::storage::capacity_update,
    columns: crate::print::volume::CSI_STORAGE_CAPACITY,
    cells: crate::print::volume::csi_storage_capacity,
    ..Promises::DATA.versioned_updates()
};

/// A StorageClass.
pub(crate) const STORAGE_CLASS: Promises = Promises {
    default: |class| {
        default_to(class, "reclaimPolicy", "Delete");
        default_to(class, "volumeBindingMode", "Immediate");
    },
    check_create: crate::check::storage::class,
    check_update: crate::check::storage::class_update,
    warn: crate::check::warnings::storage_class,
    columns: crate::print::volume::STORAGE_CLASS,
    cells: crate::print::volume::storage_class,
    ..Promises::DATA
};

/// A VolumeAttachment.
pub(crate) const VOLUME_ATTACHMENT: Promises = Promises {
    check_create: crate::check::storage::attachment,
    check_update: crate::check::storage::attachment_update,
    columns: crate::print::volume::VOLUME_ATTACHMENT,
    cells: crate::print::volume::volume_attachment,
    ..Promises::STATUS.versioned_updates()
};

/// A VolumeAttributesClass.
pub(crate) const VOLUME_ATTRIBUTES_CLASS: Promises = Promises {
    check_create: crate::check::storage::attributes_class,
    check_update: crate::check::storage::attributes_class_update,
    columns: crate::print::volume::VOLUME_ATTRIBUTES_CLASS,
    cells: crate::print::volume::volume_attributes_class,
    ..Promises::DATA
};

fn default_driver(spec: &mut Value) {
    default_to(spec, "attachRequired", true);
    for key in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
        default_to(spec, key, false);
    }
    default_to(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if empty(spec.get("volumeLifecycleModes")) {
        put(spec, "volumeLifecycleModes", vec!["Persistent"]);
    }
}

/// Only the fields that kubelets watch for count as a new generation.
fn count_driver(_context: &Context<'_>, new: &mut Value, old: &Value) {
    let watched = ["tokenRequests", "requiresRepublish", "seLinuxMount", "serviceAccountTokenInSecrets"];
    if watched.iter().any(|key| !same(new, old, &["spec", key])) {
        MetaMut::of(new).set("generation", Meta::of(old).generation().saturating_add(1));
    }
}
