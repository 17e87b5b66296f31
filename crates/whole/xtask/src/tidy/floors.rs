//! Who may import whom.

use std::collections::BTreeSet;

use crate::workspace::{Member, Workspace};

/// The floors from the ground up; those of equal height do not see each other.
const FLOORS: [(&str, u8); 6] =
    [("ground", 0), ("words", 1), ("logic", 2), ("engine", 2), ("component", 3), ("whole", 4)];
/// Imports that the law forbids and that stand anyway: (who, whom, why). Ideally empty.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];
/// What a logic crate must not be able to reach.
const WORLD: [&str; 5] = ["env", "hyper", "nix", "rustls", "tokio"];
/// Who may import the store: the generic path to it, the component that serves it, and the whole.
const STORE_USERS: [&str; 2] = ["apiserver", "registry"];

/// The height of a floor.
pub(super) fn height(floor: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == floor).map(|(_, height)| *height)
}

/// Whether a crate on `from` may import one on `to`.
pub(super) fn may_import(from: &str, to: &str) -> bool {
    match (height(from), height(to)) {
        // Components are joined by the whole, not by each other.
        (Some(_), Some(_)) if from == to => from != "component",
        (Some(from), Some(to)) => from > to,
        _ => false,
    }
}

pub(super) fn down(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for (member, imported) in imports(workspace) {
        let pair = (member.name.as_str(), imported.name.as_str());
        let excepted = EXCEPTIONS.iter().any(|(who, whom, _)| (*who, *whom) == pair);
        if !excepted && !may_import(&member.floor, &imported.floor) {
            let (from, to) = (&member.floor, &imported.floor);
            problems.push(format!("{}: {from}/{} imports {to}/{}", member.manifest_path, member.name, imported.name));
        }
    }
    problems
}

pub(super) fn pure(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for member in workspace.members.iter().filter(|member| member.floor == "logic") {
        let reached = closure(workspace, &member.name);
        for name in WORLD.iter().filter(|name| reached.contains(**name)) {
            problems.push(format!("{}: {} reaches {name}", member.manifest_path, member.name));
        }
    }
    problems
}

pub(super) fn store(workspace: &Workspace) -> Vec<String> {
    let users = imports(workspace).filter(|(_, imported)| imported.name == "store");
    let others = users.filter(|(member, _)| member.floor != "whole" && !STORE_USERS.contains(&member.name.as_str()));
    others.map(|(member, _)| format!("{}: {} imports the store", member.manifest_path, member.name)).collect()
}

pub(super) fn typed(workspace: &Workspace) -> Vec<String> {
    let names =
        |member: &&Member| member.name != "typed" && member.dependencies.iter().any(|(name, _)| name == "k8s-openapi");
    let others = workspace.members.iter().filter(names);
    others.map(|member| format!("{}: {} names k8s-openapi", member.manifest_path, member.name)).collect()
}

fn imports(workspace: &Workspace) -> impl Iterator<Item = (&Member, &Member)> {
    workspace.members.iter().flat_map(move |member| {
        let names = member.dependencies.iter().map(|(name, _)| name);
        // A crate may name itself among its tests' needs, to switch on a feature.
        names.filter(|name| **name != member.name).filter_map(move |name| Some((member, workspace.member(name)?)))
    })
}

/// The names of all packages that a product build of `name` needs.
fn closure<'a>(workspace: &'a Workspace, name: &str) -> BTreeSet<&'a str> {
    let own = |(_, package): &(&String, &crate::workspace::Package)| !package.foreign && package.name == name;
    let mut waiting: Vec<&String> = workspace.packages.iter().filter(own).map(|(id, _)| id).collect();
    let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(package) = workspace.packages.get(id) {
            names.insert(package.name.as_str());
            waiting.extend(&package.needs);
        }
    }
    names
}
