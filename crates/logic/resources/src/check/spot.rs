//! A place in an object: its path and what stands there, if anything does.

use kind::Problem;
use object::{Map, Quantity, Value, names};

use super::trail::Trail;

/// What was found, in order.
pub(crate) type Problems = Vec<Problem>;

/// A field, present or not.
#[derive(Debug, Clone)]
pub(crate) struct Spot<'a> {
    pub path: Trail<'a>,
    pub value: Option<&'a Value>,
}

impl<'a> Spot<'a> {
    /// The object itself.
    pub(crate) fn root(object: &'a Value) -> Spot<'a> {
        Spot { path: Trail::default(), value: Some(object) }
    }

    /// The field at a dotted path below this one; null counts as absent.
    pub(crate) fn at(&self, fields: &'a str) -> Spot<'a> {
        let value = self.value.and_then(|value| below(value, fields));
        Spot { path: self.path.field(fields), value: value.filter(|value| !value.is_null()) }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> impl Iterator<Item = Spot<'a>> + use<'a> {
        let path = self.path.clone();
        let items = self.value.and_then(Value::as_list).unwrap_or_default();
        items.iter().enumerate().map(move |(at, value)| Spot { path: path.index(at), value: Some(value) })
    }

    /// The members of a map, in key order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Spot<'a>)> + use<'a> {
        let path = self.path.clone();
        let entries = self.value.and_then(Value::as_map).into_iter().flat_map(Map::iter);
        entries.map(move |(key, value)| (key, Spot { path: path.key(key), value: Some(value) }))
    }

    /// Whether something stands here.
    pub(crate) fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Whether nothing stands here, or something empty.
    pub(crate) fn is_empty(&self) -> bool {
        crate::tree::empty(self.value)
    }

    /// The number of members.
    pub(crate) fn len(&self) -> usize {
        match self.value {
            Some(Value::List(items)) => items.len(),
            Some(Value::Map(map)) => map.len(),
            _ => 0,
        }
    }

    /// The text here; empty when there is none.
    pub(crate) fn text(&self) -> &'a str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer here.
    pub(crate) fn int(&self) -> Option<i64> {
        self.value.and_then(Value::as_int)
    }

    /// The truth here; absent is false.
    pub(crate) fn flag(&self) -> bool {
        self.value.and_then(Value::as_bool).unwrap_or(false)
    }

    /// The quantity here.
    pub(crate) fn quantity(&self) -> Option<Quantity> {
        self.value.and_then(crate::tree::quantity)
    }

    /// The texts of a list.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.value.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str)
    }

    /// What stands here, for showing it.
    pub(crate) fn shown(&self) -> Value {
        self.value.cloned().unwrap_or_default()
    }

    pub(crate) fn required(&self, out: &mut Problems, detail: &str) {
        out.push(Problem::required(&self.path, detail));
    }

    pub(crate) fn forbidden(&self, out: &mut Problems, detail: impl Into<String>) {
        out.push(Problem::forbidden(&self.path, detail));
    }

    pub(crate) fn invalid(&self, out: &mut Problems, detail: impl Into<String>) {
        out.push(Problem::invalid(&self.path, self.shown(), detail));
    }

    pub(crate) fn duplicate(&self, out: &mut Problems) {
        out.push(Problem::duplicate(&self.path, self.shown()));
    }

    /// Complains once for each of `complaints`.
    pub(crate) fn complain(&self, out: &mut Problems, complaints: Vec<String>) {
        for complaint in complaints {
            self.invalid(out, complaint);
        }
    }

    /// Something must stand here; `true` when it does.
    pub(crate) fn need(&self, out: &mut Problems) -> bool {
        if self.is_empty() {
            self.required(out, "");
        }
        !self.is_empty()
    }

    /// The text must be one of `supported`; absent is required.
    pub(crate) fn choice(&self, out: &mut Problems, supported: &[&str]) {
        if self.text().is_empty() {
            self.required(out, "");
        } else {
            self.option(out, supported);
        }
    }

    /// The text must be one of `supported` when it is there.
    pub(crate) fn option(&self, out: &mut Problems, supported: &[&str]) {
        if self.is_set() && !supported.contains(&self.text()) {
            out.push(Problem::not_supported(&self.path, self.text(), supported));
        }
    }

    pub(crate) fn nonnegative(&self, out: &mut Problems) {
        if self.int().is_some_and(|number| number < 0) {
            self.invalid(out, "must be greater than or equal to 0");
        }
    }

    pub(crate) fn positive(&self, out: &mut Problems) {
        if self.int().is_some_and(|number| number <= 0) {
            self.invalid(out, "must be greater than 0");
        }
    }

    pub(crate) fn within(&self, out: &mut Problems, least: i64, most: i64) {
        if self.int().is_some_and(|number| number < least || number > most) {
            self.invalid(out, format!("must be between {least} and {most}, inclusive"));
        }
    }

    pub(crate) fn label(&self, out: &mut Problems) {
        self.complain(out, names::dns_label(self.text()));
    }

    pub(crate) fn subdomain(&self, out: &mut Problems) {
        self.complain(out, names::dns_subdomain(self.text()));
    }

    pub(crate) fn qualified(&self, out: &mut Problems) {
        self.complain(out, names::qualified_name(self.text()));
    }

    /// The field must not differ from that of `old`.
    pub(crate) fn immutable(&self, out: &mut Problems, old: &Spot<'_>) {
        if self.differs(old) {
            self.invalid(out, "field is immutable");
        }
    }

    /// Whether the field is another one than that of `old`; empty and absent are the same.
    pub(crate) fn differs(&self, old: &Spot<'_>) -> bool {
        self.value != old.value && !(self.is_empty() && old.is_empty())
    }
}

impl<'a> Spot<'a> {
    /// What stands here, complained about under another path, where upstream does so.
    pub(crate) fn moved(&self, path: Trail<'a>) -> Spot<'a> {
        Spot { path, value: self.value }
    }

    /// What stands here, or empty text.
    pub(crate) fn or_empty(&self) -> Spot<'a> {
        static EMPTY: Value = Value::String(object::Text::const_new(""));
        Spot { path: self.path.clone(), value: Some(self.value.unwrap_or(&EMPTY)) }
    }
}

/// What stands at fields joined by dots; mostly it is one field.
fn below<'a>(value: &'a Value, fields: &str) -> Option<&'a Value> {
    match fields.bytes().position(|byte| byte == b'.') {
        Some(dot) => below(value.get(&fields[..dot])?, &fields[dot + 1..]),
        None => value.get(fields),
    }
}

/// A struct as upstream shows one that has no JSON names: the fields as they are called and ordered there.
pub(crate) fn internal(fields: &[(&str, Value)]) -> Value {
    let mut text = vec![b'{'];
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        codec::json::write_string(name, &mut text);
        text.push(b':');
        codec::json::write(value, &mut text);
    }
    text.push(b'}');
    Value::Raw(object::RawJson::from_checked(text.into()))
}
