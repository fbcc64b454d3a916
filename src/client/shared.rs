//! State that all clients of a process share. Each worker has its own sessions, but the store has one id, and an
//! outage is logged once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::error::Error;

/// The length of an outage past which it is logged. Shorter ones are normal: at a start the shards come up one after
/// the other, and a launcher logs and restarts a shard that dies.
const OUTAGE_TOLD_AFTER: Duration = Duration::from_secs(3);

/// The store's id and the outages of its shards.
#[derive(Debug, Default)]
pub struct Shared {
    store: OnceLock<Uuid>,
    shards: Mutex<BTreeMap<u32, Seen>>,
}

/// The state of a shard as its sessions saw it last.
#[derive(Debug, Default)]
struct Seen {
    up_at: Option<Instant>,
    /// The reason that was logged for the present outage.
    told: Option<Error>,
}

impl Shared {
    /// The state of a process that already knows its store. [`Shared::default`] learns it from the first shard.
    pub fn of_store(store: Option<Uuid>) -> Self {
        Shared { store: store.map(OnceLock::from).unwrap_or_default(), shards: Mutex::default() }
    }

    /// The store's id; `None` until a shard has reported it.
    pub fn store(&self) -> Option<Uuid> {
        self.store.get().copied()
    }

    /// Returns the store's id, which becomes `told` if none was known.
    pub fn learn_store(&self, told: Uuid) -> Uuid {
        *self.store.get_or_init(|| told)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Seen>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a session could not be opened and that there has been none since `since`. Logs an outage that lasts,
    /// once for each reason.
    pub fn shard_is_down(&self, shard: u32, since: Instant, error: Error) {
        let mut shards = self.lock();
        let seen = shards.entry(shard).or_default();
        let since = seen.up_at.map_or(since, |up| up.max(since));
        if since.elapsed() >= OUTAGE_TOLD_AFTER && seen.told.as_ref() != Some(&error) {
            tracing::warn!(shard, %error, "the shard is down");
            seen.told = Some(error);
        }
    }

    /// Notes that a session was opened. Logs the end of an outage that was logged.
    pub fn shard_is_up(&self, shard: u32) {
        let mut shards = self.lock();
        let seen = shards.entry(shard).or_default();
        seen.up_at = Some(Instant::now());
        if seen.told.take().is_some() {
            tracing::info!(shard, "the shard is up again");
        }
    }
}
