//! get, list and watch.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use env::task::Shutdown;
use env::time::Instant;
use gate::Authorized;
use http::header::ACCEPT;
use http::{Response, StatusCode};
use kind::Refusal;
use registry::form::{Wanted, frame, render_builtin};
use registry::{Change, Freshness, Watch, negotiate};
use serving::{Body, Outlet};

use super::{Call, options};
use crate::answer;

/// How long a watch lasts when the client does not say: this, and up to as much again.
const WATCH_SECONDS_MIN: u64 = 1_800;
/// How often a watch that understands bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

pub(crate) fn wanted(call: &Call) -> Result<Wanted, Refusal> {
    wanted_by(&call.by)
}

/// The form in which a request wants what it reads.
pub(crate) fn wanted_by(by: &Authorized) -> Result<Wanted, Refusal> {
    let headers = &by.parts().headers;
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let query = &by.info().query;
    let mut wanted = negotiate::wanted(&accept.join(","), answer::is_pretty(headers, query), true)?;
    if let registry::form::Shape::Table(include) = &mut wanted.shape {
        *include = match query.get("includeObject").unwrap_or_default() {
            "None" => registry::form::Include::None,
            "Object" => registry::form::Include::Object,
            _ => registry::form::Include::Metadata,
        };
    }
    Ok(wanted)
}

pub(super) async fn get(call: &Call) -> Result<Response<Body>, Refusal> {
    let wanted = wanted(call)?;
    let freshness = options::freshness(&call.by.info().query)?;
    let cached = call.registry.get(namespace(call), &call.target.name, freshness).await?;
    let pieces = call.registry.object_body(&cached, wanted, env::time::now())?;
    Ok(answer::pieces_with(StatusCode::OK, negotiate::content_type(wanted, false), pieces))
}

pub(super) async fn list(call: &Call) -> Result<Response<Body>, Refusal> {
    let wanted = wanted(call)?;
    let page = call.registry.list(&options::list(call)?).await?;
    let pieces = call.registry.list_body(&page, wanted, env::time::now())?;
    Ok(answer::pieces_with(StatusCode::OK, negotiate::content_type(wanted, false), pieces))
}

pub(super) async fn watch(call: Call, shutdown: Shutdown) -> Result<Response<Body>, Refusal> {
    let wanted = wanted(&call)?;
    let mut watch_options = options::watch(&call)?;
    let query = &call.by.info().query;
    let seconds = match options::number(query, "timeoutSeconds")? {
        Some(seconds) if seconds > 0 => seconds.unsigned_abs(),
        _ => WATCH_SECONDS_MIN + env::rand::below(WATCH_SECONDS_MIN),
    };
    if watch_options.freshness == Freshness::Any && watch_options.from.is_none() {
        call.registry.cache().ready().await?;
    }
    watch_options.bookmarks |= watch_options.initial_events;
    let bookmarks = watch_options.bookmarks;
    let watch = call.registry.watch(watch_options).await?;
    let now = Instant::now();
    let stream = Streaming {
        call,
        watch,
        wanted,
        headers: true,
        end: now + Duration::from_secs(seconds),
        bookmark_at: bookmarks.then(|| now + BOOKMARK_EVERY),
        shutdown,
    };
    let body = Body::spun(|outlet| stream.run(outlet));
    let mut response = Response::new(body);
    let content_type = http::HeaderValue::from_static(negotiate::content_type(wanted, true));
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    Ok(response)
}

fn namespace(call: &Call) -> &str {
    if call.resource().namespaced { &call.target.namespace } else { "" }
}

/// A watch on its way to the client.
struct Streaming {
    call: Call,
    watch: Watch,
    wanted: Wanted,
    /// Whether a table still has to name its columns.
    headers: bool,
    end: Instant,
    bookmark_at: Option<Instant>,
    shutdown: Shutdown,
}

impl Streaming {
    /// Says what there is to say, until the end.
    async fn run(mut self, outlet: Outlet) {
        let shutdown = self.shutdown.clone();
        let mut ends = pin!(shutdown.cancelled());
        let mut alarm = pin!(env::time::sleep_until(self.wakes_at()));
        loop {
            let pieces = tokio::select! {
                biased;
                changes = self.watch.next() => match changes {
                    Ok(changes) => self.render(changes),
                    Err(refusal) => Err(refusal),
                },
                () = &mut ends => return,
                () = &mut alarm => {
                    if Instant::now() >= self.end {
                        return;
                    }
                    self.bookmark_at = Some(Instant::now() + BOOKMARK_EVERY);
                    alarm.set(env::time::sleep_until(self.wakes_at()));
                    self.call.registry.bookmark_frame(self.watch.revision(), false, self.wanted)
                }
            };
            match pieces {
                Ok(pieces) => outlet.give(pieces).await,
                Err(refusal) => return outlet.give(error_frame(&refusal, self.wanted)).await,
            }
        }
    }

    fn wakes_at(&self) -> Instant {
        self.bookmark_at.map_or(self.end, |at| at.min(self.end))
    }

    fn render(&mut self, changes: Vec<Change>) -> Result<Vec<Bytes>, Refusal> {
        let now = env::time::now();
        let mut pieces = Vec::with_capacity(changes.len() * 4);
        for change in changes {
            match change {
                Change::Object(kind, cached) => {
                    let registry = &self.call.registry;
                    pieces.extend(registry.event_frame((kind, &cached), self.wanted, now, self.headers)?);
                    self.headers = false;
                }
                Change::InitialEnd(revision) => {
                    pieces.extend(self.call.registry.bookmark_frame(revision, true, self.wanted)?);
                }
            }
        }
        Ok(pieces)
    }
}

/// The stream's last word when it cannot go on.
fn error_frame(refusal: &Refusal, wanted: Wanted) -> Vec<Bytes> {
    let plain = Wanted { shape: registry::form::Shape::Object, pretty: false, ..wanted };
    match render_builtin(&refusal.status(), ("v1", "Status"), plain) {
        Ok(status) => frame("ERROR", status, plain.media),
        Err(_) => Vec::new(),
    }
}
