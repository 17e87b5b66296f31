//! The tree as the checks see it: crates, their manifests, their files, and what cargo knows about dependencies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::source::File;

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// `ground`, `words`, ...
    pub(crate) floor: String,
    /// The name of its folder.
    pub(crate) folder: String,
    /// The text of its `Cargo.toml`.
    pub(crate) manifest: String,
    /// Relative to the root.
    pub(crate) manifest_path: String,
    /// Direct dependencies, development ones included: (name, whether a product build needs it).
    pub(crate) dependencies: Vec<(String, bool)>,
}

/// A package of the dependency graph.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Whether it comes from elsewhere.
    pub(crate) foreign: bool,
    /// What a product build of it needs: package ids.
    pub(crate) needs: Vec<String>,
}

/// Everything the checks look at.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) manifest: String,
    pub(crate) members: Vec<Member>,
    pub(crate) packages: BTreeMap<String, Package>,
    pub(crate) files: Vec<File>,
}

/// A call of the cargo that runs us, in the workspace.
#[expect(clippy::disallowed_methods, reason = "a chore runs on a developer's machine, never in a simulation")]
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = option_env!("CARGO").unwrap_or("cargo");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The folder above `crates/`: where cargo runs this crate, so that a checkout may be moved after it was built.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(3).expect("this crate is three folders below the root").to_owned()
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let root = root();
        let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
        let arguments = [&["metadata", "--format-version", "1", "--locked"][..], &platform].concat();
        let output = cargo(&arguments).output().context("cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        }
        let metadata: Value = serde_json::from_str(&String::from_utf8(output.stdout)?)?;
        let members = members(&metadata, &root)?;
        let mut files = Vec::new();
        for member in &members {
            let folder = root.join("crates").join(&member.floor).join(&member.folder);
            read_files(&root, &folder, member, &mut files)?;
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
        Ok(Workspace { packages: packages(&metadata), root, manifest, members, files })
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(metadata: &Value, root: &Path) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for package in list(&metadata["packages"]).iter().filter(|package| package["source"].is_null()) {
        let path = PathBuf::from(text(&package["manifest_path"]));
        let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
        let parts: Vec<&str> = relative.split('/').collect();
        let ["crates", floor, folder, _] = parts[..] else { bail!("{relative} is not crates/<floor>/<crate>") };
        let dependencies = list(&package["dependencies"]).iter();
        members.push(Member {
            name: text(&package["name"]),
            floor: floor.to_owned(),
            folder: folder.to_owned(),
            manifest: std::fs::read_to_string(&path)?,
            manifest_path: relative.clone(),
            dependencies: dependencies.map(|one| (text(&one["name"]), one["kind"].as_str() != Some("dev"))).collect(),
        });
    }
    members.sort_by(|left, right| left.manifest_path.cmp(&right.manifest_path));
    Ok(members)
}

fn packages(metadata: &Value) -> BTreeMap<String, Package> {
    let product = |edge: &&Value| list(&edge["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let edges = list(&node["deps"]).iter().filter(product);
        needs.insert(text(&node["id"]), edges.map(|edge| text(&edge["pkg"])).collect());
    }
    let package = |package: &Value| {
        let id = text(&package["id"]);
        // Packages for other platforms have no node: nobody here builds them.
        let needs = needs.get(&id)?.clone();
        let read = Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            license: package["license"].as_str().map(str::to_owned),
            foreign: !package["source"].is_null(),
            needs,
        };
        Some((id, read))
    };
    list(&metadata["packages"]).iter().filter_map(package).collect()
}

fn read_files(root: &Path, folder: &Path, member: &Member, files: &mut Vec<File>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_files(root, &path, member, files)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).with_context(|| relative.clone())?;
            files.push(File::new(relative, member.name.clone(), member.floor.clone(), text));
        }
    }
    Ok(())
}
