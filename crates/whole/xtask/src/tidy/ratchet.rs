//! Lists of what is too long today. They may only shrink: a longer entry and a missing one are problems, and so is an
//! entry that is no longer needed (`cargo xtask tidy --tighten` removes it).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;

use crate::tidy::shape;
use crate::workspace::Workspace;

pub(super) const FILES: &str = "file-lines.txt";
pub(super) const FUNCTIONS: &str = "function-lines.txt";

/// What is wrong between the list `name` and the tree as `measured`.
pub(super) fn compare(workspace: &Workspace, name: &str, measured: &BTreeMap<String, usize>) -> Vec<String> {
    differences(&load(workspace, name), measured)
}

pub(super) fn differences(allowed: &BTreeMap<String, usize>, measured: &BTreeMap<String, usize>) -> Vec<String> {
    let mut problems = Vec::new();
    for (what, lines) in measured {
        match allowed.get(what) {
            None => problems.push(format!("{what}: {lines} lines")),
            Some(allowed) if lines > allowed => problems.push(format!("{what}: grew from {allowed} to {lines} lines")),
            Some(allowed) if lines < allowed => {
                problems.push(format!("{what}: shrank from {allowed} to {lines} lines; tighten the list"));
            }
            Some(_) => {}
        }
    }
    let gone = allowed.keys().filter(|what| !measured.contains_key(*what));
    problems.extend(gone.map(|what| format!("{what}: is short now; tighten the list")));
    problems
}

/// Lowers every list to what the tree needs; nothing is added and nothing raised.
pub(crate) fn tighten(workspace: &Workspace) -> Result<()> {
    let lists = [(FILES, shape::long_files(workspace)), (FUNCTIONS, shape::long_functions(workspace))];
    for (name, measured) in lists {
        let mut text = String::new();
        for (what, allowed) in load(workspace, name) {
            if let Some(lines) = measured.get(&what) {
                writeln!(text, "{what} {}", allowed.min(*lines))?;
            }
        }
        std::fs::write(path(workspace, name), text)?;
    }
    Ok(())
}

fn path(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join("crates/whole/xtask/ratchet").join(name)
}

fn load(workspace: &Workspace, name: &str) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(path(workspace, name)).unwrap_or_default();
    let entry = |line: &str| {
        let (what, lines) = line.rsplit_once(' ')?;
        Some((what.to_owned(), lines.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}
