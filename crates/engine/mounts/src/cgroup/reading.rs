//! What a cgroup uses.

use std::io;
use std::path::{Path, PathBuf};

/// Readings of a cgroup. What the kernel does not show is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// CPU time in nanoseconds since the cgroup was made.
    pub cpu_nanos: Option<u64>,
    /// Bytes of memory in use, caches included.
    pub memory_bytes: Option<u64>,
    /// The same without file pages that have not been used lately: what evictions go by.
    pub working_set_bytes: Option<u64>,
    /// Bytes of anonymous memory.
    pub rss_bytes: Option<u64>,
    /// Bytes of swap.
    pub swap_bytes: Option<u64>,
    /// Page faults.
    pub page_faults: Option<u64>,
    /// Page faults that went to disk.
    pub major_page_faults: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Stalls for CPU.
    pub cpu_pressure: Option<Pressure>,
    /// Stalls for memory.
    pub memory_pressure: Option<Pressure>,
    /// Stalls for disks.
    pub io_pressure: Option<Pressure>,
}

/// Stalls (KEP-4205): of some tasks, and of all at once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// At least one task stalled.
    pub some: PressureKind,
    /// All did.
    pub full: PressureKind,
}

/// Shares of time in percent, and the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PressureKind {
    /// Over 10 s.
    pub avg10: f64,
    /// Over 60 s.
    pub avg60: f64,
    /// Over 300 s.
    pub avg300: f64,
    /// Microseconds in all.
    pub total_micros: u64,
}

pub(super) fn v1(folder: &dyn Fn(&str) -> PathBuf) -> io::Result<Usage> {
    let memory = folder("memory");
    let stat = text(&memory.join("memory.stat"))?.unwrap_or_default();
    let used = number(&memory.join("memory.usage_in_bytes"))?;
    let inactive = field(&stat, "total_inactive_file").unwrap_or_default();
    Ok(Usage {
        cpu_nanos: number(&folder("cpuacct").join("cpuacct.usage"))?,
        memory_bytes: used,
        working_set_bytes: used.map(|used| used.saturating_sub(inactive)),
        rss_bytes: field(&stat, "total_rss"),
        swap_bytes: field(&stat, "total_swap"),
        page_faults: field(&stat, "total_pgfault"),
        major_page_faults: field(&stat, "total_pgmajfault"),
        pids: number(&folder("pids").join("pids.current"))?,
        ..Usage::default()
    })
}

pub(super) fn v2(folder: &Path) -> io::Result<Usage> {
    let stat = text(&folder.join("memory.stat"))?.unwrap_or_default();
    let cpu = text(&folder.join("cpu.stat"))?.unwrap_or_default();
    let used = number(&folder.join("memory.current"))?;
    let inactive = field(&stat, "inactive_file").unwrap_or_default();
    let pressure = |file: &str| Ok::<_, io::Error>(text(&folder.join(file))?.as_deref().and_then(parse_pressure));
    Ok(Usage {
        cpu_nanos: field(&cpu, "usage_usec").map(|micros| micros.saturating_mul(1000)),
        memory_bytes: used,
        working_set_bytes: used.map(|used| used.saturating_sub(inactive)),
        rss_bytes: field(&stat, "anon"),
        swap_bytes: number(&folder.join("memory.swap.current"))?,
        page_faults: field(&stat, "pgfault"),
        major_page_faults: field(&stat, "pgmajfault"),
        pids: number(&folder.join("pids.current"))?,
        cpu_pressure: pressure("cpu.pressure")?,
        memory_pressure: pressure("memory.pressure")?,
        io_pressure: pressure("io.pressure")?,
    })
}

/// A file's text; `None` when it is not there, or the kernel was built without what it shows.
fn text(path: &Path) -> io::Result<Option<String>> {
    match env::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

fn number(path: &Path) -> io::Result<Option<u64>> {
    Ok(text(path)?.and_then(|text| text.trim().parse().ok()))
}

pub(crate) fn field(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Reads a pressure file: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
pub(crate) fn parse_pressure(text: &str) -> Option<Pressure> {
    let kind = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let value = |key: &str| line.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        Some(PressureKind {
            avg10: value("avg10")?.parse().ok()?,
            avg60: value("avg60")?.parse().ok()?,
            avg300: value("avg300")?.parse().ok()?,
            total_micros: value("total")?.parse().ok()?,
        })
    };
    // Kernels before 5.13 have no line `full` for CPU.
    Some(Pressure { some: kind("some")?, full: kind("full").unwrap_or_default() })
}
