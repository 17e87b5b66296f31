//! Static pods: manifests in a folder of the node.
//!
//! The folder is watched (inotify) and, as upstream does, looked at every 20 s besides, for file systems that tell
//! nothing. A manifest that cannot be read leaves the other ones alone and is named in the log.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures::StreamExt;
use inotify::{Inotify, WatchMask};
use podplan::identity;
use tokio::sync::mpsc;
use typed::Kind;
use typed::api::core::v1::Pod;

/// How often the folder is looked at when nothing is told.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);
/// Larger manifests are not read.
const MANIFEST_BYTES_MAX: u64 = 10 << 20;

/// Reads the folder whenever it changes and sends the pods in it.
pub(crate) async fn watch(folder: PathBuf, node: String, out: mpsc::Sender<Vec<Arc<Pod>>>) {
    let mut known: BTreeMap<String, Arc<Pod>> = BTreeMap::new();
    let mut sent = false;
    let mut told = events(&folder).ok();
    loop {
        match read(&folder, &node, &known) {
            Ok(found) => {
                if !sent || found.keys().ne(known.keys()) {
                    sent = true;
                    if out.send(found.values().cloned().collect()).await.is_err() {
                        return;
                    }
                }
                known = found;
            }
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "the manifests cannot be read"),
        }
        match &mut told {
            // A wait that times out is the look that is due anyway.
            Some(stream) => drop(env::time::timeout(LOOK_INTERVAL, stream.next()).await),
            None => {
                env::time::sleep(LOOK_INTERVAL).await;
                told = events(&folder).ok();
            }
        }
    }
}

fn events(folder: &Path) -> io::Result<inotify::EventStream<[u8; 4096]>> {
    let inotify = Inotify::init()?;
    let mask = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
    inotify.watches().add(folder, mask)?;
    inotify.into_event_stream([0; 4096])
}

/// The pods of the folder by the hash of their manifests.
fn read(folder: &Path, node: &str, known: &BTreeMap<String, Arc<Pod>>) -> io::Result<BTreeMap<String, Arc<Pod>>> {
    let mut found = BTreeMap::new();
    let mut paths: Vec<PathBuf> = env::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let metadata = env::fs::metadata(&path);
        if name.starts_with('.') || !metadata.is_ok_and(|it| it.is_file() && it.len() <= MANIFEST_BYTES_MAX) {
            continue;
        }
        let Ok(bytes) = env::fs::read(&path) else { continue };
        let hash = hash(&bytes, node, &path);
        if let Some(pod) = known.get(&hash) {
            found.insert(hash, pod.clone());
            continue;
        }
        match decode(&bytes) {
            Ok(mut pod) => {
                identity::adopt_static(&mut pod, node, &hash, env::time::now());
                found.insert(hash, Arc::new(pod));
            }
            Err(problem) => tracing::error!(manifest = %path.display(), problem, "could not process manifest file"),
        }
    }
    Ok(found)
}

/// Who a static pod is: its manifest, its node and its file.
fn hash(bytes: &[u8], node: &str, path: &Path) -> String {
    let mut all = bytes.to_vec();
    all.extend(format!("\0host:{node}\0file:{}", path.display()).as_bytes());
    digest(&SHA256, &all).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a pod from YAML or JSON.
pub fn decode(bytes: &[u8]) -> Result<Pod, String> {
    let root = codec::Root::builtin("v1", "Pod").ok_or("the schema knows no Pod")?;
    let decoded = codec::yaml::decode(bytes, root).map_err(|error| error.to_string())?;
    if decoded.value.str_at(&["kind"]) != Some("Pod") {
        return Err("couldn't parse as pod: its kind is another".to_owned());
    }
    let pod = Pod::from_tree(&decoded.value).map_err(|error| error.to_string())?;
    if pod.metadata.name.as_deref().unwrap_or_default().is_empty() {
        return Err("invalid pod: metadata.name: Required value".to_owned());
    }
    Ok(pod)
}
