//! Background work: watches the disk and removes expired records.

use std::sync::Arc;
use std::time::Duration;

use super::clock;
use super::context::ShardContext;
use super::disk;
use super::engine::Transaction;
use super::options::Options;
use super::records::{idempotency, reservations};

/// The time between two sweeps of expired records.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Runs until the process ends.
pub async fn run(options: Options, context: Arc<ShardContext>) {
    let mut disk = tokio::time::interval(disk::CHECK_INTERVAL);
    let mut expiry = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = disk.tick() => watch_disk(&options, &context),
            _ = expiry.tick() => sweep(&context),
        }
    }
}

fn sweep(context: &ShardContext) {
    let mut writer = context.writer.lock();
    if !writer.accepts_writes() {
        return;
    }
    let mut txn = Transaction::begin(&mut writer, clock::moment());
    idempotency::sweep(&mut txn);
    reservations::sweep_settlements(&mut txn, reservations::MAX_SETTLEMENTS);
    context.writer.commit(writer);
}

/// Checks the free space on the disk, and refuses writes while there is too little.
pub fn watch_disk(options: &Options, context: &ShardContext) {
    let free = context.free_space.look(&options.data);
    let accepts = context.storage.is_volatile() || free >= options.min_free;
    let mut writer = context.writer.lock();
    if writer.accepts_writes() == accepts {
        return;
    }
    writer.set_accepts_writes(accepts);
    if accepts {
        tracing::info!(free, "the disk has free space again: writes are accepted");
    } else {
        tracing::error!(free, min_free = options.min_free, "the disk is nearly full: writes are refused");
    }
}
