//! One connection: handshake, protocol, and the watch over its time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use env::net::Stream;
use env::task::{Fate, Shutdown};
use env::time::Instant;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::trust::PeerChain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::activity::{Activity, Observed, Phase};
use crate::gathered::Gathered;
use crate::{Body, Limits, Peer, Service, Transport};

/// After the farewell, a client has this long to close its side.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) limits: Limits,
    /// Asks connections to end when their requests are answered.
    pub(crate) drain: Shutdown,
    /// Ends connections now.
    pub(crate) end: Shutdown,
}

/// Serves a connection from its first byte to its last.
pub(crate) async fn serve(shared: Arc<Shared>, stream: Stream, address: Option<std::net::SocketAddr>) {
    let Some(acceptor) = &shared.acceptor else {
        let peer = Peer::new(Transport::Plain, address, None);
        return http1(&shared, stream, peer).await;
    };
    let handshake = env::time::timeout(shared.limits.handshake_timeout, acceptor.accept(stream));
    let stream = tokio::select! {
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(?address, %error, "TLS handshake error"),
            Err(_) => return tracing::debug!(?address, "TLS handshake takes too long"),
        },
        () = shared.drain.cancelled() => return,
    };
    let session = stream.get_ref().1;
    let chain = session.peer_certificates().and_then(|chain| PeerChain::new(owned(chain)));
    let is_h2 = session.alpn_protocol() == Some(pki::tls::ALPN_H2);
    let peer = Peer::new(Transport::Tls, address, chain);
    if is_h2 { http2(&shared, stream, peer).await } else { http1(&shared, stream, peer).await }
}

fn owned(chain: &[pki::CertificateDer<'_>]) -> Vec<pki::CertificateDer<'static>> {
    chain.iter().map(|certificate| certificate.clone().into_owned()).collect()
}

async fn http1<S>(shared: &Shared, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let activity = Arc::new(Activity::default());
    activity.head_begins();
    let answer = Answer { service: Arc::clone(&shared.service), peer, activity: Arc::clone(&activity) };
    let io = TokioIo::new(Observed::new(stream, Arc::clone(&activity)));
    let connection = hyper::server::conn::http1::Builder::new()
        .max_header_size(usize::try_from(shared.limits.header_bytes_max).unwrap_or(usize::MAX))
        .header_read_timeout(None)
        .timer(TokioTimer::new())
        .serve_connection(io, answer)
        .with_upgrades();
    Driver::new(Box::pin(connection), shared, activity).await;
}

async fn http2<S>(shared: &Shared, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let activity = Arc::new(Activity::default());
    let answer = Answer { service: Arc::clone(&shared.service), peer, activity: Arc::clone(&activity) };
    let (stream, outbox) = Gathered::new(stream);
    let connection = hyper::server::conn::http2::Builder::new(Spawner)
        .max_concurrent_streams(shared.limits.streams_per_connection_max)
        .initial_stream_window_size(shared.limits.stream_window_bytes)
        .initial_connection_window_size(shared.limits.connection_window_bytes)
        .max_header_list_size(shared.limits.header_bytes_max)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answer);
    let mut driver = Driver::new(Box::pin(connection), shared, activity);
    driver.outbox = Some(Box::new(move |cx| outbox.poll_send(cx)));
    driver.await;
}

/// Calls the service for hyper.
struct Answer {
    service: Arc<dyn Service>,
    peer: Peer,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for Answer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let guard = self.activity.request_begins();
        let service = Arc::clone(&self.service);
        let mut request = request.map(Body::incoming);
        request.extensions_mut().insert(self.peer.clone());
        let head = request.method() == http::Method::HEAD;
        Box::pin(async move {
            let response = service.call(request).await;
            let response = if head { headers_only(response) } else { response };
            Ok(response.map(|body| body.guarded(guard)))
        })
    }
}

/// What a HEAD request gets: the length of the body, and not the body. HTTP/1.1's encoder would leave it out by itself,
/// but on HTTP/2 it would be sent, which breaks the stream (RFC 9110, 9.3.2).
fn headers_only(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().len() {
        response.headers_mut().entry(http::header::CONTENT_LENGTH).or_insert(length.into());
    }
    response.map(|_body| Body::empty())
}

/// Starts HTTP/2's tasks, one per request.
#[derive(Debug, Clone, Copy)]
struct Spawner;

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        env::task::spawn(Fate::Local, "http2 request", future);
    }
}

/// What the two protocols have in common.
trait Protocol: Future<Output = Result<(), hyper::Error>> {
    fn farewell(self: Pin<&mut Self>);
}

impl<S> Protocol for hyper::server::conn::http1::UpgradeableConnection<S, Answer>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    fn farewell(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Protocol for hyper::server::conn::http2::Connection<S, Answer, Spawner>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    fn farewell(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection and ends it when it is idle, slow, or the server drains.
struct Driver<C> {
    connection: Pin<Box<C>>,
    /// Sends what the protocol has written, when the socket gathers it.
    outbox: Option<Sending>,
    /// Has let others go first, this time.
    has_waited: bool,
    activity: Arc<Activity>,
    limits: Times,
    drain: BoxFuture<'static, ()>,
    end: BoxFuture<'static, ()>,
    said_farewell: bool,
    phase: Option<Phase>,
    deadline: Option<Instant>,
    /// Rings at or before the deadline; kept across requests, so that a request costs no timer.
    alarm: Option<(Instant, BoxFuture<'static, ()>)>,
}

type Sending = Box<dyn FnMut(&mut Context<'_>) -> Poll<std::io::Result<()>> + Send>;

#[derive(Clone, Copy)]
struct Times {
    header: Duration,
    idle: Duration,
}

impl<C: Protocol> Driver<C> {
    fn new(connection: Pin<Box<C>>, shared: &Shared, activity: Arc<Activity>) -> Self {
        let (drain, end) = (shared.drain.clone(), shared.end.clone());
        Driver {
            connection,
            outbox: None,
            has_waited: false,
            activity,
            limits: Times { header: shared.limits.header_timeout, idle: shared.limits.idle_timeout },
            drain: Box::pin(async move { drain.cancelled().await }),
            end: Box::pin(async move { end.cancelled().await }),
            said_farewell: false,
            phase: None,
            deadline: None,
            alarm: None,
        }
    }

    fn farewell(&mut self) {
        self.said_farewell = true;
        self.phase = None;
        self.connection.as_mut().farewell();
    }

    /// Several answers under way are often ready at the same time, such as events for several watches: those that are
    /// already waiting to be run go first, so that what they have to say leaves in one piece.
    fn lets_others_speak(&mut self) -> bool {
        self.has_waited = self.outbox.is_some() && !self.has_waited && self.activity.are_several();
        self.has_waited
    }

    /// Moves the deadline when the phase has changed.
    fn note_phase(&mut self) {
        let phase = self.activity.phase();
        if self.phase == Some(phase) {
            return;
        }
        self.phase = Some(phase);
        let patience = match phase {
            Phase::Busy => None,
            Phase::Reading => Some(self.limits.header),
            Phase::Idle if self.said_farewell => Some(FAREWELL),
            Phase::Idle => Some(self.limits.idle),
        };
        let deadline = patience.map(|patience| Instant::now() + patience);
        if let (Some(deadline), Some((rings, _))) = (deadline, &self.alarm)
            && deadline < *rings
        {
            self.alarm = None;
        }
        self.deadline = deadline;
    }

    /// Whether the deadline has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else { return false };
        loop {
            let set = || (deadline, Box::pin(env::time::sleep_until(deadline)) as BoxFuture<'static, ()>);
            let (_, alarm) = self.alarm.get_or_insert_with(set);
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.alarm = None;
            if Instant::now() >= deadline {
                return true;
            }
        }
    }
}

impl<C: Protocol> Future for Driver<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        driver.activity.driver.register(cx.waker());
        if driver.lets_others_speak() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if driver.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            if let Poll::Ready(ended) = driver.connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                return Poll::Ready(());
            }
            if !driver.said_farewell && driver.drain.as_mut().poll(cx).is_ready() {
                driver.farewell();
                continue;
            }
            driver.note_phase();
            let sent = driver.outbox.as_mut().map(|send| send(cx));
            if let Some(Poll::Ready(Err(error))) = sent {
                tracing::debug!(%error, "a connection can no longer be written to");
                return Poll::Ready(());
            }
            if !driver.poll_deadline(cx) {
                return Poll::Pending;
            }
            match driver.phase {
                Some(Phase::Idle) if !driver.said_farewell => driver.farewell(),
                _ => return Poll::Ready(()),
            }
        }
    }
}
