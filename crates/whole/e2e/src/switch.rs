//! A bridge in a network namespace of its own, with a port per host.
//!
//! It has the first address, which hosts have as gateway and name server: nothing answers there, so that what asks for
//! the world beyond fails at once.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use env::process::{Child, Command};
use tokio::io::AsyncWriteExt as _;

const BRIDGE: &str = "br0";
/// Only who forwards packets says that there is no way for them; whether a new namespace does is the machine's habit.
const HOLD: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward && echo ready; exec cat";
/// The switch's own address is the first.
const OWN_NUMBER: u8 = 1;

/// A running switch; ends with its drop, or with this process.
#[derive(Debug)]
pub struct Switch {
    holder: Child,
    /// The first three bytes of its addresses.
    prefix: String,
}

impl Switch {
    /// A switch for the addresses `prefix`.0/24.
    pub(crate) async fn start(prefix: &str) -> anyhow::Result<Switch> {
        // It ends when its input does, and that does when this process ends, however it ends.
        let mut holder = env::process::command("unshare");
        holder.args(["--net", "sh", "-c", HOLD]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().context("cannot run unshare, which comes with util-linux")?;
        let mut line = String::new();
        let out = holder.stdout.take().context("its output was asked for")?;
        tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(out), &mut line).await?;
        if line.trim() != "ready" {
            bail!("a network namespace cannot be made, although this is root");
        }
        let switch = Switch { holder, prefix: prefix.to_owned() };
        let gateway = switch.gateway();
        let commands = format!(
            "link set lo up\nlink add {BRIDGE} type bridge forward_delay 0\naddress add {gateway}/24 dev {BRIDGE}\n\
             link set {BRIDGE} up\n"
        );
        configure(switch.pid()?, &commands).await?;
        Ok(switch)
    }

    /// The address of the host with this number.
    pub(crate) fn address(&self, number: u8) -> String {
        format!("{}.{number}", self.prefix)
    }

    /// The switch's own address.
    pub(crate) fn gateway(&self) -> String {
        self.address(OWN_NUMBER)
    }

    fn pid(&self) -> anyhow::Result<i32> {
        let pid = self.holder.id().context("the switch has ended")?;
        Ok(i32::try_from(pid)?)
    }

    /// Gives the network of process `pid` an `eth0` with an address on this switch.
    pub(crate) async fn attach(&self, name: &str, pid: i32, number: u8) -> anyhow::Result<()> {
        let port = format!(
            "link add {name} type veth peer name eth0 netns {pid}\nlink set {name} master {BRIDGE}\nlink set {name} up\n"
        );
        configure(self.pid()?, &port).await?;
        let interface = format!(
            "link set lo up\naddress add {}/24 dev eth0\nlink set eth0 up\nroute add default via {}\n",
            self.address(number),
            self.gateway()
        );
        configure(pid, &interface).await
    }

    /// Pulls a host's link, or puts it back.
    pub async fn plug(&self, name: &str, is_in: bool) -> anyhow::Result<()> {
        let state = if is_in { "up" } else { "down" };
        configure(self.pid()?, &format!("link set {name} {state}\n")).await
    }
}

/// A command in the network of process `pid`, and otherwise here.
pub(crate) fn in_network_of(pid: i32, program: &str) -> Command {
    let mut command = env::process::command("nsenter");
    command.arg(format!("--net=/proc/{pid}/ns/net")).arg(program);
    command
}

/// Runs commands of ip(8) in the network of process `pid`.
async fn configure(pid: i32, commands: &str) -> anyhow::Result<()> {
    let mut ip = in_network_of(pid, "ip");
    ip.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut ip = ip.spawn().context("cannot run nsenter and ip, which come with util-linux and iproute2")?;
    ip.stdin.take().context("its input was asked for")?.write_all(commands.as_bytes()).await?;
    let output = ip.wait_with_output().await?;
    if !output.status.success() {
        bail!("ip says {} to:\n{commands}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
