//! What a kubelet says instead of a log: a few words, of which clients get a `Status`.

use http::{Response, StatusCode};
use kind::Refusal;
use serving::Body;

/// Bytes of a kubelet's words that are passed on, at most; upstream's bound.
const WORDS_BYTES_MAX: usize = 50_000;

/// The log; or the refusal that a kubelet's answer is.
pub(super) async fn unless_log(response: Response<Body>) -> Result<Response<Body>, Refusal> {
    let refusal: fn(String) -> Refusal = match response.status() {
        StatusCode::BAD_REQUEST => Refusal::BadRequest,
        StatusCode::INTERNAL_SERVER_ERROR => Refusal::Internal,
        _ => return Ok(response),
    };
    let (mut words, mut body) = (Vec::new(), response.into_body());
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Refusal::Unavailable(format!("error trying to reach service: {error}")))?;
        let room = WORDS_BYTES_MAX - words.len();
        words.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if words.len() == WORDS_BYTES_MAX {
            break;
        }
    }
    Err(refusal(String::from_utf8_lossy(&words).trim_end().to_owned()))
}

#[cfg(test)]
mod tests;
