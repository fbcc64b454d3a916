//! The shard's clocks: the system's clock, which people and programs set, and a steady one, by which records expire.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// The system's time.
    pub system: Timestamp,
    /// The system's time when the first process of this boot started, and what has passed since. It never jumps, so nothing
    /// that expires by it expires too early.
    pub steady: Timestamp,
}

/// A moment at which both clocks agree.
impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Moment { system: time, steady: time }
    }
}

/// The system's time. A clock before 1970 or after 9999 counts as 1970.
pub fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    i64::try_from(micros).ok().and_then(|micros| Timestamp::from_micros(micros).ok()).unwrap_or_default()
}

/// When the steady clock was started, and at which time.
static START: OnceLock<(Instant, Timestamp)> = OnceLock::new();

/// Starts the steady clock. Without this it starts with the system's time when it is first asked.
pub fn start_at(steady: Timestamp) {
    // It never jumps: in a process that starts it twice, as tests do, the first start counts.
    let _ = START.set((Instant::now(), steady));
}

/// The present moment.
pub fn moment() -> Moment {
    moment_at(Instant::now())
}

/// The present moment, for whoever has just asked for the instant.
pub fn moment_at(instant: Instant) -> Moment {
    let (since, start) = START.get_or_init(|| (instant, now()));
    let passed = i64::try_from(instant.saturating_duration_since(*since).as_micros()).unwrap_or(i64::MAX);
    let steady = Timestamp::from_micros(start.micros().saturating_add(passed)).unwrap_or(*start);
    Moment { system: now(), steady }
}
