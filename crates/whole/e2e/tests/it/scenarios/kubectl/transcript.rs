//! A conversation with a program, as text. `transcript.txt` explains its form at its top.

use anyhow::{Context as _, bail};

/// A minor version of Kubernetes: the 36 of v1.36.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32);

impl Version {
    /// Reads the line `"minor": "32",` of what `kubectl version --client -o json` answers.
    pub(super) fn of(answer: &str) -> anyhow::Result<Version> {
        let line =
            answer.lines().find(|line| line.contains("\"minor\"")).context("kubectl does not tell its version")?;
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        Ok(Version(digits.parse().with_context(|| format!("{line:?} is no version"))?))
    }

    fn parse(text: &str) -> anyhow::Result<Version> {
        let minor = text.strip_prefix("1.").with_context(|| format!("{text:?} is no version"))?;
        Ok(Version(minor.parse().with_context(|| format!("{text:?} is no version"))?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// A command and what it is expected to answer.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Where it stands in the transcript.
    pub(super) line: usize,
    /// What a shell is given.
    pub(super) command: String,
    /// How it ends.
    pub(super) code: i32,
    /// The lines of its output.
    pub(super) out: Vec<String>,
    /// The lines of its complaints.
    pub(super) err: Vec<String>,
    since: Option<Version>,
    until: Option<Version>,
}

impl Exchange {
    /// Whether this kubectl is asked that.
    pub(super) fn concerns(&self, version: Version) -> bool {
        self.since.is_none_or(|since| version >= since) && self.until.is_none_or(|until| version <= until)
    }

    fn of(line: usize, text: &str) -> anyhow::Result<Exchange> {
        let (mut since, mut until) = (None, None);
        let (range, command) = text.split_once(' ').context("a command stands after the dollar sign")?;
        if let Some((from, to)) = range.split_once("..") {
            since = (!from.is_empty()).then(|| Version::parse(from)).transpose()?;
            until = (!to.is_empty()).then(|| Version::parse(to)).transpose()?;
        } else if !range.is_empty() {
            bail!("{range:?} is no range of versions");
        }
        Ok(Exchange { line, command: command.to_owned(), code: 0, out: Vec::new(), err: Vec::new(), since, until })
    }
}

/// Reads a transcript.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<Exchange>> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('$') {
            exchanges.push(Exchange::of(number, rest).with_context(|| format!("line {number}"))?);
            continue;
        }
        let current = exchanges.last_mut().with_context(|| format!("line {number}: an answer to nothing"))?;
        if let Some(code) = line.strip_prefix("? ") {
            current.code = code.parse().with_context(|| format!("line {number}: {code:?} is no exit code"))?;
        } else if let Some(complaint) = line.strip_prefix("! ") {
            current.err.push(complaint.to_owned());
        } else {
            current.out.push(line.to_owned());
        }
    }
    Ok(exchanges)
}

/// Whether `text` has these lines: `*` in a line stands for anything, a line `...` for any number of lines.
pub(super) fn matches(expected: &[String], text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    glob(&expected, &lines, &|wanted| *wanted == "...", &|wanted, line| {
        let (wanted, line): (Vec<char>, Vec<char>) = (wanted.chars().collect(), line.chars().collect());
        glob(&wanted, &line, &|letter| *letter == '*', &|a, b| a == b)
    })
}

/// Matches a sequence against one with wild places, going back to the last of these when it fails.
fn glob<W, S>(wanted: &[W], seen: &[S], is_wild: &dyn Fn(&W) -> bool, is_equal: &dyn Fn(&W, &S) -> bool) -> bool {
    let (mut at, mut position, mut last) = (0, 0, None);
    while position < seen.len() {
        if wanted.get(at).is_some_and(is_wild) {
            last = Some((at, position));
            at += 1;
        } else if wanted.get(at).is_some_and(|one| is_equal(one, &seen[position])) {
            (at, position) = (at + 1, position + 1);
        } else if let Some((wild, taken)) = last {
            last = Some((wild, taken + 1));
            (at, position) = (wild + 1, taken + 1);
        } else {
            return false;
        }
    }
    wanted[at..].iter().all(is_wild)
}

#[test]
fn wild_places_match_anything() {
    let cases = [
        ("a", "a", true),
        ("a", "b", false),
        ("a*c", "abbc", true),
        ("a*c", "abbcd", false),
        ("*", "", false),
        ("a\n...\nb", "a\nx\ny\nb", true),
        ("a\n...\nb", "a\nb", true),
        ("a\n...", "b\na", false),
        ("...\npod/* created", "one\npod/two created", true),
        ("", "", true),
        ("", "something", false),
        ("...", "", true),
    ];
    for (expected, text, result) in cases {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        assert_eq!(matches(&expected, text), result, "{expected:?} and {text:?}");
    }
}

#[test]
fn transcripts_are_read() -> anyhow::Result<()> {
    let exchanges = read("# why\n$ one two\nout\n! err\n? 3\n\n$1.24..1.30 three\n$..1.20 four\n")?;
    assert_eq!(exchanges.len(), 3);
    let first = &exchanges[0];
    assert_eq!((first.line, first.command.as_str(), first.code), (2, "one two", 3));
    assert_eq!((&first.out[..], &first.err[..]), (&["out".to_owned()][..], &["err".to_owned()][..]));
    let concerned = |minor| exchanges.iter().filter(|one| one.concerns(Version(minor))).count();
    assert_eq!([20, 21, 24, 30, 31].map(concerned), [2, 1, 2, 2, 1]);
    for bad in ["an answer", "$x y", "$1.x..  y", "$nothing", "$ a\n? b"] {
        assert!(read(bad).is_err(), "{bad:?} is no transcript");
    }
    assert_eq!(Version::of("{\n  \"major\": \"1\",\n  \"minor\": \"32+\",\n")?, Version(32));
    Ok(())
}
