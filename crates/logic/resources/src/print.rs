//! Columns and cells of the tables that clients ask for, kind by kind.

use jiff::Timestamp;
use kind::Cell;
use object::{Meta, Value};

/// The row of a kind without columns of its own.
pub(crate) fn name_and_age(object: &Value, now: Timestamp) -> Vec<Cell> {
    vec![Value::from(Meta::of(object).name()), kind::age(object, now)]
}
