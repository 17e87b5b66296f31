//! A source file: its text, and its code without comments and strings.

/// A Rust file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root.
    pub(crate) path: String,
    /// The crate that it belongs to.
    pub(crate) member: String,
    /// That crate's floor.
    pub(crate) floor: String,
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked, line for line.
    pub(crate) code: String,
}

/// A function and the lines between its braces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) body_lines: usize,
}

impl File {
    pub(crate) fn new(path: String, member: String, floor: String, text: String) -> Self {
        let code = mask(&text);
        File { path, member, floor, text, code }
    }

    /// Whether a tool wrote it: its first line says so.
    pub(crate) fn is_generated(&self) -> bool {
        self.text.lines().take(5).any(|line| line.starts_with("//") && line.contains("@generated"))
    }

    /// Whether it is compiled for tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.contains("/benches/")
    }

    /// The lines of the code that contain `needle`, counted from 1.
    pub(crate) fn code_lines_with<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let lines = self.code.lines().enumerate();
        lines.filter(move |(_, line)| line.contains(needle)).map(|(number, _)| number + 1)
    }

    /// All functions with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let bytes = self.code.as_bytes();
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let is_word = at == 0 || !is_name(bytes[at - 1]);
            let name: String = self.code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !is_word || name.is_empty() {
                continue;
            }
            let Some((open, close)) = braces(bytes, at) else { continue };
            let line = |at: usize| self.code[..at].matches('\n').count() + 1;
            let body_lines = (line(close) - line(open)).saturating_sub(1);
            found.push(Function { name, line: line(at), body_lines });
        }
        found
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the body of the function at `at` opens and closes; `None` when it has none.
fn braces(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let (mut nesting, mut open, mut depth) = (0_i32, None, 0_i32);
    for (position, byte) in bytes.iter().enumerate().skip(at) {
        match (byte, open) {
            (b'(' | b'[', None) => nesting += 1,
            (b')' | b']', None) => nesting -= 1,
            (b';', None) if nesting == 0 => return None,
            (b'{', None) => (open, depth) = (Some(position), 1),
            (b'{', Some(_)) => depth += 1,
            (b'}', Some(open)) => {
                depth -= 1;
                if depth == 0 {
                    return Some((open, position));
                }
            }
            _ => {}
        }
    }
    None
}

/// Blanks comments, strings and characters; line ends stay.
pub(crate) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = blank_end(bytes, at);
        if end > at {
            let blanked = out[at..end].iter_mut().filter(|byte| **byte != b'\n');
            blanked.for_each(|byte| *byte = b' ');
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment, string or character that begins at `at` ends; `at` when none begins.
fn blank_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let find = |from: usize, needle: &[u8]| {
        let found = bytes[from..].windows(needle.len()).position(|window| window == needle);
        found.map_or(bytes.len(), |offset| from + offset + needle.len())
    };
    let in_name = at > 0 && is_name(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => find(at, b"\n"),
        [b'/', b'*', ..] => find(at + 2, b"*/"),
        [b'"', ..] => string_end(bytes, at + 1),
        [b'r', b'"' | b'#', ..] if !in_name || bytes[at - 1] == b'b' => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            let opens = rest.get(1 + hashes) == Some(&b'"');
            let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
            if opens { find(at + 2 + hashes, &close) } else { at }
        }
        [b'\'', b'\\', ..] => find(at + 3, b"'"),
        // A character, and not a lifetime: a quote closes it.
        [b'\'', first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if rest.get(1 + width) == Some(&b'\'') { at + width + 2 } else { at }
        }
        _ => at,
    }
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}
