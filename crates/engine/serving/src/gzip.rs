//! Compression of answers: `gzip`, level 1, from 128 KiB on, as upstream decides.
//!
//! Only bodies that are ready are compressed, so never a watch. The work is done while the connection pulls, a quarter
//! of a mebibyte of input at a time: neither the compressed whole nor a blocked thread comes of it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, VARY};
use http::{Response, StatusCode};

use crate::{Body, BodyError, Piece, Source};

/// Smaller bodies are not worth it.
pub const THRESHOLD_BYTES: u64 = 128 << 10;
/// How much is compressed in one go.
const STEP_BYTES: usize = 256 << 10;

/// Whether the client takes gzip: the bare word must be on its list, as upstream reads it.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|word| word.trim() == "gzip")
}

/// Compresses `response` if it is ready, large enough, and not encoded yet.
pub fn apply(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let small = body.len().is_none_or(|length| length <= THRESHOLD_BYTES);
    if small || head.headers.contains_key(CONTENT_ENCODING) || head.status == StatusCode::PARTIAL_CONTENT {
        return Response::from_parts(head, body);
    }
    match body.into_ready() {
        Err(body) => Response::from_parts(head, body),
        Ok(chunks) => {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
            head.headers.remove(CONTENT_LENGTH);
            let encoder = GzEncoder::new(Vec::new(), Compression::new(1));
            Response::from_parts(head, Body::source(Deflating { chunks: chunks.into(), encoder: Some(encoder) }))
        }
    }
}

/// The whole of `bytes` compressed, for what is kept and sent often: better and slower than [`apply`].
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).map(|()| encoder).and_then(GzEncoder::finish);
    let mut packed = written.expect("a vector takes all that is written to it");
    packed.shrink_to_fit();
    packed
}

/// What [`pack`] made, as it was.
pub fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes)?;
    Ok(bytes)
}

struct Deflating {
    chunks: VecDeque<Bytes>,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Deflating {
    /// The next compressed bytes; empty when the step produced none yet.
    fn step(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        let mut budget = STEP_BYTES;
        while budget > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                return self.encoder.take().map(GzEncoder::finish).transpose();
            };
            let part = chunk.split_to(budget.min(chunk.len()));
            budget -= part.len();
            encoder.write_all(&part)?;
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        Ok(Some(std::mem::take(encoder.get_mut())))
    }
}

impl Source for Deflating {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        loop {
            match self.step() {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(next) => return Poll::Ready(next.map(|bytes| Ok(Bytes::from(bytes).into()))),
                Err(error) => return Poll::Ready(Some(Err(BodyError::Producer(error.to_string())))),
            }
        }
    }
}
