//! The committed code for etcd's wire is what the definitions give.

use std::collections::BTreeMap;
use std::path::Path;

const HEAD: &str = "//! Made from the definitions in `proto/` by the test `codegen`. Do not edit.\n\n";

/// Makes the Rust code of every package: file name → text.
fn generate(proto: &Path) -> BTreeMap<String, String> {
    let definitions = protox::compile(["rpc.proto"], [proto]).expect("the definitions are sound");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".")
        .out_dir(folder.path())
        .compile_fds(definitions)
        .expect("code can be made from sound definitions");
    let files = env::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, format!("{HEAD}{}", env::fs::read_to_string(file.path()).unwrap()))
        })
        .collect()
}

#[test]
fn committed_code_matches_the_definitions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = env::process::variable("UPDATE_EXPECT").is_some();
    for (name, made) in generate(&root.join("proto")) {
        let path = root.join("src/etcd/wire").join(&name);
        if update {
            env::fs::write_atomic(&path, made.as_bytes(), env::fs::PUBLIC).unwrap();
        }
        let committed = env::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == made,
            "{name} is not what proto/ gives; run with UPDATE_EXPECT=1 and review the difference"
        );
    }
}
