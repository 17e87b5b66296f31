//! The load generator: HTTP/2 over TLS 1.3, the same for every system that is measured.
//!
//! [`Client`] holds connections; [`closed`] sends the next request when the last one is answered; [`open`] sends by the
//! clock, whatever is answered, so that a slow server cannot hide by slowing its clients down. [`Listener`] is for what is
//! watched by thousands.
//!
//! Invariants
//! - A status that was not expected is an error, never a data point.
//! - Bodies are passed on as they arrive; nothing is decoded while the clock runs.

pub(crate) mod closed;
mod connection;
mod listener;
pub(crate) mod open;

pub(crate) use connection::{Client, Streaming, Target};
pub(crate) use listener::Listener;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

pub(crate) const JSON: &str = "application/json";
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl Call {
    /// Reads `path` as JSON.
    pub(crate) fn get(path: impl Into<String>) -> Call {
        Call { method: Method::GET, path: path.into(), accept: JSON, content_type: JSON, body: Bytes::new() }
    }

    /// Sends a new object, which is JSON, to a collection.
    pub(crate) fn post(path: impl Into<String>, body: Bytes) -> Call {
        Call { method: Method::POST, body, ..Call::get(path) }
    }

    /// Changes an object by a JSON merge patch.
    pub(crate) fn patch(path: impl Into<String>, body: Bytes) -> Call {
        Call { method: Method::PATCH, content_type: MERGE_PATCH, body, ..Call::get(path) }
    }

    /// The form of the answer.
    pub(crate) fn accept(self, accept: &'static str) -> Call {
        Call { accept, ..self }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<Bytes>,
}

impl Reply {
    pub(crate) fn bytes(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<String> {
        String::from_utf8(self.body.concat()).context("the answer is not UTF-8")
    }

    /// The body as a JSON document.
    pub(crate) fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.text()?)?)
    }

    /// Refuses any status but `wanted`.
    pub(crate) fn expect(self, wanted: u16, call: &Call) -> Result<Reply> {
        if self.status != wanted {
            let text = self.text().unwrap_or_default();
            let start: String = text.chars().take(300).collect();
            bail!("{} {} answers {}, not {wanted}: {start}", call.method, call.path, self.status);
        }
        Ok(self)
    }
}
