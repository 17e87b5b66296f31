//! What upstream says about types and fields, taken from `k8s-openapi` (Apache-2.0) when it is first asked for.
//!
//! One text and one sorted table of places in it: equal sentences, such as those about `metadata`, are kept once.
//! Lookups are a binary search without allocation. Not here: custom kinds, which bring their own.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use k8s_openapi::schemars::SchemaGenerator;

use crate::{api, meta};

/// The sentences about the built-in types.
#[derive(Debug, Default)]
pub struct Descriptions {
    /// Names and sentences, one after the other.
    text: String,
    /// Sorted by type and field; the field of what is said about the type itself is empty.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    type_: Span,
    field: Span,
    sentence: Span,
}

/// A part of the text, in bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

/// The descriptions of the built-in types; made at the first call.
pub fn descriptions() -> &'static Descriptions {
    static DESCRIPTIONS: LazyLock<Descriptions> = LazyLock::new(read);
    &DESCRIPTIONS
}

impl Descriptions {
    /// What is said about the field with the JSON name `field` of the type with the OpenAPI name `type_`; about the type
    /// itself when `field` is empty.
    pub fn of(&self, type_: &str, field: &str) -> Option<&str> {
        let compare = |entry: &Entry| -> Ordering {
            self.at(entry.type_).cmp(type_).then_with(|| self.at(entry.field).cmp(field))
        };
        let found = self.entries.binary_search_by(compare).ok()?;
        Some(self.at(self.entries[found].sentence))
    }

    fn at(&self, span: Span) -> &str {
        let range: Range<usize> = span.start as usize..(span.start + span.length) as usize;
        &self.text[range]
    }
}

/// Puts texts into one, equal ones once.
#[derive(Debug, Default)]
struct Builder {
    made: Descriptions,
    known: HashMap<String, Span>,
}

impl Builder {
    fn span(&mut self, text: &str) -> Span {
        if let Some(span) = self.known.get(text) {
            return *span;
        }
        let size = |length: usize| u32::try_from(length).expect("upstream's sentences are a few megabytes");
        let span = Span { start: size(self.made.text.len()), length: size(text.len()) };
        self.made.text.push_str(text);
        self.known.insert(text.to_owned(), span);
        span
    }

    fn add(&mut self, type_: &str, field: &str, sentence: &str) {
        let entry = Entry { type_: self.span(type_), field: self.span(field), sentence: self.span(sentence) };
        self.made.entries.push(entry);
    }

    fn finish(self) -> Descriptions {
        let Descriptions { mut text, mut entries } = self.made;
        text.shrink_to_fit();
        entries.shrink_to_fit();
        let mut made = Descriptions { text, entries: Vec::new() };
        let key = |entry: &Entry| (made.at(entry.type_), made.at(entry.field));
        entries.sort_unstable_by(|left, right| key(left).cmp(&key(right)));
        made.entries = entries;
        made
    }
}

fn read() -> Descriptions {
    let mut generator = SchemaGenerator::default();
    crate::kinds::describe(&mut generator);
    describe_others(&mut generator);
    let mut builder = Builder::default();
    for (name, schema) in generator.definitions() {
        if let Some(sentence) = schema.get("description").and_then(|sentence| sentence.as_str()) {
            builder.add(name, "", sentence);
        }
        for (field, schema) in schema.get("properties").and_then(|fields| fields.as_object()).into_iter().flatten() {
            if let Some(sentence) = schema.get("description").and_then(|sentence| sentence.as_str()) {
                builder.add(name, field, sentence);
            }
        }
    }
    builder.finish()
}

/// What is served or sent and no logic works with.
fn describe_others(generator: &mut SchemaGenerator) {
    generator.subschema_for::<api::authentication::v1::TokenRequest>();
    generator.subschema_for::<api::autoscaling::v1::HorizontalPodAutoscaler>();
    generator.subschema_for::<api::core::v1::Binding>();
    generator.subschema_for::<api::core::v1::ComponentStatus>();
    generator.subschema_for::<api::events::v1::Event>();
    generator.subschema_for::<api::policy::v1::Eviction>();
    generator.subschema_for::<meta::APIGroupList>();
    generator.subschema_for::<meta::APIResourceList>();
    generator.subschema_for::<meta::APIVersions>();
    generator.subschema_for::<meta::DeleteOptions>();
    generator.subschema_for::<meta::ListMeta>();
    generator.subschema_for::<meta::Status>();
    generator.subschema_for::<crate::resource::Quantity>();
}

#[cfg(test)]
mod tests;
