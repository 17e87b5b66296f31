//! Objects that come with the program, applied as anybody would: by server-side apply.

use anyhow::{Context, bail};
use client::{Client, Patch};
use object::Value;

/// The demo: a Deployment of the web server, with a Service that has a node port.
pub(crate) const DEMO: &str = include_str!("demo.yaml");
/// What makes the administrators of `admin.conf` administrators, under kubeadm's name. Unlike `super-admin.conf`, which
/// cannot be taken back, this may be deleted.
pub(crate) const ADMINISTRATORS: &str = include_str!("administrators.yaml");
/// The cluster's name service.
pub(crate) const DNS: &str = include_str!("dns.yaml");
/// Who owns the fields.
const MANAGER: &str = "ferrokube";

/// Applies every document of `text`; says how many.
pub(crate) async fn apply(client: &Client, text: &str) -> anyhow::Result<usize> {
    let mut count = 0;
    for document in text.split("\n---\n") {
        let object = codec::yaml::parse(document.as_bytes())?;
        apply_one(client, object).await?;
        count += 1;
    }
    Ok(count)
}

async fn apply_one(client: &Client, object: Value) -> anyhow::Result<()> {
    let word = |path: &[&str]| object.at(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (word(&["apiVersion"]), word(&["kind"]));
    let (namespace, name) = (word(&["metadata", "namespace"]), word(&["metadata", "name"]));
    let row = kind::builtin().iter().find(|row| row.kind == *kind && row.api_version() == *api_version);
    let Some(row) = row else { bail!("there is no kind {kind} of {api_version}") };
    let patch = Patch::Apply { object, manager: MANAGER.to_owned(), force: true };
    client
        .patch_tree(row, (&namespace, &name, ""), &patch)
        .await
        .with_context(|| format!("cannot apply {kind} {name}"))?;
    Ok(())
}
