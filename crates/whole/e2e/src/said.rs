//! What a command answered, with what was expected of it.

use std::time::Duration;

use env::process::Command;
use env::time::Instant;

/// A command's answer.
#[derive(Debug, Clone)]
pub struct Said {
    /// The command, for messages.
    pub command: String,
    /// How it ended; `None` when its time was over or a signal ended it.
    pub code: Option<i32>,
    /// Its output.
    pub out: String,
    /// Its complaints.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Said {
    /// Runs `command` for at most `limit`.
    pub async fn of(name: &str, mut command: Command, limit: Duration) -> Said {
        let began = Instant::now();
        let ended = env::time::timeout(limit, command.output()).await;
        let took = began.elapsed();
        let (code, out, err) = match ended {
            Ok(Ok(output)) => (output.status.code(), output.stdout, output.stderr),
            Ok(Err(error)) => (None, Vec::new(), format!("cannot run it: {error}").into_bytes()),
            Err(_) => (None, Vec::new(), format!("not within {limit:?}").into_bytes()),
        };
        // The story so far is what a failure is read with; those who succeed do not show it.
        let line = name.lines().next().unwrap_or_default();
        eprintln!("{:>6.1} s, ended with {code:?}: {line}", took.as_secs_f64());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { command: name.to_owned(), code, out: text(out), err: text(err), took }
    }

    /// Its output, when it went well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "went wrong: {self}");
        self.out
    }

    /// Its complaints, when it ended with `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "was expected to end with {code}: {self}");
        self.err
    }

    /// That its output, without the space around it, is `expected`.
    #[track_caller]
    pub fn says(self, expected: &str) {
        assert!(self.code == Some(0) && self.out.trim() == expected, "was expected to say {expected:?}: {self}");
    }

    /// Its output, which has `expected` in it.
    #[track_caller]
    pub fn has(self, expected: &str) -> String {
        assert!(self.code == Some(0) && self.out.contains(expected), "was expected to say {expected:?}: {self}");
        self.out
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Said { command, code, out, err, took } = self;
        write!(f, "{command}\n(ended with {code:?} after {took:.1?})\n{out}{err}")
    }
}
