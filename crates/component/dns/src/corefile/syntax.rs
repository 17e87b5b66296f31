//! The form of a Corefile: words in lines, lines in braces.

use super::Error;

/// How deep braces may stand in braces: a server, a plugin, its options.
const DEPTH_MAX: usize = 8;

/// A line with what is between its braces.
#[derive(Debug, Clone)]
pub(super) struct Directive {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    pub(super) body: Vec<Directive>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// The words behind the name.
    pub(super) fn rest(&self) -> Vec<&str> {
        self.words.iter().skip(1).map(String::as_str).collect()
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> Error {
        Error { line: self.line, message: message.into() }
    }

    /// The only word behind the name, as `read` understands it.
    pub(super) fn value<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let [word] = self.rest()[..] else { return Err(self.wrong(format!("{} needs one value", self.name()))) };
        read(word).ok_or_else(|| self.wrong(format!("{} cannot be {word:?}", self.name())))
    }
}

/// Reads all of a text.
pub(super) fn read(text: &str) -> Result<Vec<Directive>, Error> {
    let mut lines = text.lines().enumerate().map(|(index, text)| (index + 1, text));
    directives(&mut lines, None, DEPTH_MAX)
}

/// The lines up to the brace that closes the one opened on line `opened`.
fn directives<'t>(
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    opened: Option<usize>,
    depth_left: usize,
) -> Result<Vec<Directive>, Error> {
    let mut found: Vec<Directive> = Vec::new();
    while let Some((line, text)) = lines.next() {
        let mut words = words(line, text)?;
        // A list of names goes on after a comma at the end of its line.
        let goes_on = found.last_mut().filter(|last| last.words.last().is_some_and(|word| word.ends_with(',')));
        match (words.as_slice(), opened) {
            ([], _) => continue,
            ([brace], Some(_)) if brace == "}" => return Ok(found),
            ([brace], None) if brace == "}" => return Err(Error::at(line, "a brace closes nothing")),
            _ => {}
        }
        let opens = words.pop_if(|last| *last == "{").is_some();
        let body = match (opens, depth_left) {
            (false, _) => Vec::new(),
            (true, 0) => return Err(Error::at(line, format!("more than {DEPTH_MAX} braces are open"))),
            (true, _) => directives(lines, Some(line), depth_left - 1)?,
        };
        match goes_on {
            Some(last) => {
                last.words.extend(words);
                last.body = body;
            }
            None => found.push(Directive { line, words, body }),
        }
    }
    match opened {
        Some(line) => Err(Error::at(line, "a brace is not closed")),
        None => Ok(found),
    }
}

/// The words of a line. Quotes hold words together; what follows a number sign is a remark.
fn words(line: usize, text: &str) -> Result<Vec<String>, Error> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next().filter(|first| *first != '#') {
        let (word, after) = if first == '"' {
            rest[1..].split_once('"').ok_or_else(|| Error::at(line, "a quote is not closed"))?
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}
