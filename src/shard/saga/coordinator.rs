//! The context that all orders of a shard share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::cancellations::Cancellations;
use super::unresolved::UnresolvedPayments;
use crate::client::Client;
use crate::error::Error;
use crate::payment::HttpGateway;
use crate::process::logging;
use crate::shard::clock;
use crate::shard::engine::{CommitDependency, SharedWriter, Transaction, Waiter};

/// The home shard's side of orders: its writer, the other shards, the gateway.
pub struct Coordinator {
    /// The shard's own records.
    pub(super) writer: Arc<SharedWriter>,
    /// All shards; `None` when their addresses were not given.
    pub(super) peers: Option<Client>,
    /// The payment gateway.
    pub(super) gateway: HttpGateway,
    /// The payments that only the gateway knows about.
    pub(super) unresolved: UnresolvedPayments,
    /// The cancellations that are not finished.
    pub(super) cancellations: Cancellations,
    captures_failed: AtomicU64,
    refunds_failed: AtomicU64,
    payment_calls_failed: AtomicU64,
}

impl Coordinator {
    /// Makes a coordinator for a shard's writer.
    pub fn new(writer: Arc<SharedWriter>, peers: Option<Client>, gateway: HttpGateway) -> Arc<Self> {
        let gauges = writer.lock().indexes().orders.clone();
        let cancellations = Cancellations::new(gauges.cancelling.clone());
        Arc::new(Coordinator {
            writer,
            peers,
            gateway,
            unresolved: UnresolvedPayments::new(&gauges),
            cancellations,
            captures_failed: AtomicU64::new(0),
            refunds_failed: AtomicU64::new(0),
            payment_calls_failed: AtomicU64::new(0),
        })
    }

    /// The number of payments of created orders that the gateway refused to capture.
    pub fn captures_failed(&self) -> u64 {
        self.captures_failed.load(Ordering::Relaxed)
    }

    /// Counts a payment that the gateway refused to capture.
    pub(super) fn count_failed_capture(&self) {
        self.captures_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of payments of cancelled orders that the gateway refused to refund.
    pub fn refunds_failed(&self) -> u64 {
        self.refunds_failed.load(Ordering::Relaxed)
    }

    /// Counts a payment that the gateway refused to refund.
    pub(super) fn count_failed_refund(&self) {
        self.refunds_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of calls to the gateway without an answer that says what became of the payment.
    pub fn payment_calls_failed(&self) -> u64 {
        self.payment_calls_failed.load(Ordering::Relaxed)
    }

    /// Counts a call to the gateway without such an answer.
    pub(super) fn count_failed_payment_call(&self) {
        self.payment_calls_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a transaction, and returns once everything that its result was computed from is durable.
    pub async fn transact<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let (result, step) = {
            let mut writer = self.writer.lock();
            let mut txn = Transaction::begin(&mut writer, clock::moment());
            let result = change(&mut txn);
            let dependency = txn.dependency();
            let step = (dependency != CommitDependency::None).then(|| {
                let (durable, step) = oneshot::channel();
                writer.wait(dependency, Waiter::Step(durable));
                step
            });
            self.writer.commit(writer);
            (result, step)
        };
        if let Some(step) = step {
            // A commit that fails ends the process.
            let _ = step.await;
        }
        result
    }
}

/// Ends the process when an order cannot continue, so that the next start retries it or refuses the damaged record.
pub fn abort(error: &Error, consequence: &str) -> ! {
    tracing::error!(%error, "{consequence}: aborting, the restart retries it");
    logging::abort();
}
