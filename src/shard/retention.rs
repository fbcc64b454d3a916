//! Removes what nobody wants any more: carts that were not touched for long, if that is asked for, and refused orders.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::clock;
use super::context::ShardContext;
use super::engine::Transaction;
use super::options::Options;
use super::records::{carts, orders};
use crate::domain::time::Timestamp;
use crate::storage::Page;

/// The time between two steps through the carts.
const CART_INTERVAL: Duration = Duration::from_millis(100);
/// The pause between two pages of orders, and the orders of a page.
const PAGE_PAUSE: Duration = Duration::from_millis(20);
const PAGE_RECORDS: usize = 64;
/// The longest and the shortest time between two passes over the orders.
const LONGEST_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the process ends.
pub async fn run(options: Options, context: Arc<ShardContext>) {
    let carts = async {
        if let Some(lifetime) = options.cart_lifetime {
            remove_carts(&context, lifetime).await;
        }
    };
    tokio::join!(carts, remove_orders(&context, options.refused_order_lifetime));
}

/// The time that lies so far back. A clock that was set forward makes nothing older than it is.
fn before(lifetime: Duration) -> Timestamp {
    let now = clock::moment();
    let micros = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.system.min(now.steady).micros().saturating_sub(micros)).unwrap_or_default()
}

async fn remove_carts(context: &ShardContext, lifetime: Duration) {
    let mut tick = tokio::time::interval(CART_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut part, mut in_this_pass) = (0, 0);
    loop {
        tick.tick().await;
        let mut writer = context.writer.lock();
        if writer.check_capacity().is_err() {
            continue;
        }
        let mut txn = Transaction::begin(&mut writer, clock::moment());
        let step = carts::remove_untouched(&mut txn, before(lifetime), part);
        context.writer.commit(writer);
        context.removals.carts.fetch_add(step.removed, Ordering::Relaxed);
        (part, in_this_pass) = (step.next, in_this_pass + step.removed);
        if part == 0 && in_this_pass > 0 {
            tracing::info!(carts = in_this_pass, "removed carts that were not touched for the time of --cart-ttl");
            in_this_pass = 0;
        }
    }
}

async fn remove_orders(context: &ShardContext, lifetime: Duration) {
    let interval = (lifetime / 4).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
    loop {
        tokio::time::sleep(interval).await;
        let (mut after, mut removed) = (Some(Vec::new()), 0);
        while let Some(from) = after {
            let Some(page) = read(context, from).await else { break };
            removed += remove_from(context, &page, before(lifetime));
            after = page.next;
            tokio::time::sleep(PAGE_PAUSE).await;
        }
        if removed > 0 {
            tracing::info!(orders = removed, "removed orders that were refused longer ago than --keep-refused-orders");
        }
    }
}

/// Reads a page of orders on a thread of its own, since the disk may be slow; `None` when it cannot be read, which the
/// search for damage reports.
async fn read(context: &ShardContext, after: Vec<u8>) -> Option<Page> {
    let (storage, slots) = (context.storage.clone(), context.identity.slots());
    let read = tokio::task::spawn_blocking(move || orders::closed_after(&*storage, &slots, &after, PAGE_RECORDS));
    read.await.ok()?.ok()
}

fn remove_from(context: &ShardContext, page: &Page, before: Timestamp) -> u64 {
    let mut writer = context.writer.lock();
    if writer.check_capacity().is_err() {
        return 0;
    }
    let mut txn = Transaction::begin(&mut writer, clock::moment());
    let removed = page.records.iter().filter(|record| orders::remove_refused(&mut txn, record, before)).count() as u64;
    context.writer.commit(writer);
    context.removals.orders.fetch_add(removed, Ordering::Relaxed);
    removed
}
