//! Steps, shown as they happen.

use std::io::Write;
use std::time::Duration;

use env::time::Instant;

/// Prints a line; that nobody reads it is no reason to stop.
pub(crate) fn print_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written {
        tracing::debug!(%error, "nobody reads the progress");
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As wanted.
    Done,
    /// What it would start does not exist yet.
    NotBuilt,
    /// Not as wanted.
    Failed,
}

impl Outcome {
    fn mark(self) -> &'static str {
        match self {
            Outcome::Done => "ok",
            Outcome::NotBuilt => "not built",
            Outcome::Failed => "FAILED",
        }
    }
}

/// The line of one step.
pub(crate) fn line(name: &str, outcome: Outcome, detail: &str, took: Duration) -> String {
    let time = if outcome == Outcome::Done { format!("  ({:.2} s)", took.as_secs_f64()) } else { String::new() };
    format!("{:<10} {name:<20} {detail}{time}", outcome.mark()).trim_end().to_owned()
}

/// Does one step and shows it.
pub(crate) async fn step<T>(name: &str, work: impl Future<Output = anyhow::Result<(T, String)>>) -> anyhow::Result<T> {
    let started = Instant::now();
    match work.await {
        Ok((value, detail)) => {
            print_line(&line(name, Outcome::Done, &detail, started.elapsed()));
            Ok(value)
        }
        Err(error) => {
            print_line(&line(name, Outcome::Failed, &format!("{error:#}"), started.elapsed()));
            Err(error.context(format!("step {name}")))
        }
    }
}

/// Shows a step that was not taken.
pub(crate) fn skip(name: &str, outcome: Outcome, why: &str) {
    print_line(&line(name, outcome, why, Duration::ZERO));
}
