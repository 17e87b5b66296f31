//! The node's disk, as pods use it: what each may use, and what becomes of one that uses more.

use std::collections::BTreeMap;

use typed::api::core::v1::{EmptyDirVolumeSource, Pod, Volume};
use typed::resource::Quantity;

use crate::eviction::is_critical;
use crate::termination::EndingVerdict;
use crate::{quantity, resources};

/// The resource's name.
pub const EPHEMERAL_STORAGE: &str = "ephemeral-storage";

/// What a container uses of the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerUse {
    /// Bytes that it wrote over its image, on the disk of images.
    pub layer_bytes: u64,
    /// Bytes of its logs.
    pub log_bytes: u64,
}

impl ContainerUse {
    /// What counts as the container's; `apart`: images have a disk of their own.
    pub fn bytes(self, apart: bool) -> u64 {
        let layer = if apart { 0 } else { self.layer_bytes };
        layer.saturating_add(self.log_bytes)
    }
}

/// What a pod uses of the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the volumes that are on the node, by name: those that were measured.
    pub volumes: BTreeMap<String, u64>,
    /// Its containers, by name.
    pub containers: BTreeMap<String, ContainerUse>,
}

impl Usage {
    /// What counts as the pod's.
    pub fn bytes(&self, pod: &Pod, apart: bool) -> u64 {
        let containers = self.containers.values().map(|it| it.bytes(apart));
        let volumes = volumes(pod).filter(|volume| is_ephemeral(volume)).filter_map(|it| self.volumes.get(&it.name));
        containers.chain(volumes.copied()).fold(0, u64::saturating_add)
    }
}

fn volumes(pod: &Pod) -> impl Iterator<Item = &Volume> {
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten())
}

/// Whether what is in a volume counts as the pod's use of the disk.
pub fn is_ephemeral(volume: &Volume) -> bool {
    let on_disk = |source: &EmptyDirVolumeSource| source.medium.as_deref().unwrap_or_default().is_empty();
    volume.config_map.is_some() || volume.empty_dir.as_ref().is_some_and(on_disk)
}

fn size_limit(volume: &Volume) -> Option<&Quantity> {
    let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
    Some(limit).filter(|limit| quantity::value(limit).is_some_and(|bytes| bytes > 0))
}

/// Whether anything limits the pod's use of the disk: then it has to be measured.
pub fn is_limited(pod: &Pod) -> bool {
    !is_critical(pod)
        && (volumes(pod).any(|volume| size_limit(volume).is_some())
            || resources::limits(pod).contains_key(EPHEMERAL_STORAGE))
}

/// The verdict over a pod that uses more than it may: of a volume, in all, or by one container, in this order; and the
/// name of that limit, as metrics have it.
pub fn exceeds(pod: &Pod, used: &Usage, apart: bool) -> Option<(&'static str, EndingVerdict)> {
    if is_critical(pod) {
        return None;
    }
    let volume = volumes(pod).find_map(|volume| {
        let limit = size_limit(volume)?;
        let used = used.volumes.get(&volume.name)?;
        let message =
            || format!("Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\". ", volume.name, text(limit));
        is_above(*used, limit).then(message)
    });
    let volume = volume.map(|message| ("emptydirfs.limit", message));
    let in_all = || in_all(pod, used, apart).map(|message| ("ephemeralpodfs.limit", message));
    let by_container = || by_container(pod, used, apart).map(|message| ("ephemeralcontainerfs.limit", message));
    let (limit, message) = volume.or_else(in_all).or_else(by_container)?;
    Some((limit, EndingVerdict { reason: "Evicted".to_owned(), message }))
}

fn in_all(pod: &Pod, used: &Usage, apart: bool) -> Option<String> {
    let limits = resources::limits(pod);
    let limit = limits.get(EPHEMERAL_STORAGE)?;
    let message = || {
        let limit = text(limit);
        format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. ")
    };
    is_above(used.bytes(pod, apart), limit).then(message)
}

fn by_container(pod: &Pod, used: &Usage, apart: bool) -> Option<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.into_iter().find_map(|container| {
        let limit = container.resources.as_ref()?.limits.as_ref()?.get(EPHEMERAL_STORAGE)?;
        let used = used.containers.get(&container.name)?.bytes(apart);
        let name = &container.name;
        let message = || format!("Container {name} exceeded its local ephemeral storage limit \"{}\". ", text(limit));
        (quantity::value(limit)? > 0 && is_above(used, limit)).then(message)
    })
}

fn is_above(used: u64, limit: &Quantity) -> bool {
    quantity::value(limit).is_some_and(|limit| used > u64::try_from(limit).unwrap_or_default())
}

fn text(quantity: &Quantity) -> String {
    object::Quantity::parse(&quantity.0).map_or_else(|_| quantity.0.clone(), |it| it.text().to_string())
}

/// How large a volume in memory is made: as its limit says, and no larger than what the pod may have of the node.
pub fn memory_volume_bytes(pod: &Pod, source: &EmptyDirVolumeSource, allocatable_bytes: i64) -> u64 {
    let of_pod = resources::pod(pod).memory_bytes;
    let of_volume = source.size_limit.as_ref().and_then(quantity::value);
    let bounds = [of_pod, of_volume].into_iter().flatten().filter(|bytes| *bytes > 0);
    u64::try_from(bounds.chain([allocatable_bytes]).min().unwrap_or_default()).unwrap_or_default()
}
