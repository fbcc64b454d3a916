//! The newest requests that were not served because of the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::time::Timestamp;

/// The most faults that are kept.
const MAX_FAULTS: usize = 50;

/// A request that was answered with a status of 500 or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The time of the answer.
    pub at: Timestamp,
    /// The shard that was asked, if one was.
    pub shard: Option<usize>,
    /// The request's id.
    pub request_id: String,
    /// The path's template.
    pub route: &'static str,
    /// The status.
    pub status: u16,
    /// The problem's code.
    pub code: &'static str,
    /// The problem's detail.
    pub detail: String,
}

/// The newest faults of all workers.
#[derive(Debug, Default)]
pub struct Faults(Mutex<VecDeque<Arc<Fault>>>);

impl Faults {
    /// Adds a fault; the oldest one makes room.
    pub fn add(&self, fault: Fault) {
        let mut faults = self.lock();
        faults.truncate(MAX_FAULTS - 1);
        faults.push_front(Arc::new(fault));
    }

    /// The faults, the last one first.
    pub fn newest(&self) -> Vec<Arc<Fault>> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Fault>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let faults = Faults::default();
        for number in 0..120 {
            faults.add(Fault {
                at: Timestamp::default(),
                shard: None,
                request_id: number.to_string(),
                route: "/items/{customerId}",
                status: 503,
                code: "unavailable",
                detail: String::new(),
            });
        }
        let newest = faults.newest();
        assert_eq!(newest.len(), MAX_FAULTS);
        assert_eq!((newest[0].request_id.as_str(), newest[MAX_FAULTS - 1].request_id.as_str()), ("119", "70"));
    }
}
