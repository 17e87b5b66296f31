//! Which Kubernetes this is.

use std::fmt::Write;

/// The answer of `/version` (`k8s.io/apimachinery/pkg/version.Info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// `1`.
    pub major: &'static str,
    /// `36`.
    pub minor: &'static str,
    /// The version whose behaviour is shown.
    pub emulation_minor: &'static str,
    /// The oldest version that storage stays compatible with.
    pub min_compatibility_minor: &'static str,
    /// `v1.36.0`.
    pub git_version: &'static str,
    /// The commit, where the build was told.
    pub git_commit: &'static str,
    /// `clean`, `dirty` or empty.
    pub git_tree_state: &'static str,
    /// RFC 3339, where the build was told.
    pub build_date: &'static str,
    /// The language's version; upstream has Go's here.
    pub go_version: &'static str,
    /// The compiler.
    pub compiler: &'static str,
    /// `linux/amd64`.
    pub platform: &'static str,
}

/// The version of this build.
pub const fn version() -> Version {
    Version {
        major: "1",
        minor: "36",
        emulation_minor: "36",
        min_compatibility_minor: "35",
        git_version: "v1.36.0",
        git_commit: told(option_env!("FERROKUBE_GIT_COMMIT")),
        git_tree_state: told(option_env!("FERROKUBE_GIT_TREE_STATE")),
        build_date: told(option_env!("FERROKUBE_BUILD_DATE")),
        go_version: concat!("rust", env!("CARGO_PKG_RUST_VERSION")),
        compiler: "rustc",
        platform: PLATFORM,
    }
}

const fn told(value: Option<&'static str>) -> &'static str {
    match value {
        Some(value) => value,
        None => "",
    }
}

#[cfg(target_arch = "x86_64")]
const PLATFORM: &str = "linux/amd64";
#[cfg(target_arch = "aarch64")]
const PLATFORM: &str = "linux/arm64";

impl Version {
    /// The fields by their names in JSON, in upstream's order.
    pub fn fields(&self) -> [(&'static str, &'static str); 13] {
        [
            ("major", self.major),
            ("minor", self.minor),
            ("emulationMajor", self.major),
            ("emulationMinor", self.emulation_minor),
            ("minCompatibilityMajor", self.major),
            ("minCompatibilityMinor", self.min_compatibility_minor),
            ("gitVersion", self.git_version),
            ("gitCommit", self.git_commit),
            ("gitTreeState", self.git_tree_state),
            ("buildDate", self.build_date),
            ("goVersion", self.go_version),
            ("compiler", self.compiler),
            ("platform", self.platform),
        ]
    }

    /// The body of `/version`: JSON, indented by two, as upstream writes it.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (position, (name, value)) in self.fields().iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            // None of the values has a character that JSON would escape.
            write!(out, "{comma}\n  \"{name}\": \"{value}\"").expect("writing to a string cannot fail");
        }
        out.push_str("\n}");
        out
    }
}
