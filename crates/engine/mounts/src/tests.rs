//! Against the real kernel, in temporary folders; what this machine cannot show (cgroup v2) as data.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use jiff::Timestamp;

use crate::atomic::{self, File, Payload};
use crate::cgroup::{Cgroups, Driver, Values, Version, weight};
use crate::ownership::{self, Change};
use crate::{filesystem, machine, mount, process, subpath};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn payload(files: &[(&str, &str)]) -> Payload {
    let file = |text: &str| File { bytes: text.as_bytes().to_vec(), mode: 0o640, owner: None };
    files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
}

#[test]
fn a_volume_changes_all_at_once() {
    let at = folder();
    let write = |files: &[(&str, &str)]| {
        atomic::write(at.path(), &payload(files), Timestamp::UNIX_EPOCH, |_| Ok(())).expect("the volume is written")
    };
    let read = |path: &str| env::fs::read_to_string(at.path().join(path)).ok();
    assert!(write(&[("a", "1"), ("sub/b", "2")]));
    assert_eq!((read("a").as_deref(), read("sub/b").as_deref()), (Some("1"), Some("2")));
    assert_eq!(env::fs::read_link(at.path().join("a")).expect("a link"), Path::new("..data/a"));
    let first = env::fs::read_link(at.path().join("..data")).expect("a link");
    assert!(first.to_string_lossy().starts_with("..1970_01_01_00_00_00."), "{first:?}");
    let mode = env::fs::metadata(at.path().join("a")).expect("metadata").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o640);
    assert!(!write(&[("a", "1"), ("sub/b", "2")]), "the same again changes nothing");
    assert_eq!(env::fs::read_link(at.path().join("..data")).expect("a link"), first);
    assert!(write(&[("a", "3")]));
    assert_eq!((read("a").as_deref(), read("sub/b")), (Some("3"), None));
    assert!(!at.path().join("sub").is_symlink() && !at.path().join(&first).exists(), "nothing old stays");
}

#[test]
fn a_volume_refuses_paths_that_lead_out() {
    let at = folder();
    for path in ["../x", "/x", "a/../../x", "..data", "", "..x"] {
        let outcome = atomic::write(at.path(), &payload(&[(path, "1")]), Timestamp::UNIX_EPOCH, |_| Ok(()));
        assert!(outcome.is_err(), "{path}");
    }
}

#[test]
fn a_group_gets_a_volume() {
    if !is_root() {
        return;
    }
    let at = folder();
    let (sub, file) = (at.path().join("sub"), at.path().join("sub/file"));
    env::fs::create_dir_all(&sub).expect("a folder");
    env::fs::write_atomic(&file, b"1", 0o600).expect("a file");
    ownership::set_group(at.path(), 1234, false, Change::Always).expect("the group is set");
    let of = |path: &Path| {
        let metadata = env::fs::metadata(path).expect("metadata");
        (metadata.gid(), metadata.permissions().mode() & 0o7777)
    };
    assert_eq!(of(&file), (1234, 0o660));
    assert_eq!(of(&sub), (1234, 0o2775));
    env::fs::set_mode(&file, 0o600).expect("a mode");
    ownership::set_group(at.path(), 1234, false, Change::OnRootMismatch).expect("nothing to do");
    assert_eq!(of(&file), (1234, 0o600), "the root matched, so nothing was walked");
}

#[test]
fn a_sub_path_stays_in_its_volume() {
    let at = folder();
    let (volume, outside) = (at.path().join("volume"), at.path().join("outside"));
    env::fs::create_dir_all(volume.join("real")).expect("a folder");
    env::fs::create_dir_all(&outside).expect("a folder");
    env::fs::write_atomic(&volume.join("real/file"), b"1", 0o644).expect("a file");
    env::fs::symlink("real", volume.join("inner")).expect("a link");
    env::fs::symlink(&outside, volume.join("escape")).expect("a link");
    env::fs::symlink("../outside", volume.join("climb")).expect("a link");
    let file = subpath::open(&volume, "inner/file", 0o750).expect("a link within is fine");
    assert!(!file.is_folder);
    assert_eq!(env::fs::read_to_string(file.path()).expect("the file"), "1");
    assert!(
        subpath::open(&volume, "new/deep", 0o750).expect("it is made").is_folder && volume.join("new/deep").is_dir()
    );
    for path in ["escape", "climb", "../outside", "/etc", "escape/x", "real/../../outside"] {
        assert!(subpath::open(&volume, path, 0o750).is_err(), "{path}");
    }
    assert!(env::fs::read_dir(&outside).expect("a folder").next().is_none(), "nothing was made outside");
}

#[test]
fn mounts_come_and_go() {
    if !is_root() {
        return;
    }
    let at = folder();
    let (memory, bound) = (at.path().join("memory with blank"), at.path().join("bound"));
    env::fs::create_dir_all(&memory).expect("a folder");
    env::fs::create_dir_all(&bound).expect("a folder");
    mount::tmpfs(&memory, Some(1 << 20)).expect("a tmpfs");
    env::fs::write_atomic(&memory.join("file"), b"1", 0o644).expect("a file");
    mount::bind(&memory, &bound, true).expect("a bind mount");
    assert!(env::fs::write_atomic(&bound.join("other"), b"1", 0o644).is_err(), "it is read only");
    let table = mount::table().expect("the table");
    let entry = table.iter().find(|entry| entry.target == memory).expect("the tmpfs is listed");
    assert_eq!(entry.kind, "tmpfs");
    assert_eq!(filesystem::space(&memory).expect("its space").capacity_bytes, 1 << 20);
    mount::unmount_below(at.path()).expect("everything is unmounted");
    mount::unmount(&memory).expect("a second time is fine");
    assert!(mount::table().expect("the table").iter().all(|entry| !entry.target.starts_with(at.path())));
}

#[test]
fn a_folder_is_measured_within_bounds() {
    let at = folder();
    for name in ["a", "b", "c"] {
        env::fs::write_atomic(&at.path().join(name), &[0; 8192], 0o644).expect("a file");
    }
    env::fs::hard_link(at.path().join("a"), at.path().join("linked")).expect("a link");
    let all = filesystem::usage(at.path(), 100).expect("a walk");
    assert_eq!((all.inodes, all.cut_off), (4, false), "a hard link counts once");
    assert!(all.bytes >= 3 * 8192, "{all:?}");
    assert!(filesystem::usage(at.path(), 2).expect("a walk").cut_off);
}

#[test]
fn drivers_name_cgroups() {
    let names = ["kubepods", "burstable", "pod1-2"].map(str::to_owned);
    assert_eq!(Driver::Cgroupfs.parent_text(&names), "/kubepods/burstable/pod1-2");
    assert_eq!(Driver::Cgroupfs.path(&names), Path::new("kubepods/burstable/pod1-2"));
    assert_eq!(Driver::Systemd.parent_text(&names), "kubepods-burstable-pod1_2.slice");
    let path = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice";
    assert_eq!(Driver::Systemd.path(&names), Path::new(path));
    assert_eq!([2, 1024, 262_144].map(weight), [1, 39, 10_000]);
}

#[test]
fn cgroups_hold_and_read() {
    let cgroups = Cgroups::at(Path::new("/sys/fs/cgroup"), Driver::Cgroupfs);
    let name = format!("fk-mounts-{}", env::rand::suffix(6));
    let path = [name.clone(), "pod1".to_owned()];
    if !is_root() || cgroups.create(&path).is_err() {
        return;
    }
    let values = Values {
        cpu_shares: Some(512),
        cpu_quota_micros: Some(50_000),
        cpu_period_micros: 100_000,
        memory_bytes: Some(64 << 20),
        pids: Some(100),
        huge_pages: Vec::new(),
    };
    let set = cgroups.set(&path, &values);
    let usage = cgroups.usage(&path);
    let children = cgroups.children(&path[..1]);
    let limit = match cgroups.version() {
        Version::V1 => format!("/sys/fs/cgroup/memory/{name}/pod1/memory.limit_in_bytes"),
        Version::V2 => format!("/sys/fs/cgroup/{name}/pod1/memory.max"),
    };
    let limit = env::fs::read_to_string(limit);
    cgroups.remove(&path[..1]).expect("the cgroup is removed");
    cgroups.remove(&path[..1]).expect("a second time is fine");
    set.expect("values are set");
    assert_eq!(limit.expect("the limit").trim(), (64 << 20).to_string());
    assert!(usage.expect("a reading").memory_bytes.is_some());
    assert!(!cgroups.exists(&path) && children.expect("children").contains(&"pod1".to_owned()));
}

#[test]
fn version_two_is_written_and_read() {
    let at = folder();
    let pod = at.path().join("kubepods/pod1");
    env::fs::create_dir_all(&pod).expect("a folder");
    let files = [
        ("cgroup.controllers", "cpu memory"),
        ("kubepods/pod1/cpu.weight", "100"),
        ("kubepods/pod1/cpu.max", "max 100000"),
        ("kubepods/pod1/memory.max", "max"),
        ("kubepods/pod1/cpu.stat", "usage_usec 5\nuser_usec 3\n"),
        ("kubepods/pod1/memory.current", "1000\n"),
        ("kubepods/pod1/memory.stat", "anon 300\nfile 10\ninactive_file 400\npgfault 7\npgmajfault 1\n"),
        ("kubepods/pod1/cpu.pressure", "some avg10=1.50 avg60=0.10 avg300=0.00 total=42\n"),
    ];
    for (path, text) in files {
        env::fs::write_atomic(&at.path().join(path), text.as_bytes(), 0o644).expect("a file");
    }
    let cgroups = Cgroups::at(at.path(), Driver::Cgroupfs);
    assert_eq!(cgroups.version(), Version::V2);
    let path = ["kubepods".to_owned(), "pod1".to_owned()];
    let usage = cgroups.usage(&path).expect("a reading");
    assert_eq!((usage.cpu_nanos, usage.working_set_bytes, usage.rss_bytes), (Some(5000), Some(600), Some(300)));
    let some = usage.cpu_pressure.expect("pressure").some;
    assert_eq!((some.avg10, some.total_micros), (1.5, 42));
    let values = Values { cpu_shares: Some(2), memory_bytes: Some(-1), ..Values::default() };
    cgroups.set(&path, &values).expect("values are set");
    // A plain file keeps what a control file would take: the new value over the beginning of the old one.
    assert!(env::fs::read_to_string(pod.join("cpu.weight")).expect("a file").starts_with('1'));
}

#[test]
fn the_machine_is_described() {
    let facts = machine::machine().expect("facts");
    assert!(facts.memory_bytes > 0 && facts.cpus > 0 && !facts.kernel.is_empty() && !facts.boot_id.is_empty());
    assert_eq!((machine::cpus("0-3,8\n"), machine::cpus("0"), machine::cpus("")), (5, 1, 1));
    assert_eq!(machine::cpus(&format!("0-{0},0-{0}", u64::MAX)), u64::MAX);
    assert_eq!(machine::meminfo(&format!("MemTotal: {} kB\n", u64::MAX)).total_bytes, u64::MAX);
    assert_eq!(machine::os_image("ID=x\nPRETTY_NAME=\"X 1\"\n"), "X 1");
    let memory = machine::meminfo("MemTotal: 10 kB\nMemAvailable: 5 kB\n");
    assert_eq!((memory.total_bytes, memory.available_bytes), (10240, 5120));
    let (running, most) = machine::processes().expect("counts");
    assert!(running > 0 && most > running);
}

#[test]
fn the_end_of_a_process_is_seen() {
    let mut child = env::process::command("sleep").into_std().arg("100").spawn().expect("a process");
    let descriptor = process::watch(i32::try_from(child.id()).expect("a pid")).expect("a watch");
    child.kill().expect("it is killed");
    let mut polled = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&descriptor), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut polled, 10_000_u16).expect("a poll"), 1);
    child.wait().expect("it ended");
    let gone = process::watch(i32::try_from(child.id()).expect("a pid")).expect_err("it is gone");
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
}
