//! For tests: an HTTP/1.1 server with upgrades at the other end of a pipe.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::Io;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    env::time::timeout(DEADLINE, future).await.expect("it takes no longer than the deadline")
}

/// A connection whose other end answers requests by `handle`.
pub(crate) fn connect<H>(handle: H) -> Io
where
    H: Fn(&mut Request<Incoming>) -> Response<String> + Send + Sync + 'static,
{
    let (here, there) = env::net::pipe(64 << 10);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let response = handle(&mut request);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = async move {
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(there), service);
        // Failures show at the client's end.
        drop(connection.with_upgrades().await);
    };
    env::task::spawn(env::task::Fate::Local, "test server", serving);
    Box::new(here)
}

/// The response of a granted upgrade, or of its refusal.
pub(crate) fn answer<T>(
    granted: Result<(Response<()>, T), crate::upgrade::Refusal>,
    go_on: impl FnOnce(T),
) -> Response<String> {
    match granted {
        Ok((response, opening)) => {
            go_on(opening);
            response.map(|()| String::new())
        }
        Err(refusal) => refusal.into_response(),
    }
}

pub(crate) fn request(method: &str, uri: &str) -> Request<()> {
    Request::builder().method(method).uri(uri).header("host", "node").body(()).expect("a request")
}
