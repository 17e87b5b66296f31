//! Volumes: their folders on the node, and how containers see them.

mod payload;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cri::v1::{ImageSpec, Mount, MountPropagation};
use mounts::atomic;
use mounts::ownership::{self, Change};
use podplan::environment::Environment;
use podplan::fields::Facts;
use podplan::storage;
use typed::api::core::v1::{Container, HostPathVolumeSource, Pod, Volume, VolumeMount};

use crate::api::Api;
use crate::config::Config;

/// Where a volume is on the node.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A path.
    Path { path: PathBuf, read_only: bool },
    /// An image, mounted by the runtime.
    Image(ImageSpec),
}

/// A pod's volumes by name.
pub(crate) type Places = BTreeMap<String, Place>;

/// Makes volumes.
#[derive(Debug)]
pub(crate) struct Volumes {
    pub(crate) config: Arc<Config>,
    pub(crate) api: Arc<dyn Api>,
}

impl Volumes {
    /// Makes every volume of the pod, or brings it up to date. `Err` is the message of a `FailedMount` event.
    pub(crate) async fn prepare(&self, pod: &Arc<Pod>, facts: &Facts) -> Result<Places, String> {
        let mut places = Places::new();
        for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let place = self
                .place(pod, volume, facts)
                .await
                .map_err(|problem| format!("MountVolume.SetUp failed for volume \"{}\" : {problem}", volume.name))?;
            places.insert(volume.name.clone(), place);
        }
        Ok(places)
    }

    async fn place(&self, pod: &Arc<Pod>, volume: &Volume, facts: &Facts) -> Result<Place, String> {
        let text = |error: io::Error| error.to_string();
        if let Some(source) = &volume.host_path {
            let source = source.clone();
            let path = PathBuf::from(&source.path);
            env::task::blocking(move || host_path(&source)).await?;
            return Ok(Place::Path { path, read_only: false });
        }
        if let Some(source) = &volume.empty_dir {
            let (path, group) = (folder(&self.config, pod, EMPTY_DIR, &volume.name), fs_group(pod));
            let bytes_max = storage::memory_volume_bytes(pod, source, facts.allocatable_memory_bytes);
            let (made, medium) = (path.clone(), source.medium.clone().unwrap_or_default());
            env::task::blocking(move || empty_dir(&made, &medium, bytes_max, group)).await.map_err(text)?;
            return Ok(Place::Path { path, read_only: false });
        }
        if let Some(source) = &volume.image {
            let image = podplan::images::normalized(source.reference.as_deref().unwrap_or_default());
            return Ok(Place::Image(ImageSpec { image, ..Default::default() }));
        }
        if let Some((claim, read_only)) = claim(volume) {
            return self.claimed(pod, &claim, read_only).await;
        }
        let Some((plugin, files)) = payload::of_volume(&*self.api, pod, volume, facts).await? else {
            return Err(format!("volumes of the kind of \"{}\" are not built", volume.name));
        };
        let (path, group) = (folder(&self.config, pod, plugin, &volume.name), fs_group(pod));
        let made = path.clone();
        // Secrets never touch a disk.
        let in_memory = plugin != CONFIG_MAP;
        env::task::blocking(move || write(&made, &files, in_memory, group)).await.map_err(text)?;
        Ok(Place::Path { path, read_only: true })
    }

    /// A volume of the node that a claim is bound to.
    async fn claimed(&self, pod: &Pod, claim: &str, read_only: bool) -> Result<Place, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let volume = self.api.claimed(namespace, claim).await.map_err(|error| error.to_string())?;
        let spec = volume.spec.clone().unwrap_or_default();
        if spec.volume_mode.as_deref() == Some("Block") {
            return Err("raw block volumes are not built".to_owned());
        }
        if let Some(source) = spec.host_path {
            let path = PathBuf::from(&source.path);
            env::task::blocking(move || host_path(&source)).await?;
            return Ok(Place::Path { path, read_only });
        }
        let Some(source) = spec.local else {
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            return Err(format!("persistent volumes of the kind of \"{name}\" are not built"));
        };
        let (path, group) = (PathBuf::from(&source.path), fs_group(pod));
        let made = path.clone();
        let prepared = env::task::blocking(move || {
            let there = env::fs::metadata(&made).map_err(|error| format!("path {:?} does not exist: {error}", made))?;
            if !there.is_dir() {
                return Err(format!("local volumes that are devices are not built: {}", made.display()));
            }
            let own = |(gid, change)| ownership::set_group(&made, gid, read_only, change);
            group.map_or(Ok(()), own).map_err(|error| error.to_string())
        });
        prepared.await?;
        Ok(Place::Path { path, read_only })
    }

    /// The mounts of a container, in the order of the specification.
    pub(crate) async fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        places: &Places,
        environment: &Environment,
    ) -> Result<Vec<Mount>, String> {
        let mut result = Vec::new();
        for (index, wanted) in container.volume_mounts.iter().flatten().enumerate() {
            let place = places.get(&wanted.name).ok_or_else(|| format!("no volume named \"{}\"", wanted.name))?;
            let mut mount = Mount {
                container_path: absolute(&wanted.mount_path),
                readonly: wanted.read_only.unwrap_or_default(),
                propagation: propagation(wanted).into(),
                recursive_read_only: wanted.recursive_read_only.as_deref() == Some("Enabled"),
                ..Default::default()
            };
            let sub_path = sub_path(wanted, environment)?;
            match place {
                Place::Image(image) => {
                    mount.image = Some(image.clone());
                    mount.image_sub_path = sub_path.unwrap_or_default();
                    mount.readonly = true;
                }
                Place::Path { path, read_only } => {
                    mount.readonly |= *read_only;
                    let source = match sub_path {
                        None => path.clone(),
                        Some(sub_path) => self.bind_sub_path(pod, container, (index, wanted), (path, sub_path)).await?,
                    };
                    mount.host_path = source.to_string_lossy().into_owned();
                }
            }
            result.push(mount);
        }
        Ok(result)
    }

    /// Binds a path inside a volume to a place of our own, so that the pod cannot exchange it afterwards.
    async fn bind_sub_path(
        &self,
        pod: &Pod,
        container: &Container,
        (index, wanted): (usize, &VolumeMount),
        (volume, sub_path): (&Path, String),
    ) -> Result<PathBuf, String> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let at = self.config.pod_folder(uid).join("volume-subpaths").join(&wanted.name).join(&container.name);
        let target = at.join(index.to_string());
        let (volume, made) = (volume.to_path_buf(), target.clone());
        let bound = env::task::blocking(move || -> io::Result<()> {
            let opened = mounts::subpath::open(&volume, &sub_path, 0o750)?;
            mounts::mount::unmount(&made)?;
            env::fs::create_dir_all(&at)?;
            if opened.is_folder {
                env::fs::create_dir_all(&made)?;
            } else {
                env::fs::write_atomic(&made, b"", 0o640)?;
            }
            mounts::mount::bind(&opened.path(), &made, false)
        });
        let explain = |error| {
            format!(
                "failed to prepare subPath for volumeMount \"{}\" of container \"{}\": {error}",
                wanted.name, container.name
            )
        };
        bound.await.map_err(explain)?;
        Ok(target)
    }

    /// Takes down whatever is mounted for the pod, and removes its folder.
    pub(crate) async fn release(&self, uid: &str) -> io::Result<()> {
        let folder = self.config.pod_folder(uid);
        env::task::blocking(move || {
            mounts::mount::unmount_below(&folder)?;
            env::fs::remove_dir_all_if_exists(&folder)
        })
        .await
    }
}

/// The plugins whose volumes are on the node's disk.
const EMPTY_DIR: &str = "empty-dir";
const CONFIG_MAP: &str = "configmap";

fn folder(config: &Config, pod: &Pod, plugin: &str, name: &str) -> PathBuf {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    config.pod_folder(uid).join("volumes").join(format!("kubernetes.io~{plugin}")).join(name)
}

/// The folder of a volume that is the pod's alone and takes room on the node; `None` for all others.
pub(crate) fn own_folder(config: &Config, pod: &Pod, volume: &Volume) -> Option<PathBuf> {
    let plugin = match (&volume.empty_dir, &volume.config_map) {
        (Some(_), _) => EMPTY_DIR,
        (None, Some(_)) => CONFIG_MAP,
        (None, None) => return None,
    };
    Some(folder(config, pod, plugin, &volume.name))
}

/// Whether a volume of the pod shows API objects, which may change.
pub(crate) fn shows_objects(pod: &Pod) -> bool {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.into_iter().any(|volume| {
        volume.config_map.is_some()
            || volume.secret.is_some()
            || volume.projected.is_some()
            || volume.downward_api.is_some()
    })
}

/// The claim that a volume names, and whether it is only to be read.
fn claim(volume: &Volume) -> Option<(String, bool)> {
    let source = volume.persistent_volume_claim.as_ref()?;
    Some((source.claim_name.clone(), source.read_only.unwrap_or_default()))
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn propagation(wanted: &VolumeMount) -> MountPropagation {
    match wanted.mount_propagation.as_deref() {
        Some("Bidirectional") => MountPropagation::PropagationBidirectional,
        Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
        _ => MountPropagation::PropagationPrivate,
    }
}

fn sub_path(wanted: &VolumeMount, environment: &Environment) -> Result<Option<String>, String> {
    if let Some(expression) = wanted.sub_path_expr.as_deref().filter(|it| !it.is_empty()) {
        let known = |name: &str| environment.get(name).map(str::to_owned);
        let path = podplan::expansion::expand_known(expression, known);
        return path.map(Some).map_err(|name| format!("missing value for \"{name}\""));
    }
    Ok(wanted.sub_path.clone().filter(|it| !it.is_empty()))
}

fn fs_group(pod: &Pod) -> Option<(u32, Change)> {
    let context = pod.spec.as_ref()?.security_context.as_ref()?;
    let change = match context.fs_group_change_policy.as_deref() {
        Some("OnRootMismatch") => Change::OnRootMismatch,
        _ => Change::Always,
    };
    Some((u32::try_from(context.fs_group?).ok()?, change))
}

fn is_mounted(path: &Path) -> io::Result<bool> {
    Ok(mounts::mount::table()?.iter().any(|entry| entry.target == path))
}

fn empty_dir(path: &Path, medium: &str, bytes_max: u64, group: Option<(u32, Change)>) -> io::Result<()> {
    let fresh = !path.exists();
    env::fs::create_dir_all(path)?;
    if medium == "Memory" && !is_mounted(path)? {
        mounts::mount::tmpfs(path, Some(bytes_max).filter(|bytes| *bytes > 0))?;
    } else if let Some(page) = medium.strip_prefix("HugePages-").filter(|_| !is_mounted(path).unwrap_or(false)) {
        let quantity = typed::resource::Quantity(page.to_owned());
        let bytes = podplan::quantity::value(&quantity).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        mounts::mount::huge_pages(path, bytes)?;
    }
    if fresh {
        env::fs::set_mode(path, 0o777)?;
    }
    group.map_or(Ok(()), |(gid, change)| ownership::set_group(path, gid, false, change))
}

fn host_path(source: &HostPathVolumeSource) -> Result<(), String> {
    use std::os::unix::fs::FileTypeExt;
    let path = Path::new(&source.path);
    let kind = source.type_.as_deref().unwrap_or_default();
    let found = env::fs::metadata(path).ok().map(|metadata| metadata.file_type());
    let make = |made: io::Result<()>| made.map_err(|error| format!("{}: {error}", source.path));
    let demand = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(format!("hostPath type check failed: {} is not a {what}", source.path)) }
    };
    match (kind, found) {
        ("DirectoryOrCreate", None) => make(env::fs::create_dir_all(path)),
        ("FileOrCreate", None) => make(env::fs::write_atomic(path, b"", env::fs::PUBLIC)),
        ("Directory" | "DirectoryOrCreate", found) => demand(found.is_some_and(|it| it.is_dir()), "directory"),
        ("File" | "FileOrCreate", found) => demand(found.is_some_and(|it| it.is_file()), "file"),
        ("Socket", found) => demand(found.is_some_and(|it| it.is_socket()), "socket file"),
        ("CharDevice", found) => demand(found.is_some_and(|it| it.is_char_device()), "character device"),
        ("BlockDevice", found) => demand(found.is_some_and(|it| it.is_block_device()), "block device"),
        _ => Ok(()),
    }
}

fn write(path: &Path, files: &atomic::Payload, in_memory: bool, group: Option<(u32, Change)>) -> io::Result<()> {
    env::fs::create_dir_all(path)?;
    if in_memory && !is_mounted(path)? {
        mounts::mount::tmpfs(path, None)?;
    }
    let own = |fresh: &Path| group.map_or(Ok(()), |(gid, _)| ownership::set_group(fresh, gid, true, Change::Always));
    atomic::write(path, files, env::time::now(), own)?;
    // The folder itself must let the group in.
    group.map_or(Ok(()), |(gid, _)| std::os::unix::fs::chown(path, None, Some(gid)))
}
