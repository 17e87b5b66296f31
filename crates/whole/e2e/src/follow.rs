//! A command that goes on, read line by line: `kubectl get -w`, a loop of requests.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use env::process::{Child, Command};
use env::time::Instant;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines as Reader};
use tokio::process::ChildStdout;

/// The lines before it that a failure shows.
const SHOWN_MAX: usize = 30;

/// A running command's lines; the command ends with its drop.
#[derive(Debug)]
pub struct Lines {
    command: String,
    lines: Reader<BufReader<ChildStdout>>,
    seen: Vec<String>,
    _child: Child,
}

impl Lines {
    /// Starts `command`.
    pub(crate) fn of(name: &str, mut command: Command) -> anyhow::Result<Lines> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let out = child.stdout.take().context("its output was asked for")?;
        Ok(Lines { command: name.to_owned(), lines: BufReader::new(out).lines(), seen: Vec::new(), _child: child })
    }

    /// Reads until a line is as `wanted`, and gives it; what came instead is the failure's message.
    pub async fn until(&mut self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + limit;
        let why = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match env::time::timeout(left, self.lines.next_line()).await {
                Ok(Ok(Some(line))) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Ok(Ok(None)) => break "it ended".to_owned(),
                Ok(Err(error)) => break error.to_string(),
                Err(_) => break format!("not within {limit:?}"),
            }
        };
        let last = self.seen.len().saturating_sub(SHOWN_MAX);
        panic!("{what}: {why}: {}\n{}", self.command, self.seen[last..].join("\n"));
    }

    /// Everything that was read.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}
