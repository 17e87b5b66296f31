//! Connects the gRPC channel to a Unix socket through `env`.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;

/// Makes a connection to one Unix socket, whatever address it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct UnixConnector {
    pub(crate) socket: PathBuf,
}

impl tower_service::Service<http::Uri> for UnixConnector {
    type Response = TokioIo<env::net::Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: http::Uri) -> Self::Future {
        let socket = self.socket.clone();
        Box::pin(async move { env::net::connect_unix(&socket).await.map(TokioIo::new) })
    }
}
