//! One attempt of a request: sent once, its answer read under a limit.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;

use crate::process::retry_after::retry_after;

/// The longest answer that is read, in bytes: a thousand orders of a hundred lines.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;

/// What came back from one attempt.
pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The problem, if a store describes one.
    pub(super) problem: Option<Problem>,
}

/// The members of a store's problem documents that decide what comes next.
#[derive(Deserialize)]
pub(super) struct Problem {
    pub(super) code: String,
    pub(super) detail: String,
}

/// The reason why nothing usable came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing was sent.
    NotSent(String),
    /// The connection broke, or the time was over, after something may have been sent.
    NoAnswer(String),
    /// The answer is longer than [`MAX_ANSWER_BYTES`].
    TooLong,
}

impl Received {
    /// The pause that the store asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers, Timestamp::now())
    }

    /// The explanation for people.
    pub(super) fn detail(&self) -> String {
        let to = self.headers.get("location").filter(|_| self.status.is_redirection());
        match (&self.problem, to.and_then(|to| to.to_str().ok())) {
            (Some(problem), _) => problem.detail.clone(),
            (None, Some(to)) => {
                format!("the answer leads to {to}, which is not followed, since the API key would be sent there")
            }
            (None, None) => format!("{}, and not in a store's words: is something else at this address?", self.status),
        }
    }
}

/// Sends a request once.
pub(super) async fn send_once(request: RequestBuilder) -> Result<Received, Lost> {
    let mut response = request.send().await.map_err(|error| lost(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Lost::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(response.headers_mut());
    let is_problem = headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/problem+json");
    let problem = is_problem.then(|| serde_json::from_slice(&body).ok()).flatten();
    Ok(Received { status: response.status(), headers, body: body.into(), problem })
}

fn lost(error: &reqwest::Error) -> Lost {
    // The innermost error names the cause.
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let cause = causes.last().map(ToString::to_string).unwrap_or_default();
    match () {
        () if error.is_connect() => Lost::NotSent(cause),
        () if error.is_timeout() => Lost::NoAnswer("no answer in time".into()),
        () => Lost::NoAnswer(format!("the connection broke off: {cause}")),
    }
}
