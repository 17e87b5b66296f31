//! The documents of the OCI image specification 1.1, as far as we write them.

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A reference to a blob.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor<'a> {
    pub(super) media_type: &'static str,
    pub(super) digest: &'a str,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

/// For which machines something is.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Platform {
    pub(super) architecture: &'static str,
    pub(super) os: &'static str,
}

/// The images of an archive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index<'a> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'static str,
    pub(super) manifests: Vec<Descriptor<'a>>,
}

/// What an image is made of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest<'a> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'static str,
    pub(super) config: Descriptor<'a>,
    pub(super) layers: [Descriptor<'a>; 1],
}

/// How an image runs.
#[derive(Debug, Serialize)]
pub(super) struct Config<'a> {
    #[serde(flatten)]
    pub(super) platform: Platform,
    pub(super) config: Execution<'a>,
    pub(super) rootfs: Root<'a>,
    pub(super) history: [Step; 1],
}

/// The process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Execution<'a> {
    pub(super) entrypoint: [&'a str; 1],
    pub(super) cmd: &'a [&'a str],
    pub(super) user: &'a str,
    pub(super) working_dir: &'a str,
    pub(super) env: [&'a str; 1],
    pub(super) exposed_ports: BTreeMap<&'a str, Nothing>,
}

/// `{}`.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// The layers, by the digests of their uncompressed tars.
#[derive(Debug, Serialize)]
pub(super) struct Root<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) diff_ids: [&'a str; 1],
}

/// How a layer came to be.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) created_by: &'static str,
}
