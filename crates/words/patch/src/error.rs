//! Why a patch cannot be used, sorted by what the server answers.

/// A patch that is refused. The text is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not of its format: 400 `BadRequest` with this text.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well-formed and does not fit the object: 422 `Invalid`. Upstream's answer for JSON patches hides
    /// this text behind "the server rejected our request due to an error in our request".
    #[error("{0}")]
    Unprocessable(String),
    /// The patch asks for too much: 413 `RequestEntityTooLarge` with this text.
    #[error("{0}")]
    TooLarge(String),
    /// What upstream's server passes on as it is, which clients see as 500 `InternalError`.
    #[error("{0}")]
    Unexpected(String),
}
