//! Collects garbage: images that nothing uses, dead containers and sandboxes, and what pods left that are gone.
//!
//! Images are looked at every [`crate::Config::image_collection_interval`]; containers with each relist, which has asked
//! for their list anyway. When disk runs short, both are thrown away before a pod has to go.

mod remains;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use cri::v1::{Container, ContainerFilter, ContainerState, ImageSpec, PodSandbox, PodSandboxFilter, PodSandboxState};
use mounts::filesystem::{self, Space};
use podplan::garbage::{self, Excess, Image, Ledger, Listed, Owner, Waste};
use podplan::identity::label;
use tokio::sync::Mutex;
use typed::api::core::v1::Pod;

use crate::events::Notice;
use crate::logs;
use crate::node::is_over;
use crate::shared::Shared;

pub(crate) use remains::sweep;

/// What is remembered between collections.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    /// Held while images are collected, so that nobody does it twice at once.
    ledger: Mutex<Ledger>,
    image_folder: OnceLock<PathBuf>,
}

/// Who owns what is on the node, by uid.
pub(crate) type Owners = BTreeMap<String, Owner>;

impl Garbage {
    /// The folder that holds images, once the runtime has told it.
    pub(crate) fn known_image_folder(&self) -> Option<&PathBuf> {
        self.image_folder.get()
    }

    /// The folder that holds images; the runtime is asked until it tells.
    pub(crate) async fn image_folder(&self, shared: &Shared) -> Result<PathBuf, String> {
        if let Some(known) = self.image_folder.get() {
            return Ok(known.clone());
        }
        let answer = shared.runtime.image_filesystems().await.map_err(|failure| failure.to_string())?;
        let told = answer.image_filesystems.into_iter().find_map(|it| it.fs_id);
        let folder = told.map(|id| PathBuf::from(id.mountpoint)).filter(|folder| folder.is_absolute());
        let folder = folder.ok_or_else(|| "non-existent label \"containerd-images\"".to_owned())?;
        Ok(self.image_folder.get_or_init(|| folder).clone())
    }
}

/// Collects images now and then, for as long as the kubelet lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let garbage = &shared.garbage;
    if let Err(problem) = note(&shared, &mut *garbage.ledger.lock().await).await {
        tracing::warn!(problem, "the node's images are not known");
    }
    let mut failed_before = false;
    loop {
        env::time::sleep(shared.config.image_collection_interval).await;
        let Err(problem) = collect_images(&shared).await else {
            failed_before = false;
            continue;
        };
        tracing::warn!(problem, "images were not collected");
        if failed_before {
            shared.recorder.tell_node(Notice::warning("ImageGCFailed", &problem));
        }
        failed_before = true;
    }
}

/// Takes down which images there are, and which of them are in use.
async fn note(shared: &Shared, ledger: &mut Ledger) -> Result<(), String> {
    let images = shared.runtime.image_list().await.map_err(|failure| failure.to_string())?;
    let containers = shared.runtime.container_list(ContainerFilter::default()).await;
    let containers = containers.map_err(|failure| failure.to_string())?;
    let mut used: BTreeSet<String> = containers.iter().flat_map(references).collect();
    used.extend(shared.statuses.pods().iter().filter(|pod| !is_over(pod)).flat_map(image_volumes));
    let is_kept = |image: &cri::v1::Image| {
        let kept = &shared.config.images_kept;
        image.pinned || image.repo_tags.iter().any(|tag| kept.contains(tag))
    };
    let image = |image: cri::v1::Image| Image {
        in_use: used.contains(&image.id)
            || image.repo_tags.iter().chain(&image.repo_digests).any(|it| used.contains(it)),
        bytes: image.size,
        pinned: is_kept(&image),
        id: image.id,
    };
    ledger.note(images.into_iter().map(image).collect(), env::time::now());
    Ok(())
}

/// All that a runtime may call a container's image.
fn references(container: &Container) -> Vec<String> {
    let spec = container.image.clone().unwrap_or_default();
    let all = [container.image_id.clone(), container.image_ref.clone(), spec.image, spec.user_specified_image];
    all.into_iter().filter(|it| !it.is_empty()).collect()
}

fn image_volumes(pod: &Pod) -> Vec<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let references = volumes.filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
    references.map(podplan::images::normalized).collect()
}

/// Removes images that are too old, and as many others as the disk needs.
async fn collect_images(shared: &Shared) -> Result<(), String> {
    let mut ledger = shared.garbage.ledger.lock().await;
    note(shared, &mut ledger).await?;
    let rules = shared.config.image_rules;
    let expired = ledger.expired(&rules, env::time::now());
    remove_images(shared, &mut ledger, expired, u64::MAX, "age").await?;
    let space = image_space(shared).await?;
    let (capacity, available) = (space.capacity_bytes, space.available_bytes);
    if capacity == 0 {
        let problem = "invalid capacity 0 on image filesystem";
        shared.recorder.tell_node(Notice::warning("InvalidDiskCapacity", problem));
        return Err(problem.to_owned());
    }
    let Some(Excess { used_percent, bytes }) = garbage::excess(capacity, available, &rules) else { return Ok(()) };
    tracing::info!(used_percent, bytes, "the disk of images is too full");
    let unused = ledger.unused(&rules, env::time::now());
    let freed = remove_images(shared, &mut ledger, unused, bytes, "space").await?;
    if freed >= bytes {
        return Ok(());
    }
    let message = garbage::failed_message(used_percent, capacity, freed);
    shared.recorder.tell_node(Notice::warning("FreeDiskSpaceFailed", &message));
    Err(message)
}

async fn image_space(shared: &Shared) -> Result<Space, String> {
    let folder = shared.garbage.image_folder(shared).await?;
    env::task::blocking(move || filesystem::space(&folder)).await.map_err(|error| error.to_string())
}

/// Removes images in their order until `bytes_max` are free; how many are. One that cannot be removed keeps none of the
/// others.
async fn remove_images(
    shared: &Shared,
    ledger: &mut Ledger,
    images: Vec<Image>,
    bytes_max: u64,
    reason: &'static str,
) -> Result<u64, String> {
    let (mut freed, mut problems) = (0_u64, Vec::new());
    for image in images {
        if freed >= bytes_max {
            break;
        }
        tracing::info!(image = image.id, bytes = image.bytes, reason, "an image is removed");
        let spec = ImageSpec { image: image.id.clone(), ..ImageSpec::default() };
        match shared.runtime.image_remove(spec).await {
            Ok(()) => {
                freed = freed.saturating_add(image.bytes);
                shared.metrics.image_collected(reason);
                ledger.forget(&image.id);
            }
            Err(failure) => problems.push(failure.to_string()),
        }
    }
    if problems.is_empty() {
        Ok(freed)
    } else {
        Err(format!(
            "wanted to free {bytes_max} bytes, but freed {freed} bytes space with errors in image deletion: {}",
            problems.join("; ")
        ))
    }
}

/// Throws away all that can be, because disk runs short.
pub(crate) async fn reclaim(shared: &Shared, owners: &Owners) {
    let lists = futures::try_join!(
        shared.runtime.container_list(ContainerFilter::default()),
        shared.runtime.sandbox_list(PodSandboxFilter::default())
    );
    match lists {
        Ok((containers, sandboxes)) => collect_containers(shared, &containers, &sandboxes, owners, true).await,
        Err(failure) => tracing::warn!(%failure, "dead containers are not known"),
    }
    let mut ledger = shared.garbage.ledger.lock().await;
    if let Err(problem) = note(shared, &mut ledger).await {
        return tracing::warn!(problem, "the node's images are not known");
    }
    let unused = ledger.unused(&shared.config.image_rules, env::time::now());
    if let Err(problem) = remove_images(shared, &mut ledger, unused, u64::MAX, "space").await {
        tracing::warn!(problem, "unused images stay behind");
    }
}

/// Removes dead containers and sandboxes that nobody asks about any more.
pub(crate) async fn collect_containers(
    shared: &Shared,
    containers: &[Container],
    sandboxes: &[PodSandbox],
    owners: &Owners,
    is_short: bool,
) {
    let listed: Vec<Listed> = containers.iter().filter_map(listed_container).collect();
    let sandboxes: Vec<Listed> = sandboxes.iter().filter_map(listed_sandbox).collect();
    let owner = |uid: &str| owners.get(uid).copied().unwrap_or(Owner::Another);
    let Waste { containers, sandboxes } = garbage::waste(&listed, &sandboxes, owner, is_short);
    if containers.is_empty() && sandboxes.is_empty() {
        return;
    }
    let pods = shared.statuses.pods();
    let mut problems = Vec::new();
    for container in containers {
        let pod = pods.iter().find(|pod| pod.metadata.uid.as_deref() == Some(&container.pod));
        if let Err(failure) = shared.runtime.container_remove(container.id.clone()).await {
            problems.push(format!("failed to remove container {:?}: {failure}", container.id));
            continue;
        }
        let Some(pod) = pod else { continue };
        let Listed { id, name, attempt, .. } = &container;
        if let Err(error) = logs::remove(&shared.config, pod, name, *attempt, id) {
            tracing::warn!(id, %error, "a dead container's log stays behind");
        }
    }
    for id in sandboxes {
        if let Err(failure) = shared.runtime.sandbox_remove(id.clone()).await {
            problems.push(format!("failed to remove sandbox {id:?}: {failure}"));
        }
    }
    if !problems.is_empty() {
        shared.recorder.tell_node(Notice::warning("ContainerGCFailed", &problems.join("; ")));
    }
}

fn listed_container(container: &Container) -> Option<Listed> {
    let metadata = container.metadata.clone().unwrap_or_default();
    Some(Listed {
        id: container.id.clone(),
        pod: container.labels.get(label::POD_UID)?.clone(),
        name: metadata.name,
        sandbox: container.pod_sandbox_id.clone(),
        attempt: metadata.attempt,
        created_nanos: container.created_at,
        dead: container.state() == ContainerState::ContainerExited,
    })
}

fn listed_sandbox(sandbox: &PodSandbox) -> Option<Listed> {
    Some(Listed {
        id: sandbox.id.clone(),
        pod: sandbox.labels.get(label::POD_UID)?.clone(),
        name: String::new(),
        sandbox: String::new(),
        attempt: sandbox.metadata.as_ref().map(|metadata| metadata.attempt).unwrap_or_default(),
        created_nanos: sandbox.created_at,
        dead: sandbox.state() != PodSandboxState::SandboxReady,
    })
}
