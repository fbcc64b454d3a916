//! Background work: watches the disk and removes expired records.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use super::clock;
use super::context::ShardContext;
use super::disk::{self, DiskLimit};
use super::engine::Transaction;
use super::records::{idempotency, reservations};

/// The time between two sweeps of expired records.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Runs until the process ends.
pub async fn run(disk: DiskLimit, context: Arc<ShardContext>) {
    let mut checks = interval(disk::CHECK_INTERVAL);
    let mut probes = interval(disk::PROBE_INTERVAL);
    let mut expiry = interval(SWEEP_INTERVAL);
    let mut takes_files = true;
    loop {
        tokio::select! {
            _ = checks.tick() => watch_disk(&disk, takes_files, &context),
            _ = probes.tick() => takes_files = probe(&disk, &context).await,
            _ = expiry.tick() => sweep(&context),
        }
    }
}

/// Tries to write a file, on a thread of its own, since the disk may be slow.
async fn probe(disk: &DiskLimit, context: &ShardContext) -> bool {
    if context.storage.is_volatile() {
        return true;
    }
    let disk = disk.clone();
    match tokio::task::spawn_blocking(move || disk.probe()).await {
        Ok(Err(error)) => {
            tracing::error!(%error, "the data directory takes no file");
            false
        }
        _ => true,
    }
}

fn sweep(context: &ShardContext) {
    let mut writer = context.writer.lock();
    if writer.check_capacity().is_err() {
        return;
    }
    let mut txn = Transaction::begin(&mut writer, clock::moment());
    idempotency::sweep(&mut txn);
    reservations::sweep_settlements(&mut txn, reservations::MAX_SETTLEMENTS);
    context.writer.commit(writer);
}

/// Checks the free space on the disk, and refuses writes while there is too little.
pub fn watch_disk(disk: &DiskLimit, takes_files: bool, context: &ShardContext) {
    let free = disk.free();
    context.free_space.note(free);
    let accepts = context.storage.is_volatile() || (takes_files && disk.allows(free));
    let mut writer = context.writer.lock();
    if writer.accepts_writes() == accepts {
        return;
    }
    writer.set_accepts_writes(accepts);
    if accepts {
        tracing::info!(?free, "the disk has free space again: writes are accepted");
    } else {
        tracing::error!(?free, min_free = disk.min_free, "the disk is nearly full: writes are refused");
    }
}
