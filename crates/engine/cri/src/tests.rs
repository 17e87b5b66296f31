//! The committed stubs are what the committed interface generates.

use std::path::Path;

#[test]
fn stubs_are_generated_from_the_interface() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["runtime.proto"], [home.join("proto")]).expect("the interface parses");
    let folder = tempfile::tempdir().expect("a temporary folder");
    tonic_prost_build::configure()
        .out_dir(folder.path())
        .btree_map(".")
        .generate_default_stubs(true)
        .skip_debug([".runtime.v1.AuthConfig"])
        .compile_fds(descriptors)
        .expect("the interface generates");
    let generated = env::fs::read_to_string(folder.path().join("runtime.v1.rs")).expect("the generated file");
    let generated =
        format!("//! Messages and services of `runtime.v1`, made from `proto/runtime.proto` by a test.\n\n{generated}");
    let committed = home.join("src/generated.rs");
    if env::process::variable("UPDATE_EXPECT").is_some() {
        env::fs::write_atomic(&committed, generated.as_bytes(), env::fs::PUBLIC).expect("the sources are writable");
        return;
    }
    let found = env::fs::read_to_string(&committed).expect("the committed file");
    assert!(found == generated, "src/generated.rs differs from proto/runtime.proto; run with UPDATE_EXPECT=1");
}
