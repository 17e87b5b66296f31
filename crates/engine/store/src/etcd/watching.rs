//! A watch on etcd: one stream of its own on the shared connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::metadata::MetadataValue;

use crate::limits::RESPONSE_BYTES_MAX;
use crate::watcher::Watching;
use crate::{Batch, Error, Watch, Watcher};

use super::cluster::Endpoint;
use super::failures::{self, Failure};
use super::wire::etcdserverpb as pb;
use super::wire::etcdserverpb::watch_client::WatchClient;
use super::wire::etcdserverpb::watch_request::RequestUnion;
use super::{answers, bounds, number};

/// Requests on a watch stream that etcd has not taken yet: the creation and one for progress.
const REQUESTS_WAITING_MAX: usize = 2;

/// Begins a watch and waits until etcd has noted it.
pub(super) async fn begin(endpoint: &Endpoint, watch: &Watch) -> Result<Watcher, Failure> {
    let progress_is_sound = endpoint.progress_is_sound().await?;
    let (requests, outgoing) = mpsc::channel(REQUESTS_WAITING_MAX);
    let (key, range_end) = bounds(&watch.span);
    let create = pb::WatchCreateRequest {
        key,
        range_end,
        // Zero means "from now on" there.
        start_revision: watch.from.map_or(0, |from| number(from).max(1)),
        progress_notify: true,
        prev_kv: true,
    };
    requests.try_send(request(RequestUnion::CreateRequest(create))).expect("a new channel has room");
    let mut outgoing = tonic::Request::new(ReceiverStream::new(outgoing));
    // A member that is cut off from the others must end the watch instead of falling silent.
    outgoing.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    let mut client = WatchClient::new(endpoint.channel()).max_decoding_message_size(RESPONSE_BYTES_MAX);
    let answer = client.watch(outgoing).await.map_err(|status| failures::judge(&status))?;
    let mut responses = answer.into_inner();
    let first = responses.message().await.map_err(|status| failures::judge(&status))?;
    match first {
        Some(first) if first.created && !first.canceled => {
            let watch = watch.clone();
            Ok(Watcher::new(Remote { watch, responses, requests, progress_is_sound, ended: false }))
        }
        Some(first) => Err(Failure::Refused(canceled(&first, watch))),
        None => Err(Failure::Lost("etcd ended the stream before the watch began".to_owned())),
    }
}

fn request(union: RequestUnion) -> pb::WatchRequest {
    pb::WatchRequest { request_union: Some(union) }
}

/// The stream behind a watcher of etcd.
#[derive(Debug)]
struct Remote {
    watch: Watch,
    responses: Streaming<pb::WatchResponse>,
    requests: mpsc::Sender<pb::WatchRequest>,
    progress_is_sound: bool,
    ended: bool,
}

impl Stream for Remote {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = match ready!(Pin::new(&mut self.responses).poll_next(cx)) {
            Some(Ok(response)) => batch(response, &self.watch),
            Some(Err(status)) => Err(match failures::judge(&status) {
                Failure::Refused(error) | Failure::NotSent(error) => error,
                Failure::Lost(message) => Error::Unavailable { message },
            }),
            None => Err(Error::unavailable("etcd ended the watch")),
        };
        self.ended = item.is_err();
        Poll::Ready(Some(item))
    }
}

impl Watching for Remote {
    fn request_progress(self: Pin<&mut Self>) -> Result<(), Error> {
        if !self.progress_is_sound {
            return Err(Error::Unsupported { what: "reliable progress requests, with this version of etcd" });
        }
        let wish = request(RequestUnion::ProgressRequest(pb::WatchProgressRequest {}));
        // A full channel means that a wish is on its way already, a closed one that the stream will tell.
        if let Err(error) = self.requests.try_send(wish) {
            tracing::debug!(%error, "a request for progress was not sent");
        }
        Ok(())
    }
}

fn batch(response: pb::WatchResponse, watch: &Watch) -> Result<Batch, Error> {
    if response.canceled || response.compact_revision != 0 {
        return Err(canceled(&response, watch));
    }
    let events = response.events.into_iter().map(answers::event).collect::<Result<Vec<_>, _>>()?;
    // Beside events the header may be ahead of what was delivered; alone it tells progress.
    let revision = match events.last() {
        Some(event) => event.revision(),
        None => answers::header_revision(response.header.as_ref())?,
    };
    Ok(Batch { revision, events })
}

fn canceled(response: &pb::WatchResponse, watch: &Watch) -> Error {
    match answers::revision(response.compact_revision) {
        Ok(compacted) if response.compact_revision != 0 => {
            Error::Compacted { requested: watch.from.unwrap_or_default(), compacted: Some(compacted) }
        }
        Ok(_) => Error::unavailable(format!("etcd canceled the watch: {}", response.cancel_reason)),
        Err(error) => error,
    }
}
