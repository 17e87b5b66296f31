//! Refusals, and the one place where they become `Status` objects.

use object::Value;

use crate::{GroupKind, Problem};

/// Every way in which a request is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// 400: the request cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// 401: no accepted credentials.
    #[error("Unauthorized")]
    Unauthorized,
    /// 403: the user may not, or admission does not allow it.
    #[error("{}", forbidden_text(.resource, .name, .message))]
    Forbidden {
        /// The resource asked for.
        resource: GroupKind,
        /// The object's name; empty for collections.
        name: String,
        /// Why.
        message: String,
    },
    /// 403 on a path that is no resource.
    #[error("forbidden: {0}")]
    ForbiddenPath(String),
    /// 404: there is no such object.
    #[error("{resource} {name:?} not found")]
    NotFound {
        /// The resource asked for.
        resource: GroupKind,
        /// The object's name.
        name: String,
    },
    /// 404: there is no such path or resource.
    #[error("the server could not find the requested resource")]
    NoSuchPath,
    /// 409: an object of that name exists.
    #[error("{resource} {name:?} already exists")]
    AlreadyExists {
        /// The resource.
        resource: GroupKind,
        /// The object's name.
        name: String,
    },
    /// 409: the object is not what the request assumes.
    #[error("Operation cannot be fulfilled on {resource} {name:?}: {message}")]
    Conflict {
        /// The resource.
        resource: GroupKind,
        /// The object's name.
        name: String,
        /// Why.
        message: String,
    },
    /// 409 of a server-side apply, with a cause for each field.
    #[error("{message}")]
    ApplyConflict {
        /// All conflicts in one sentence.
        message: String,
        /// One per field.
        causes: Vec<Cause>,
    },
    /// 422: fields are not acceptable.
    #[error("{}", invalid_text(.kind, .name, .problems))]
    Invalid {
        /// The kind.
        kind: GroupKind,
        /// The object's name.
        name: String,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// 422 without fields: a patch that cannot be applied.
    #[error("{0}")]
    Unprocessable(String),
    /// 410: a revision or continue token is too old.
    #[error("{0}")]
    Expired(String),
    /// 405.
    #[error("{0}")]
    MethodNotAllowed(String),
    /// 406, with the media types that could be sent.
    #[error("only the following media types are accepted: {0}")]
    NotAcceptable(String),
    /// 415, with the media types that could be read.
    #[error("the body of the request was in an unknown format - accepted media types include: {0}")]
    UnsupportedMediaType(String),
    /// 413, with the limit.
    #[error("Request entity too large: limit is {bytes_max}")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// 429: try again later.
    #[error("{message}")]
    TooManyRequests {
        /// Why.
        message: String,
        /// After so many seconds.
        retry_after_seconds: u32,
        /// One per disrupted budget.
        causes: Vec<Cause>,
    },
    /// 500.
    #[error("Internal error occurred: {0}")]
    Internal(String),
    /// 501: not built.
    #[error("{0}")]
    NotImplemented(String),
    /// 503.
    #[error("{0}")]
    Unavailable(String),
    /// 504.
    #[error("Timeout: {0}")]
    Timeout(String),
    /// A status that somebody else made: a kubelet, a webhook.
    #[error("{}", .0.str_at(&["message"]).unwrap_or_default())]
    Status(Box<Value>),
}

/// One entry of `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A machine-readable reason.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The field, when the cause is one.
    pub field: String,
}

impl Refusal {
    /// A 409 with the sentence that clients know.
    pub fn modified(resource: GroupKind, name: impl Into<String>) -> Refusal {
        let message = "the object has been modified; please apply your changes to the latest version and try again";
        Refusal::Conflict { resource, name: name.into(), message: message.to_owned() }
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        match self {
            Refusal::BadRequest(_) => 400,
            Refusal::Unauthorized => 401,
            Refusal::Forbidden { .. } | Refusal::ForbiddenPath(_) => 403,
            Refusal::NotFound { .. } | Refusal::NoSuchPath => 404,
            Refusal::MethodNotAllowed(_) => 405,
            Refusal::NotAcceptable(_) => 406,
            Refusal::AlreadyExists { .. } | Refusal::Conflict { .. } | Refusal::ApplyConflict { .. } => 409,
            Refusal::Expired(_) => 410,
            Refusal::TooLarge { .. } => 413,
            Refusal::UnsupportedMediaType(_) => 415,
            Refusal::Invalid { .. } | Refusal::Unprocessable(_) => 422,
            Refusal::TooManyRequests { .. } => 429,
            Refusal::Internal(_) => 500,
            Refusal::NotImplemented(_) => 501,
            Refusal::Unavailable(_) => 503,
            Refusal::Timeout(_) => 504,
            Refusal::Status(status) => {
                status.int_at(&["code"]).and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
            }
        }
    }

    /// The machine-readable reason.
    pub fn reason(&self) -> &str {
        match self {
            Refusal::BadRequest(_) => "BadRequest",
            Refusal::Unauthorized => "Unauthorized",
            Refusal::Forbidden { .. } | Refusal::ForbiddenPath(_) => "Forbidden",
            Refusal::NotFound { .. } | Refusal::NoSuchPath => "NotFound",
            Refusal::MethodNotAllowed(_) => "MethodNotAllowed",
            Refusal::NotAcceptable(_) => "NotAcceptable",
            Refusal::AlreadyExists { .. } => "AlreadyExists",
            Refusal::Conflict { .. } | Refusal::ApplyConflict { .. } => "Conflict",
            Refusal::Expired(_) => "Expired",
            Refusal::TooLarge { .. } => "RequestEntityTooLarge",
            Refusal::UnsupportedMediaType(_) => "UnsupportedMediaType",
            Refusal::Invalid { .. } | Refusal::Unprocessable(_) => "Invalid",
            Refusal::TooManyRequests { .. } => "TooManyRequests",
            Refusal::Internal(_) => "InternalError",
            Refusal::NotImplemented(_) => "NotImplemented",
            Refusal::Unavailable(_) => "ServiceUnavailable",
            Refusal::Timeout(_) => "Timeout",
            Refusal::Status(status) => status.str_at(&["reason"]).unwrap_or_default(),
        }
    }

    /// After how many seconds the client should try again, where the refusal says so.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Refusal::TooManyRequests { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Refusal::Status(status) => {
                status.int_at(&["details", "retryAfterSeconds"]).and_then(|seconds| u32::try_from(seconds).ok())
            }
            _ => None,
        }
    }

    /// The `Status` object that is sent.
    pub fn status(&self) -> Value {
        if let Refusal::Status(status) = self {
            return (**status).clone();
        }
        let mut status = Value::from_pairs([
            ("kind", Value::from("Status")),
            ("apiVersion", Value::from("v1")),
            ("metadata", Value::map()),
            ("status", Value::from("Failure")),
            ("message", Value::from(self.to_string())),
            ("reason", Value::from(self.reason())),
            ("code", Value::from(i32::from(self.code()))),
        ]);
        if let Some(details) = self.details() {
            status.set(&["details"], details);
        }
        status
    }

    fn details(&self) -> Option<Value> {
        let mut details = Value::map();
        match self {
            Refusal::Forbidden { resource, name, .. }
            | Refusal::NotFound { resource, name }
            | Refusal::AlreadyExists { resource, name }
            | Refusal::Conflict { resource, name, .. } => describe(&mut details, resource, name),
            Refusal::Invalid { kind, name, problems } => {
                describe(&mut details, kind, name);
                let causes: Vec<Value> = problems.iter().map(problem_cause).collect();
                details.set(&["causes"], causes);
            }
            Refusal::ApplyConflict { causes, .. } => set_causes(&mut details, causes),
            Refusal::TooManyRequests { retry_after_seconds, causes, .. } => {
                set_causes(&mut details, causes);
                details.set(&["retryAfterSeconds"], i64::from(*retry_after_seconds));
            }
            Refusal::Internal(message) => {
                details.set(&["causes"], vec![Value::from_pairs([("message", message.as_str())])]);
            }
            Refusal::NoSuchPath | Refusal::MethodNotAllowed(_) | Refusal::Unprocessable(_) => {}
            _ => return None,
        }
        Some(details)
    }
}

fn describe(details: &mut Value, kind: &GroupKind, name: &str) {
    for (key, text) in [("name", name), ("group", kind.group.as_str()), ("kind", kind.name.as_str())] {
        if !text.is_empty() {
            details.set(&[key], text);
        }
    }
}

fn set_causes(details: &mut Value, causes: &[Cause]) {
    if !causes.is_empty() {
        details.set(&["causes"], causes.iter().map(cause).collect::<Vec<Value>>());
    }
}

fn cause(cause: &Cause) -> Value {
    let pairs = [("reason", &cause.reason), ("message", &cause.message), ("field", &cause.field)];
    Value::from_pairs(pairs.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key, text.as_str())))
}

fn problem_cause(problem: &Problem) -> Value {
    cause(&Cause { reason: problem.kind.reason().to_owned(), message: problem.body(), field: problem.path.to_string() })
}

fn forbidden_text(resource: &GroupKind, name: &str, message: &str) -> String {
    match (resource.name.is_empty(), name.is_empty()) {
        (true, _) => format!("forbidden: {message}"),
        (false, true) => format!("{resource} is forbidden: {message}"),
        (false, false) => format!("{resource} {name:?} is forbidden: {message}"),
    }
}

fn invalid_text(kind: &GroupKind, name: &str, problems: &[Problem]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in problems.iter().map(Problem::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => format!("{kind} {name:?} is invalid: {one}"),
        many => format!("{kind} {name:?} is invalid: [{}]", many.join(", ")),
    }
}
