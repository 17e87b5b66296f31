//! Everything that can go wrong between a caller and an API server.

use std::time::Duration;

use kind::Refusal;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server said no; its `Status` says why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer came.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer is not what a v1.36 server sends.
    #[error("the server's answer cannot be read: {0}")]
    Decode(String),
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection to the server.
    #[error("no connection to {server}")]
    Connect {
        /// `host:port`.
        server: String,
        /// What the socket or TLS said.
        source: std::io::Error,
    },
    /// The connection broke during the request.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The request cannot be put into HTTP.
    #[error("no such request can be sent: {0}")]
    Request(String),
    /// Credentials could not be read.
    #[error("the credentials cannot be read")]
    Credentials(#[source] pki::Error),
}

/// Why a client cannot be made from a configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The configuration contradicts itself or asks for what is not built.
    #[error("{0}")]
    Config(String),
    /// Certificates or keys cannot be used.
    #[error("certificates or keys cannot be used")]
    Pki(#[from] pki::Error),
}

impl Error {
    /// The HTTP status code of a refusal; `None` when no answer came or it was unreadable.
    pub fn code(&self) -> Option<u16> {
        self.refusal().map(Refusal::code)
    }

    /// The machine-readable reason of a refusal; empty otherwise.
    pub fn reason(&self) -> &str {
        self.refusal().map_or("", Refusal::reason)
    }

    /// The server's words, when it spoke.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// 404: the object or the resource is not there.
    pub fn is_not_found(&self) -> bool {
        self.is("NotFound", 404)
    }

    /// 409: the object is not what the request assumed.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// 409: an object of that name exists.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// 410: the revision or continue token is too old.
    pub fn is_expired(&self) -> bool {
        matches!(self.reason(), "Expired" | "Gone") || self.is("", 410)
    }

    /// 403.
    pub fn is_forbidden(&self) -> bool {
        self.is("Forbidden", 403)
    }

    /// 400, 406, 415 or 422: the server does not accept such a request, now or later.
    pub fn is_invalid(&self) -> bool {
        matches!(self.code(), Some(400 | 406 | 415 | 422))
    }

    /// 429: too many requests, or a budget that allows no disruption.
    pub fn is_too_many_requests(&self) -> bool {
        self.is("TooManyRequests", 429)
    }

    /// Whether the namespace of a create is being terminated: trying again is of no use.
    pub fn is_namespace_terminating(&self) -> bool {
        let Some(Refusal::Status(status)) = self.refusal() else { return false };
        let causes = status.list_at(&["details", "causes"]);
        causes.iter().any(|cause| cause.str_at(&["reason"]) == Some("NamespaceTerminating"))
    }

    fn is(&self, reason: &str, code: u16) -> bool {
        match self.reason() {
            "" | "Unknown" => self.code() == Some(code),
            known => known == reason,
        }
    }
}

impl From<codec::DecodeError> for Error {
    fn from(error: codec::DecodeError) -> Self {
        Error::Decode(error.to_string())
    }
}

impl From<typed::Mismatch> for Error {
    fn from(error: typed::Mismatch) -> Self {
        Error::Decode(error.to_string())
    }
}

impl From<serving::BodyError> for TransportError {
    fn from(error: serving::BodyError) -> Self {
        TransportError::Broken(Box::new(error))
    }
}
