//! For how long something has been under way that may hang, as a write to the disk does: others watch it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When it began; nothing while it is not under way.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<Option<Instant>>);

impl UnderWay {
    /// Notes that it begins.
    pub fn begin(&self) {
        *self.began() = Some(Instant::now());
    }

    /// Notes that it has ended.
    pub fn end(&self) {
        *self.began() = None;
    }

    /// The time that it has taken so far; `None` while it is not under way.
    pub fn time(&self) -> Option<Duration> {
        self.began().map(|began| began.elapsed())
    }

    fn began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
