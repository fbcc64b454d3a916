//! The steady clock over restarts. The first process of a boot notes when its clock began, and each later one goes on from
//! there: `CLOCK_BOOTTIME` tells what has passed since, whatever the system's clock says.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::shard::clock;
use crate::storage::{CLOCK_KEY, Record, Storage, Write};

/// The id of this boot, another one after each.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// One moment of a boot on its clock and on the steady one, stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    boot: Uuid,
    /// Microseconds from the boot.
    since_boot: i64,
    /// Microseconds since the epoch.
    steady: i64,
}

/// The present moment.
#[derive(Debug, Clone, Copy)]
struct Present {
    /// `None` where it cannot be told.
    boot: Option<Uuid>,
    /// Microseconds from the boot.
    since_boot: i64,
    system: Timestamp,
}

/// Starts the steady clock. Returns an anchor for [`keep_anchor`], where this boot has none yet.
///
/// # Errors
/// [`Error::Internal`] when storage cannot be read, or the stored anchor is damaged.
pub fn start_clock(storage: &dyn Storage) -> Result<Option<Anchor>> {
    let damaged = |error| Error::Internal(format!("the stored anchor of the clock cannot be read: {error}"));
    let stored = storage.get(CLOCK_KEY)?;
    let stored = stored.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()?;
    let (steady, anchor) = go_on(stored.as_ref(), present());
    clock::start_at(steady);
    Ok(anchor)
}

/// Stores an anchor. While storage has no room, the next start of this boot begins anew.
///
/// # Errors
/// [`Error::Internal`] when storage fails.
pub fn keep_anchor(storage: &dyn Storage, anchor: Option<Anchor>) -> Result<()> {
    let Some(anchor) = anchor.filter(|_| storage.has_room()) else { return Ok(()) };
    let bytes = serde_json::to_vec(&anchor).map_err(|error| Error::Internal(format!("the clock's anchor: {error}")))?;
    storage.commit_next(&[Write::Put(Record::from_parts(CLOCK_KEY, &bytes))])
}

fn present() -> Present {
    let boot = fs::read_to_string(BOOT_ID).ok().and_then(|text| text.trim().parse().ok());
    let since_boot = clock_gettime(ClockId::Boottime);
    let since_boot = since_boot.tv_sec * 1_000_000 + since_boot.tv_nsec / 1_000;
    Present { boot, since_boot, system: clock::now() }
}

/// The steady time of the present moment, and an anchor where the boot has none yet. In another boot only the system's
/// clock can tell how much time has passed, but not that it went back.
fn go_on(stored: Option<&Anchor>, present: Present) -> (Timestamp, Option<Anchor>) {
    let Present { boot, since_boot, system } = present;
    let of_this_boot = stored.filter(|anchor| Some(anchor.boot) == boot && anchor.since_boot <= since_boot);
    let time = |micros| Timestamp::from_micros(micros).unwrap_or(system);
    if let Some(anchor) = of_this_boot {
        return (time(anchor.steady.saturating_add(since_boot - anchor.since_boot)), None);
    }
    let steady = time(stored.map_or(i64::MIN, |anchor| anchor.steady).max(system.micros()));
    (steady, boot.map(|boot| Anchor { boot, since_boot, steady: steady.micros() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    const DAY: i64 = 86_400_000_000;
    const BOOT: Uuid = Uuid::from_u128(1);

    fn at(boot: Option<Uuid>, since_boot: i64, system: i64) -> Present {
        Present { boot, since_boot, system: Timestamp::from_micros(system).unwrap() }
    }

    #[test]
    fn a_later_start_of_a_boot_goes_on_whatever_the_systems_clock_says() {
        let (steady, anchor) = go_on(None, at(Some(BOOT), 50, 20 * DAY));
        assert_eq!(steady.micros(), 20 * DAY);
        for system in [0, 20 * DAY, 21 * DAY, 300 * DAY] {
            let (steady, new) = go_on(anchor.as_ref(), at(Some(BOOT), 57, system));
            assert_eq!((steady.micros(), new), (20 * DAY + 7, None), "{system}");
        }
    }

    #[test]
    fn another_boot_begins_with_the_systems_clock_and_never_further_back() {
        let (_, anchor) = go_on(None, at(Some(BOOT), 50, 20 * DAY));
        let (other, unknown) = (Some(Uuid::from_u128(2)), None);
        // The last one is of a clock that cannot be this boot's.
        for (boot, since_boot) in [(other, 60), (unknown, 60), (Some(BOOT), 40)] {
            for (system, expected) in [(25 * DAY, 25 * DAY), (0, 20 * DAY)] {
                let (steady, new) = go_on(anchor.as_ref(), at(boot, since_boot, system));
                let anchor = boot.map(|boot| Anchor { boot, since_boot, steady: expected });
                assert_eq!((steady.micros(), new), (expected, anchor), "{boot:?} {system}");
            }
        }
    }

    #[test]
    fn an_anchor_is_stored_once_a_boot() {
        let storage = MemoryStorage::default();
        let anchor = start_clock(&storage).unwrap();
        assert!(anchor.is_some());
        keep_anchor(&storage, anchor.clone()).unwrap();
        assert_eq!(storage.sequence(), 1);
        let again = start_clock(&storage).unwrap();
        assert_eq!(again, None);
        keep_anchor(&storage, again).unwrap();
        assert_eq!(storage.sequence(), 1);
    }
}
