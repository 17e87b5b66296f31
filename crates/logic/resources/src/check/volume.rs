//! PersistentVolumes and PersistentVolumeClaims.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::{Path, Value, names};

use super::spot::{Problems, Spot};
use super::{affinity, formats, over};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What is wrong with a new claim.
pub(crate) fn claim(_context: &Context<'_>, claim: &Value) -> Vec<Problem> {
    over(claim, |claim, out| claim_spec(&claim.at("spec"), out))
}

/// A claim's spec.
pub(crate) fn claim_spec(spec: &Spot<'_>, out: &mut Problems) {
    let modes = spec.at("accessModes");
    if modes.is_empty() {
        modes.required(out, "at least 1 access mode is required");
    }
    if spec.at("selector").is_set() {
        formats::label_selector(&spec.at("selector"), out);
    }
    access_modes(&modes, out);
    let storage = spec.at("resources.requests.storage").moved(spec.path.field("resources").key("storage"));
    match storage.quantity() {
        None => storage.required(out, ""),
        Some(size) if size.sign().is_le() => {
            let detail = "must be greater than zero";
            out.push(Problem::invalid(storage.path.clone(), size.text(), detail));
        }
        Some(_) => {}
    }
    let class = spec.at("storageClassName");
    if !class.text().is_empty() {
        class.subdomain(out);
    }
    spec.at("volumeMode").option(out, &["Block", "Filesystem"]);
    for field in ["dataSource", "dataSourceRef"] {
        let source = spec.at(field);
        if !source.is_set() {
            continue;
        }
        if source.at("name").is_empty() {
            source.at("name").required(out, "");
        }
        if source.at("kind").is_empty() {
            source.at("kind").required(out, "");
        }
        if source.at("apiGroup").text().is_empty() && source.at("kind").text() != "PersistentVolumeClaim" {
            source.invalid(out, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
        }
    }
    let attributes = spec.at("volumeAttributesClassName");
    if !attributes.text().is_empty() {
        attributes.subdomain(out);
    }
}

fn access_modes(modes: &Spot<'_>, out: &mut Problems) {
    let (mut single, mut other) = (false, false);
    for mode in modes.items() {
        if !MODES.contains(&mode.text()) {
            out.push(Problem::not_supported(modes.path.clone(), mode.text(), &MODES));
        }
        single |= mode.text() == "ReadWriteOncePod";
        other |= mode.text() != "ReadWriteOncePod";
    }
    if single && other {
        modes.forbidden(out, "may not use ReadWriteOncePod with other access modes");
    }
}

/// What is wrong with a changed claim.
pub(crate) fn claim_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return Vec::new();
    }
    let mut out = claim(context, new);
    let before = Spot::root(old).at("spec");
    let spec = Spot::root(new).at("spec");
    let bound = Spot::root(old).at("status.phase").text() == "Bound";
    let mut munged = new.clone();
    if before.at("volumeName").is_empty() {
        crate::tree::carry(&mut munged, old, &["spec", "volumeName"]);
    }
    let (now, then) = (spec.at("resources.requests.storage"), before.at("resources.requests.storage"));
    if bound {
        crate::tree::carry(&mut munged, old, &["spec", "resources", "requests"]);
    }
    // A claim that names no class may be given the default one later.
    if !before.at("storageClassName").is_set() && !bound {
        crate::tree::carry(&mut munged, old, &["spec", "storageClassName"]);
    }
    crate::tree::carry(&mut munged, old, &["spec", "volumeAttributesClassName"]);
    if Spot::root(&munged).at("spec").differs(&before) {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        out.push(Problem::forbidden(Path::of("spec"), detail));
    }
    let least = Spot::root(old).at("status.capacity.storage");
    if let (Some(size), Some(known)) = (now.quantity(), then.quantity())
        && size < known
        && least.quantity().is_none_or(|capacity| size <= capacity)
    {
        let path = Path::of("spec.resources.requests.storage");
        out.push(Problem::forbidden(path, "field can not be less than status.capacity"));
    }
    spec.at("volumeMode").immutable(&mut out, &before.at("volumeMode"));
    out
}

/// What is wrong with a new volume.
pub(crate) fn volume(_context: &Context<'_>, volume: &Value) -> Vec<Problem> {
    over(volume, |volume, out| {
        let spec = volume.at("spec");
        let modes = spec.at("accessModes");
        if modes.is_empty() {
            modes.required(out, "");
        }
        access_modes(&modes, out);
        capacity(&spec, out);
        spec.at("persistentVolumeReclaimPolicy").option(out, &["Delete", "Recycle", "Retain"]);
        let (required, needed) = (spec.at("nodeAffinity.required"), spec.at("nodeAffinity"));
        if required.is_set() {
            affinity::node_selector(&required, out);
        } else if needed.is_set() {
            required.required(out, "must specify required node constraints");
        }
        sources(&spec, out);
        if spec.at("local").is_set() && !needed.is_set() {
            out.push(Problem::required(Path::of("metadata.annotations"), "Local volume requires node affinity"));
        }
        let class = spec.at("storageClassName");
        if !class.text().is_empty() {
            class.subdomain(out);
        }
        spec.at("volumeMode").option(out, &["Block", "Filesystem"]);
    })
}

fn capacity(spec: &Spot<'_>, out: &mut Problems) {
    let capacity = spec.at("capacity");
    if capacity.is_empty() {
        capacity.required(out, "");
    }
    let storage = capacity.value.and_then(|capacity| capacity.get("storage"));
    if storage.is_none() || capacity.len() > 1 {
        capacity.not_only_storage(out);
    }
    for (_, amount) in capacity.entries() {
        if let Some(size) = amount.quantity().filter(|size| size.sign().is_lt()) {
            // Rounded up to whole units, as upstream reads it here.
            let units = i64::try_from(size.nanos() / 1_000_000_000).unwrap_or(i64::MIN);
            out.push(Problem::invalid(amount.path.clone(), units, "must be a valid resource quantity"));
        }
        if amount.quantity().is_some_and(|size| size.sign().is_le()) {
            amount.invalid(out, "must be greater than zero");
        }
    }
}

impl Spot<'_> {
    fn not_only_storage(&self, out: &mut Problems) {
        out.push(Problem::not_supported(self.path.clone(), self.shown(), &["storage"]));
    }
}

/// Kinds of storage that a persistent volume may be.
const SOURCES: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

fn sources(spec: &Spot<'_>, out: &mut Problems) {
    let mut found = 0;
    for kind in SOURCES {
        let source = spec.at(kind);
        if !source.is_set() {
            continue;
        }
        found += 1;
        if found > 1 {
            source.forbidden(out, "may not specify more than 1 volume type");
        } else {
            shared_source(kind, &source, out);
        }
    }
    if found == 0 {
        spec.required(out, "must specify a volume type");
    }
}

/// A source that pods and persistent volumes share.
pub(crate) fn shared_source(kind: &str, source: &Spot<'_>, out: &mut Problems) {
    const REQUIRED: [(&str, &[&str]); 12] = [
        ("awsElasticBlockStore", &["volumeID"]),
        ("azureDisk", &["diskName", "diskURI"]),
        ("azureFile", &["secretName", "shareName"]),
        ("cephfs", &["monitors"]),
        ("cinder", &["volumeID"]),
        ("flexVolume", &["driver"]),
        ("gcePersistentDisk", &["pdName"]),
        ("glusterfs", &["endpoints", "path"]),
        ("iscsi", &["targetPortal", "iqn"]),
        ("photonPersistentDisk", &["pdID"]),
        ("rbd", &["monitors", "image"]),
        ("vsphereVolume", &["volumePath"]),
    ];
    for field in REQUIRED.iter().filter(|(name, _)| *name == kind).flat_map(|(_, fields)| *fields) {
        source.at(field).need(out);
    }
    match kind {
        "hostPath" => {
            if source.at("path").need(out) {
                formats::no_backsteps(&source.at("path"), out);
            }
            let supported =
                ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
            source.at("type").option(out, &supported);
        }
        "nfs" => {
            source.at("server").need(out);
            let path = source.at("path");
            path.need(out);
            if !path.text().starts_with('/') {
                path.or_empty().invalid(out, "must be an absolute path");
            }
        }
        "local" if source.at("path").need(out) => formats::no_backsteps(&source.at("path"), out),
        "csi" => {
            driver_name(&source.at("driver"), out);
            if source.at("volumeHandle").is_set() {
                source.at("volumeHandle").need(out);
            }
        }
        "gitRepo" => drop(source.at("repository").need(out)),
        _ => {}
    }
}

/// The name of a storage driver.
pub(crate) fn driver_name(name: &Spot<'_>, out: &mut Problems) {
    if !name.need(out) {
        return;
    }
    if name.text().len() > 63 {
        out.push(Problem::too_long(name.path.clone(), 63));
    }
    for text in names::dns_subdomain(&name.text().to_lowercase()) {
        name.invalid(out, text);
    }
}

/// What is wrong with a changed volume.
pub(crate) fn volume_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return Vec::new();
    }
    let mut out = volume(context, new);
    let (spec, before) = (Spot::root(new).at("spec"), Spot::root(old).at("spec"));
    let changed: BTreeSet<&str> = SOURCES.into_iter().filter(|kind| spec.at(kind).differs(&before.at(kind))).collect();
    if !changed.is_empty() {
        let detail = "spec.persistentvolumesource is immutable after creation";
        out.push(Problem::forbidden(Path::of("spec.persistentvolumesource"), detail));
    }
    spec.at("volumeMode").immutable(&mut out, &before.at("volumeMode"));
    if before.at("nodeAffinity").is_set() {
        spec.at("nodeAffinity").immutable(&mut out, &before.at("nodeAffinity"));
    }
    out
}
