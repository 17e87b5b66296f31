//! Reading a whole body, up to a bound.

use bytes::{Bytes, BytesMut};

use crate::{Body, BodyError};

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Answer 413. The text is upstream's.
    #[error("Request entity too large: limit is {body_bytes_max}")]
    TooLarge {
        /// The bound that was exceeded.
        body_bytes_max: u64,
    },
    /// The peer went away or broke the protocol.
    #[error("the body could not be read")]
    Broken(#[from] BodyError),
}

/// Reads `body` to its end. A body that announces too much is refused before a byte is read; a body of one chunk is
/// not copied.
pub async fn collect(mut body: Body, body_bytes_max: u64) -> Result<Bytes, CollectError> {
    let refuse = || CollectError::TooLarge { body_bytes_max };
    if body.len().is_some_and(|length| length > body_bytes_max) {
        return Err(refuse());
    }
    let announced = body.len();
    let Some(first) = body.next().await.transpose()? else { return Ok(Bytes::new()) };
    let mut total = first.len() as u64;
    if total > body_bytes_max {
        return Err(refuse());
    }
    if announced == Some(total) {
        return Ok(first);
    }
    let mut all: Option<BytesMut> = None;
    while let Some(chunk) = body.next().await.transpose()? {
        total += chunk.len() as u64;
        if total > body_bytes_max {
            return Err(refuse());
        }
        let all = all.get_or_insert_with(|| {
            let expected = usize::try_from(announced.unwrap_or(0)).unwrap_or(0);
            let mut buffer = BytesMut::with_capacity(expected.max(first.len() * 2));
            buffer.extend_from_slice(&first);
            buffer
        });
        all.extend_from_slice(&chunk);
    }
    Ok(all.map_or(first, BytesMut::freeze))
}
