//! Facts about the machine.

use std::io;
use std::path::Path;

/// What a node reports of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The firmware's uuid, or the machine id where there is none.
    pub system_uuid: String,
    /// New at each boot.
    pub boot_id: String,
    /// `uname -r`.
    pub kernel: String,
    /// `PRETTY_NAME` of `os-release`.
    pub os_image: String,
    /// In Go's words: `amd64`, `arm64`.
    pub architecture: &'static str,
    /// CPUs online.
    pub cpus: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of swap.
    pub swap_bytes: u64,
}

/// Looks around.
pub fn machine() -> io::Result<Machine> {
    let memory = meminfo(&env::fs::read_to_string("/proc/meminfo")?);
    let machine_id = first_line(&["/etc/machine-id", "/var/lib/dbus/machine-id"]);
    let system_uuid = first_line(&["/sys/class/dmi/id/product_uuid", "/proc/device-tree/vm,uuid"]);
    let uts = nix::sys::utsname::uname()?;
    let release = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| env::fs::read_to_string(path).ok());
    Ok(Machine {
        system_uuid: if system_uuid.is_empty() { machine_id.clone() } else { system_uuid },
        machine_id,
        boot_id: first_line(&["/proc/sys/kernel/random/boot_id"]),
        kernel: uts.release().to_string_lossy().into_owned(),
        os_image: os_image(&release.unwrap_or_default()),
        architecture: architecture(),
        cpus: cpus(&env::fs::read_to_string("/sys/devices/system/cpu/online")?),
        memory_bytes: memory.total_bytes,
        swap_bytes: memory.swap_total_bytes,
    })
}

fn first_line(paths: &[&str]) -> String {
    let texts = paths.iter().filter_map(|path| env::fs::read_to_string(Path::new(path)).ok());
    texts.map(|text| text.trim_matches(['\0', '\n', ' ']).to_owned()).find(|text| !text.is_empty()).unwrap_or_default()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The CPUs of a list such as `0-3,8`; 1 when the list says nothing.
pub(crate) fn cpus(list: &str) -> u64 {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<u64>().ok()?.saturating_sub(first.parse().ok()?).saturating_add(1))
    });
    ranges.fold(0, u64::saturating_add).max(1)
}

pub(crate) fn os_image(release: &str) -> String {
    let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map(|name| name.trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
}

/// `/proc/meminfo`, as far as it is of use here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// In all.
    pub total_bytes: u64,
    /// What can be had without swapping.
    pub available_bytes: u64,
    /// Swap in all.
    pub swap_total_bytes: u64,
    /// Swap left.
    pub swap_free_bytes: u64,
}

/// The memory of the machine now.
pub fn memory() -> io::Result<Memory> {
    Ok(meminfo(&env::fs::read_to_string("/proc/meminfo")?))
}

pub(crate) fn meminfo(text: &str) -> Memory {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default();
        kibibytes.saturating_mul(1024)
    };
    Memory {
        total_bytes: field("MemTotal"),
        available_bytes: field("MemAvailable"),
        swap_total_bytes: field("SwapTotal"),
        swap_free_bytes: field("SwapFree"),
    }
}

/// Processes now and at most, for `pid.available`.
pub fn processes() -> io::Result<(u64, u64)> {
    let average = env::fs::read_to_string("/proc/loadavg")?;
    let running = average.split(' ').nth(3).and_then(|field| field.split('/').nth(1)?.parse().ok()).unwrap_or_default();
    let number = |path: &str| env::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let most = [number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max")];
    Ok((running, most.into_iter().flatten().min().unwrap_or_default()))
}
