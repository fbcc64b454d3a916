//! Request ids: the one that a client sends, or a new one. Answers, problem documents and logs carry it.

use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// The header of a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken from a client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The bytes of new ids that share an allocation.
const BLOCK_BYTES: usize = 4 << 10;
/// The longest new id, in bytes: the prefix, a hyphen, and a number.
const NEW_ID_BYTES: usize = PREFIX_BYTES + 1 + 20;
const PREFIX_BYTES: usize = 16;

/// A source of request ids that are unique over facades and restarts.
pub struct RequestIds {
    prefix: String,
    next: Mutex<Next>,
}

struct Next {
    number: u64,
    /// The room for ids.
    block: BytesMut,
}

impl RequestIds {
    /// Makes the source of one worker.
    pub fn new() -> Self {
        let mut prefix = uuid::Uuid::new_v4().simple().to_string();
        prefix.truncate(PREFIX_BYTES);
        prefix.push('-');
        RequestIds { prefix, next: Mutex::new(Next { number: 0, block: BytesMut::new() }) }
    }

    /// The client's id, or a new one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|id| is_request_id(id.as_bytes()));
        given.map_or_else(|| self.make(), HeaderValue::clone)
    }

    /// A new id.
    pub fn make(&self) -> HeaderValue {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Next { number, block } = &mut *next;
        if block.capacity() < NEW_ID_BYTES {
            *block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        block.extend_from_slice(self.prefix.as_bytes());
        block.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        *number += 1;
        HeaderValue::from_maybe_shared(block.split().freeze()).expect("digits and letters fit into a header")
    }
}

fn is_request_id(bytes: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_unlike_each_other_and_stay_as_they_are() {
        let ids = [RequestIds::new(), RequestIds::new()];
        let made: Vec<_> = (0..1_000).map(|number| ids[number % 2].make()).collect();
        let texts: std::collections::BTreeSet<_> = made.iter().map(|id| id.to_str().unwrap()).collect();
        assert_eq!(texts.len(), made.len());
        assert!(texts.iter().all(|id| is_request_id(id.as_bytes()) && id.len() <= NEW_ID_BYTES));
        assert!(made[998].to_str().unwrap().ends_with("-499"));
    }
}
