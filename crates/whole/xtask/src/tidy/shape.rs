//! Maps and lengths.

use std::collections::BTreeMap;

use crate::tidy::ratchet::{self, FILES, FUNCTIONS};
use crate::workspace::Workspace;

/// The most lines of a file.
pub(super) const FILE_LINES_MAX: usize = 800;
/// The most lines between the braces of a function.
pub(super) const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn maps(workspace: &Workspace) -> Vec<String> {
    let without = workspace.files.iter().filter(|file| !file.is_generated() && !file.text.starts_with("//!"));
    without.map(|file| format!("{}:1: does not open with a //! map", file.path)).collect()
}

pub(super) fn files(workspace: &Workspace) -> Vec<String> {
    ratchet::compare(workspace, FILES, &long_files(workspace))
}

pub(super) fn functions(workspace: &Workspace) -> Vec<String> {
    ratchet::compare(workspace, FUNCTIONS, &long_functions(workspace))
}

pub(super) fn long_files(workspace: &Workspace) -> BTreeMap<String, usize> {
    let written = workspace.files.iter().filter(|file| !file.is_generated());
    let lengths = written.map(|file| (file.path.clone(), file.text.lines().count()));
    lengths.filter(|(_, lines)| *lines > FILE_LINES_MAX).collect()
}

pub(super) fn long_functions(workspace: &Workspace) -> BTreeMap<String, usize> {
    let mut long = BTreeMap::new();
    for file in workspace.files.iter().filter(|file| !file.is_generated()) {
        for function in file.functions().into_iter().filter(|function| function.body_lines > FUNCTION_LINES_MAX) {
            let known = long.entry(format!("{}:{}", file.path, function.name)).or_insert(0);
            *known = function.body_lines.max(*known);
        }
    }
    long
}
