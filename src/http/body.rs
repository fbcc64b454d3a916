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

/// Reads the whole body within its time limit. Of a body that may have a card's number, `copies` gets what is in buffers
/// that hyper does not read into again, so that they can be overwritten in the end.
///
/// # Errors
/// [`BodyError`].
pub async fn read_within(
    timeout: Duration,
    body: Incoming,
    copies: Option<&mut Vec<Bytes>>,
) -> Result<Bytes, BodyError> {
    tokio::time::timeout(timeout, read(body, copies)).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn read(mut body: Incoming, mut copies: Option<&mut Vec<Bytes>>) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let declared = body.size_hint().exact().map_or(MAX_BODY_BYTES, |length| length.min(MAX_BODY_BYTES as u64) as usize);
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
            if let Some(copies) = &mut copies {
                copies.push(first.clone());
                if first.len() < declared {
                    // If it grew, it would leave a copy behind.
                    rest.reserve(declared);
                }
            }
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    if length > MAX_BODY_BYTES {
        return Err(BodyError::TooLarge { drained: true });
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let whole = rest.freeze();
    if let Some(copies) = copies {
        copies.push(whole.clone());
    }
    Ok(whole)
}
