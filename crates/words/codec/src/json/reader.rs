//! A pull reader over JSON text: tokens with positions, and no tree.

use std::borrow::Cow;

use crate::DecodeError;

/// What the next value is, told by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// The name Go gives it in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Bool => "bool",
            Kind::Null => "null",
        }
    }
}

#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// The kind of the value that begins here.
    pub(super) fn kind(&mut self) -> Result<Kind, DecodeError> {
        self.skip_space();
        match self.text.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    /// Steps into an object or array; `false` when it is empty (and then already behind it).
    pub(super) fn open(&mut self, close: u8) -> bool {
        self.at += 1;
        self.skip_space();
        let empty = self.text.get(self.at) == Some(&close);
        self.at += usize::from(empty);
        !empty
    }

    /// After an element: `true` when another one follows, `false` when the object or array has ended.
    pub(super) fn more(&mut self, close: u8) -> Result<bool, DecodeError> {
        self.skip_space();
        match self.text.get(self.at) {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if *byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if close == b'}' => Err(self.unexpected("after object key:value pair")),
            _ => Err(self.unexpected("after array element")),
        }
    }

    /// A member's key and the colon behind it.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.skip_space();
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.text.get(self.at) != Some(&b':') {
            return Err(self.unexpected("after object key"));
        }
        self.at += 1;
        Ok(key)
    }

    /// A string, borrowed where it holds no escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    let bytes = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(String::from_utf8_lossy(bytes));
                }
                Some(b'\\') => return self.escaped_string(start).map(Cow::Owned),
                Some(0x20..) => self.at += 1,
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    /// The literal text of a number.
    pub(super) fn number(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        self.at += usize::from(self.text.get(self.at) == Some(&b'-'));
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("in numeric literal")),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(std::str::from_utf8(&self.text[start..self.at]).expect("digits and signs are ASCII"))
    }

    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        let truth = self.text[self.at] == b't';
        self.literal(if truth { "true" } else { "false" })?;
        Ok(truth)
    }

    pub(super) fn null(&mut self) -> Result<(), DecodeError> {
        self.literal("null")
    }

    /// Passes over one value of any kind and returns its text.
    pub(super) fn skip(&mut self, depth_left: usize) -> Result<&'a [u8], DecodeError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object => self.skip_members(b'}', depth_left)?,
            Kind::Array => self.skip_members(b']', depth_left)?,
            Kind::String => drop(self.string()?),
            Kind::Number => drop(self.number()?),
            Kind::Bool => drop(self.bool()?),
            Kind::Null => self.null()?,
        }
        Ok(&self.text[start..self.at])
    }

    /// Checks that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.unexpected("after top-level value")) }
    }

    fn skip_members(&mut self, close: u8, depth_left: usize) -> Result<(), DecodeError> {
        let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        if !self.open(close) {
            return Ok(());
        }
        loop {
            if close == b'}' {
                self.key()?;
            }
            self.skip(depth_left)?;
            if !self.more(close)? {
                return Ok(());
            }
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, context: &str) -> Result<(), DecodeError> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.unexpected(context)) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), DecodeError> {
        for (at, expected) in word.bytes().enumerate() {
            if self.text.get(self.at) != Some(&expected) {
                let context = format!("in literal {word} (expecting '{}')", char::from(word.as_bytes()[at]));
                return Err(self.unexpected(&context));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn escaped_string(&mut self, start: usize) -> Result<String, DecodeError> {
        let mut text = self.text[start..self.at].to_vec();
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match String::from_utf8(text) {
                        Ok(text) => text,
                        Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
                    });
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(byte @ 0x20..) => {
                    text.push(*byte);
                    self.at += 1;
                }
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let c = match self.text.get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.at += 1;
        Ok(c)
    }

    /// `\uXXXX`, joining surrogate pairs; a lone surrogate becomes U+FFFD, as in Go.
    fn unicode_escape(&mut self) -> Result<char, DecodeError> {
        let first = self.hex4()?;
        let pair = (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u");
        if pair {
            let back = self.at;
            self.at += 1;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, DecodeError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.text.get(self.at).and_then(|byte| char::from(*byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.unexpected("in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn unexpected(&self, context: &str) -> DecodeError {
        DecodeError::Syntax(match self.text.get(self.at) {
            None => "unexpected end of JSON input".to_owned(),
            Some(byte) => format!("invalid character {} {context}", quoted(*byte)),
        })
    }
}

/// A byte as Go quotes it in syntax errors.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => "'\\n'".to_owned(),
        b'\r' => "'\\r'".to_owned(),
        b'\t' => "'\\t'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        other => format!("'{}'", char::from(other)),
    }
}
