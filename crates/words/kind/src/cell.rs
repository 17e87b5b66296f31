//! Cells of tables: values, and texts in which time goes on.
//!
//! A row is made once and shown many times, and "5m ago" is true for a minute: so a cell says since when, and what a
//! person reads is made when it is read.

use jiff::Timestamp;
use object::{Text, Value};

/// One cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// The same whenever it is read.
    Value(Value),
    /// Text made of these parts.
    Text(Vec<Part>),
}

/// A part of a cell's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The same whenever it is read.
    Text(Text),
    /// How long ago this was ([`human_duration`]).
    Since(Timestamp),
}

impl Cell {
    /// How long ago `time` was.
    pub fn since(time: Timestamp) -> Cell {
        Cell::Text(vec![Part::Since(time)])
    }

    /// What the cell says at `now`.
    pub fn at(&self, now: Timestamp) -> Value {
        match self {
            Cell::Value(value) => value.clone(),
            Cell::Text(parts) => Value::from(parts.iter().map(|part| part.at(now)).collect::<String>()),
        }
    }
}

impl Part {
    fn at(&self, now: Timestamp) -> String {
        match self {
            Part::Text(text) => text.to_string(),
            Part::Since(time) => human_duration(now.duration_since(*time).as_secs()),
        }
    }
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Cell {
        Cell::Value(value.into())
    }
}

/// How long ago the object was created, as a person reads it.
pub fn age(object: &Value) -> Cell {
    let created = object.str_at(&["metadata", "creationTimestamp"]).and_then(object::timestamp::parse);
    created.map_or_else(|| Cell::from("<unknown>"), Cell::since)
}

/// A duration in the two units that matter, as upstream's `HumanDuration`.
pub fn human_duration(seconds: i64) -> String {
    let two = |major: i64, unit: char, minor: i64, minor_unit: char| match minor {
        0 => format!("{major}{unit}"),
        _ => format!("{major}{unit}{minor}{minor_unit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests;
