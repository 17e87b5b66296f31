//! A machine made of namespaces: its own root (an overlay over this one's), processes, network, host name, IPC and
//! cgroups.
//!
//! Its first process is a shell that buries orphans and waits for the end of a pipe that this process holds; when it
//! ends, the kernel ends all others and takes mounts, links and rules back with the namespaces.

mod boot;
pub mod cgroups;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use env::process::{Child, Command};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::Inner;
use crate::follow::Lines;
use crate::said::Said;
use crate::traces::Traces;

/// The time of a command that nobody gave another limit.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// The kernel may take this long to end all processes of a host.
const END_MS_MAX: u16 = 20_000;
/// Joins the host's cgroup, and ends with the process that waits for it.
const ENTER: &str = r#"
for procs in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do
    leaf=${procs%/*}/init/cgroup.procs
    if [ -e "$leaf" ]; then procs=$leaf; fi
    if [ -e "$procs" ]; then echo 0 > "$procs"; fi
done
cd /root
exec setpriv --pdeathsig KILL -- "$@"
"#;
/// What commands find in their environment, and nothing else.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("KUBECONFIG", "/etc/kubernetes/admin.conf"),
    ("TERM", "xterm"),
];

/// A running host; ends with its drop, or with this process.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: String,
    /// The first process, as this machine knows it.
    pid: i32,
    /// Holds the pipe on which the first process waits.
    _holder: Child,
    fixture: Arc<Inner>,
}

impl Host {
    pub(crate) async fn start(fixture: Arc<Inner>, name: &str, number: u8) -> anyhow::Result<Host> {
        let (address, gateway) = (fixture.switch.address(number), fixture.switch.gateway());
        let plan = boot::Plan {
            folder: &fixture.folder.join(name),
            cgroup: &fixture.cgroup(name),
            name,
            address: &address,
            gateway: &gateway,
        };
        let (holder, pid) = boot::start(&plan).await?;
        let host = Host { name: name.to_owned(), address, pid, _holder: holder, fixture };
        host.fixture.switch.attach(name, pid, number).await?;
        Ok(host)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the switch.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where this machine sees the host's file `path`.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path.trim_start_matches('/'))
    }

    /// Writes a file on the host.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let target = self.path(path);
        if let Some(folder) = target.parent() {
            env::fs::create_dir_all(folder)?;
        }
        env::fs::write_atomic(&target, text.as_bytes(), env::fs::PUBLIC).with_context(|| format!("cannot write {path}"))
    }

    /// A command on the host; it ends when its handle is dropped.
    pub fn command(&self, program: &str) -> Command {
        command_at(self.pid, program)
    }

    /// What a shell on the host answers to `script`.
    pub async fn sh(&self, script: &str) -> Said {
        self.sh_within(COMMAND_LIMIT, script).await
    }

    /// The same with another limit than a minute.
    pub async fn sh_within(&self, limit: Duration, script: &str) -> Said {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        Said::of(&format!("{}# {script}", self.name), command, limit).await
    }

    /// A command of the shell that goes on; its output line by line.
    pub fn follow(&self, script: &str) -> anyhow::Result<Lines> {
        let mut command = self.command("sh");
        command.args(["-c", &format!("exec {script}")]);
        Lines::of(&format!("{}# {script}", self.name), command)
    }

    /// What it has that could leak.
    pub async fn traces(&self) -> anyhow::Result<Traces> {
        Traces::of(self.pid, &self.fixture.cgroup(&self.name)).await
    }

    /// Runs `work` with sockets of the host's network, on a thread of its own.
    pub async fn within<R, W>(&self, work: impl FnOnce() -> W + Send + 'static) -> anyhow::Result<R>
    where
        R: Send + 'static,
        W: Future<Output = R>,
    {
        let namespace = netlink::Namespace::open(&Path::new("/proc").join(self.pid.to_string()).join("ns/net"))?;
        env::task::blocking(move || {
            let inside = namespace.enter(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok::<R, std::io::Error>(runtime.block_on(work()))
            });
            Ok(inside??)
        })
        .await
    }

    /// Pulls its link, or puts it back.
    pub async fn plug(&self, is_in: bool) -> anyhow::Result<()> {
        self.fixture.switch.plug(&self.name, is_in).await
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = end(self.pid).and_then(|()| cgroups::remove(&self.fixture.cgroup(&self.name))) {
            eprintln!("host {} leaves something behind: {error:#}", self.name);
        }
    }
}

/// A command on the host whose first process is `pid`.
pub fn command_at(pid: i32, program: &str) -> Command {
    let mut command = env::process::command("nsenter");
    command
        .arg(format!("--target={pid}"))
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wdns=/"])
        .args(["sh", "-c", ENTER, "enter", program])
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::null());
    command
}

/// Ends the first process of a host, and waits until all others have ended: the kernel ends it last.
fn end(pid: i32) -> anyhow::Result<()> {
    let watched = match mounts::process::watch(pid) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    match kill(Pid::from_raw(pid), Signal::SIGKILL) {
        Err(nix::Error::ESRCH) => return Ok(()),
        other => other?,
    }
    let mut waiting = [PollFd::new(std::os::fd::AsFd::as_fd(&watched), PollFlags::POLLIN)];
    loop {
        match poll(&mut waiting, PollTimeout::from(END_MS_MAX)) {
            Err(nix::Error::EINTR) => {}
            Ok(0) => anyhow::bail!("process {pid} does not end"),
            other => return Ok(other.map(drop)?),
        }
    }
}
