//! Keys, certificates, trust, tokens, and the files that hold them.
//!
//! - [`PrivateKey`], [`PublicKey`]: key pairs and PEM.
//! - [`Certificate`], [`Authority`], [`Leaf`]: read certificates, issue certificates; [`csr`]: certificate requests.
//! - [`layout`]: kubeadm's set of files as rows, made, reused or renewed in place.
//! - [`kubeconfig`]: credentials of a client as a file.
//! - [`trust`]: is this chain from one of those roots, and whose is it; [`tls`]: rustls configurations that reload.
//! - [`jws`] and [`serviceaccount`]: signed tokens.
//!
//! Deliberately not here: sockets, HTTP, who may do what, and when to look for changed files.
//!
//! Invariants
//! - One cryptography provider: aws-lc-rs.
//! - Private keys are written with mode 0600 and never appear in `Debug` or errors.
//! - Trust in a client is never decided in the TLS handshake: a bad certificate is a 401, not a broken connection.
//! - A certificate request contributes its subject, alternative names and public key, and nothing else.

mod authority;
mod certificate;
pub mod csr;
mod der;
pub mod files;
pub mod jws;
mod key;
pub mod kubeconfig;
pub mod layout;
mod name;
pub mod serviceaccount;
pub mod tls;
pub mod trust;

#[cfg(test)]
mod tests;

pub use authority::{Authority, BACKDATE, Leaf, Usage};
pub use certificate::Certificate;
pub use key::{Algorithm, PrivateKey, PublicKey};
pub use name::{AlternativeNames, Subject};
pub use rustls_pki_types::CertificateDer;

use std::fmt::Write;
use std::path::PathBuf;

/// Why keys, certificates or their files could not be read, made or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not what they should be.
    #[error("{0}")]
    Malformed(&'static str),
    /// A PEM text without the expected block.
    #[error("cannot read the {what} in PEM form")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What the reader said.
        source: rustls_pki_types::pem::Error,
    },
    /// The cryptographic library refused.
    #[error("{0}")]
    Crypto(&'static str),
    /// A certificate and a private key that do not belong together.
    #[error("the certificate and the private key do not belong together")]
    Mismatch,
    /// The file system refused.
    #[error("cannot access {path}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file whose content is wrong.
    #[error("in {path}", path = path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// rustls refused a configuration.
    #[error("TLS configuration")]
    Tls(#[from] rustls::Error),
    /// YAML that is not a kubeconfig.
    #[error("not a kubeconfig: {0}")]
    Kubeconfig(String),
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 makes 32 bytes")
}

/// Whether two secrets are equal, in a time that depends on their length only.
pub fn same_secret(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string cannot fail");
        out
    })
}

pub(crate) fn pem_text(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}
