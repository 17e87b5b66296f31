//! OCI archives (OCI image layout 1.0 in a tar), written and never read.
//!
//! The layer is one uncompressed tar with one executable. It is made twice, once for its digest and once for the
//! archive, so that nothing of its size is held in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::digest;

use super::oci::{
    CONFIG, Config, Descriptor, Execution, INDEX, Index, LAYER, MANIFEST, Manifest, Nothing, Platform, Root, Step,
};

const COPY_BYTES: usize = 256 << 10;

/// An image that runs the executable in one of its roles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageRow {
    /// Name and tag.
    pub(crate) name: &'static str,
    /// What the executable is called with.
    pub(crate) arguments: &'static [&'static str],
    /// The ports it listens on.
    pub(crate) ports: &'static [&'static str],
    /// `uid:gid`.
    pub(crate) user: &'static str,
}

/// Images that share one executable, ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    executable: PathBuf,
    program: &'static str,
    layer: Blob,
    images: Vec<Image>,
    index: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Image {
    name: &'static str,
    config: (Blob, Vec<u8>),
    manifest: (Blob, Vec<u8>),
}

/// What identifies a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blob {
    digest: String,
    bytes: u64,
}

impl Bundle {
    /// One image per row around `executable`, which is called `program` in the image's root.
    pub(crate) fn of(executable: &Path, program: &'static str, rows: &[ImageRow]) -> anyhow::Result<Bundle> {
        let mut hasher = Hasher::new();
        write_layer(executable, program, &mut hasher)
            .with_context(|| format!("cannot read {}", executable.display()))?;
        let layer = hasher.finish();
        let images: Vec<Image> = rows.iter().map(|row| image(row, program, &layer)).collect::<anyhow::Result<_>>()?;
        let index = index(&images)?;
        Ok(Bundle { executable: executable.to_owned(), program, layer, images, index })
    }

    /// Names, and the ids under which a runtime knows them: the digests of their configurations.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.images.iter().map(|image| (image.name, image.config.0.digest.as_str()))
    }

    /// Writes the archive.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        append(&mut tar, "index.json", &self.index)?;
        for image in &self.images {
            for (blob, bytes) in [&image.manifest, &image.config] {
                append(&mut tar, &blob.path(), bytes)?;
            }
        }
        let mut header = header(self.layer.bytes, 0o644);
        header.set_path(self.layer.path())?;
        header.set_cksum();
        let out = tar.get_mut();
        out.write_all(header.as_bytes())?;
        write_layer(&self.executable, self.program, out)?;
        // An archive's entries fill whole blocks, and so does the layer, being an archive itself.
        tar.into_inner().map(drop)
    }
}

fn image(row: &ImageRow, program: &str, layer: &Blob) -> anyhow::Result<Image> {
    let config = serde_json::to_vec(&Config {
        platform: platform(),
        config: Execution {
            entrypoint: [&format!("/{program}")],
            cmd: row.arguments,
            user: row.user,
            working_dir: "/",
            env: ["PATH=/"],
            exposed_ports: row.ports.iter().map(|port| (*port, Nothing {})).collect(),
        },
        rootfs: Root { kind: "layers", diff_ids: [&layer.digest] },
        history: [Step { created_by: "ferrokube" }],
    })?;
    let config_blob = Blob::of(&config);
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config: descriptor(CONFIG, &config_blob),
        layers: [descriptor(LAYER, layer)],
    })?;
    Ok(Image { name: row.name, config: (config_blob, config), manifest: (Blob::of(&manifest), manifest) })
}

fn index(images: &[Image]) -> anyhow::Result<Vec<u8>> {
    let manifests = images.iter().map(|image| {
        let tag = image.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        let names = [("io.containerd.image.name", image.name), ("org.opencontainers.image.ref.name", tag)];
        let plain = descriptor(MANIFEST, &image.manifest.0);
        Descriptor { annotations: names.into(), platform: Some(platform()), ..plain }
    });
    let index = Index { schema_version: 2, media_type: INDEX, manifests: manifests.collect() };
    Ok(serde_json::to_vec(&index)?)
}

fn descriptor<'a>(media_type: &'static str, blob: &'a Blob) -> Descriptor<'a> {
    Descriptor { media_type, digest: &blob.digest, size: blob.bytes, annotations: BTreeMap::new(), platform: None }
}

fn platform() -> Platform {
    Platform { architecture: architecture(), os: "linux" }
}

/// The machine's kind in Go's words, which images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The layer: the executable, owned by root, of no date.
fn write_layer(executable: &Path, program: &str, out: impl Write) -> io::Result<()> {
    let file = File::open(executable)?;
    let bytes = file.metadata()?.len();
    let mut header = header(bytes, 0o755);
    let mut tar = tar::Builder::new(out);
    // A file that grows meanwhile would break the archive's frame.
    tar.append_data(&mut header, program, io::BufReader::with_capacity(COPY_BYTES, file).take(bytes))?;
    tar.into_inner().map(drop)
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(bytes.len() as u64, 0o644), path, bytes)
}

fn header(bytes: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

impl Blob {
    fn of(bytes: &[u8]) -> Blob {
        let mut hasher = Hasher::new();
        hasher.context.update(bytes);
        hasher.bytes = bytes.len() as u64;
        hasher.finish()
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }
}

/// Counts and digests what is written to it.
struct Hasher {
    context: digest::Context,
    bytes: u64,
}

impl Hasher {
    fn new() -> Hasher {
        Hasher { context: digest::Context::new(&digest::SHA256), bytes: 0 }
    }

    fn finish(self) -> Blob {
        let digest = self.context.finish();
        Blob { digest: format!("sha256:{}", pki::hex(digest.as_ref())), bytes: self.bytes }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
