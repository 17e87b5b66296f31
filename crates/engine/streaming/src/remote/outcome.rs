//! How a remote command ended, as the error stream tells it.

use serde::{Deserialize, Serialize};

use crate::{Error, chain};

/// The end of a remote command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with code 0, or was detached from.
    Success,
    /// It exited with another code.
    Exit {
        /// The exit code.
        code: i32,
        /// What clients print about it.
        message: String,
    },
    /// It could not be run to its end.
    Failed(Failure),
}

/// A `Status` that is neither a success nor an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people.
    pub message: String,
    /// For programs, such as `InternalError`.
    pub reason: String,
    /// The HTTP code, or 0.
    pub code: u16,
    /// The whole `Status`, when it arrived as JSON.
    pub json: Option<String>,
}

const SUCCESS: &str = "Success";
const FAILURE: &str = "Failure";
const NON_ZERO_EXIT: &str = "NonZeroExitCode";
const EXIT_CODE: &str = "ExitCode";
const INTERNAL: &str = "InternalError";

/// The fields of a `Status` that this protocol uses, in the order in which upstream writes them.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Wire {
    metadata: Metadata,
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(skip_serializing_if = "is_zero")]
    code: u16,
}

#[derive(Default, Serialize, Deserialize)]
struct Metadata {}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Cause {
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(code: &u16) -> bool {
    *code == 0
}

impl Outcome {
    /// The exit with `code`; `detail` is what the runtime says about it. Code 0 is a success.
    pub fn exit(code: i32, detail: &str) -> Outcome {
        if code == 0 {
            return Outcome::Success;
        }
        Outcome::Exit { code, message: format!("command terminated with non-zero exit code: {detail}") }
    }

    /// A failure of the machinery, code 500, in upstream's words.
    pub fn internal(cause: &str) -> Outcome {
        let message = format!("Internal error occurred: {cause}");
        let details = Some(Details { causes: vec![Cause { message: cause.to_owned(), ..Cause::default() }] });
        let wire = Wire {
            status: FAILURE.to_owned(),
            message: message.clone(),
            reason: INTERNAL.to_owned(),
            details,
            code: 500,
            ..Wire::default()
        };
        Outcome::Failed(Failure { message, reason: INTERNAL.to_owned(), code: 500, json: Some(wire.to_json()) })
    }

    /// What to tell the client of a session whose onward connection failed: the peer's own `Status`, if it sent one.
    pub fn of(error: &Error) -> Outcome {
        if let Error::Rejected { body, .. } = error
            && let Ok(text) = std::str::from_utf8(body)
            && let Ok(failure @ Outcome::Failed(_)) = Outcome::from_json(text)
        {
            return failure;
        }
        Outcome::internal(&chain(error))
    }

    /// Reads the error stream of v4 and later, where successes are told as well.
    pub fn from_json(text: &str) -> Result<Outcome, serde_json::Error> {
        let wire: Wire = serde_json::from_str(text)?;
        if wire.status == SUCCESS {
            return Ok(Outcome::Success);
        }
        if wire.status != FAILURE {
            return Err(serde::de::Error::custom("the status is neither Success nor Failure"));
        }
        let causes = wire.details.iter().flat_map(|details| &details.causes);
        let code = causes.filter(|cause| cause.reason == EXIT_CODE).find_map(|cause| cause.message.parse().ok());
        if wire.reason == NON_ZERO_EXIT
            && let Some(code) = code
        {
            return Ok(Outcome::Exit { code, message: wire.message });
        }
        let json = Some(text.to_owned());
        Ok(Outcome::Failed(Failure { message: wire.message, reason: wire.reason, code: wire.code, json }))
    }

    /// Reads the error stream before v4. An empty one is a success.
    pub fn from_plain(text: &str) -> Outcome {
        if text.is_empty() {
            return Outcome::Success;
        }
        let message = format!("error executing remote command: {text}");
        Outcome::Failed(Failure { message, reason: String::new(), code: 0, json: None })
    }

    /// The error stream of v4 and later.
    pub fn to_json(&self) -> String {
        let wire = match self {
            Outcome::Success => Wire { status: SUCCESS.to_owned(), ..Wire::default() },
            Outcome::Exit { code, message } => {
                let cause = Cause { reason: EXIT_CODE.to_owned(), message: code.to_string() };
                Wire {
                    status: FAILURE.to_owned(),
                    message: message.clone(),
                    reason: NON_ZERO_EXIT.to_owned(),
                    details: Some(Details { causes: vec![cause] }),
                    ..Wire::default()
                }
            }
            Outcome::Failed(Failure { json: Some(json), .. }) => return json.clone(),
            Outcome::Failed(Failure { message, reason, code, json: None }) => Wire {
                status: FAILURE.to_owned(),
                message: message.clone(),
                reason: reason.clone(),
                code: *code,
                ..Wire::default()
            },
        };
        wire.to_json()
    }

    /// The error stream before v4: nothing on success.
    pub fn to_plain(&self) -> &str {
        match self {
            Outcome::Success => "",
            Outcome::Exit { message, .. } | Outcome::Failed(Failure { message, .. }) => message,
        }
    }
}

impl Wire {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialize")
    }
}
