//! What etcd's failures mean.
//!
//! etcd distinguishes its errors by their message alone; the messages are part of its API.

use std::error::Error as _;

use tonic::{Code, ConnectError};

use crate::limits::{LEASE_TTL_SECONDS_MAX, TXN_BYTES_MAX, TXN_OPS_MAX};
use crate::{Error, LeaseId, Revision};

/// What to think of a failed request.
#[derive(Debug)]
pub(super) enum Failure {
    /// It never left: another endpoint may be tried, whatever the request.
    NotSent(Error),
    /// It may have been carried out, or not.
    Lost(String),
    /// etcd said no.
    Refused(Error),
}

/// Judges a status.
pub(super) fn judge(status: &tonic::Status) -> Failure {
    let message = status.message();
    if connecting_failed(status) {
        return Failure::NotSent(Error::unavailable(message));
    }
    if let Some(error) = refusal(message) {
        return Failure::Refused(error);
    }
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            Failure::Refused(Error::Denied { message: message.to_owned() })
        }
        Code::Unimplemented => Failure::Refused(Error::Unsupported { what: "a call that this version of etcd lacks" }),
        Code::ResourceExhausted => Failure::Refused(Error::unavailable(message)),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::NotFound | Code::DataLoss => {
            Failure::Refused(Error::corrupt(message))
        }
        _ => Failure::Lost(message.to_owned()),
    }
}

fn refusal(message: &str) -> Option<Error> {
    let requested = Revision::ZERO;
    let error = match message.strip_prefix("etcdserver: ")? {
        "mvcc: required revision has been compacted" => Error::Compacted { requested, compacted: None },
        "mvcc: required revision is a future revision" => Error::FutureRevision { requested, current: None },
        "mvcc: database space exceeded" => Error::NoSpace,
        "requested lease not found" => Error::LeaseNotFound { lease: NAMELESS },
        "too large lease TTL" => Error::LeaseTooLong { seconds_max: LEASE_TTL_SECONDS_MAX },
        "request is too large" => Error::TooLarge { size_bytes: TXN_BYTES_MAX, size_bytes_max: TXN_BYTES_MAX },
        "too many operations in txn request" => {
            Error::TooMany { what: "operations in a transaction", max: TXN_OPS_MAX }
        }
        // Refused before it was proposed.
        "no leader" | "not leader" | "too many requests" | "server stopped" => Error::unavailable(message),
        _ => return None,
    };
    Some(error)
}

const NAMELESS: LeaseId = LeaseId(std::num::NonZeroI64::MIN);

/// Fills in the revision that was asked for, which etcd does not repeat.
pub(super) fn about_revision(error: Error, requested: Revision) -> Error {
    match error {
        Error::Compacted { compacted, .. } => Error::Compacted { requested, compacted },
        Error::FutureRevision { current, .. } => Error::FutureRevision { requested, current },
        other => other,
    }
}

/// Fills in the lease that was named, which etcd does not repeat.
pub(super) fn about_lease(error: Error, lease: Option<LeaseId>) -> Error {
    match (error, lease) {
        (Error::LeaseNotFound { .. }, Some(lease)) => Error::LeaseNotFound { lease },
        (other, _) => other,
    }
}

fn connecting_failed(status: &tonic::Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
