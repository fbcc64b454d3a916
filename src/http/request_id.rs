//! Request ids: the one that a client sends, or a new one. Answers, problem documents and logs carry it.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// The header of a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken from a client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// A source of request ids that are unique over facades and restarts.
pub struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Makes the source of one worker.
    pub fn new() -> Self {
        let mut prefix = uuid::Uuid::new_v4().simple().to_string();
        prefix.truncate(16);
        RequestIds { prefix, next: AtomicU64::new(0) }
    }

    /// The client's id, or a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|id| is_request_id(id.as_bytes()));
        given.map_or_else(|| self.make(), HeaderValue::clone)
    }

    /// A new id.
    pub fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = [self.prefix.as_str(), "-", itoa::Buffer::new().format(number)].concat();
        HeaderValue::try_from(id).expect("digits and letters fit into a header")
    }
}

fn is_request_id(bytes: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}
