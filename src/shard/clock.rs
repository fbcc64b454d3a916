//! The shard's clock: the system's clock, in microseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// The time. A system clock before 1970 or after 9999 counts as 1970.
pub fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    i64::try_from(micros).ok().and_then(|micros| Timestamp::from_micros(micros).ok()).unwrap_or_default()
}
