//! Terminal sizes: a stream of JSON objects like `{"Width":80,"Height":24}`.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Reader, Writer};

/// Bytes of one size; more without an end is noise.
const OBJECT_BYTES_MAX: usize = 1 << 10;

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Columns.
    #[serde(rename = "Width", alias = "width", default)]
    pub width: u16,
    /// Rows.
    #[serde(rename = "Height", alias = "height", default)]
    pub height: u16,
}

/// What a buffer of the resize stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A size, in the first so many bytes.
    Size(TerminalSize, usize),
    /// No whole object yet.
    More,
    /// Something else.
    Noise,
}

/// Looks for a size at the beginning of `buffer`.
pub fn scan(buffer: &[u8]) -> Scan {
    // Sizes have no objects inside, so the first brace ends one.
    let Some(end) = buffer.iter().position(|byte| *byte == b'}') else {
        return if buffer.len() < OBJECT_BYTES_MAX { Scan::More } else { Scan::Noise };
    };
    let size = std::str::from_utf8(&buffer[..=end]).ok().and_then(|text| serde_json::from_str(text).ok());
    size.map_or(Scan::Noise, |size| Scan::Size(size, end + 1))
}

/// The sizes that a client tells.
pub struct Sizes {
    stream: Reader,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sizes").field("buffered_bytes", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Sizes {
    pub(crate) fn new(stream: Reader) -> Sizes {
        Sizes { stream, buffer: Vec::new() }
    }

    /// The next size; `None` when there will be none, also because what arrives is not a size. Cancel-safe.
    pub async fn next(&mut self) -> Option<TerminalSize> {
        loop {
            match scan(&self.buffer) {
                Scan::Size(size, used) => {
                    self.buffer.drain(..used);
                    return Some(size);
                }
                Scan::Noise => return None,
                Scan::More => {
                    let read = (&mut self.stream).take(OBJECT_BYTES_MAX as u64).read_buf(&mut self.buffer).await;
                    if !matches!(read, Ok(1..)) {
                        return None;
                    }
                }
            }
        }
    }
}

/// Tells the other end the terminal's size.
pub struct Resizer {
    stream: Writer,
}

impl std::fmt::Debug for Resizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resizer").finish_non_exhaustive()
    }
}

impl Resizer {
    pub(crate) fn new(stream: Writer) -> Resizer {
        Resizer { stream }
    }

    /// The terminal now has this size.
    pub async fn resize(&mut self, size: TerminalSize) -> std::io::Result<()> {
        let mut text = serde_json::to_string(&size).expect("two numbers always serialize");
        text.push('\n');
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }
}
