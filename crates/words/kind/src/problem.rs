//! Complaints about fields.

use object::{Path, Value};

/// One complaint about one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where.
    pub path: Path,
    /// What kind of complaint.
    pub kind: ProblemKind,
    /// The offending value, where the message shows it.
    pub value: Option<Value>,
    /// The explanation; may be empty.
    pub detail: String,
}

/// The kinds of complaint, as in `k8s.io/apimachinery/pkg/util/validation/field`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are upstream's and say it")]
pub enum ProblemKind {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    Internal,
    TypeInvalid,
}

impl ProblemKind {
    /// The cause's reason in a `Status`.
    pub fn reason(self) -> &'static str {
        match self {
            ProblemKind::NotFound => "FieldValueNotFound",
            ProblemKind::Required => "FieldValueRequired",
            ProblemKind::Duplicate => "FieldValueDuplicate",
            ProblemKind::Invalid => "FieldValueInvalid",
            ProblemKind::NotSupported => "FieldValueNotSupported",
            ProblemKind::Forbidden => "FieldValueForbidden",
            ProblemKind::TooLong => "FieldValueTooLong",
            ProblemKind::TooMany => "FieldValueTooMany",
            ProblemKind::Internal => "InternalError",
            ProblemKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn title(self) -> &'static str {
        match self {
            ProblemKind::NotFound => "Not found",
            ProblemKind::Required => "Required value",
            ProblemKind::Duplicate => "Duplicate value",
            ProblemKind::Invalid | ProblemKind::TypeInvalid => "Invalid value",
            ProblemKind::NotSupported => "Unsupported value",
            ProblemKind::Forbidden => "Forbidden",
            ProblemKind::TooLong => "Too long",
            ProblemKind::TooMany => "Too many",
            ProblemKind::Internal => "Internal error",
        }
    }
}

impl Problem {
    /// The field must be set.
    pub fn required(path: impl Into<Path>, detail: impl Into<String>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::Required, value: None, detail: detail.into() }
    }

    /// The value is not acceptable.
    pub fn invalid(path: impl Into<Path>, value: impl Into<Value>, detail: impl Into<String>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::Invalid, value: Some(value.into()), detail: detail.into() }
    }

    /// The value's type is wrong.
    pub fn type_invalid(path: impl Into<Path>, value: impl Into<Value>, detail: impl Into<String>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::TypeInvalid, value: Some(value.into()), detail: detail.into() }
    }

    /// The value is none of `supported`.
    pub fn not_supported(path: impl Into<Path>, value: impl Into<Value>, supported: &[&str]) -> Problem {
        let quoted: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        Problem { path: path.into(), kind: ProblemKind::NotSupported, value: Some(value.into()), detail }
    }

    /// The value stands twice where it may stand once.
    pub fn duplicate(path: impl Into<Path>, value: impl Into<Value>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::Duplicate, value: Some(value.into()), detail: String::new() }
    }

    /// The value refers to something that is not there.
    pub fn not_found(path: impl Into<Path>, value: impl Into<Value>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::NotFound, value: Some(value.into()), detail: String::new() }
    }

    /// The field may not be set, or not be changed.
    pub fn forbidden(path: impl Into<Path>, detail: impl Into<String>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::Forbidden, value: None, detail: detail.into() }
    }

    /// The value is longer than `bytes_max`.
    pub fn too_long(path: impl Into<Path>, bytes_max: usize) -> Problem {
        let unit = if bytes_max == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {bytes_max} {unit}");
        Problem { path: path.into(), kind: ProblemKind::TooLong, value: None, detail }
    }

    /// There are more items than `items_max`.
    pub fn too_many(path: impl Into<Path>, found: usize, items_max: usize) -> Problem {
        let unit = if items_max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {items_max} {unit}");
        let value = Some(Value::Int(i64::try_from(found).unwrap_or(i64::MAX)));
        Problem { path: path.into(), kind: ProblemKind::TooMany, value, detail }
    }

    /// The check itself failed.
    pub fn internal(path: impl Into<Path>, detail: impl Into<String>) -> Problem {
        Problem { path: path.into(), kind: ProblemKind::Internal, value: None, detail: detail.into() }
    }

    /// The complaint without its path, as a cause's message shows it.
    pub fn body(&self) -> String {
        let shown = match (self.kind, &self.value) {
            (ProblemKind::Required | ProblemKind::Forbidden | ProblemKind::TooLong | ProblemKind::Internal, _)
            | (_, None) => self.kind.title().to_owned(),
            (kind, Some(value)) => format!("{}: {}", kind.title(), shown_value(value)),
        };
        if self.detail.is_empty() { shown } else { format!("{shown}: {}", self.detail) }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.to_string();
        write!(f, "{}: {}", if path.is_empty() { "<nil>" } else { &path }, self.body())
    }
}

/// A value as upstream prints it in a complaint: text quoted, numbers plain, anything else as JSON.
fn shown_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Raw(raw) => String::from_utf8_lossy(raw.bytes()).into_owned(),
        Value::List(items) => format!("[{}]", items.iter().map(shown_value).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key:?}:{}", shown_value(value))).collect();
            format!("{{{}}}", pairs.join(","))
        }
    }
}
