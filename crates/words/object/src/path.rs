//! Paths into an object, written as upstream writes them: `spec.containers[0].env`, `metadata.labels[a.b/c]`.

use std::fmt;

use crate::Text;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A field of a struct.
    Field(Text),
    /// A list index.
    Index(usize),
    /// A map key.
    Key(Text),
}

/// How many fields are usually added at once.
const FIELDS_USUAL: usize = 2;

/// Where a field stands within its object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

impl Path {
    /// The object itself.
    pub fn root() -> Path {
        Path::default()
    }

    /// A path from field names joined by dots, such as `spec.template.spec`.
    pub fn of(fields: &str) -> Path {
        Path(fields.split('.').filter(|field| !field.is_empty()).map(|field| Step::Field(field.into())).collect())
    }

    /// This path, then the field `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Path {
        let mut steps = Vec::with_capacity(self.0.len() + FIELDS_USUAL);
        steps.extend_from_slice(&self.0);
        steps.extend(name.split('.').filter(|part| !part.is_empty()).map(|part| Step::Field(part.into())));
        Path(steps)
    }

    /// This path, then the list item `index`.
    #[must_use]
    pub fn index(&self, index: usize) -> Path {
        self.with(Step::Index(index))
    }

    /// This path, then the map key `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Path {
        self.with(Step::Key(key.into()))
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Appends a step in place.
    pub fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Takes the last step off.
    pub fn pop(&mut self) -> Option<Step> {
        self.0.pop()
    }

    fn with(&self, step: Step) -> Path {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if position == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key}]")?,
            }
        }
        Ok(())
    }
}
