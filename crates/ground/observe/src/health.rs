//! Health: named checks behind `/healthz`, `/livez` and `/readyz`, with upstream's words.

use std::fmt;

use parking_lot::RwLock;

type Test = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks of one endpoint.
pub struct Checks {
    endpoint: &'static str,
    entries: RwLock<Vec<Entry>>,
}

struct Entry {
    name: String,
    group: Option<&'static str>,
    test: Test,
}

/// An answer: `text/plain; charset=utf-8` with `X-Content-Type-Options: nosniff`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200, 404 or 500.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.read();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        f.debug_struct("Checks").field("endpoint", &self.endpoint).field("names", &names).finish()
    }
}

impl Checks {
    /// An endpoint (`livez`) with the check `ping`, which passes as long as anybody answers.
    pub fn new(endpoint: &'static str) -> Self {
        let checks = Checks { endpoint, entries: RwLock::default() };
        checks.add("ping", || Ok(()));
        checks
    }

    /// Adds a check at the end of the list. It must not block; its error goes to the log.
    pub fn add(&self, name: impl Into<String>, test: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.entries.write().push(Entry { name: name.into(), group: None, test: Box::new(test) });
    }

    /// Adds a check that can be excluded together with the others of `group`.
    pub fn add_to_group(
        &self,
        group: &'static str,
        name: impl Into<String>,
        test: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.entries.write().push(Entry { name: name.into(), group: Some(group), test: Box::new(test) });
    }

    /// Answers `/<endpoint>?<query>`: `ok`, or line by line when asked for `verbose` and always on failure.
    pub fn answer(&self, query: &str) -> Answer {
        let parameters: Vec<(String, String)> = parameters(query).collect();
        let excluded: Vec<&str> =
            parameters.iter().filter(|(key, _)| key == "exclude").map(|(_, value)| value.as_str()).collect();
        let mut unknown = excluded.clone();
        let (mut lines, mut failed) = (String::new(), Vec::new());
        for entry in &*self.entries.read() {
            let name = &entry.name;
            let group = entry.group.filter(|group| excluded.contains(group));
            if excluded.contains(&name.as_str()) {
                unknown.retain(|other| other != name);
                lines += &format!("[+]{name} excluded: ok\n");
            } else if let Some(group) = group {
                unknown.retain(|other| *other != group);
                lines += &format!("[+]{name} excluded with {group}: ok\n");
            } else if let Err(reason) = (entry.test)() {
                lines += &format!("[-]{name} failed: reason withheld\n");
                failed.push(format!("{name}: {reason}"));
            } else {
                lines += &format!("[+]{name} ok\n");
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let names: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
            lines += &format!("warn: some health checks cannot be excluded: no matches for {}\n", names.join(", "));
        }
        let endpoint = self.endpoint;
        if !failed.is_empty() {
            tracing::info!(endpoint, failed = failed.join("; "), "health check failed");
            return Answer { status: 500, text: format!("{lines}{endpoint} check failed\n") };
        }
        let verbose = parameters.iter().any(|(key, _)| key == "verbose");
        let text = if verbose { format!("{lines}{endpoint} check passed\n") } else { "ok".to_owned() };
        Answer { status: 200, text }
    }

    /// Answers `/<endpoint>/<name>`: here the reason is told.
    pub fn answer_one(&self, name: &str) -> Answer {
        let entries = self.entries.read();
        match entries.iter().find(|entry| entry.name == name).map(|entry| (entry.test)()) {
            None => Answer { status: 404, text: "404 page not found\n".to_owned() },
            Some(Ok(())) => Answer { status: 200, text: "ok".to_owned() },
            Some(Err(reason)) => Answer { status: 500, text: format!("internal server error: {reason}\n") },
        }
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(key), decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match (byte, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
