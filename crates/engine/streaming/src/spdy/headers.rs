//! The header block of SPDY/3: name-value pairs, compressed over the whole connection with a preset dictionary.
//!
//! Layout of the expanded block: a 32-bit count, then for each pair the 32-bit length and bytes of the lower-case name
//! and of the value; several values of one name are joined by NUL (draft-mbelshe-httpbis-spdy-00, section 2.6.10).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The bytes that both ends preset their zlib window with (section 2.6.10.1); their Adler-32 is `0xe3c6a7c2`.
const DICTIONARY: &[u8; 1423] = include_bytes!("dictionary.bin");

/// Pairs of one block.
const PAIRS_MAX: u32 = 1_024;

/// The headers of a stream, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Headers of these pairs; names are lowered.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Headers {
        Headers(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect())
    }

    /// The first value of `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.split('\0').next().unwrap_or_default())
    }

    /// The pairs in the order of the wire; several values of one name are one value, joined by NUL.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads an expanded block.
    pub fn parse(block: &[u8]) -> Result<Headers, Malformed> {
        let mut rest = block;
        let count = word(&mut rest)?;
        if count > PAIRS_MAX {
            return Err(Malformed::TooManyPairs(count));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for _ in 0..count {
            let name = text(&mut rest)?;
            if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err(Malformed::Name(name));
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Malformed::Duplicate(name));
            }
            pairs.push((name, text(&mut rest)?));
        }
        if rest.is_empty() { Ok(Headers(pairs)) } else { Err(Malformed::Trailing(rest.len())) }
    }

    /// The expanded block.
    pub fn to_block(&self) -> Vec<u8> {
        let length = |text: &str| u32::try_from(text.len()).expect("a header is far shorter than 4 GiB").to_be_bytes();
        let count = u32::try_from(self.0.len()).expect("headers are far fewer than 2^32");
        let mut block = count.to_be_bytes().to_vec();
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            block.extend_from_slice(&length(part));
            block.extend_from_slice(part.as_bytes());
        }
        block
    }
}

fn word(rest: &mut &[u8]) -> Result<u32, Malformed> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(Malformed::Short)?;
    *rest = tail;
    Ok(u32::from_be_bytes(*head))
}

fn text(rest: &mut &[u8]) -> Result<String, Malformed> {
    let length = usize::try_from(word(rest)?).map_err(|_too_long| Malformed::Short)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(Malformed::Short)?;
    *rest = tail;
    Ok(String::from_utf8_lossy(head).into_owned())
}

/// Why a header block cannot be read. The connection cannot go on: the compression state is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends within a pair.
    #[error("the header block ends within a pair")]
    Short,
    /// Bytes follow the last pair.
    #[error("{0} bytes follow the last pair of the header block")]
    Trailing(usize),
    /// More pairs than any honest peer sends.
    #[error("the header block announces {0} pairs")]
    TooManyPairs(u32),
    /// An empty name, or one with upper-case letters.
    #[error("header name {0:?} is empty or not lower-case")]
    Name(String),
    /// A name stands twice.
    #[error("header name {0:?} stands twice")]
    Duplicate(String),
    /// It expands beyond the bound.
    #[error("the header block expands to more than {0} bytes")]
    TooLarge(usize),
    /// It is not zlib data with the preset dictionary.
    #[error("the header block is not compressed as SPDY/3 asks")]
    Compression,
}

/// Compresses the header blocks of one direction.
#[derive(Debug)]
pub struct Deflater(Compress);

impl Default for Deflater {
    fn default() -> Deflater {
        let mut compress = Compress::new(Compression::default(), true);
        compress.set_dictionary(DICTIONARY).expect("a fresh compressor takes a dictionary");
        Deflater(compress)
    }
}

impl Deflater {
    /// The compressed block, flushed to a byte boundary.
    pub fn compress(&mut self, block: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(block.len() + 64);
        let mut rest = block;
        loop {
            let before = self.0.total_in();
            self.0.compress_vec(rest, &mut out, FlushCompress::Sync).expect("a live compressor compresses");
            let taken = usize::try_from(self.0.total_in() - before).expect("no more is taken than was given");
            rest = &rest[taken..];
            // Room left over means that the flush is complete.
            if rest.is_empty() && out.len() < out.capacity() {
                return out;
            }
            out.reserve(128);
        }
    }
}

/// Expands the header blocks of one direction.
#[derive(Debug)]
pub struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater(Decompress::new(true))
    }
}

impl Inflater {
    /// The expanded block, at most `bytes_max` long.
    pub fn expand(&mut self, compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(bytes_max.min(1 << 10));
        let mut rest = compressed;
        loop {
            let (taken_before, made_before) = (self.0.total_in(), self.0.total_out());
            let step = self.0.decompress_vec(rest, &mut out, FlushDecompress::Sync);
            let taken = usize::try_from(self.0.total_in() - taken_before).expect("no more is taken than was given");
            rest = rest.get(taken..).ok_or(Malformed::Compression)?;
            match step {
                Ok(Status::StreamEnd) => return Err(Malformed::Compression),
                Ok(Status::Ok | Status::BufError) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(DICTIONARY).map_err(|_other_dictionary| Malformed::Compression)?;
                    continue;
                }
                Err(_) => return Err(Malformed::Compression),
            }
            if out.len() > bytes_max {
                return Err(Malformed::TooLarge(bytes_max));
            }
            let stuck = taken == 0 && self.0.total_out() == made_before;
            if out.len() < out.capacity() && (rest.is_empty() || stuck) {
                return if rest.is_empty() { Ok(out) } else { Err(Malformed::Compression) };
            }
            out.reserve(1 << 10);
        }
    }
}
