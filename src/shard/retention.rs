//! Removes what nobody wants any more: carts that were not touched for long, if that is asked for, and refused orders that
//! are old or too many.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::clock;
use super::context::ShardContext;
use super::engine::Transaction;
use super::options::Options;
use super::records::{carts, orders};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::routing::OrderId;
use crate::storage::Page;

/// The time between two steps through the carts.
const CART_INTERVAL: Duration = Duration::from_millis(100);
/// The pause between two pages of orders, and the orders of a page.
const PAGE_PAUSE: Duration = Duration::from_millis(20);
const PAGE_RECORDS: usize = 64;
/// The longest and the shortest time between two passes over the orders.
const LONGEST_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two log lines about refused orders past the bytes that are kept.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Runs until the process ends.
pub async fn run(options: Options, context: Arc<ShardContext>) {
    let carts = async {
        if let Some(lifetime) = options.cart_lifetime {
            remove_carts(&context, lifetime).await;
        }
    };
    tokio::join!(carts, remove_orders(&context, options.refused_order_lifetime, options.refused_order_bytes));
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

/// Walks through the orders again and again, the first time at once, since the refused ones are counted by that.
async fn remove_orders(context: &ShardContext, lifetime: Duration, most_bytes: u64) {
    let interval = (lifetime / 4).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
    let mut excess = Excess { most_bytes, removed: 0, logged: None };
    loop {
        let (mut after, mut removed) = (Some(Vec::new()), 0);
        while let Some(from) = after {
            let Some(page) = read_page(context, from).await else { break };
            removed += remove_from(context, &page, before(lifetime)).await;
            after = page.next;
            excess.remove(context).await;
            sleep(PAGE_PAUSE).await;
        }
        if removed > 0 {
            tracing::info!(orders = removed, "removed orders that were refused longer ago than --keep-refused-orders");
        }
        let next = Instant::now() + interval;
        while Instant::now() < next {
            let pause = if excess.remove(context).await { PAGE_PAUSE } else { SHORTEST_INTERVAL };
            sleep(pause).await;
        }
    }
}

/// The refused orders past the bytes that are kept of them.
struct Excess {
    most_bytes: u64,
    /// The number removed that no log line has told of.
    removed: u64,
    logged: Option<Instant>,
}

impl Excess {
    /// Removes some of the oldest orders. True when there may be more.
    async fn remove(&mut self, context: &ShardContext) -> bool {
        let oldest = context.writer.lock().indexes().refused.oldest_past(self.most_bytes, PAGE_RECORDS);
        if !oldest.is_empty() {
            let removed = remove_all(context, oldest).await;
            self.removed += removed;
            return removed > 0;
        }
        if self.removed > 0 && self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            tracing::info!(orders = self.removed, "removed the oldest refused orders past --refused-orders-size");
            (self.removed, self.logged) = (0, Some(Instant::now()));
        }
        false
    }
}

async fn remove_all(context: &ShardContext, ids: Vec<OrderId>) -> u64 {
    let unstored = |txn: &mut Transaction<'_>| ids.iter().map(|id| orders::find_unstored(txn, *id)).collect::<Vec<_>>();
    let unstored = context.coordinator.transact(unstored).await;
    let storage = context.storage.clone();
    let found = tokio::task::spawn_blocking(move || {
        let stored = |id: OrderId| storage.get(orders::stored_key(id).key());
        let orders = ids.into_iter().zip(unstored);
        orders.map(|(id, record)| Ok((id, record.map_or_else(|| stored(id), |record| Ok(Some(record)))?))).collect()
    });
    let Ok(Ok(found)): std::result::Result<Result<Vec<_>>, _> = found.await else { return 0 };
    remove(context, |txn| {
        found.iter().filter(|(id, record)| orders::remove_refused(txn, *id, record.as_deref())).count()
    })
    .await
}

/// Reads a page of orders on a thread of its own, since the disk may be slow; `None` when it cannot be read, which the
/// search for damage reports.
async fn read_page(context: &ShardContext, after: Vec<u8>) -> Option<Page> {
    let (storage, slots) = (context.storage.clone(), context.identity.slots());
    let read = tokio::task::spawn_blocking(move || orders::closed_after(&*storage, &slots, &after, PAGE_RECORDS));
    read.await.ok()?.ok()
}

async fn remove_from(context: &ShardContext, page: &Page, before: Timestamp) -> u64 {
    let records = page.records.iter();
    remove(context, |txn| records.filter(|record| orders::remove_refused_before(txn, record.value(), before)).count())
        .await
}

/// Removes orders, and returns their number once that is durable: a page that is read afterwards has none of them.
async fn remove(context: &ShardContext, change: impl FnOnce(&mut Transaction<'_>) -> usize) -> u64 {
    let removed = context.coordinator.transact(|txn| if txn.check_capacity().is_err() { 0 } else { change(txn) }).await;
    context.removals.orders.fetch_add(removed as u64, Ordering::Relaxed);
    removed as u64
}
