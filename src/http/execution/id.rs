//! Execution ids: unique over all facades, and never used twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base16ct::lower;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clock::Clock;

/// The first segments of the paths whose responses carry an execution id.
const EXECUTED: [&str; 3] = ["find", "buy", "replenish"];

/// True for the shop's paths whose responses carry an execution id, errors too.
pub fn carries_id(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| EXECUTED.contains(&first))
}

/// Makes the execution ids of one facade, over all its workers.
#[derive(Debug)]
pub struct Executions {
    facade: Uuid,
    clock: Arc<Clock>,
    /// The time of the last execution, in nanoseconds since 1970.
    last: AtomicI64,
}

impl Executions {
    /// Makes the source of execution ids for a facade, and the facade's own id.
    pub fn new(clock: Arc<Clock>) -> Self {
        Executions { facade: Uuid::new_v4(), clock, last: AtomicI64::new(i64::MIN) }
    }

    /// The id of an execution that happens now: the SHA-256 of its time and the facade's id, as 64 hexadecimal digits.
    pub fn next(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.time_of_next(self.clock.now()).to_be_bytes());
        digest.update(self.facade.as_bytes());
        lower::encode_string(&digest.finalize())
    }

    /// A time that no execution had before, even if the clock stands still or is set back.
    fn time_of_next(&self, now: i64) -> i64 {
        let unused = |last: i64| now.max(last.saturating_add(1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(unused(last)));
        unused(last.unwrap_or_else(|last| last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread;

    #[test]
    fn the_paths_are_told_by_their_first_segment() {
        for path in ["/find/1", "/find/a%2Fb/", "/buy", "/buy/", "/replenish", "/find"] {
            assert!(carries_id(path), "{path}");
        }
        for path in ["", "*", "/", "/findings", "/kv/buy", "//buy", "/items/find"] {
            assert!(!carries_id(path), "{path}");
        }
    }

    #[test]
    fn an_id_is_the_hash_of_the_time_and_the_facade() {
        let executions = Executions::new(Arc::default());
        let id = executions.next();
        let mut hashed = executions.last.load(Ordering::Relaxed).to_be_bytes().to_vec();
        hashed.extend_from_slice(executions.facade.as_bytes());
        assert_eq!(id, lower::encode_string(&Sha256::digest(hashed)));
        assert_eq!(id.len(), 64);
    }

    #[test]
    fn no_time_is_used_twice_when_the_clock_stands_still_or_goes_back() {
        let executions = Executions::new(Arc::default());
        assert_eq!([10, 10, 3, 20, 19].map(|now| executions.time_of_next(now)), [10, 11, 12, 20, 21]);
    }

    #[test]
    fn no_id_comes_twice_from_many_threads() {
        const THREADS: usize = 4;
        const EACH: usize = 2_000;
        let executions = Executions::new(Arc::default());
        let ids: BTreeSet<_> = thread::scope(|scope| {
            let make = || (0..EACH).map(|_| executions.next()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(make)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), THREADS * EACH);
    }
}
