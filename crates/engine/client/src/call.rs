//! One request and its answer: headers, deadline, refusals, and the retries that reads are allowed.

use std::time::Duration;

use bytes::Bytes;
use env::time::Instant;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response};
use object::Value;
use serving::{Body, CollectError};

use crate::{Client, Error, TransportError, wire};

/// The largest answer that is read into memory at once.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// The largest refusal that is read.
const REFUSAL_BYTES_MAX: u64 = 4 << 20;
/// How often a read is sent again because the server asked for it (upstream: 10).
const READ_RETRIES_MAX: u32 = 10;
/// The longest wait between two attempts that a server may ask for.
const RETRY_AFTER_SECONDS_MAX: u32 = 30;

/// A request, in a form that can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) address: String,
    pub(crate) accept: &'static str,
    pub(crate) body: Option<(Bytes, &'static str)>,
}

impl Call {
    pub(crate) fn get(address: String, accept: &'static str) -> Self {
        Call { method: Method::GET, address, accept, body: None }
    }

    fn request(&self, user_agent: &HeaderValue) -> Result<Request<Body>, TransportError> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.address)
            .header(ACCEPT, self.accept)
            .header(USER_AGENT, user_agent);
        if let Some((_, content_type)) = &self.body {
            request = request.header(CONTENT_TYPE, *content_type);
        }
        let body = self.body.as_ref().map_or_else(Body::empty, |(bytes, _)| Body::from(bytes.clone()));
        request.body(body).map_err(|error| TransportError::Request(error.to_string()))
    }
}

/// The answer to a [`Call`] that read to its end.
pub(crate) struct Answer {
    bytes: Bytes,
    protobuf: bool,
}

impl Answer {
    pub(crate) fn tree(&self) -> Result<Value, Error> {
        wire::decode(&self.bytes, self.protobuf)
    }
}

impl Client {
    /// Sends `call` and reads the whole answer, all within the client's timeout.
    pub(crate) async fn exchange(&self, call: &Call) -> Result<Answer, Error> {
        let limit = self.request_timeout();
        let deadline = Instant::now() + limit;
        let answered = env::time::timeout(limit, async {
            let response = self.begin_by(call, deadline).await?;
            let protobuf = wire::is_protobuf(response.headers());
            let bytes = read(response.into_body(), ANSWER_BYTES_MAX).await?;
            Ok(Answer { bytes, protobuf })
        });
        answered.await.unwrap_or_else(|_elapsed| Err(TransportError::Timeout(limit).into()))
    }

    /// Sends `call` and waits for the head of a successful answer within the client's timeout; the body may take as
    /// long as it likes.
    pub(crate) async fn begin(&self, call: &Call) -> Result<Response<Body>, Error> {
        let limit = self.request_timeout();
        let begun = env::time::timeout(limit, self.begin_by(call, Instant::now() + limit));
        begun.await.unwrap_or_else(|_elapsed| Err(TransportError::Timeout(limit).into()))
    }

    async fn begin_by(&self, call: &Call, deadline: Instant) -> Result<Response<Body>, Error> {
        let is_read = call.method == Method::GET;
        let mut attempt = 0;
        loop {
            let error = match self.attempt(call).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            attempt += 1;
            let wait = pause(&error, attempt).filter(|wait| is_read && Instant::now() + *wait < deadline);
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(address = %call.address, %error, attempt, "a read is sent again");
            env::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Response<Body>, Error> {
        let response = self.transport().send(call.request(self.user_agent())?).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after_seconds = header.and_then(|text| text.parse().ok());
        let protobuf = wire::is_protobuf(response.headers());
        let bytes = read(response.into_body(), REFUSAL_BYTES_MAX).await?;
        Err(wire::refusal(code, retry_after_seconds, &bytes, protobuf).into())
    }
}

/// How long to wait before attempt number `attempt` + 1 of a read; `None` when it is not to be repeated.
fn pause(error: &Error, attempt: u32) -> Option<Duration> {
    match error {
        Error::Refused(refusal) if matches!(refusal.code(), 429 | 503) && attempt <= READ_RETRIES_MAX => {
            let seconds = refusal.retry_after_seconds()?;
            Some(Duration::from_secs(u64::from(seconds.min(RETRY_AFTER_SECONDS_MAX))))
        }
        // A connection that a server closed while idle is only noticed by using it; once is enough.
        Error::Transport(TransportError::Broken(_)) if attempt == 1 => Some(Duration::ZERO),
        _ => None,
    }
}

async fn read(body: Body, bytes_max: u64) -> Result<Bytes, Error> {
    serving::collect(body, bytes_max).await.map_err(|error| match error {
        CollectError::TooLarge { body_bytes_max } => {
            Error::Decode(format!("the answer is larger than {body_bytes_max} bytes"))
        }
        CollectError::Broken(source) => Error::Transport(source.into()),
    })
}
