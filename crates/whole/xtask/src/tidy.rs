//! The laws of the house as checks: one file per family, one row per check.
//!
//! A check looks at the whole tree and returns every problem it sees, with the reason of the law beside it.

mod dependencies;
mod floors;
mod manifests;
pub(crate) mod ratchet;
mod shape;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;

use crate::workspace::Workspace;

/// A check and why it exists.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    reason: &'static str,
    look: fn(&Workspace) -> Vec<String>,
}

/// Something against a law.
#[derive(Debug)]
pub(crate) struct Problem {
    what: String,
    check: &'static str,
    reason: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}: {}]", self.what, self.check, self.reason)
    }
}

const fn check(name: &'static str, reason: &'static str, look: fn(&Workspace) -> Vec<String>) -> Check {
    Check { name, reason, look }
}

/// All checks.
pub(crate) const CHECKS: &[Check] = &[
    check("floors", "imports go down; logic and engines meet in components", floors::down),
    check("pure-logic", "a logic crate is tested without a world, so it must not be able to reach one", floors::pure),
    check("store", "everybody but the API server reaches state through the front door", floors::store),
    check("typed", "every crate that decodes kinds for itself costs build time and a second opinion", floors::typed),
    check("doors", "what does not come through env cannot be simulated", words::doors),
    check("folders", "ls draws the architecture", manifests::folders),
    check("lints", "the lints are the style, in every crate", manifests::lints),
    check("inherited", "one version and one feature set per dependency", manifests::inherited),
    check("sorted", "sorted lists merge", manifests::sorted),
    check("maps", "a file opens with what it is", shape::maps),
    check("file-length", "a file is one noun", shape::files),
    check("function-length", "a function fits on a screen", shape::functions),
    check("waiting", "a test waits for a state with a deadline, and none is switched off", words::waiting),
    check(
        "suites",
        "nothing is named after a test, nothing behaves differently because one is watching",
        words::suites,
    ),
    check("unfinished", "what is not built says so to its user, not to its reader", words::unfinished),
    check("machine-paths", "no path of one machine belongs in the tree", words::machine_paths),
    check("licences", "the binary may be given to anybody", dependencies::licences),
    check("duplicates", "a second version of a crate is paid for by everybody", dependencies::duplicates),
];

/// Runs the checks named in `only`, or all.
pub(crate) fn run(workspace: &Workspace, only: &[String]) -> Vec<Problem> {
    let chosen = CHECKS.iter().filter(|check| only.is_empty() || only.iter().any(|name| name == check.name));
    let problems = chosen.flat_map(|check| {
        let found = (check.look)(workspace).into_iter();
        found.map(|what| Problem { what, check: check.name, reason: check.reason })
    });
    problems.collect()
}
