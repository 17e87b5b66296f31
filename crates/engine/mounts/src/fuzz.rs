//! An entry for the readers of the kernel's text files.

use crate::{cgroup, machine};

/// Reads `text` as each of the files.
pub fn kernel_text(text: &str) {
    let _pressure = cgroup::reading::parse_pressure(text);
    let _field = cgroup::reading::field(text, "anon");
    assert!(machine::cpus(text) > 0, "a machine has a CPU");
    drop(machine::os_image(text));
    let _memory = machine::meminfo(text);
}
