//! A containerd of the test's own: root, state, socket and configuration in a temporary folder, one image made of a
//! static busybox, and everything it made taken away again, by what it recorded, even when the test fails.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The image that every private containerd holds: busybox with all its applets.
pub(crate) const IMAGE: &str = "localhost/busybox:1";

/// How often a state is looked at that nothing tells about.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A running private containerd. Dropping it ends its containers and removes everything it made.
#[derive(Debug)]
pub(crate) struct Containerd {
    folder: tempfile::TempDir,
    process: Child,
    cgroup: String,
}

impl Containerd {
    /// Starts one; `None`, with a word on the test's output, where this machine cannot run it.
    pub(crate) async fn start() -> Option<Containerd> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/usr/bin/containerd").exists() {
            eprintln!("skipped: needs root and /usr/bin/containerd");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("fk-ctd-").tempdir().expect("a temporary folder");
        let process = spawn(folder.path());
        let cgroup = format!("fk-test-{}", env::rand::suffix(6));
        let containerd = Containerd { folder, process, cgroup };
        containerd.wait_for_socket().await;
        containerd.import(IMAGE).await;
        Some(containerd)
    }

    /// The CRI socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("containerd.sock")
    }

    /// A folder that lives as long as this containerd.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The cgroup below which the test's pods go; removed at the end.
    pub(crate) fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Kills it as a crash would, and starts it again on what it left.
    pub(crate) async fn crash(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
        self.process = spawn(self.folder.path());
        self.wait_for_socket().await;
    }

    async fn wait_for_socket(&self) {
        let socket = self.socket();
        wait_until("containerd serves its socket", Duration::from_secs(30), async || {
            env::net::connect_unix(&socket).await.is_ok()
        })
        .await;
    }

    /// Brings an image of the same contents as [`IMAGE`], which is one of its own by its variables.
    pub(crate) async fn import(&self, name: &str) {
        let archive = self.folder.path().join("image.tar");
        write_archive(&archive, name);
        let status = env::process::command("ctr")
            .arg("--address")
            .arg(self.socket())
            .args(["-n", "k8s.io", "images", "import"])
            .arg(&archive)
            .stdout(env::process::Stdio::null())
            .status()
            .await
            .expect("ctr runs");
        assert!(status.success(), "ctr could not import the image: {status}");
    }

    /// Ends the containers' processes and the shims, which name this containerd's socket among their arguments.
    fn end_tasks(&self) {
        let tasks = self.folder.path().join("state/io.containerd.runtime.v2.task/k8s.io");
        for entry in env::fs::read_dir(&tasks).into_iter().flatten().flatten() {
            let pid = env::fs::read_to_string(entry.path().join("init.pid")).unwrap_or_default();
            if let Ok(pid) = pid.trim().parse::<i32>() {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let mine = self.socket().to_string_lossy().into_owned();
        for entry in env::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let arguments = env::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments);
            if arguments.contains("containerd-shim") && arguments.split('\0').any(|argument| argument == mine) {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    fn unmount_all(&self) {
        let prefix = self.folder.path().to_string_lossy().into_owned();
        let table = env::fs::read_to_string(Path::new("/proc/self/mountinfo")).unwrap_or_default();
        for line in table.lines().rev() {
            if let Some(target) = line.split(' ').nth(4).filter(|target| target.starts_with(&prefix)) {
                let _busy = umount2(target, MntFlags::MNT_DETACH);
            }
        }
    }

    /// The kernel empties a cgroup some time after its processes were killed.
    fn remove_cgroups(&self) {
        let deadline = env::time::Instant::now() + Duration::from_secs(5);
        let roots = || {
            let hierarchies = env::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
            let below = hierarchies.map(|hierarchy| hierarchy.path().join(&self.cgroup));
            below.chain([Path::new("/sys/fs/cgroup").join(&self.cgroup)]).filter(|path| path.is_dir())
        };
        while roots().next().is_some() && env::time::Instant::now() < deadline {
            roots().for_each(|path| remove_cgroup(&path));
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        self.end_tasks();
        self.unmount_all();
        self.remove_cgroups();
    }
}

fn remove_cgroup(path: &Path) {
    let Ok(entries) = env::fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(&entry.path());
    }
    drop(env::fs::remove_dir(path));
}

/// Waits until `holds`, at most `limit`.
pub(crate) async fn wait_until(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = env::time::Instant::now() + limit;
    while !holds().await {
        assert!(env::time::Instant::now() < deadline, "waited {limit:?} in vain until {what}");
        env::time::sleep_until((env::time::Instant::now() + LOOK_INTERVAL).min(deadline)).await;
    }
}

fn spawn(folder: &Path) -> Child {
    let config = folder.join("config.toml");
    env::fs::write_atomic(&config, configuration(folder).as_bytes(), env::fs::PUBLIC).expect("the folder is writable");
    let log = std::fs::File::create(folder.join("containerd.log")).expect("the folder is writable");
    let mut command = env::process::command("/usr/bin/containerd").into_std();
    command.arg("--config").arg(&config).stdout(env::process::Stdio::null()).stderr(log);
    command.spawn().expect("containerd starts")
}

fn configuration(folder: &Path) -> String {
    let at = folder.display();
    format!(
        r#"version = 2
root = "{at}/root"
state = "{at}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
address = "{at}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{at}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
max_container_log_line_size = 16384
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{at}/cni/bin"
conf_dir = "{at}/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

/// Writes a docker archive with one layer: `/bin/busybox` with a link for each applet, and the folders a root needs.
fn write_archive(path: &Path, name: &str) {
    let layer = layer();
    let diff = hex(digest(&SHA256, &layer).as_ref());
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Entrypoint":["/bin/sleep","2147483647"],"Env":["PATH=/bin","FROM_IMAGE=yes","NAME={name}"],"WorkingDir":"/"}},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff}"]}},"history":[{{"created_by":"test"}}]}}"#
    );
    let config_name = format!("{}.json", hex(digest(&SHA256, config.as_bytes()).as_ref()));
    let manifest = format!(r#"[{{"Config":"{config_name}","RepoTags":["{name}"],"Layers":["{diff}/layer.tar"]}}]"#);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        (format!("{diff}/layer.tar"), &layer[..]),
        (config_name, config.as_bytes()),
        ("manifest.json".to_owned(), manifest.as_bytes()),
    ] {
        append(&mut archive, &name, bytes, 0o644);
    }
    let bytes = archive.into_inner().expect("a vector takes everything");
    env::fs::write_atomic(path, &bytes, env::fs::PUBLIC).expect("the folder is writable");
}

fn layer() -> Vec<u8> {
    let busybox = env::fs::read(Path::new("/usr/bin/busybox")).expect("busybox-static is installed");
    let listing = env::process::command("/usr/bin/busybox").into_std().arg("--list").output().expect("busybox runs");
    let mut archive = tar::Builder::new(Vec::new());
    for folder in ["bin", "etc", "proc", "sys", "dev", "tmp", "var", "root"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(if folder == "tmp" { 0o1777 } else { 0o755 });
        header.set_size(0);
        archive.append_data(&mut header, folder, std::io::empty()).expect("a vector takes everything");
    }
    append(&mut archive, "bin/busybox", &busybox, 0o755);
    append(
        &mut archive,
        "etc/passwd",
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        0o644,
    );
    for applet in String::from_utf8_lossy(&listing.stdout).lines().filter(|applet| *applet != "busybox") {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox").expect("a vector takes everything");
    }
    archive.into_inner().expect("a vector takes everything")
}

fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes).expect("a vector takes everything");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
