//! Words that do not belong where they stand.

use crate::source::File;
use crate::workspace::Workspace;

/// Ways into the world that lead past `env`.
const SIDE_DOORS: [&str; 14] = [
    "std::fs::",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process::Command",
    "std::thread::spawn",
    "std::time::Instant",
    "SystemTime",
    "tokio::fs::",
    "tokio::net::",
    "tokio::process::",
    "tokio::spawn",
    "tokio::time::",
    "Timestamp::now()",
];

pub(super) fn doors(workspace: &Workspace) -> Vec<String> {
    let bound = |file: &&File| !file.is_test() && !file.is_generated() && file.member != "env" && file.floor != "whole";
    in_code(workspace.files.iter().filter(bound), &SIDE_DOORS)
}

pub(super) fn waiting(workspace: &Workspace) -> Vec<String> {
    let tests = workspace.files.iter().filter(|file| file.is_test());
    let mut problems = in_code(tests, &["sleep("]);
    problems.extend(in_code(workspace.files.iter(), &["#[ignore"]));
    problems
}

pub(super) fn suites(workspace: &Workspace) -> Vec<String> {
    let product = workspace.files.iter().filter(|file| file.floor != "whole" && !file.is_generated());
    in_text(product, &["conformance", "agnhost", "sonobuoy", "e2e"])
}

pub(super) fn unfinished(workspace: &Workspace) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut problems = in_code(workspace.files.iter(), &["todo!", "unimplemented!"]);
    for file in workspace.files.iter().filter(|file| !file.is_generated()) {
        for (number, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| stands_alone(line, word)) {
                problems.push(format!("{}:{}: says what is unfinished in a comment", file.path, number + 1));
            }
        }
    }
    problems
}

pub(super) fn machine_paths(workspace: &Workspace) -> Vec<String> {
    let paths = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/root/", ".")];
    let mut problems = in_text(workspace.files.iter(), &paths);
    for member in workspace.members.iter().filter(|member| paths.iter().any(|path| member.manifest.contains(path))) {
        problems.push(format!("{}: names a path of one machine", member.manifest_path));
    }
    problems
}

fn in_code<'a>(files: impl Iterator<Item = &'a File>, needles: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for needle in needles {
            let lines = file.code_lines_with(needle);
            problems.extend(lines.map(|number| format!("{}:{number}: {needle}", file.path)));
        }
    }
    problems
}

fn in_text<'a>(files: impl Iterator<Item = &'a File>, needles: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let lower = line.to_ascii_lowercase();
            let found = needles.iter().filter(|needle| {
                if needle.starts_with('/') { line.contains(**needle) } else { stands_alone(&lower, needle) }
            });
            problems.extend(found.map(|needle| format!("{}:{}: {needle}", file.path, number + 1)));
        }
    }
    problems
}

/// Whether `word` stands in `line` with no letter or digit at its sides.
pub(super) fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}
