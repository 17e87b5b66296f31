//! Metrics of this process, read from `/proc` when they are asked for, and of this build.

use std::path::Path;

use crate::metrics::{heading, label, line};
use crate::version;

/// Linux tells user space times in hundredths of a second, whatever the kernel's own clock (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// What the kernel says about this process; what it does not say is absent.
#[derive(Debug, Default)]
struct Facts {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    virtual_bytes: Option<f64>,
    resident_bytes: Option<f64>,
    open_files: Option<f64>,
    open_files_max: Option<f64>,
}

pub(crate) fn expose(out: &mut String) {
    let facts = read();
    let rows = [
        ("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter", facts.cpu_seconds),
        ("process_max_fds", "Maximum number of open file descriptors.", "gauge", facts.open_files_max),
        ("process_open_fds", "Number of open file descriptors.", "gauge", facts.open_files),
        ("process_resident_memory_bytes", "Resident memory size in bytes.", "gauge", facts.resident_bytes),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            "gauge",
            facts.start_seconds,
        ),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", "gauge", facts.virtual_bytes),
    ];
    for (name, help, kind, value) in rows {
        if let Some(value) = value {
            heading(out, name, help, kind);
            line(out, format_args!("{name} {value}"));
        }
    }
    build(out);
}

fn build(out: &mut String) {
    let build = version();
    let labels = [
        label("build_date", build.build_date),
        label("compiler", build.compiler),
        label("git_commit", build.git_commit),
        label("git_tree_state", build.git_tree_state),
        label("git_version", build.git_version),
        label("go_version", build.go_version),
        label("major", build.major),
        label("minor", build.minor),
        label("platform", build.platform),
    ];
    let help = "A metric with a constant '1' value, labelled by what this binary was built from.";
    heading(out, "kubernetes_build_info", help, "gauge");
    line(out, format_args!("kubernetes_build_info{{{}}} 1", labels.join(",")));
}

fn read() -> Facts {
    let text = |path: &str| env::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let stat = text("/proc/self/stat");
    // The program's name stands in parentheses and may contain anything; the third field follows it.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|word| word.parse::<f64>().ok());
    let boot = word_after(&text("/proc/stat"), "btime ", 0);
    let status = text("/proc/self/status");
    let kibibytes = |label| word_after(&status, label, 0).map(|count| count * 1024.0);
    Facts {
        cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND),
        start_seconds: boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS_PER_SECOND),
        virtual_bytes: field(23),
        resident_bytes: kibibytes("VmRSS:"),
        open_files: env::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.map(|_| 1.0).sum()),
        open_files_max: word_after(&text("/proc/self/limits"), "Max open files", 0),
    }
}

/// The number that is the `position`th word after `label` at the start of a line.
fn word_after(text: &str, label: &str, position: usize) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().nth(position)?.parse().ok()
}
