//! Digests that clients compare.

use aws_lc_rs::digest::{SHA256, SHA512, digest as compute};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A document's digest in hexadecimal, as ETags carry it.
pub fn digest(bytes: &[u8]) -> String {
    compute(&SHA512, bytes).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The first eight bytes of a text's digest in base64: upstream's `storageVersionHash`.
pub fn short_hash(text: &str) -> String {
    STANDARD.encode(&compute(&SHA256, text.as_bytes()).as_ref()[..8])
}
