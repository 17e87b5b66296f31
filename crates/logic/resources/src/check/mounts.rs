//! Volumes as containers use them.

use std::collections::BTreeSet;

use kind::Problem;

use super::formats;
use super::podspec::Scope;
use super::spot::{Problems, Spot};

/// Where a container mounts volumes.
pub(crate) fn mounts(container: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let list = container.at("volumeMounts");
    let devices: Vec<Spot<'_>> = container.at("volumeDevices").items().collect();
    let mut paths = BTreeSet::new();
    for mount in list.items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        name.need(out);
        if !scope.volumes.contains_key(name.text()) {
            out.push(Problem::not_found(mount.path.field("name"), name.text()));
        }
        path.need(out);
        if !paths.insert(path.text()) {
            path.invalid(out, "must be unique");
        }
        if devices.iter().any(|device| device.at("name").text() == name.text()) {
            name.invalid(out, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.at("devicePath").text() == path.text()) {
            path.invalid(out, "must not already exist as a path in volumeDevices");
        }
        sub_paths(&mount, &list, scope, out);
        propagation(&mount, &list, container, out);
        read_only(&mount, &list, out);
    }
}

fn sub_paths(mount: &Spot<'_>, list: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let of_image = scope.volumes.get(mount.at("name").text()).is_some_and(|volume| volume.at("image").is_set());
    for field in ["subPath", "subPathExpr"] {
        let path = mount.at(field);
        if path.text().is_empty() {
            continue;
        }
        if of_image {
            path.invalid(out, "not allowed in image volume sources");
        }
        if field == "subPathExpr" && !mount.at("subPath").text().is_empty() {
            path.invalid(out, "subPathExpr and subPath are mutually exclusive");
        }
        // Upstream leaves the index out of this path.
        formats::descending_path(&Spot { path: list.path.field(field), value: path.value }, out);
    }
}

fn propagation(mount: &Spot<'_>, list: &Spot<'_>, container: &Spot<'_>, out: &mut Problems) {
    let propagation = Spot { path: list.path.field("mountPropagation"), value: mount.at("mountPropagation").value };
    propagation.option(out, &["Bidirectional", "HostToContainer", "None"]);
    if propagation.text() == "Bidirectional" && !container.at("securityContext.privileged").flag() {
        propagation.forbidden(out, "Bidirectional mount propagation is available only to privileged containers");
    }
}

fn read_only(mount: &Spot<'_>, list: &Spot<'_>, out: &mut Problems) {
    let recursive = Spot { path: list.path.field("recursiveReadOnly"), value: mount.at("recursiveReadOnly").value };
    match recursive.text() {
        "Enabled" | "IfPossible" => {
            if !mount.at("readOnly").flag() {
                recursive.forbidden(out, "may only be specified when readOnly is true");
            }
            if !matches!(mount.at("mountPropagation").text(), "" | "None") {
                recursive.forbidden(out, "may only be specified when mountPropagation is None or not specified");
            }
        }
        _ => recursive.option(out, &["Disabled", "Enabled", "IfPossible"]),
    }
}

/// Where a container finds volumes as devices.
pub(crate) fn devices(container: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let mounts: Vec<Spot<'_>> = container.at("volumeMounts").items().collect();
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for device in container.at("volumeDevices").items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        name.need(out);
        if names.contains(name.text()) {
            name.invalid(out, "must be unique");
        }
        match scope.volumes.get(name.text()) {
            None => out.push(Problem::not_found(device.path.field("name"), name.text())),
            Some(volume) if !volume.at("persistentVolumeClaim").is_set() && !volume.at("ephemeral").is_set() => {
                name.invalid(
                    out,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                );
            }
            Some(_) => {}
        }
        path.need(out);
        if paths.contains(path.text()) {
            path.invalid(out, "must be unique");
        }
        if path.text().split('/').any(|part| part == "..") {
            path.invalid(out, "can not contain backsteps ('..')");
        } else {
            paths.insert(path.text());
        }
        if mounts.iter().any(|mount| mount.at("name").text() == name.text()) {
            name.invalid(out, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.at("mountPath").text() == path.text()) {
            path.invalid(out, "must not already exist as a path in volumeMounts");
        }
        names.insert(name.text());
    }
}
