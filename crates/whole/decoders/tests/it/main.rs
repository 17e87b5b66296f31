//! Every target over its seeds, which include what fuzzing has found.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use decoders::TARGETS;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The names of what is in a folder, without endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let path = |entry: std::io::Result<fs::DirEntry>| entry.expect("a folder can be read").path();
    entries.map(|entry| path(entry).file_stem().expect("it has a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn the_fuzzer_knows_every_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let fuzz = Path::new(HERE).ancestors().nth(3).expect("this crate is three folders below the root").join("fuzz");
    let fuzz = fuzz.to_string_lossy();
    assert_eq!(names(&format!("{fuzz}/fuzz_targets")), targets, "fuzz_targets");
    assert_eq!(names(&format!("{HERE}/seeds")), targets, "seeds");
    let manifest = fs::read_to_string(format!("{fuzz}/Cargo.toml")).expect("the fuzzer has a manifest");
    for name in &targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is in the manifest");
    }
}

#[test]
fn every_seed_passes() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(format!("{HERE}/seeds/{name}")).expect("every target has seeds") {
            let path = entry.expect("a folder can be read").path();
            let bytes = fs::read(&path).expect("a seed can be read");
            count += 1;
            if catch_unwind(|| target(&bytes)).is_err() {
                broken.push(path);
            }
        }
        assert!(count > 0, "{name} has no seeds");
    }
    assert!(broken.is_empty(), "promises are broken by {broken:#?}");
}

#[test]
fn no_short_input_breaks_a_promise() {
    for (_, target) in TARGETS {
        target(&[]);
        for first in 0..=u8::MAX {
            target(&[first]);
            [0, 1, b'"', b'{', b'[', 0x7f, 0x80, 0xff].iter().for_each(|second| target(&[first, *second]));
        }
    }
}
