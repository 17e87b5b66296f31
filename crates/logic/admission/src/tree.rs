//! Reading pods out of trees.

use object::Value;

/// The annotation of pods that a kubelet made from files of its own.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";

/// The text at `keys`; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, keys: &[&str]) -> &'a str {
    value.str_at(keys).unwrap_or_default()
}

/// Whether something other than `null` stands at `keys`.
pub(crate) fn is_set(value: &Value, keys: &[&str]) -> bool {
    value.at(keys).is_some_and(|found| !found.is_null())
}

/// The boolean at `keys`.
pub(crate) fn flag(value: &Value, keys: &[&str]) -> Option<bool> {
    value.at(keys)?.as_bool()
}

/// Whether the pod mirrors one that a kubelet runs from a file.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    is_set(pod, &["metadata", "annotations", MIRROR])
}

/// The containers of a pod's spec: initial, ordinary, ephemeral.
pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|field| spec.list_at(&[field]))
}

/// Appends to the list at `keys`, which is made when it is absent.
pub(crate) fn push(value: &mut Value, keys: &[&str], item: Value) {
    match value.at_mut(keys).and_then(Value::as_list_mut) {
        Some(items) => items.push(item),
        None => value.set(keys, vec![item]),
    }
}

/// The secrets that a pod's spec refers to.
pub(crate) fn secrets(spec: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = spec.list_at(&["imagePullSecrets"]).iter().map(|one| text(one, &["name"])).collect();
    for container in containers(spec) {
        let keys = container.list_at(&["env"]).iter();
        found.extend(keys.filter_map(|variable| variable.str_at(&["valueFrom", "secretKeyRef", "name"])));
        let sources = container.list_at(&["envFrom"]).iter();
        found.extend(sources.filter_map(|source| source.str_at(&["secretRef", "name"])));
    }
    for volume in spec.list_at(&["volumes"]) {
        for path in [
            ["secret", "secretName", ""],
            ["azureFile", "secretName", ""],
            ["cephfs", "secretRef", "name"],
            ["cinder", "secretRef", "name"],
            ["flexVolume", "secretRef", "name"],
            ["rbd", "secretRef", "name"],
            ["scaleIO", "secretRef", "name"],
            ["iscsi", "secretRef", "name"],
            ["storageos", "secretRef", "name"],
            ["csi", "nodePublishSecretRef", "name"],
        ] {
            let path: &[&str] = if path[2].is_empty() { &path[..2] } else { &path };
            found.extend(volume.str_at(path));
        }
        found.extend(projections(volume).filter_map(|source| source.str_at(&["secret", "name"])));
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Whether a pod's spec refers to a config map.
pub(crate) fn has_config_map(spec: &Value) -> bool {
    containers(spec).any(|container| {
        container.list_at(&["env"]).iter().any(|variable| is_set(variable, &["valueFrom", "configMapKeyRef"]))
            || container.list_at(&["envFrom"]).iter().any(|source| is_set(source, &["configMapRef"]))
    }) || spec.list_at(&["volumes"]).iter().any(|volume| {
        is_set(volume, &["configMap"]) || projections(volume).any(|source| is_set(source, &["configMap"]))
    })
}

/// The sources of a projected volume.
pub(crate) fn projections(volume: &Value) -> impl Iterator<Item = &Value> {
    volume.list_at(&["projected", "sources"]).iter()
}
