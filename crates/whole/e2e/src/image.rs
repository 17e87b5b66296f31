//! Images made of files of this machine, as OCI archives (OCI image layout 1.0 in a tar).

use std::path::Path;

use anyhow::Context as _;
use object::Value;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Name and tag; containerd keeps it as it is.
    pub name: String,
    /// The lowest first.
    pub layers: Vec<Layer>,
    /// What runs when nobody says otherwise, and its arguments.
    pub command: Vec<String>,
    /// Variables.
    pub environment: Vec<(String, String)>,
    /// `uid:gid`, or empty for root.
    pub user: String,
}

/// Files that an image has more than the layer below.
#[derive(Debug, Clone)]
pub struct Layer {
    tar: Vec<u8>,
}

impl Layer {
    /// A layer with these files.
    pub fn of(entries: &[Entry<'_>]) -> anyhow::Result<Layer> {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in entries {
            entry.append(&mut tar)?;
        }
        Ok(Layer { tar: tar.into_inner()? })
    }
}

/// A file of a layer; paths begin without a slash.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// A folder that everybody may write to, as `/tmp`.
    Open(&'a str),
    /// A folder.
    Folder(&'a str),
    /// A text, readable by all.
    Text(&'a str, &'a str),
    /// A script, which all may run.
    Script(&'a str, &'a str),
    /// A program of this machine.
    Program(&'a str, &'a Path),
    /// A symbolic link, and where it leads.
    Link(&'a str, &'a str),
}

impl Entry<'_> {
    fn append(&self, tar: &mut tar::Builder<Vec<u8>>) -> anyhow::Result<()> {
        match self {
            Entry::Open(path) => append(tar, tar::EntryType::Directory, (path, 0o1777), &[]),
            Entry::Folder(path) => append(tar, tar::EntryType::Directory, (path, 0o755), &[]),
            Entry::Text(path, text) => append(tar, tar::EntryType::Regular, (path, 0o644), text.as_bytes()),
            Entry::Script(path, text) => append(tar, tar::EntryType::Regular, (path, 0o755), text.as_bytes()),
            Entry::Program(path, file) => {
                let bytes = env::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                append(tar, tar::EntryType::Regular, (path, 0o755), &bytes)
            }
            Entry::Link(path, target) => {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                header.set_mode(0o777);
                Ok(tar.append_link(&mut header, path, target)?)
            }
        }
    }
}

/// Adds something of no date, owned by root.
fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    kind: tar::EntryType,
    (path, mode): (&str, u32),
    bytes: &[u8],
) -> anyhow::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    header.set_mtime(0);
    Ok(tar.append_data(&mut header, path, bytes)?)
}

/// One archive with all `images`.
pub fn archive(images: &[Image]) -> anyhow::Result<Vec<u8>> {
    let mut archive = Archive { tar: tar::Builder::new(Vec::new()), known: Vec::new() };
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let mut manifests = Vec::new();
    for image in images {
        manifests.push(archive.image(image)?);
    }
    let index = document([("mediaType", INDEX.into()), ("manifests", manifests.into())]);
    archive.file("index.json", &index)?;
    Ok(archive.tar.into_inner()?)
}

struct Archive {
    tar: tar::Builder<Vec<u8>>,
    known: Vec<String>,
}

impl Archive {
    /// Adds what `image` consists of; the answer is its entry in the index.
    fn image(&mut self, image: &Image) -> anyhow::Result<Value> {
        let layers: Vec<Value> =
            image.layers.iter().map(|layer| self.blob(LAYER, &layer.tar)).collect::<anyhow::Result<_>>()?;
        let digests: Vec<Value> = layers.iter().filter_map(|layer| layer.get("digest").cloned()).collect();
        let mut config = platform();
        config.set(&["config", "Cmd"], image.command.clone());
        let environment: Vec<String> =
            image.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        config.set(&["config", "Env"], environment);
        config.set(&["config", "User"], image.user.as_str());
        config.set(&["rootfs", "type"], "layers");
        config.set(&["rootfs", "diff_ids"], digests);
        let config = self.blob(CONFIG, &text(&config))?;
        let manifest = document([("mediaType", MANIFEST.into()), ("config", config), ("layers", layers.into())]);
        let mut entry = self.blob(MANIFEST, &manifest)?;
        entry.set(&["platform"], platform());
        entry.set(&["annotations", "io.containerd.image.name"], image.name.as_str());
        Ok(entry)
    }

    fn blob(&mut self, kind: &str, bytes: &[u8]) -> anyhow::Result<Value> {
        let hex: String = pki::sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if !self.known.contains(&hex) {
            self.file(&format!("blobs/sha256/{hex}"), bytes)?;
            self.known.push(hex.clone());
        }
        let size = i64::try_from(bytes.len())?;
        Ok(Value::from_pairs([
            ("mediaType", kind.into()),
            ("digest", Value::from(format!("sha256:{hex}"))),
            ("size", size.into()),
        ]))
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        append(&mut self.tar, tar::EntryType::Regular, (path, 0o644), bytes)
    }
}

/// A document of the specification: all have its version.
fn document<const N: usize>(fields: [(&str, Value); N]) -> Vec<u8> {
    let mut document = Value::from_pairs(fields);
    document.set(&["schemaVersion"], 2);
    text(&document)
}

fn text(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    codec::json::write(value, &mut text);
    text
}

fn platform() -> Value {
    Value::from_pairs([("architecture", architecture()), ("os", "linux")])
}

/// The machine's kind in Go's words, which images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
