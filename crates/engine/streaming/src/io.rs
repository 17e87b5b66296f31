//! Byte streams as trait objects, and what goes on between two of them.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// Reads and writes: a socket, a TLS session, an upgraded HTTP connection, a pipe.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A byte stream of any origin.
pub type Io = Box<dyn Duplex>;
/// The reading end of a stream.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// The writing end of a stream; shutting it down tells the other side that nothing follows.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Bytes moved per system call when splicing.
const SPLICE_BYTES: usize = 64 << 10;

/// Copies both ways between two byte streams until both directions have ended; returns the bytes moved, `left` to
/// `right` first. The end of one direction is passed on as a half close and leaves the other running.
pub async fn splice(mut left: Io, mut right: Io) -> std::io::Result<(u64, u64)> {
    let moved = tokio::io::copy_bidirectional_with_sizes(&mut left, &mut right, SPLICE_BYTES, SPLICE_BYTES);
    Box::pin(moved).await
}

/// Bytes moved per read and write when copying one way.
const COPY_BYTES: usize = 32 << 10;

/// Copies what is left of `from` into `to`, whose end stays open.
pub(crate) async fn copy(from: impl AsyncRead + Unpin, to: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<u64> {
    tokio::io::copy_buf(&mut BufReader::with_capacity(COPY_BYTES, from), to).await
}

/// Copies `from` into `to` and passes the end on.
pub async fn pump(from: Reader, mut to: Writer) -> std::io::Result<u64> {
    let copied = copy(from, &mut to).await;
    let ended = to.shutdown().await;
    let bytes = copied?;
    ended?;
    Ok(bytes)
}
