//! The way in for callers within the process: the same service, the same requests, memory instead of a socket.

use std::fmt;
use std::sync::Arc;

use http::header::UPGRADE;
use http::{Request, Response, StatusCode};

use crate::{Body, Peer, Service, upgrade};

/// A service as seen by one caller within the process, who is known by a certificate chain like everybody else.
#[derive(Clone)]
pub struct Door {
    service: Arc<dyn Service>,
    peer: Peer,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Door {
    /// A door to `service` for the caller `peer`.
    pub fn new(service: Arc<dyn Service>, peer: Peer) -> Self {
        Door { service, peer }
    }

    /// Calls the service. After a 101, [`crate::take_upgraded`] gives the connection.
    pub async fn call(&self, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(self.peer.clone());
        let attach = request.headers().contains_key(UPGRADE).then(|| upgrade::prepare(&mut request));
        let mut response = self.service.call(request).await;
        if let Some(attach) = attach.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
            attach(&mut response);
        }
        response
    }
}
