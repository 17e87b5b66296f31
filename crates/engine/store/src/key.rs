//! Keys and spans of keys.

use std::borrow::Borrow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::Error;

/// A key such as `/registry/pods/default/web-0`: UTF-8, ordered by its bytes, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("every constructor of a key has checked that it is UTF-8")
    }

    /// The key as bytes, in which keys are ordered.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The shared bytes of the key.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the empty key, which no entry may have.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Key {
        Key(Bytes::from(text))
    }
}

impl TryFrom<Bytes> for Key {
    type Error = Error;

    /// # Errors
    /// [`Error::Corrupt`] when `bytes` are not UTF-8: nothing that Kubernetes writes.
    fn try_from(bytes: Bytes) -> Result<Key, Error> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Key(bytes)),
            Err(error) => Err(Error::corrupt(format!("a key is not UTF-8 ({error}): {bytes:?}"))),
        }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A half-open interval of keys, `[start, end)`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Span {
    start: Bytes,
    /// `None` stands after every key.
    end: Option<Bytes>,
}

impl Span {
    /// All keys that begin with `prefix`. A resource's prefix should end with `/`, lest it cover a longer name too.
    pub fn prefix(prefix: &str) -> Span {
        let start = Bytes::copy_from_slice(prefix.as_bytes());
        let end = successor_of_prefix(&start);
        Span { start, end }
    }

    /// The keys that begin with `prefix` and stand after `last`: the rest of a list whose last page ended there.
    pub fn prefix_after(prefix: &str, last: &Key) -> Span {
        let whole = Span::prefix(prefix);
        let start = successor_of_key(last).max(whole.start);
        Span { start, end: whole.end }
    }

    /// The keys from `start` up to and without `end`.
    pub fn between(start: &Key, end: &Key) -> Span {
        Span { start: start.0.clone(), end: Some(end.0.clone()) }
    }

    /// Exactly `key`.
    pub fn one(key: &Key) -> Span {
        Span { start: key.0.clone(), end: Some(successor_of_key(key)) }
    }

    /// The first key that could be in the span.
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The first key behind the span; `None` when nothing is behind it.
    pub fn end(&self) -> Option<&Bytes> {
        self.end.as_ref()
    }

    /// Whether `key` is in the span.
    pub fn contains(&self, key: &Key) -> bool {
        key.0 >= self.start && self.end.as_ref().is_none_or(|end| key.0 < *end)
    }

    /// The text that all keys of the span begin with and that alone defines it, if it was made from a prefix.
    pub(crate) fn as_prefix(&self) -> Option<&Bytes> {
        (successor_of_prefix(&self.start) == self.end).then_some(&self.start)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            Some(end) => write!(f, "[{:?}, {end:?})", self.start),
            None => write!(f, "[{:?}, )", self.start),
        }
    }
}

fn successor_of_key(key: &Key) -> Bytes {
    let mut successor = BytesMut::with_capacity(key.len() + 1);
    successor.put_slice(key.as_bytes());
    successor.put_u8(0);
    successor.freeze()
}

/// The smallest byte string greater than every string with this prefix; none for the empty prefix or one of 0xff alone.
fn successor_of_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut successor = BytesMut::from(&prefix[..=last]);
    successor[last] += 1;
    Some(successor.freeze())
}
