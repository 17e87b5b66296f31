//! Entries for the decoders that are hidden.

use crate::check::keypair;

/// A certificate and a key as the text of a Secret. What is complained about is not empty.
pub fn key_pair(certificate: &str, key: &str) {
    assert_ne!(keypair::problem(certificate, key).as_deref(), Some(""), "a problem has words");
}
