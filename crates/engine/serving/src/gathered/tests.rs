//! What is written waits until it is sent, and no longer than the bound.

use std::future::poll_fn;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

fn pair(bytes: usize) -> (Gathered<DuplexStream>, Outbox<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(bytes);
    let (gathered, outbox) = Gathered::new(near);
    (gathered, outbox, far)
}

async fn arrived(far: &mut DuplexStream) -> Option<u8> {
    let mut byte = [0];
    poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut *far).poll_read(cx, &mut buf).is_ready();
        Poll::Ready(read.then(|| buf.filled().first().copied()).flatten())
    })
    .await
}

#[tokio::test]
async fn frames_leave_together() {
    let (mut near, outbox, mut far) = pair(1_024);
    near.write_all(b"ab").await.unwrap();
    near.flush().await.unwrap();
    near.write_all(b"c").await.unwrap();
    assert_eq!(arrived(&mut far).await, None, "flushing alone sends nothing");
    poll_fn(|cx| outbox.poll_send(cx)).await.unwrap();
    let mut read = [0; 3];
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"abc");
}

#[tokio::test]
async fn what_is_large_is_passed_on_behind_what_waits() {
    let (mut near, outbox, mut far) = pair(4 * PASSED_ON_BYTES_MIN);
    let large = vec![b'l'; PASSED_ON_BYTES_MIN];
    near.write_all(b"small").await.unwrap();
    near.write_all(&large).await.unwrap();
    let mut read = vec![0; 5 + large.len()];
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(read, [b"small".as_slice(), &large].concat(), "without anybody sending");
    near.write_all(b"behind").await.unwrap();
    assert_eq!(arrived(&mut far).await, None, "small again, so it waits");
    poll_fn(|cx| outbox.poll_send(cx)).await.unwrap();
    let mut read = [0; 6];
    far.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"behind");
}

/// A socket that keeps what is written until it is flushed, as TLS may.
#[derive(Debug, Default)]
struct Lazy {
    kept: usize,
    flushed: usize,
}

impl AsyncWrite for Lazy {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.kept += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = self.kept;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncRead for Lazy {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn what_is_passed_on_is_flushed_by_the_driver() {
    let (mut near, outbox) = Gathered::new(Lazy::default());
    near.write_all(&vec![0; PASSED_ON_BYTES_MIN]).await.unwrap();
    poll_fn(|cx| outbox.poll_send(cx)).await.unwrap();
    assert_eq!(outbox.0.lock().stream.flushed, PASSED_ON_BYTES_MIN);
}

#[tokio::test]
async fn a_writer_waits_for_a_reader_that_is_slow() {
    let (mut near, _outbox, mut far) = pair(16);
    let whole = vec![7; 4 * WAITING_BYTES_MAX];
    let mut written = 0;
    let mut stuck = false;
    while !stuck {
        let some = poll_fn(|cx| Poll::Ready(Pin::new(&mut near).poll_write(cx, &whole[..1_000]))).await;
        match some {
            Poll::Ready(count) => written += count.unwrap(),
            Poll::Pending => stuck = true,
        }
        assert!(written <= WAITING_BYTES_MAX + 2_000, "{written} bytes wait for nobody");
    }
    let reader = async {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let (closed, read) = futures::future::join(near.shutdown(), reader).await;
    closed.unwrap();
    assert_eq!(read, written, "closing sends what waits");
}
