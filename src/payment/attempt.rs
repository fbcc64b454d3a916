//! One attempt of a call to a payment gateway.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{RequestBuilder, StatusCode};

use super::messages::Answer;
use crate::process::retry_after::retry_after;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// The reason why an attempt has no answer. It names the failure, never the request's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// There was no connection, so nothing was sent.
    NotConnected,
    /// It took too long.
    TimedOut,
    /// The connection broke off.
    BrokeOff,
    /// The answer is too long.
    TooLong,
}

impl NoAnswer {
    /// The reason, for logs.
    pub fn why(self) -> &'static str {
        match self {
            NoAnswer::NotConnected => "cannot connect",
            NoAnswer::TimedOut => "timed out",
            NoAnswer::BrokeOff => "broke off",
            NoAnswer::TooLong => "its answer is too long",
        }
    }
}

/// The gateway's reply to one attempt.
pub struct GatewayReply {
    /// Its status.
    pub status: StatusCode,
    /// The pause that it asks for.
    pub retry_after: Option<Duration>,
    /// The body, if it is an answer of the protocol.
    pub answer: Option<Answer>,
}

/// True for a status after which the same request may succeed later, regardless of the body.
pub fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// Makes one attempt.
pub async fn send_once(request: RequestBuilder) -> std::result::Result<GatewayReply, NoAnswer> {
    let explain = |error: reqwest::Error| match () {
        () if error.is_connect() => NoAnswer::NotConnected,
        () if error.is_timeout() => NoAnswer::TimedOut,
        () => NoAnswer::BrokeOff,
    };
    let mut response = request.send().await.map_err(explain)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(NoAnswer::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after = retry_after(response.headers(), Timestamp::now());
    Ok(GatewayReply { status: response.status(), retry_after, answer: serde_json::from_slice(&body).ok() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_failures_are_retried() {
        for (status, passing) in [
            (200, false),
            (302, false),
            (400, false),
            (404, false),
            (408, true),
            (409, false),
            (425, true),
            (429, true),
            (503, true),
        ] {
            assert_eq!(is_passing(StatusCode::from_u16(status).unwrap()), passing, "{status}");
        }
    }
}
