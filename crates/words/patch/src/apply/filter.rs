//! Which fields a resource or subresource does not track, because its strategy resets them on every write.

use object::Text;

use super::element::Element;
use super::set::FieldSet;

/// The fields that writes through one endpoint neither claim nor take, by the `apiVersion` of the writer.
#[derive(Debug, Clone, Default)]
pub struct ResetFields {
    by_version: Vec<(Text, Filter)>,
}

/// What is left of a set of fields.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    /// All but these paths and what is below them.
    Except(FieldSet),
    /// Only what is at or below one of these patterns.
    Only(Vec<Vec<Step>>),
}

/// One step of a pattern.
#[derive(Debug, Clone)]
pub enum Step {
    /// This element.
    Is(Element),
    /// Any element.
    Any,
}

impl ResetFields {
    /// Everything is tracked.
    pub const fn none() -> ResetFields {
        ResetFields { by_version: Vec::new() }
    }

    /// Leaves out `fields` (dotted struct fields, such as `status` or `metadata.deletionTimestamp`) and all below
    /// them for writers in `api_version`.
    #[must_use]
    pub fn except<'p>(mut self, api_version: &str, fields: impl IntoIterator<Item = &'p str>) -> ResetFields {
        self.by_version.push((api_version.into(), Filter::Except(FieldSet::of(fields))));
        self
    }

    /// Tracks only what matches one of `patterns`, each a path from the root whose end matches all below it (such as
    /// the resources of containers for `pods/resize`).
    #[must_use]
    pub fn only(mut self, api_version: &str, patterns: Vec<Vec<Step>>) -> ResetFields {
        self.by_version.push((api_version.into(), Filter::Only(patterns)));
        self
    }

    pub(super) fn of(&self, api_version: &str) -> Option<&Filter> {
        self.by_version.iter().find(|(version, _)| version == api_version).map(|(_, filter)| filter)
    }

    /// What of `set` is tracked.
    pub(super) fn tracked(&self, api_version: &str, set: FieldSet) -> FieldSet {
        match self.of(api_version) {
            None => set,
            Some(Filter::Except(excluded)) => set.without(excluded),
            Some(Filter::Only(patterns)) => {
                let patterns: Vec<&[Step]> = patterns.iter().map(Vec::as_slice).collect();
                matching(&set, &patterns)
            }
        }
    }
}

fn matching(set: &FieldSet, patterns: &[&[Step]]) -> FieldSet {
    if patterns.iter().any(|pattern| pattern.is_empty()) {
        return set.clone();
    }
    set.map(|entry| {
        let rests: Vec<&[Step]> = patterns
            .iter()
            .filter_map(|pattern| {
                let (first, rest) = pattern.split_first()?;
                let matches = match first {
                    Step::Any => true,
                    Step::Is(element) => *element == entry.element,
                };
                matches.then_some(rest)
            })
            .collect();
        let children = if rests.is_empty() { FieldSet::new() } else { matching(&entry.children, &rests) };
        super::set::Entry { element: entry.element.clone(), member: entry.member && !rests.is_empty(), children }
    })
}
