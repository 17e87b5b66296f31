//! Entries for the decoders of rows and of the log's records.

use bytes::Bytes;

use super::btree::{decode, encode, row_key};
use super::record::Record;

/// Reads `bytes` as a row: its key, as long as the first byte says, and its value.
pub fn row(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(*length).min(rest.len()));
    let Ok(entry) = decode(key, value) else { return };
    let mut written = vec![0; value.len()];
    encode(&entry, &mut written);
    assert_eq!((row_key(&entry).as_slice(), written.as_slice()), (key, value), "a row is written as it was read");
}

/// Reads `bytes` as the body of a record whose checksum was right.
pub fn record(bytes: &[u8]) {
    if let Err(error) = Record::of_body(Bytes::copy_from_slice(bytes)).open() {
        assert!(matches!(error, crate::Error::Corrupt { .. } | crate::Error::InvalidKey { .. }), "{error}");
    }
}
