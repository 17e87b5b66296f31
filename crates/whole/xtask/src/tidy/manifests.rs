//! What a `Cargo.toml` looks like.

use crate::tidy::floors;
use crate::workspace::Workspace;

pub(super) fn folders(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for member in &workspace.members {
        if member.name != member.folder {
            problems.push(format!("{}: the crate is called {}", member.manifest_path, member.name));
        }
        if floors::height(&member.floor).is_none() {
            problems.push(format!("{}: there is no floor {}", member.manifest_path, member.floor));
        }
    }
    problems
}

pub(super) fn lints(workspace: &Workspace) -> Vec<String> {
    let without = workspace.members.iter().filter(|member| !member.manifest.contains("[lints]\nworkspace = true"));
    without.map(|member| format!("{}: does not inherit the lints", member.manifest_path)).collect()
}

pub(super) fn inherited(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for member in &workspace.members {
        for line in
            sections(&member.manifest).filter(|(name, _)| name.contains("dependencies")).flat_map(|(_, lines)| lines)
        {
            let own = name_of(line) == member.name;
            if !own && !line.ends_with(".workspace = true") {
                problems.push(format!("{}: `{line}` is not inherited as it is", member.manifest_path));
            }
        }
    }
    problems
}

pub(super) fn sorted(workspace: &Workspace) -> Vec<String> {
    let members = workspace.members.iter().map(|member| (member.manifest_path.as_str(), member.manifest.as_str()));
    let mut problems = Vec::new();
    for (path, text) in members.chain([("Cargo.toml", workspace.manifest.as_str())]) {
        for block in text.split("\n\n") {
            for (name, lines) in sections(block).filter(|(name, _)| name.contains("dependencies")) {
                let names: Vec<&str> = lines.iter().map(|line| name_of(line)).collect();
                if let Some(pair) = names.windows(2).find(|pair| pair[0] > pair[1]) {
                    problems.push(format!("{path}: [{name}] has {} before {}", pair[0], pair[1]));
                }
            }
        }
    }
    problems
}

fn name_of(line: &str) -> &str {
    line.split(['.', ' ', '=']).next().unwrap_or(line)
}

/// The sections of a manifest with their lines; comments and empty lines are left out.
fn sections(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')), found.last_mut()) {
            (Some(name), _) => found.push((name, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    found.into_iter()
}
