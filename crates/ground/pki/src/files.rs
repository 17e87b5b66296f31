//! Certificates and keys as files: `<name>.crt` (0644) beside `<name>.key` (0600), or both in one `.pem` (0600).
//!
//! The functions block; asynchronous callers wrap them in [`env::task::blocking`].

use std::path::{Path, PathBuf};

use crate::{Authority, Certificate, Error, PrivateKey};

/// A certificate chain, leaf first, and the leaf's key.
#[derive(Debug)]
pub struct Pair {
    /// Leaf first, then intermediates.
    pub chain: Vec<Certificate>,
    /// The leaf's key.
    pub key: PrivateKey,
}

impl Pair {
    /// Joins a chain and its key.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the key is not the leaf's.
    pub fn new(chain: Vec<Certificate>, key: PrivateKey) -> Result<Self, Error> {
        match chain.first() {
            Some(leaf) if leaf.public_key() == key.public() => Ok(Pair { chain, key }),
            Some(_) => Err(Error::Mismatch),
            None => Err(Error::Malformed("a certificate chain needs a certificate")),
        }
    }

    /// Reads a chain and a key in PEM form; both may stand in one text.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::new(Certificate::all_from_pem(certificates)?, PrivateKey::from_pem(key)?)
    }

    /// The certificate that the key belongs to.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The chain as PEM text.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(Certificate::to_pem).collect()
    }
}

/// `<dir>/<name>.crt`; `name` may contain a folder (`etcd/ca`).
pub fn certificate_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.crt"))
}

/// `<dir>/<name>.key`.
pub fn key_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.key"))
}

/// Reads a file; that it does not exist is `None`.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match env::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// Reads a file that must exist.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    env::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Replaces a file, making its folder when needed.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        env::fs::create_dir_all(parent).map_err(failed)?;
    }
    env::fs::write_atomic(path, bytes, mode).map_err(failed)
}

/// Reads `<name>.crt` and `<name>.key`; `None` when the certificate is absent.
///
/// # Errors
/// When the certificate is there and the key is not, or either is malformed, or they do not match.
pub fn load_pair(dir: &Path, name: &str) -> Result<Option<Pair>, Error> {
    let path = certificate_path(dir, name);
    let Some(certificates) = read_if_exists(&path)? else { return Ok(None) };
    let key = read(&key_path(dir, name))?;
    Pair::from_pem(&certificates, &key).map(Some).map_err(|error| in_file(&path, error))
}

/// Writes the key first, then the certificate: a crash in between leaves no certificate without its key.
pub fn store_pair(dir: &Path, name: &str, pair: &Pair) -> Result<(), Error> {
    write(&key_path(dir, name), pair.key.to_pem().as_bytes(), env::fs::PRIVATE)?;
    write(&certificate_path(dir, name), pair.chain_pem().as_bytes(), env::fs::PUBLIC)
}

/// Reads a file that holds chain and key together (`kubelet-client-current.pem`); `None` when it is absent.
pub fn load_combined(path: &Path) -> Result<Option<Pair>, Error> {
    let Some(text) = read_if_exists(path)? else { return Ok(None) };
    Pair::from_pem(&text, &text).map(Some).map_err(|error| in_file(path, error))
}

/// Writes chain and key together, readable by the owner only.
pub fn store_combined(path: &Path, pair: &Pair) -> Result<(), Error> {
    let text = pair.chain_pem() + &pair.key.to_pem();
    write(path, text.as_bytes(), env::fs::PRIVATE)
}

/// Reads an authority with its key; `None` when its certificate is absent.
pub fn load_authority(dir: &Path, name: &str) -> Result<Option<Authority>, Error> {
    let Some(pair) = load_pair(dir, name)? else { return Ok(None) };
    let Pair { mut chain, key } = pair;
    Authority::new(chain.swap_remove(0), key).map(Some).map_err(|error| in_file(&certificate_path(dir, name), error))
}

/// Writes an authority's certificate and key.
pub fn store_authority(dir: &Path, name: &str, authority: &Authority) -> Result<(), Error> {
    write(&key_path(dir, name), authority.key().to_pem().as_bytes(), env::fs::PRIVATE)?;
    write(&certificate_path(dir, name), authority.certificate().to_pem().as_bytes(), env::fs::PUBLIC)
}

fn in_file(path: &Path, source: Error) -> Error {
    Error::InFile { path: path.to_owned(), source: Box::new(source) }
}
