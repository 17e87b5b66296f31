//! Port forwarding: many byte streams between a client and ports of one pod.
//!
//! Over SPDY (bare, or inside of a WebSocket as `SPDY/3.1+portforward.k8s.io`) each connection is a pair of streams
//! with one `requestID`: `data`, and `error`, whose text tells what went wrong. [`server`] is the end at the pod,
//! [`client`] the end with the listening socket. The oldest WebSocket form, `v4.channel.k8s.io` with the ports in the
//! query, is in `legacy`.

pub mod client;
mod legacy;
pub mod server;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;

pub use client::Client;
pub use server::{Opening, serve};

use crate::{Io, Lane};

/// The subprotocol over SPDY.
pub const PROTOCOL: &str = "portforward.k8s.io";
/// The same inside of a WebSocket.
pub const TUNNEL_PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";

const STREAM_TYPE: &str = "streamtype";
const PORT: &str = "port";
const REQUEST_ID: &str = "requestid";
const DATA: &str = "data";
const ERROR: &str = "error";

/// How long the client's remaining bytes may take after the pod has ended a connection.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to ports of the pod: in its network namespace, or wherever it is.
pub trait Dialer: Send + Sync {
    /// A byte stream to `port`.
    fn dial(&self, port: u16) -> BoxFuture<'_, io::Result<Io>>;
}

impl<F> Dialer for F
where
    F: Fn(u16) -> BoxFuture<'static, io::Result<Io>> + Send + Sync,
{
    fn dial(&self, port: u16) -> BoxFuture<'_, io::Result<Io>> {
        self(port)
    }
}

/// The pod, as error messages name it: upstream's "error forwarding port 80 to pod …, uid …: …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The pod's name, as the server knows it.
    pub pod: String,
    /// Its UID, possibly empty.
    pub uid: String,
}

/// The two streams of one forwarded connection.
struct Pair {
    port: u16,
    data: Lane,
    error: Lane,
}

/// Serves one forwarded connection: dials, copies both ways, and reports on `error` what failed.
///
/// A pod that resets an established connection is nothing to report: the client just sees its end. Reporting would make
/// kubectl give up all other forwarded connections as well.
async fn forward(dialer: &dyn Dialer, target: &Target, pair: Pair) {
    let Pair { port, mut data, mut error } = pair;
    let failure = match dialer.dial(port).await {
        Ok(io) => copy(data, io, &mut error).await.err().filter(|error| !is_hang_up(error)),
        Err(failure) => {
            // The error may be told after the end of the data.
            drop(data.shutdown().await);
            Some(failure)
        }
    };
    let told = async {
        if let Some(failure) = failure {
            let Target { pod, uid } = target;
            let text = format!("error forwarding port {port} to pod {pod}, uid {uid}: {failure}");
            tracing::debug!(%text, "a forwarded connection fails");
            error.write_all(text.as_bytes()).await?;
        }
        error.shutdown().await
    };
    // The client may be gone, and then nobody is left to tell.
    drop(told.await);
}

/// Copies both ways. A client that is done leaves the pod all the time it wants to answer. Once the pod is done both
/// streams are finished, because kubectl closes its socket only after that, and what the client is still sending has a
/// moment to arrive.
async fn copy(data: Lane, io: Io, error: &mut Lane) -> io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(data);
    let (mut from_pod, mut to_pod) = tokio::io::split(io);
    let up = async {
        let copied = crate::io::copy(&mut from_client, &mut to_pod).await;
        // A pod that takes no more input may still be answering; what it does then ends the other direction.
        let shut = to_pod.shutdown().await;
        copied.and(shut)
    };
    let down = async {
        let copied = crate::io::copy(&mut from_pod, &mut to_client).await;
        let shut = to_client.shutdown().await;
        copied?;
        shut?;
        error.shutdown().await
    };
    tokio::pin!(up, down);
    tokio::select! {
        sent = &mut up => {
            let answered = down.await;
            answered.and(sent)
        }
        answered = &mut down => {
            answered?;
            // Late or failed, the rest was sent to somebody who had already finished.
            drop(env::time::timeout(REST_TIMEOUT, up).await);
            Ok(())
        }
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

/// Reads a port number as upstream does, with its complaints.
fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(0) => Err(format!("port {text:?} must be > 0")),
        Ok(port) => Ok(port),
        Err(error) => Err(format!("unable to parse {text:?} as a port: {error}")),
    }
}
