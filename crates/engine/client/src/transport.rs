//! What carries a request to the server.

use std::io;

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use serving::{Body, Door};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::TransportError;

/// An answer on its way, or why there is none.
pub type Carried<'a> = BoxFuture<'a, Result<Response<Body>, TransportError>>;

/// Carries requests. The address of a request is a path with a query; transports add where it leads, and who asks.
pub trait Transport: Send + Sync + std::fmt::Debug + 'static {
    /// Sends `request`; the answer's body arrives as it is read.
    fn send(&self, request: Request<Body>) -> Carried<'_>;
}

impl Transport for Door {
    fn send(&self, request: Request<Body>) -> Carried<'_> {
        Box::pin(async move { Ok(self.call(request).await) })
    }
}

/// A connection in both directions.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Takes over the connection of an answer with status 101, whatever carried it.
///
/// # Errors
/// When the answer did not switch protocols, or the connection is gone.
pub async fn upgraded(
    response: &mut Response<Body>,
) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static + use<>> {
    let stream: Box<dyn Duplex> = match serving::take_upgraded(response).await {
        Some(memory) => Box::new(memory),
        None => Box::new(TokioIo::new(hyper::upgrade::on(response).await.map_err(io::Error::other)?)),
    };
    Ok(stream)
}
