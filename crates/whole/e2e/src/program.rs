//! The programs that scenarios run.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};

/// The program under test.
const PROGRAM: &str = "FERROKUBE_BIN";
/// Another kubectl than the machine's.
const KUBECTL: &str = "FERROKUBE_KUBECTL";
/// Fast to build, and fast enough.
const PROFILE: &str = "trial";

/// A variable of the environment that is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::process::variable(name).filter(|text| !text.is_empty())
}

/// The static program: the one that the environment names, or one that is built now.
pub(crate) async fn ferrokube() -> anyhow::Result<PathBuf> {
    if let Some(path) = variable(PROGRAM) {
        return existing(PROGRAM, &path);
    }
    let workspace = workspace()?;
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let cargo = variable("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut build = env::process::command(cargo);
    build
        .args(["build", "--quiet", "--package", "ferrokube", "--profile", PROFILE, "--target", &triple])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(&workspace)
        .stdin(Stdio::null());
    let status = build.status().await.context("cannot run cargo; FERROKUBE_BIN names a program that is built")?;
    if !status.success() {
        bail!("the program under test cannot be built: cargo ended with {status}");
    }
    Ok(workspace.join("target").join(triple).join(PROFILE).join("ferrokube"))
}

/// The kubectl that the environment names; `None` is the machine's.
pub(crate) fn kubectl() -> anyhow::Result<Option<PathBuf>> {
    variable(KUBECTL).map(|path| existing(KUBECTL, &path)).transpose()
}

fn existing(variable: &str, path: &str) -> anyhow::Result<PathBuf> {
    // Tests run in their package's folder, people in the workspace's.
    let candidates = [PathBuf::from(path), workspace()?.join(path)];
    let found = candidates.into_iter().find(|path| path.is_file());
    found.with_context(|| format!("{variable} names {path}, which is no file"))
}

fn workspace() -> anyhow::Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(3).map(Path::to_owned).context("the package is below crates/whole")
}
