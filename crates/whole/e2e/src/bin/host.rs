//! Opens hosts by hand; the crate's map says how.

use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, bail};
use e2e::{Cluster, Fixture, Host, fixture, host};
use env::process::Command;
use tokio::signal::unix::{SignalKind, signal};

const FIRST_NUMBER: u8 = 11;
const USAGE: &str = "host [--bare] NAME... [-- COMMAND...], or host --enter NAME [-- COMMAND...]";

#[tokio::main]
async fn main() -> ExitCode {
    open().await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn open() -> anyhow::Result<ExitCode> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let command = match names.iter().position(|word| word == "--") {
        Some(index) => names.split_off(index).split_off(1),
        None => vec!["bash".to_owned()],
    };
    let mut take = |option: &str| {
        let index = names.iter().position(|word| word == option);
        index.map(|index| names.remove(index)).is_some()
    };
    let (enters, is_bare) = (take("--enter"), take("--bare"));
    let Some(first) = names.first().filter(|name| !name.starts_with('-')) else { bail!("{USAGE}") };
    let (program, arguments) = command.split_first().context(USAGE)?;
    if enters {
        let mut entering = host::command_at(fixture::find(first)?, program);
        entering.args(arguments);
        return run(entering).await;
    }
    let Some(fixture) = Fixture::open().await? else { return Ok(ExitCode::FAILURE) };
    let mut hosts: Vec<Host> = Vec::new();
    for (name, number) in names.iter().zip(FIRST_NUMBER..) {
        hosts.push(fixture.host(name, number).await?);
    }
    let others = hosts.split_off(1);
    let host = hosts.pop().context(USAGE)?;
    let (mut running, cluster) = if is_bare {
        (host.command(program), Err(host))
    } else {
        let cluster = Cluster::up(host).await?;
        (cluster.host().command(program), Ok(cluster))
    };
    running.args(arguments);
    let ended = run(running).await;
    drop((cluster, others));
    ended
}

/// Runs a command that has this terminal; an interrupt is the command's business, a request to end is ours.
async fn run(mut command: Command) -> anyhow::Result<ExitCode> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut child = command.stdin(Stdio::inherit()).spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let code = status?.code().and_then(|code| u8::try_from(code).ok());
                return Ok(ExitCode::from(code.unwrap_or(1)));
            }
            _ = interrupts.recv() => {}
            _ = terminate.recv() => return Ok(ExitCode::FAILURE),
            _ = hang_up.recv() => return Ok(ExitCode::FAILURE),
        }
    }
}
