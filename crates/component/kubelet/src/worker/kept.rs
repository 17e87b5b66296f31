//! What of a pod is kept on disk: what it was granted, and what was done to it while it ran. Both go with its folder.

use std::io;
use std::path::PathBuf;

use podplan::resize::{Allocation, Record};
use typed::Kind;

use crate::config::Config;
use crate::manifests;

fn allocation_file(config: &Config, uid: &str) -> PathBuf {
    config.pod_folder(uid).join("allocation.json")
}

fn record_file(config: &Config, uid: &str) -> PathBuf {
    config.pod_folder(uid).join("resized")
}

/// What the pod was granted, as far as it was kept.
pub(crate) fn allocation(config: &Config, uid: &str) -> Option<Allocation> {
    let file = allocation_file(config, uid);
    let bytes = match env::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "what a pod was granted cannot be read");
            return None;
        }
    };
    match manifests::decode(&bytes) {
        Ok(pod) => Some(Allocation::of(&pod)),
        Err(problem) => {
            tracing::error!(file = %file.display(), problem, "what a pod was granted cannot be read");
            None
        }
    }
}

/// Keeps what the pod was granted.
pub(super) fn keep_allocation(config: &Config, uid: &str, allocation: &Allocation) -> io::Result<()> {
    let mut bytes = Vec::new();
    codec::json::write(&allocation.kept(uid).to_tree(), &mut bytes);
    env::fs::create_dir_all(config.pod_folder(uid))?;
    env::fs::write_atomic(&allocation_file(config, uid), &bytes, env::fs::PRIVATE)
}

/// What was done to the pod.
pub(super) fn record(config: &Config, uid: &str) -> Record {
    match env::fs::read_to_string(record_file(config, uid)) {
        Ok(text) => Record::parse(&text),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(uid, %error, "what was resized cannot be read");
            }
            Record::default()
        }
    }
}

/// Keeps what was done to the pod.
pub(super) fn keep_record(config: &Config, uid: &str, record: &Record) -> io::Result<()> {
    if record.is_empty() {
        return env::fs::remove_file_if_exists(&record_file(config, uid));
    }
    env::fs::create_dir_all(config.pod_folder(uid))?;
    env::fs::write_atomic(&record_file(config, uid), record.text().as_bytes(), env::fs::PRIVATE)
}
