//! Every verb of kubectl, whichever kubectl it is: what it prints, and that it complains about nothing.
//!
//! The conversation is `kubectl/transcript.txt`, which says how it is read.

mod transcript;

use e2e::Said;

use super::{seconds, single_node};
use transcript::{Exchange, Version};

const TRANSCRIPT: &str = include_str!("kubectl/transcript.txt");
const MANIFESTS: [(&str, &str); 3] = [
    ("/root/app.yaml", include_str!("kubectl/app.yaml")),
    ("/root/app-v2.yaml", include_str!("kubectl/app-v2.yaml")),
    ("/root/kustomization/kustomization.yaml", include_str!("kubectl/kustomization.yaml")),
];

#[tokio::test]
async fn every_verb_of_kubectl() -> anyhow::Result<()> {
    let Some((cluster, _fixture)) = single_node().await? else { return Ok(()) };
    let m1 = cluster.host();
    for (path, text) in MANIFESTS {
        m1.write(path, text)?;
    }
    let version = Version::of(&m1.sh("kubectl version --client -o json").await.ok())?;
    let mut differences = Vec::new();
    for exchange in transcript::read(TRANSCRIPT)?.iter().filter(|exchange| exchange.concerns(version)) {
        let said = m1.sh_within(seconds(100), &exchange.command).await;
        differences.extend(difference(exchange, &said));
    }
    assert!(differences.is_empty(), "kubectl {version}: {}\n{}", differences.len(), differences.join("\n"));
    cluster.down(&[]).await?;
    Ok(())
}

fn difference(exchange: &Exchange, said: &Said) -> Option<String> {
    let line = exchange.line;
    if said.code != Some(exchange.code) {
        return Some(format!("line {line}: expected to end with {}: {said}", exchange.code));
    }
    let mismatch = |what: &str, expected: &[String], text: &str| {
        (!transcript::matches(expected, text))
            .then(|| format!("line {line}: expected as its {what}:\n{}\nbut: {said}", expected.join("\n")))
    };
    mismatch("output", &exchange.out, &said.out).or_else(|| mismatch("complaints", &exchange.err, &said.err))
}
