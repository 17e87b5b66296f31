//! How a check came to a place: a path that is written out only when there is something to complain about.
//!
//! Nearly every field of nearly every object is as it should be, and each of them is looked at. A trail remembers one
//! step and shares those before it.

use std::fmt;
use std::rc::Rc;

use object::Path;

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail<'a>(Option<Rc<Steps<'a>>>);

#[derive(Debug)]
struct Steps<'a> {
    before: Trail<'a>,
    last: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    /// Fields joined by dots.
    Fields(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Trail<'a> {
    /// From field names joined by dots.
    pub(crate) fn of(fields: &'a str) -> Trail<'a> {
        Trail::default().field(fields)
    }

    /// Then the field `name`, or fields joined by dots.
    pub(crate) fn field(&self, name: &'a str) -> Trail<'a> {
        self.then(Step::Fields(name))
    }

    /// Then the list item `index`.
    pub(crate) fn index(&self, index: usize) -> Trail<'a> {
        self.then(Step::Index(index))
    }

    /// Then the map key `key`.
    pub(crate) fn key(&self, key: &'a str) -> Trail<'a> {
        self.then(Step::Key(key))
    }

    fn then(&self, last: Step<'a>) -> Trail<'a> {
        Trail(Some(Rc::new(Steps { before: self.clone(), last })))
    }
}

impl From<&Trail<'_>> for Path {
    fn from(trail: &Trail<'_>) -> Path {
        let Some(steps) = &trail.0 else { return Path::root() };
        let before = Path::from(&steps.before);
        match steps.last {
            Step::Fields(fields) => before.field(fields),
            Step::Index(index) => before.index(index),
            Step::Key(key) => before.key(key),
        }
    }
}

impl From<Trail<'_>> for Path {
    fn from(trail: Trail<'_>) -> Path {
        Path::from(&trail)
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Path::from(self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_is_written_as_the_path_it_stands_for() {
        let trail = Trail::of("spec.template").field("").field("containers").index(2).field("args").key("a.b/c");
        let path = Path::of("spec.template.containers").index(2).field("args").key("a.b/c");
        assert_eq!(Path::from(&trail), path);
        assert_eq!(trail.to_string(), path.to_string());
        assert_eq!(Path::from(Trail::default()), Path::root());
    }
}
