//! The end of a port forward that has the listening sockets.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;

use super::{DATA, ERROR, PORT, PROTOCOL, REQUEST_ID, STREAM_TYPE, TUNNEL_PROTOCOL};
use crate::spdy::{self, Headers};
use crate::upgrade::{self, Wanted};
use crate::websocket::tunnel::Tunnel;
use crate::{Error, Io, Lane, Limits, Reader};

/// A connection over which ports of one pod can be reached. Dropping it and all forwarded streams closes it.
#[derive(Debug)]
pub struct Client {
    connection: spdy::Connection,
    next_request: AtomicU64,
}

/// One forwarded connection.
pub struct Forwarded {
    /// The bytes to and from the port.
    pub data: Lane,
    /// What went wrong, as text; empty when nothing did. It ends with the connection.
    pub error: Reader,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarded").field("data", &self.data).finish_non_exhaustive()
    }
}

impl Client {
    /// Asks for a port forward over SPDY: `io` is a fresh connection, `request` the request (`POST`) without its
    /// upgrade headers.
    pub async fn connect_spdy(io: Io, mut request: Request<()>, limits: &Limits) -> Result<Client, Error> {
        upgrade::ask_spdy(&mut request, &[PROTOCOL]);
        let (protocol, io) = upgrade::dial_switch(io, request, Wanted::Spdy, limits).await?;
        match protocol {
            Some(name) if name != PROTOCOL => Err(Error::Protocol(name)),
            _ => Ok(Client::over(io, limits)),
        }
    }

    /// Asks for a port forward over SPDY inside of a WebSocket: `request` (`GET`) is without its upgrade headers.
    ///
    /// A server that cannot do that answers something else, which is [`Error::Rejected`]: then bare SPDY may be tried.
    pub async fn connect_tunnel(io: Io, mut request: Request<()>, limits: &Limits) -> Result<Client, Error> {
        upgrade::ask_websocket(&mut request, &[TUNNEL_PROTOCOL]);
        let (protocol, io) = upgrade::dial_switch(io, request, Wanted::WebSocket, limits).await?;
        if protocol.as_deref() != Some(TUNNEL_PROTOCOL) {
            return Err(Error::Protocol(protocol.unwrap_or_default()));
        }
        Ok(Client::over(Box::new(Tunnel::client(io, limits).await), limits))
    }

    fn over(io: Io, limits: &Limits) -> Client {
        let (connection, _nobody_else) = spdy::Connection::start(io, spdy::Role::Client, limits);
        Client { connection, next_request: AtomicU64::new(0) }
    }

    /// Opens a connection to `port` of the pod. That nobody listens there is told by the error stream.
    pub async fn forward(&self, port: u16) -> Result<Forwarded, Error> {
        let (port, request) = (port.to_string(), self.next_request.fetch_add(1, Ordering::Relaxed).to_string());
        let headers = |kind| Headers::new([(STREAM_TYPE, kind), (PORT, port.as_str()), (REQUEST_ID, request.as_str())]);
        // The error stream comes first, for servers that go by the order.
        let error = self.connection.open(headers(ERROR)).await?.into_reader().await;
        let data = self.connection.open(headers(DATA)).await?;
        Ok(Forwarded { data, error })
    }

    /// Waits until the connection has ended, from whichever side.
    pub async fn ended(&self) {
        self.connection.ended().await;
    }

    /// Closes the connection in good order.
    pub async fn close(self) {
        self.connection.close().await;
    }
}
