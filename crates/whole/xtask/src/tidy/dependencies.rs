//! Licences and second versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::Workspace;

/// Licences under which we give the binary on.
const LICENCES: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

pub(super) fn licences(workspace: &Workspace) -> Vec<String> {
    let foreign = workspace.packages.values().filter(|package| package.foreign);
    let bad = foreign.filter(|package| !package.license.as_deref().is_some_and(is_permissive));
    bad.map(|package| {
        let licence = package.license.as_deref().unwrap_or("none");
        format!("{} {}: licence {licence}", package.name, package.version)
    })
    .collect()
}

/// Whether an SPDX expression leaves a choice that is on the list: every part of an `AND`, one part of an `OR`.
pub(super) fn is_permissive(expression: &str) -> bool {
    let expression = expression.trim();
    let tight: Vec<&str> = split(expression, " AND ");
    if tight.len() > 1 {
        return tight.into_iter().all(is_permissive);
    }
    let choices: Vec<&str> = split(expression, " OR ").into_iter().flat_map(|part| split(part, "/")).collect();
    if choices.len() > 1 {
        return choices.into_iter().any(is_permissive);
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_permissive(inner),
        None => LICENCES.contains(&expression),
    }
}

/// Splits at `separator` outside parentheses.
fn split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= from && text[at..].starts_with(separator) => {
                parts.push(&text[from..at]);
                from = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Crates of which the product needs more than one version, and which are known: one name per line.
pub(super) fn duplicates(workspace: &Workspace) -> Vec<String> {
    let known = include_str!("../../ratchet/duplicates.txt");
    let known: BTreeSet<&str> = known.lines().collect();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in workspace.packages.values() {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let new = versions.iter().filter(|(name, _)| !known.contains(*name));
    let mut problems: Vec<String> = new.map(|(name, versions)| format!("{name}: {}", versions.join(", "))).collect();
    let gone = known.iter().filter(|name| !versions.contains_key(**name));
    problems.extend(gone.map(|name| format!("{name}: has one version now; take it off ratchet/duplicates.txt")));
    problems
}
