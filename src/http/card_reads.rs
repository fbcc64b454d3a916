//! Notes which requests of a connection may have a card's number, so that the buffer into which they are read is
//! overwritten once they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::Method;
use tokio::io::ReadBuf;

use crate::process::overwrite::overwrite_unfilled;

/// No number is in the buffer.
const NONE: u8 = 0;
/// A request is read that may have a number.
const READING: u8 = 1;
/// The request is answered, and the buffer not overwritten yet.
const ANSWERED: u8 = 2;

/// The state of one connection, which its service and its stream share.
#[derive(Debug, Clone, Default)]
pub struct CardReads(Arc<AtomicU8>);

impl CardReads {
    /// True for a request to the shop whose body may have a card's number.
    pub fn may_have_card(method: &Method, path: &str) -> bool {
        let pays = path.starts_with("/buy") || path.starts_with("/checkout/") || path.starts_with("/api/orders");
        pays && matches!(*method, Method::PUT | Method::POST)
    }

    /// Notes that a request that may have a number is being read.
    pub fn begin(&self) {
        self.0.store(READING, Ordering::Relaxed);
    }

    /// Notes that the last request is about to be answered, and that nothing of it is used any more.
    pub fn end(&self) {
        if self.0.load(Ordering::Relaxed) == READING {
            self.0.store(ANSWERED, Ordering::Relaxed);
        }
    }

    /// Overwrites the room into which the connection is read next, if a number may be there.
    pub fn before_read(&self, buffer: &mut ReadBuf<'_>) {
        let state = self.0.load(Ordering::Relaxed);
        if state == NONE {
            return;
        }
        overwrite_unfilled(buffer);
        if state == ANSWERED {
            self.0.store(NONE, Ordering::Relaxed);
        }
    }

    /// True while a number may be in the buffer.
    pub fn are_left(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True if the next read finds its room overwritten.
    fn overwrites(reads: &CardReads) -> bool {
        let mut memory = [7; 8];
        reads.before_read(&mut ReadBuf::new(&mut memory));
        memory == [0; 8]
    }

    #[test]
    fn reads_are_overwritten_from_the_request_until_one_behind_its_answer() {
        let reads = CardReads::default();
        reads.end();
        assert!(!overwrites(&reads) && !reads.are_left());
        reads.begin();
        assert!(overwrites(&reads) && overwrites(&reads) && reads.are_left());
        reads.end();
        assert!(reads.are_left() && overwrites(&reads));
        assert!(!overwrites(&reads) && !reads.are_left());
    }

    #[test]
    fn cards_are_in_what_pays() {
        let may = |method: &str, path| CardReads::may_have_card(&method.parse().unwrap(), path);
        for (method, path) in [("PUT", "/buy"), ("PUT", "/buy/"), ("POST", "/checkout/alice"), ("POST", "/api/orders")]
        {
            assert!(may(method, path), "{path}");
        }
        for (method, path) in [("POST", "/items/alice"), ("GET", "/api/orders"), ("PUT", "/item/bob")] {
            assert!(!may(method, path), "{path}");
        }
    }
}
