//! `/containerLogs/{namespace}/{pod}/{container}`.

use std::path::PathBuf;

use bytes::Bytes;
use futures::StreamExt;
use http::{Response, StatusCode};
use inotify::{Inotify, WatchMask};
use jiff::{SignedDuration, Timestamp};
use serving::{Body, Sender};
use typed::api::core::v1::{ContainerStatus, Pod};

use crate::logs::{
    self,
    reading::{Reader, Stream, Wanted},
};
use crate::node::View;
use crate::server::{query, text};

/// How many chunks wait for a slow reader.
const CHUNKS_MAX: usize = 4;

/// What a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    wanted: Wanted,
    follow: bool,
    previous: bool,
}

pub(super) async fn answer(
    view: &View,
    (namespace, pod, container): (&str, &str, &str),
    query: &str,
) -> Response<Body> {
    let query = match parse(query, env::time::now()) {
        Ok(query) => query,
        Err(problem) => return text(StatusCode::UNPROCESSABLE_ENTITY, &problem),
    };
    let Some(found) = super::find(view, namespace, pod, None) else {
        return text(StatusCode::NOT_FOUND, &format!("pod \"{pod}\" does not exist"));
    };
    let status = found.status.as_ref().and_then(|status| podplan::status::container_status(status, container));
    let attempt = match which(status, pod, container, query.previous) {
        Ok(attempt) => attempt,
        Err(problem) => return text(StatusCode::BAD_REQUEST, &problem),
    };
    let path = logs::file(view.config(), &found, container, attempt);
    let reader = env::task::blocking(move || Reader::open(path, query.wanted)).await;
    let reader = match reader {
        Ok(reader) => reader,
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to open log file: {error}")),
    };
    let (sender, body) = Body::channel(CHUNKS_MAX);
    let running = status.and_then(|status| status.state.as_ref()).is_some_and(|state| state.running.is_some());
    let alive = (query.follow && running).then(|| Alive {
        view: view.clone(),
        pod: found.clone(),
        container: container.to_owned(),
    });
    env::task::spawn(env::task::Fate::Local, "container-log", send(reader, sender, alive));
    Response::new(body)
}

/// Which of a container's logs is meant; `Err` in upstream's words.
fn which(status: Option<&ContainerStatus>, pod: &str, container: &str, previous: bool) -> Result<u32, String> {
    let who = format!("container \"{container}\" in pod \"{pod}\"");
    let status = status.ok_or_else(|| format!("{who} is not available"))?;
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let count = u32::try_from(status.restart_count).unwrap_or_default();
    let state = status.state.clone().unwrap_or_default();
    let waits = state.waiting.is_some();
    if previous {
        let missing = || format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
        last.filter(|last| last.container_id.is_some()).ok_or_else(missing)?;
        // A container that waits for its next start is itself the one before.
        return Ok(if waits { count } else { count.saturating_sub(1) });
    }
    if state.running.is_some() || state.terminated.is_some() || last.is_some() {
        return Ok(count);
    }
    let reason = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
    Err(match reason.as_str() {
        "ErrImagePull" => format!("{who} is waiting to start: image can't be pulled"),
        "ImagePullBackOff" => format!("{who} is waiting to start: trying and failing to pull image"),
        "" => format!("{who} is waiting to start - no logs yet"),
        reason => format!("{who} is waiting to start: {reason}"),
    })
}

fn parse(query: &str, now: Timestamp) -> Result<Query, String> {
    let mut result = Query::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = query::decoded(value);
        let wrong = || format!("invalid value for {name}: {value:?}");
        let flag = || match value.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" | "" => Ok(false),
            _ => Err(wrong()),
        };
        match name {
            "follow" => result.follow = flag()?,
            "previous" => result.previous = flag()?,
            "timestamps" => result.wanted.timestamps = flag()?,
            "tailLines" => result.wanted.tail_lines = Some(value.parse().map_err(|_bad| wrong())?),
            "limitBytes" => result.wanted.bytes_max = Some(value.parse().map_err(|_bad| wrong())?),
            "sinceTime" => result.wanted.since = Some(value.parse().map_err(|_bad| wrong())?),
            "sinceSeconds" => {
                let seconds: i64 = value.parse().map_err(|_bad| wrong())?;
                result.wanted.since = now.saturating_sub(SignedDuration::from_secs(seconds)).ok();
            }
            "stream" => {
                result.wanted.stream = match value.as_str() {
                    "All" | "" => None,
                    "Stdout" => Some(Stream::Stdout),
                    "Stderr" => Some(Stream::Stderr),
                    _ => return Err(wrong()),
                }
            }
            _ => {}
        }
    }
    Ok(result)
}

/// Knows whether a container still runs.
struct Alive {
    view: View,
    pod: Pod,
    container: String,
}

impl Alive {
    fn is(&self) -> bool {
        let pod = self.view.pods().into_iter().find(|it| it.metadata.uid == self.pod.metadata.uid);
        let status = pod.and_then(|pod| pod.status);
        let status = status.as_ref().and_then(|status| podplan::status::container_status(status, &self.container));
        status.and_then(|status| status.state.as_ref()).is_some_and(|state| state.running.is_some())
    }
}

/// Sends a log to its end or, while the container is `alive`, as it grows.
async fn send(mut reader: Reader, sender: Sender, alive: Option<Alive>) {
    let mut changes = alive.as_ref().and_then(|_| grown(reader.path().to_path_buf()));
    let mut board = alive.as_ref().map(|alive| alive.view.watch());
    loop {
        // Asked before reading: what was said before the end is still sent.
        let goes_on = alive.as_ref().is_some_and(Alive::is);
        let read = env::task::blocking(move || {
            let read = reader.read();
            (reader, read)
        });
        let (back, read) = read.await;
        reader = back;
        match read {
            Ok(None) => return,
            Ok(Some(bytes)) if !bytes.is_empty() => {
                if !sender.send(Bytes::from(bytes)).await {
                    return;
                }
            }
            Ok(Some(_end)) if !goes_on => return,
            Ok(Some(_end)) => {
                let (Some(changes), Some(board)) = (&mut changes, &mut board) else { return };
                tokio::select! {
                    _ = changes.next() => {}
                    _ = board.changed() => {}
                    () = sender.closed() => return,
                }
            }
            Err(error) => {
                sender.fail(error.to_string()).await;
                return;
            }
        }
    }
}

/// Tells when something happens in the log's folder: the log grows or is rotated.
fn grown(log: PathBuf) -> Option<inotify::EventStream<[u8; 4096]>> {
    let inotify = Inotify::init().ok()?;
    inotify.watches().add(log.parent()?, WatchMask::MODIFY | WatchMask::CREATE | WatchMask::MOVED_TO).ok()?;
    inotify.into_event_stream([0; 4096]).ok()
}

#[cfg(test)]
mod tests;
