//! Field sets as JSON text, the `FieldsV1` of `managedFields`, byte for byte as upstream writes them.
//!
//! Each element is a key (`f:name`, `k:{"name":"a"}`, `v:"x"`, `i:0`) over an object of what is below it; `.` inside
//! marks membership of an element that has something below it.

use std::cmp::Ordering;

use object::{Text, Value};

use super::element::Element;
use super::set::FieldSet;

/// Deepest field set that is read.
const DEPTH_MAX: usize = codec::DEPTH_MAX;

impl FieldSet {
    /// The set as compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.set(self);
        writer.finish()
    }

    /// Reads a set. Elements of a kind that is not known are dropped, as upstream drops them.
    pub fn from_json(text: &[u8]) -> Result<FieldSet, String> {
        if let Some(set) = Cursor::read(text) {
            return Ok(set);
        }
        match codec::json::parse(text).map_err(|e| e.to_string())? {
            Value::Null => Ok(FieldSet::new()),
            value => read(&value, DEPTH_MAX).map(|(_, set)| set),
        }
    }
}

/// Whether the element itself is a member, and what is below it.
fn read(value: &Value, depth_left: usize) -> Result<(bool, FieldSet), String> {
    let map = match value {
        Value::Map(map) => map,
        Value::Null => return Ok((true, FieldSet::new())),
        other => return Err(format!("ReadMapCB: expect {{ or n, but found {}", other.type_name())),
    };
    let depth_left = depth_left.checked_sub(1).ok_or("exceeded max depth")?;
    let mut set = FieldSet::new();
    let mut member = false;
    for (key, below) in map.iter() {
        if key == "." {
            member = true;
        } else if let Some(element) = parse_element(key)? {
            let (is_member, children) = read(below, depth_left)?;
            set.push(element, is_member, children);
        }
    }
    set.sort();
    Ok((member || set.is_empty(), set))
}

/// Reads text as upstream writes it, in one pass. Anything else is left to the general way, which knows the errors.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    depth_left: usize,
}

impl<'t> Cursor<'t> {
    fn read(text: &[u8]) -> Option<FieldSet> {
        std::str::from_utf8(text).ok()?;
        let mut cursor = Cursor { text, at: 0, depth_left: DEPTH_MAX };
        let (_, set) = cursor.level()?;
        (cursor.at == text.len()).then_some(set)
    }

    /// Whether the element itself is a member, and what is below it.
    fn level(&mut self) -> Option<(bool, FieldSet)> {
        self.depth_left = self.depth_left.checked_sub(1)?;
        self.expect(b'{')?;
        let mut set = FieldSet::new();
        let mut member = false;
        if self.text.get(self.at) == Some(&b'}') {
            self.at += 1;
            self.depth_left += 1;
            return Some((true, set));
        }
        loop {
            let key = self.key()?;
            let (is_member, children) = self.level()?;
            if key == b"." {
                member = true;
            } else {
                set.push(element_of(key)?, is_member, children);
            }
            match self.text.get(self.at)? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        self.depth_left += 1;
        set.sort();
        Some((member || set.is_empty(), set))
    }

    /// A key without its quotes, still escaped, and the colon behind it.
    fn key(&mut self) -> Option<&'t [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        let len = string_end(&self.text[start..])?;
        self.at += len + 1;
        self.expect(b':')?;
        Some(&self.text[start..start + len])
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found.then_some(())
    }
}

/// The element that an escaped key names, when it is of a known kind.
fn element_of(key: &[u8]) -> Option<Element> {
    match key {
        [b'f', b':', name @ ..] if name.iter().all(|byte| *byte >= 0x20 && *byte != b'\\') => {
            Some(Element::Field(Text::from_utf8(name).ok()?))
        }
        _ => parse_element(&unescaped(key)?).ok()?,
    }
}

/// The element that a key names; `None` when it is of a kind that is not known.
pub(super) fn parse_element(key: &str) -> Result<Option<Element>, String> {
    if key.len() < 2 {
        return Err("key must be 2 characters long:".to_owned());
    }
    if key.as_bytes()[1] != b':' {
        return Err(format!("missing colon: {key}"));
    }
    let content = &key[2..];
    let parsed = |text: &str| codec::json::parse(text.as_bytes()).map_err(|e| e.to_string());
    Ok(Some(match key.as_bytes()[0] {
        b'f' => Element::field(content),
        b'v' => Element::Value(Box::new(parsed(content)?)),
        b'k' => match parsed(content)? {
            Value::Map(keys) => Element::Key(keys.into_iter().collect()),
            Value::Null => Element::Key(Box::default()),
            other => return Err(format!("expect {{ or n, but found {}", other.type_name())),
        },
        b'i' => Element::Index(
            content.parse().map_err(|_not_a_number| format!("strconv.Atoi: parsing {content:?}: invalid syntax"))?,
        ),
        _ => return Ok(None),
    }))
}

/// Writes a field set level by level. Elements of one level must come in order.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    scratch: Vec<u8>,
}

/// Where an element was begun, so that it can be taken back when there is nothing to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    start: usize,
    /// Behind the opening brace.
    body: usize,
    /// Behind the member mark.
    below: usize,
}

const NOTHING: &FieldSet = &FieldSet::new();
const MEMBER: &[u8] = b"\".\":{}";

impl Writer {
    pub(super) fn new() -> Writer {
        let mut out = Vec::with_capacity(2048);
        out.push(b'{');
        Writer { out, scratch: Vec::new() }
    }

    /// The text, an empty set being `{}`.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    /// Begins a field.
    pub(super) fn begin_field(&mut self, name: &str, member: bool) -> Mark {
        let start = self.comma();
        self.out.extend_from_slice(b"\"f:");
        escape(name.as_bytes(), &mut self.out);
        self.begun(start, member)
    }

    /// Begins any element.
    pub(super) fn begin(&mut self, element: &Element, member: bool) -> Mark {
        if let Element::Field(name) = element {
            return self.begin_field(name, member);
        }
        let start = self.comma();
        self.out.push(b'"');
        self.scratch.clear();
        element_text(element, &mut self.scratch);
        escape(&self.scratch, &mut self.out);
        self.begun(start, member)
    }

    /// Ends an element. One that is no member and has nothing below it leaves no trace.
    pub(super) fn end(&mut self, mark: Mark) {
        let is_member = mark.below > mark.body;
        let has_children = self.out.len() > mark.below;
        match (is_member, has_children) {
            (false, false) => self.out.truncate(mark.start),
            (true, false) => {
                self.out.truncate(mark.body);
                self.out.push(b'}');
            }
            _ => self.out.push(b'}'),
        }
    }

    /// Writes a whole set at this level.
    pub(super) fn set(&mut self, set: &FieldSet) {
        for entry in set.entries() {
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &super::set::Entry) {
        let mark = self.begin(&entry.element, entry.member);
        self.set(&entry.children);
        self.end(mark);
    }

    /// Begins an element whose key is already escaped.
    fn begin_escaped(&mut self, key: &[u8], member: bool) -> Mark {
        let start = self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key);
        self.begun(start, member)
    }

    /// Copies an element with all below it.
    fn copy(&mut self, key: &[u8], below: &[u8]) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(below);
    }

    fn comma(&mut self) -> usize {
        let start = self.out.len();
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        start
    }

    fn begun(&mut self, start: usize, member: bool) -> Mark {
        self.out.extend_from_slice(b"\":{");
        let body = self.out.len();
        if member {
            self.out.extend_from_slice(MEMBER);
        }
        Mark { start, body, below: self.out.len() }
    }
}

/// The key of an element before it is made a JSON string.
fn element_text(element: &Element, out: &mut Vec<u8>) {
    match element {
        Element::Field(name) => {
            out.extend_from_slice(b"f:");
            out.extend_from_slice(name.as_bytes());
        }
        Element::Key(keys) => {
            out.extend_from_slice(b"k:{");
            for (at, (name, value)) in keys.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.push(b'"');
                escape(name.as_bytes(), out);
                out.extend_from_slice(b"\":");
                codec::json::write(value, out);
            }
            out.push(b'}');
        }
        Element::Value(value) => {
            out.extend_from_slice(b"v:");
            codec::json::write(value, out);
        }
        Element::Index(index) => {
            out.extend_from_slice(b"i:");
            out.extend_from_slice(index.to_string().as_bytes());
        }
    }
}

/// JSON's escapes without those for HTML: upstream writes object keys so.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for (at, byte) in text.iter().copied().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[start..at]);
        start = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&text[start..]);
}

/// A look into the text of a set without reading all of it. The text must be compact and valid, as canonical trees
/// hold it; anything else only makes the answers "perhaps".
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance<'t> {
    text: &'t [u8],
}

impl<'t> Glance<'t> {
    pub(super) fn new(text: &'t [u8]) -> Glance<'t> {
        Glance { text }
    }

    /// Whether the set is empty.
    pub(super) fn is_empty(self) -> bool {
        matches!(self.text, b"" | b"{}" | b"null")
    }

    /// Whether the set could change when the paths of `touched` are taken out of it, or when the schema has changed
    /// along them. `false` is certain.
    pub(super) fn may_meet(self, touched: &FieldSet) -> bool {
        if touched.is_empty() {
            return false;
        }
        let mut level = Level { text: self.text, at: 1 };
        while let Some((key, below)) = level.next() {
            let Some(entry) = touched.entries().iter().find(|entry| key_is(key, &entry.element)) else { continue };
            if entry.member || Glance::new(below).may_meet(&entry.children) {
                return true;
            }
        }
        false
    }

    /// Whether every path of `wanted` is in the set. `true` is certain.
    pub(super) fn covers(self, wanted: &FieldSet) -> bool {
        let mut left = wanted.entries().len();
        let mut level = Level { text: self.text, at: 1 };
        while left > 0 {
            let Some((key, below)) = level.next() else { return false };
            let Some(entry) = wanted.entries().iter().find(|entry| key_is(key, &entry.element)) else { continue };
            let member = below == b"{}" || below.starts_with(b"{\".\":");
            if (entry.member && !member) || !Glance::new(below).covers(&entry.children) {
                return false;
            }
            left -= 1;
        }
        true
    }
}

impl Glance<'_> {
    /// The text without the paths of `lost` and with those of `won`; what neither is about is copied as it stands.
    /// `None` when the text is not as upstream writes it, or when a field of it has become atomic.
    pub(super) fn rewritten(self, lost: &FieldSet, won: &FieldSet) -> Option<Vec<u8>> {
        let mut writer = Writer::new();
        rewrite(self.text, lost, won, &mut writer)?;
        Some(writer.finish())
    }
}

fn rewrite(text: &[u8], lost: &FieldSet, won: &FieldSet, writer: &mut Writer) -> Option<()> {
    let mut level = Level { text, at: 1 };
    let mut losses = lost.entries().iter().peekable();
    let mut wins = won.entries().iter().peekable();
    while let Some((key, below)) = level.next() {
        if key == b"." {
            continue;
        }
        while let Some(before) = wins.next_if(|entry| order_of(&entry.element, key) == Some(Ordering::Less)) {
            writer.entry(before);
        }
        while losses.next_if(|entry| order_of(&entry.element, key) == Some(Ordering::Less)).is_some() {}
        let win = wins.next_if(|entry| order_of(&entry.element, key) == Some(Ordering::Equal));
        let loss = losses.next_if(|entry| order_of(&entry.element, key) == Some(Ordering::Equal));
        if win.is_none() && loss.is_none() {
            writer.copy(key, below);
            continue;
        }
        let was_member = below == b"{}" || below.starts_with(b"{\".\":");
        let has_children = below != b"{}" && below != b"{\".\":{}}";
        let became_atomic = [win, loss].into_iter().flatten().any(|entry| entry.member && entry.children.is_empty());
        if has_children && became_atomic {
            return None;
        }
        let member = win.is_some_and(|entry| entry.member) || (was_member && !loss.is_some_and(|entry| entry.member));
        let mark = writer.begin_escaped(key, member);
        let lost = loss.map_or(NOTHING, |entry| &entry.children);
        let won = win.map_or(NOTHING, |entry| &entry.children);
        rewrite(below, lost, won, writer)?;
        writer.end(mark);
    }
    for entry in wins {
        writer.entry(entry);
    }
    // The walk must have come to the closing brace, or the text is not what it should be.
    (level.text.get(level.at..) == Some(b"}")).then_some(())
}

/// How `element` sorts against the escaped `key`.
fn order_of(element: &Element, key: &[u8]) -> Option<Ordering> {
    match (element, key) {
        (Element::Field(field), [b'f', b':', name @ ..]) if !name.contains(&b'\\') => Some(field.as_bytes().cmp(name)),
        (Element::Field(_), [b'k' | b'v' | b'i', b':', ..]) => Some(Ordering::Less),
        _ => Some(element.cmp(&element_of(key)?)),
    }
}

/// Walks the keys of one object.
struct Level<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Level<'t> {
    /// A key without its quotes, still escaped, and the text of its value.
    fn next(&mut self) -> Option<(&'t [u8], &'t [u8])> {
        let rest = self.text.get(self.at..)?;
        let quote = rest.iter().position(|byte| *byte == b'"').filter(|at| *at <= 1)?;
        let key_start = quote + 1;
        let key_end = key_start + string_end(&rest[key_start..])?;
        let value_start = key_end + 2;
        let mut depth = 0_usize;
        let mut at = value_start;
        loop {
            match rest.get(at)? {
                b'{' => depth += 1,
                b'}' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        break;
                    }
                }
                b'"' => at += 1 + string_end(&rest[at + 1..])?,
                _ => {}
            }
            at += 1;
        }
        self.at += at + 1;
        Some((&rest[key_start..key_end], &rest[value_start..=at]))
    }
}

/// How far it is to the quote that ends a string.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether the escaped `key` names `element`.
fn key_is(key: &[u8], element: &Element) -> bool {
    match (key, element) {
        ([b'f', b':', name @ ..], Element::Field(field)) if !name.contains(&b'\\') => name == field.as_bytes(),
        ([b'f', b':', ..], _) | (_, Element::Field(_)) if !key.contains(&b'\\') => false,
        _ => unescaped(key).and_then(|key| parse_element(&key).ok().flatten()).is_some_and(|found| found == *element),
    }
}

fn unescaped(key: &[u8]) -> Option<Text> {
    let quoted = [b"\"", key, b"\""].concat();
    match codec::json::parse(&quoted).ok()? {
        Value::String(text) => Some(text),
        _ => None,
    }
}
