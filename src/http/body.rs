//! The body of a request, read as a whole under its limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// The longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// The most bytes of an oversized body that are read and discarded, so that the client can read the response.
const MAX_DISCARDED_BYTES: usize = 2 << 20;

/// The reason why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is too long.
    TooLarge {
        /// True when all of it was read.
        drained: bool,
    },
    /// The client broke off or sent a malformed body.
    Broken,
    /// It did not come in time.
    TimedOut,
}

/// Reads the whole body within its time limit.
///
/// # Errors
/// [`BodyError`].
pub async fn read_within(timeout: Duration, body: Incoming) -> Result<Bytes, BodyError> {
    tokio::time::timeout(timeout, read(body)).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn read(mut body: Incoming) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        length += data.len();
        if length > MAX_DISCARDED_BYTES {
            return Err(BodyError::TooLarge { drained: false });
        }
        if length > MAX_BODY_BYTES {
            continue;
        }
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    match length {
        0..=MAX_BODY_BYTES => Ok(if rest.is_empty() { first } else { rest.freeze() }),
        _ => Err(BodyError::TooLarge { drained: true }),
    }
}
