//! Logs of containers on the node: folders, links, rotation, termination messages.

pub(crate) mod reading;

use std::io;
use std::path::{Path, PathBuf};

use podplan::{Seen, identity};
use typed::api::core::v1::{Container, Pod};

use self::reading::{Reader, Wanted};
use crate::config::Config;

/// Bytes of a termination message at most, from its file.
const MESSAGE_BYTES_MAX: u64 = 4096;
/// Bytes and lines of a termination message at most, from the log.
const MESSAGE_LOG_BYTES_MAX: usize = 2048;
const MESSAGE_LOG_LINES_MAX: usize = 80;

/// The folder of a pod's logs.
pub(crate) fn pod_folder(config: &Config, pod: &Pod) -> PathBuf {
    let meta = &pod.metadata;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    config.pod_logs.join(identity::log_folder(&text(&meta.namespace), &text(&meta.name), &text(&meta.uid)))
}

/// The log of a container.
pub(crate) fn file(config: &Config, pod: &Pod, container: &str, attempt: u32) -> PathBuf {
    pod_folder(config, pod).join(identity::log_file(container, attempt))
}

fn link(config: &Config, pod: &Pod, container: &str, id: &str) -> PathBuf {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    config.container_logs.join(identity::log_link(namespace, name, container, id))
}

/// Links the container's log from where log collectors look.
pub(crate) fn make_link(config: &Config, pod: &Pod, container: &str, attempt: u32, id: &str) -> io::Result<()> {
    env::fs::create_dir_all(&config.container_logs)?;
    let link = link(config, pod, container, id);
    env::fs::remove_file_if_exists(&link)?;
    env::fs::symlink(file(config, pod, container, attempt), link)
}

/// Removes what there is of a dead container's log: its link, its file, and the earlier ones of that.
pub(crate) fn remove(config: &Config, pod: &Pod, container: &str, attempt: u32, id: &str) -> io::Result<()> {
    remove_link(config, pod, container, id)?;
    let log = file(config, pod, container, attempt);
    let earlier = match rotated(&log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    earlier.iter().chain([&log]).try_for_each(|file| env::fs::remove_file_if_exists(file))
}

/// Removes the link of a container that is removed.
pub(crate) fn remove_link(config: &Config, pod: &Pod, container: &str, id: &str) -> io::Result<()> {
    env::fs::remove_file_if_exists(&link(config, pod, container, id))
}

/// Moves a log away that has grown beyond its bound; whether the runtime must open it anew.
///
/// The moved file gets the time as a suffix; the oldest go when there are more than `files_max` in all.
pub(crate) fn rotate(log: &Path, bytes_max: u64, files_max: usize, now: jiff::Timestamp) -> io::Result<bool> {
    let size = match env::fs::metadata(log) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if size < bytes_max {
        return Ok(false);
    }
    let mut old = rotated(log)?;
    // The present log and the one that it becomes count as well.
    let keep = files_max.saturating_sub(2);
    while old.len() > keep {
        env::fs::remove_file_if_exists(&old.remove(0))?;
    }
    let name = log.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    env::fs::rename(log, log.with_file_name(format!("{name}.{}", now.strftime("%Y%m%d-%H%M%S"))))?;
    Ok(true)
}

/// Earlier files of a log, the oldest first.
fn rotated(log: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name()) else { return Ok(Vec::new()) };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut found: Vec<PathBuf> = env::fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

/// The file that a container writes its termination message to, on the node.
pub(crate) fn message_file(config: &Config, pod: &Pod, container: &str, attempt: u32) -> PathBuf {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    config.pod_folder(uid).join("containers").join(container).join(format!("{attempt:08x}"))
}

/// What an ended container says about its end: its message file or, where it asks for that and failed, its last lines.
pub(crate) fn termination_message(
    config: &Config,
    pod: &Pod,
    container: &Container,
    seen: &Seen,
) -> io::Result<String> {
    use io::Read;
    let path = message_file(config, pod, &container.name, seen.attempt);
    let mut bytes = Vec::new();
    match env::fs::File::open(&path) {
        Ok(file) => {
            file.take(MESSAGE_BYTES_MAX).read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let fall_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if bytes.is_empty() && fall_back && seen.exit_code != 0 {
        bytes = last_words(file(config, pod, &container.name, seen.attempt))?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of what a container said: its last lines, and of them the last bytes.
fn last_words(log: PathBuf) -> io::Result<Vec<u8>> {
    let wanted = Wanted { tail_lines: Some(MESSAGE_LOG_LINES_MAX), ..Wanted::default() };
    let mut reader = Reader::open(log, wanted)?;
    let mut words = Vec::new();
    while let Some(more) = reader.read()?.filter(|more| !more.is_empty()) {
        words.extend(more);
        let beyond = words.len().saturating_sub(MESSAGE_LOG_BYTES_MAX);
        words.drain(..beyond);
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
