//! Archives are read back by another reader than ours.

use std::collections::BTreeMap;
use std::io::Read;

use super::*;

fn bundle(content: &[u8]) -> (tempfile::TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("program");
    std::fs::write(&executable, content).unwrap();
    let bundle = Bundle::of(&executable, PROGRAM, &IMAGES).unwrap();
    (folder, bundle)
}

fn entries(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(archive);
    let read = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    read.collect()
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_str(std::str::from_utf8(bytes).unwrap()).unwrap()
}

#[test]
fn every_reference_leads_to_a_blob_of_that_digest_and_size() {
    // Sizes around a block's, where padding goes wrong.
    for length in [0, 1, 511, 512, 513, 100_000] {
        let content = vec![7; length];
        let (_folder, bundle) = bundle(&content);
        let mut archive = Vec::new();
        bundle.write(&mut archive).unwrap();
        let entries = entries(&archive);
        let blob = |descriptor: &serde_json::Value| -> Vec<u8> {
            let digest = descriptor["digest"].as_str().unwrap();
            let bytes = &entries[&format!("blobs/{}", digest.replace(':', "/"))];
            let hex: String = pki::sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, format!("sha256:{hex}"), "length {length}");
            assert_eq!(descriptor["size"].as_u64().unwrap(), bytes.len() as u64, "length {length}");
            bytes.clone()
        };
        let index = json(&entries["index.json"]);
        let manifests = index["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), IMAGES.len());
        for (row, found) in IMAGES.iter().zip(manifests) {
            assert_eq!(found["annotations"]["io.containerd.image.name"], row.name);
            let manifest = json(&blob(found));
            let config = json(&blob(&manifest["config"]));
            assert_eq!(config["config"]["Entrypoint"][0], "/ferrokube");
            let arguments: Vec<&str> =
                config["config"]["Cmd"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            assert_eq!(arguments, row.arguments);
            assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
            let layer = blob(&manifest["layers"][0]);
            assert_eq!(self::entries(&layer)["ferrokube"], content);
        }
    }
}

#[test]
fn the_same_executable_gives_the_same_bytes() {
    let write = |content: &[u8]| {
        let (_folder, bundle) = bundle(content);
        let mut archive = Vec::new();
        bundle.write(&mut archive).unwrap();
        let ids: Vec<(&str, String)> = bundle.ids().map(|(name, id)| (name, id.to_owned())).collect();
        (archive, ids)
    };
    assert_eq!(write(b"one"), write(b"one"));
    assert_ne!(write(b"one").1, write(b"two").1);
}

#[test]
fn what_needs_an_interpreter_is_not_static() {
    let elf = |kinds: &[u32]| {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            bytes.extend(kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for (content, expected) in [(elf(&[1, 1, 6]), true), (elf(&[6, 3, 1]), false)] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(is_static(&path).unwrap(), expected);
    }
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    assert!(is_static(&path).unwrap_err().to_string().contains("no ELF executable"));
}
