//! Machines of both versions, as data.

use super::*;

#[track_caller]
fn check(mountinfo: &str, expected: &[&str]) {
    let rows: Vec<String> = parse(mountinfo).iter().map(Hierarchy::row).collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_machine_of_version_2_has_one_hierarchy() {
    check(
        "24 30 0:22 / /proc rw - proc proc rw\n\
         29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
        &["cgroup2::"],
    );
}

#[test]
fn a_machine_of_version_1_has_one_per_controller_and_one_with_a_name() {
    check(
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct\n\
         40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        &["cgroup:cpu,cpuacct:cpu,cpuacct", "cgroup:systemd:none,name=systemd", "cgroup2:unified:"],
    );
}
