//! Tables of the kinds that concern storage.

use kind::{AGE, Cell, Column, NAME};
use object::{Meta, Value};

use super::{NONE, UNSET, column, count, name, shown, text_or, wide};
use crate::tree::{flag, text, texts, unset};

const MODES: Column = column("Access Modes", "string", "How the volume can be mounted.");
const STATUS: Column = column("Status", "string", "What the object is doing.");
const CLASS: Column = column("StorageClass", "string", "Class of the storage.");
const ATTRIBUTES: Column = column("VolumeAttributesClass", "string", "Class of the volume's changeable attributes.");
const MODE: Column = wide("VolumeMode", "string", "Whether it is a file system or a device.");

pub(crate) const CLAIM: &[Column] = &[
    NAME,
    STATUS,
    column("Volume", "string", "The volume it is bound to."),
    column("Capacity", "string", "Size of that volume."),
    MODES,
    CLASS,
    ATTRIBUTES,
    AGE,
    MODE,
];

pub(crate) fn claim(claim: &Value) -> Vec<Cell> {
    let volume = text(claim, &["spec", "volumeName"]);
    let (capacity, modes) = match volume {
        "" => (String::new(), String::new()),
        _ => (capacity(claim, &["status", "capacity", "storage"]), access_modes(claim, &["status", "accessModes"])),
    };
    vec![
        name(claim),
        phase(claim),
        Cell::from(volume),
        Cell::from(capacity),
        Cell::from(modes),
        Cell::from(class(claim)),
        text_or(claim, &["spec", "volumeAttributesClassName"], UNSET),
        kind::age(claim),
        text_or(claim, &["spec", "volumeMode"], UNSET),
    ]
}

pub(crate) const VOLUME: &[Column] = &[
    NAME,
    column("Capacity", "string", "Its size."),
    MODES,
    column("Reclaim Policy", "string", "What becomes of it when its claim is gone."),
    STATUS,
    column("Claim", "string", "The claim it is bound to."),
    CLASS,
    ATTRIBUTES,
    column("Reason", "string", "Why it is in this state."),
    AGE,
    MODE,
];

pub(crate) fn volume(volume: &Value) -> Vec<Cell> {
    let reference = |field: &str| text(volume, &["spec", "claimRef", field]);
    let claim = match unset(volume.at(&["spec", "claimRef"])) {
        true => String::new(),
        false => format!("{}/{}", reference("namespace"), reference("name")),
    };
    vec![
        name(volume),
        Cell::from(capacity(volume, &["spec", "capacity", "storage"])),
        Cell::from(access_modes(volume, &["spec", "accessModes"])),
        Cell::from(text(volume, &["spec", "persistentVolumeReclaimPolicy"])),
        phase(volume),
        Cell::from(claim),
        Cell::from(class(volume)),
        text_or(volume, &["spec", "volumeAttributesClassName"], UNSET),
        Cell::from(text(volume, &["status", "reason"])),
        kind::age(volume),
        text_or(volume, &["spec", "volumeMode"], UNSET),
    ]
}

fn phase(object: &Value) -> Cell {
    Cell::from(if Meta::of(object).is_deleting() { "Terminating" } else { text(object, &["status", "phase"]) })
}

fn capacity(object: &Value, keys: &[&str]) -> String {
    object.at(keys).map_or_else(|| "0".to_owned(), shown)
}

fn class(object: &Value) -> &str {
    let annotated = Meta::of(object).annotation("volume.beta.kubernetes.io/storage-class");
    annotated.unwrap_or_else(|| text(object, &["spec", "storageClassName"]))
}

fn access_modes(object: &Value, keys: &[&str]) -> String {
    const SHORT: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let has = |mode: &str| texts(object, keys).any(|candidate| candidate == mode);
    SHORT.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// The name, and whether the object is the one that counts when none is named.
fn name_with_default(object: &Value, annotations: &[&str]) -> Cell {
    let default = annotations.iter().any(|key| Meta::of(object).annotation(key) == Some("true"));
    let name = Meta::of(object).name();
    Cell::from(if default { format!("{name} (default)") } else { name.to_owned() })
}

pub(crate) const STORAGE_CLASS: &[Column] = &[
    NAME,
    column("Provisioner", "string", "Who makes volumes of the class."),
    column("ReclaimPolicy", "string", "What becomes of volumes whose claims are gone."),
    column("VolumeBindingMode", "string", "When claims are bound."),
    column("AllowVolumeExpansion", "string", "Whether volumes may grow."),
    AGE,
];

pub(crate) fn storage_class(class: &Value) -> Vec<Cell> {
    const DEFAULT: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    vec![
        name_with_default(class, &DEFAULT),
        Cell::from(text(class, &["provisioner"])),
        text_or(class, &["reclaimPolicy"], "Delete"),
        text_or(class, &["volumeBindingMode"], "Immediate"),
        Cell::from(flag(class, &["allowVolumeExpansion"])),
        kind::age(class),
    ]
}

pub(crate) const VOLUME_ATTRIBUTES_CLASS: &[Column] =
    &[NAME, column("DriverName", "string", "The driver that knows the attributes."), AGE];

pub(crate) fn volume_attributes_class(class: &Value) -> Vec<Cell> {
    let name = name_with_default(class, &["storageclass.kubernetes.io/is-default-class"]);
    vec![name, Cell::from(text(class, &["driverName"])), kind::age(class)]
}

pub(crate) const VOLUME_ATTACHMENT: &[Column] = &[
    NAME,
    column("Attacher", "string", "The driver that attaches the volume."),
    column("PV", "string", "The volume."),
    column("Node", "string", "The node."),
    column("Attached", "boolean", "Whether it is attached."),
    AGE,
];

pub(crate) fn volume_attachment(attachment: &Value) -> Vec<Cell> {
    vec![
        name(attachment),
        Cell::from(text(attachment, &["spec", "attacher"])),
        Cell::from(text(attachment, &["spec", "source", "persistentVolumeName"])),
        Cell::from(text(attachment, &["spec", "nodeName"])),
        Cell::from(flag(attachment, &["status", "attached"])),
        kind::age(attachment),
    ]
}

pub(crate) const CSI_NODE: &[Column] = &[NAME, column("Drivers", "integer", "Drivers that the node has."), AGE];

pub(crate) fn csi_node(node: &Value) -> Vec<Cell> {
    vec![name(node), Cell::from(count(node, &["spec", "drivers"])), kind::age(node)]
}

pub(crate) const CSI_DRIVER: &[Column] = &[
    NAME,
    column("AttachRequired", "boolean", "Whether its volumes are attached before they are mounted."),
    column("PodInfoOnMount", "boolean", "Whether it is told which pod a volume is mounted for."),
    column("StorageCapacity", "boolean", "Whether it says how much room there is."),
    column("TokenRequests", "string", "Audiences of the tokens that it is given."),
    column("RequiresRepublish", "boolean", "Whether it is called again and again while a volume is mounted."),
    column("Modes", "string", "Life cycles of its volumes."),
    AGE,
];

pub(crate) fn csi_driver(driver: &Value) -> Vec<Cell> {
    let attaches = driver.at(&["spec", "attachRequired"]).and_then(Value::as_bool).unwrap_or(true);
    let requests = driver.list_at(&["spec", "tokenRequests"]);
    let audiences: Vec<&str> = requests.iter().map(|request| text(request, &["audience"])).collect();
    let modes: Vec<&str> = texts(driver, &["spec", "volumeLifecycleModes"]).collect();
    vec![
        name(driver),
        Cell::from(attaches),
        Cell::from(flag(driver, &["spec", "podInfoOnMount"])),
        Cell::from(flag(driver, &["spec", "storageCapacity"])),
        Cell::from(if audiences.is_empty() { UNSET.to_owned() } else { audiences.join(",") }),
        Cell::from(flag(driver, &["spec", "requiresRepublish"])),
        Cell::from(if modes.is_empty() { NONE.to_owned() } else { modes.join(",") }),
        kind::age(driver),
    ]
}

pub(crate) const CSI_STORAGE_CAPACITY: &[Column] = &[
    NAME,
    column("StorageClassName", "string", "Class of the storage."),
    column("Capacity", "string", "How much room there is."),
];

pub(crate) fn csi_storage_capacity(capacity: &Value) -> Vec<Cell> {
    let room = capacity.get("capacity").filter(|room| !room.is_null()).map_or_else(|| UNSET.to_owned(), shown);
    vec![name(capacity), Cell::from(text(capacity, &["storageClassName"])), Cell::from(room)]
}
