//! `cargo xtask fuzz`: runs the targets of `fuzz/`, each for a while.
//!
//! The flags are those of cargo-fuzz without a sanitizer, which the stable compiler has all of; so neither cargo-fuzz nor
//! another compiler has to be installed. What is found stays in `fuzz/artifacts`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// What makes the compiler count which code an input reaches, and check what release builds do not.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions";
/// The longest input.
const INPUT_BYTES_MAX: u32 = 4096;
/// What a target may take of memory.
const MEMORY_MEBIBYTES_MAX: u32 = 512;
/// What one input may take of time.
const INPUT_SECONDS_MAX: u32 = 10;

/// Arguments of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The targets, such as `json`; all of them when none is named.
    targets: Vec<String>,
    /// How long each of them runs.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

/// Builds the targets and runs one after the other.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let root = workspace::root();
    let known = targets(&root)?;
    for name in &arguments.targets {
        ensure!(known.contains(name), "there is no target {name}, only {}", known.join(", "));
    }
    let chosen = if arguments.targets.is_empty() { &known } else { &arguments.targets };
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut build = workspace::cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(["--target", &triple, "--target-dir", "fuzz/target"]);
    // With a target named, the flags are not for build scripts and macros.
    build.env("RUSTFLAGS", FLAGS).args(chosen.iter().flat_map(|name| ["--bin", name]));
    ensure!(build.status().context("cargo build")?.success(), "the targets cannot be built");
    let programs = root.join("fuzz/target").join(triple).join("release");
    let broken = chosen.iter().map(|name| Ok((name, one(&root, &programs, name, arguments.seconds)?)));
    let broken: Vec<_> = broken.collect::<Result<Vec<_>>>()?.into_iter().filter(|(_, clean)| !clean).collect();
    match broken.as_slice() {
        [] => Ok(()),
        broken => bail!("{} of {} targets found something; see fuzz/artifacts", broken.len(), chosen.len()),
    }
}

/// The names of all targets.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        names.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Runs a target; whether it found nothing.
#[expect(clippy::disallowed_methods, reason = "a chore runs on a developer's machine, never in a simulation")]
fn one(root: &Path, programs: &Path, name: &str, seconds: u32) -> Result<bool> {
    let fuzz = root.join("fuzz");
    let (corpus, artifacts) = (fuzz.join("corpus").join(name), fuzz.join("artifacts").join(name));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut target = Command::new(programs.join(name));
    target.arg(&corpus).arg(root.join("crates/whole/decoders/seeds").join(name));
    target.arg(format!("-artifact_prefix={}/", artifacts.display()));
    target.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    target.arg(format!("-rss_limit_mb={MEMORY_MEBIBYTES_MAX}")).arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    target.arg("-print_final_stats=1");
    Ok(target.status().with_context(|| format!("cannot run {name}"))?.success())
}
