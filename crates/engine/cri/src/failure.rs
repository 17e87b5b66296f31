//! What a call to the runtime can come to, by what callers do about it.

use tonic::{Code, Status};

/// Why a call brought no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The sandbox, container or image does not exist; for a removal that is as good as success.
    #[error("{message}")]
    NotFound {
        /// The runtime's words.
        message: String,
    },
    /// The runtime is older than this call, or leaves it out.
    #[error("the runtime does not implement {call}")]
    Unimplemented {
        /// The call's name in the CRI.
        call: &'static str,
    },
    /// The runtime did not answer within the call's time limit; what it does with the request is unknown.
    #[error("the runtime did not answer {call} within {limit_seconds} s")]
    TimedOut {
        /// The call's name in the CRI.
        call: &'static str,
        /// How long it was waited for.
        limit_seconds: u64,
    },
    /// The socket could not be reached, or the connection broke.
    #[error("the runtime cannot be reached: {message}")]
    Unreachable {
        /// The transport's words.
        message: String,
    },
    /// The runtime refused or failed.
    #[error("rpc error: code = {code:?} desc = {message}")]
    Refused {
        /// The gRPC code.
        code: Code,
        /// The runtime's words.
        message: String,
    },
    /// The answer lacks a part that the CRI promises.
    #[error("the answer of {call} lacks {what}")]
    Incomplete {
        /// The call's name in the CRI.
        call: &'static str,
        /// The missing part.
        what: &'static str,
    },
}

impl Failure {
    pub(crate) fn of(call: &'static str, status: &Status) -> Failure {
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => Failure::NotFound { message },
            Code::Unimplemented => Failure::Unimplemented { call },
            Code::Unavailable => Failure::Unreachable { message },
            code => Failure::Refused { code, message },
        }
    }

    /// Whether the thing asked about is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Failure::NotFound { .. })
    }

    /// Whether the runtime does not know the call.
    pub fn is_unimplemented(&self) -> bool {
        matches!(self, Failure::Unimplemented { .. })
    }
}
