//! Counts and logs damage on the disk.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of damages that were found since the start.
#[derive(Debug, Default)]
pub struct Damages(AtomicU64);

impl Damages {
    /// The number.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts and logs one.
    pub fn note(&self, what: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
        tracing::error!("damage on disk: {what}; restore a backup, or see `shardcart repair`");
    }
}
