//! The standards, and which of them a namespace's labels ask for.

use std::fmt;

use kind::Problem;
use object::Meta;
use object::Value;

use super::label_path;

/// Of labels and audit annotations.
pub(super) const PREFIX: &str = "pod-security.kubernetes.io/";

/// How strict; a later level includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The standard as of a release: `None` is the latest, otherwise the minor of `v1.x`.
pub(super) type Version = Option<u32>;

/// A level as of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LevelVersion {
    pub(super) level: Level,
    pub(super) version: Version,
}

/// What a namespace asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: LevelVersion,
    pub(super) audit: LevelVersion,
    pub(super) warn: LevelVersion,
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            None => write!(f, "{level}:latest"),
            Some(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

impl Policy {
    /// Whether nothing is checked at all.
    pub(super) fn is_privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn].iter().all(|level| level.level == Level::Privileged)
    }
}

fn parse_level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

fn parse_version(text: &str) -> Option<Version> {
    if text == "latest" {
        return Some(None);
    }
    let digits = text.strip_prefix("v1.")?;
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| canonical).map(Some)
}

/// What the namespace's labels ask for, and which of them cannot be read. Of those, enforcement is as strict as can be
/// and the rest as lax, so that a typing error locks out pods rather than letting them in.
pub(super) fn policy_of(namespace: &Value) -> (Policy, Vec<Problem>) {
    let mut problems = Vec::new();
    let lax = LevelVersion { level: Level::Privileged, version: None };
    let mut read = |mode: &str, fallback: Level| -> (LevelVersion, Option<Level>, bool) {
        let mut found = lax;
        let (level_key, version_key) = (format!("{PREFIX}{mode}"), format!("{PREFIX}{mode}-version"));
        let mut given = None;
        if let Some(text) = Meta::of(namespace).label(&level_key) {
            given = parse_level(text);
            found.level = given.unwrap_or(fallback);
            if given.is_none() {
                let detail = "must be one of privileged, baseline, restricted";
                problems.push(Problem::invalid(label_path(&level_key), text, detail));
            }
        }
        let version = Meta::of(namespace).label(&version_key);
        if let Some(text) = version {
            match parse_version(text) {
                Some(version) => found.version = version,
                None => {
                    let detail = "must be \"latest\" or \"v1.x\"";
                    problems.push(Problem::invalid(label_path(&version_key), text, detail));
                }
            }
        }
        (found, given, version.is_some())
    };
    let (enforce, enforced, _) = read("enforce", Level::Restricted);
    let (audit, _, _) = read("audit", Level::Privileged);
    let (mut warn, _, has_version) = read("warn", Level::Privileged);
    // What will be refused is at least warned about, for templates too.
    let has_level = Meta::of(namespace).label(&format!("{PREFIX}warn")).is_some();
    if !has_level && let Some(level) = enforced.filter(|level| *level > warn.level) {
        warn.level = level;
        if !has_version {
            warn.version = enforce.version;
        }
    }
    (Policy { enforce, audit, warn }, problems)
}
