//! Why a configuration is not applied.

use std::fmt;

use super::element::FieldPath;
use super::managers::Entry;
use super::set::FieldSet;

/// Why a configuration is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 400 `BadRequest` with this text.
    #[error("{0}")]
    BadRequest(String),
    /// 409 `Conflict`, with one cause per field.
    #[error("{0}")]
    Conflict(Conflicts),
    /// The configuration is not of its type, or the live object's owners cannot be read. Upstream answers 500
    /// `InternalError` with this text.
    #[error("{0}")]
    Unusable(String),
}

/// The fields that others own and that the configuration would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts {
    /// Sorted by owner, then by path.
    all: Vec<Conflict>,
}

/// One field in conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The owner, as messages name it: `"kubectl-client-side-apply" using apps/v1`.
    pub owner: String,
    /// The field.
    pub path: FieldPath,
}

/// The type of the causes of an apply conflict.
pub const CAUSE_TYPE: &str = "FieldManagerConflict";

impl Conflicts {
    /// The conflicts with the fields that each owner would lose; `None` when there are none.
    pub(super) fn of<'e>(lost: impl IntoIterator<Item = (&'e Entry, FieldSet)>) -> Option<Conflicts> {
        let mut lost: Vec<(&Entry, FieldSet)> = lost.into_iter().collect();
        lost.sort_by_key(|(entry, _)| entry.sort_key());
        let all: Vec<Conflict> = lost
            .into_iter()
            .flat_map(|(entry, set)| {
                let owner = entry.shown();
                set.paths().into_iter().map(move |path| Conflict { owner: owner.clone(), path })
            })
            .collect();
        (!all.is_empty()).then_some(Conflicts { all })
    }

    /// The conflicts without those about fields of `allowed`; `None` when none is left.
    pub(super) fn outside(&self, allowed: &FieldSet) -> Option<Conflicts> {
        let all: Vec<Conflict> = self.all.iter().filter(|conflict| !allowed.has(&conflict.path.0)).cloned().collect();
        (!all.is_empty()).then_some(Conflicts { all })
    }

    /// Each field in conflict.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Conflict> {
        self.all.iter()
    }

    /// The causes of the status, each of the type [`CAUSE_TYPE`]: `(message, field)`.
    pub fn causes(&self) -> impl ExactSizeIterator<Item = (String, String)> {
        self.all.iter().map(|conflict| (format!("conflict with {}", conflict.owner), conflict.path.to_string()))
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.all.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", only.owner, only.path);
        }
        write!(f, "Apply failed with {} conflicts: ", self.all.len())?;
        let mut owner = None;
        for (at, conflict) in self.all.iter().enumerate() {
            if owner != Some(&conflict.owner) {
                let newline = if at > 0 { "\n" } else { "" };
                write!(f, "{newline}conflicts with {}:", conflict.owner)?;
                owner = Some(&conflict.owner);
            }
            write!(f, "\n- {}", conflict.path)?;
        }
        Ok(())
    }
}
