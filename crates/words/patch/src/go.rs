//! Values as Go prints them, because upstream's errors show them so.

use std::fmt;

use object::Value;

/// A value as Go's `%v` prints it.
pub(crate) struct Printed<'v>(pub(crate) &'v Value);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("<nil>"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::String(text) => f.write_str(text),
            Value::Raw(raw) => f.write_str(&String::from_utf8_lossy(raw.bytes())),
            Value::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if at > 0 { " " } else { "" }, Printed(item))?;
                }
                f.write_str("]")
            }
            Value::Map(map) => {
                f.write_str("map[")?;
                for (at, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}:{}", if at > 0 { " " } else { "" }, Printed(value))?;
                }
                f.write_str("]")
            }
        }
    }
}
