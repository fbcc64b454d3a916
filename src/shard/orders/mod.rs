//! Orders: a saga whose log is one record on the order's home slot. The home shard drives its orders,
//! and at its start resumes every one that is not done with.

pub mod begin;
mod decide;
mod holds;
mod inquiry;
mod pay;
pub mod record;
mod saga;

use std::sync::Arc;

use tokio::sync::oneshot;

use super::clock;
use super::committer::Core;
use super::outbox::{Outbox, Waiting};
use super::writer::{After, Writer};
use crate::client::Client;
use crate::domain::card::Card;
use crate::domain::time::Timestamp;
use crate::payment::PaymentGateway;
use crate::routing::OrderId;
use crate::storage::RecordKind;
use crate::storage::codec;
use saga::Saga;

pub use inquiry::ask_for_ever;

/// What drives a shard's orders.
pub struct Orders {
    core: Arc<Core>,
    /// To all shards; `None` when their addresses were not given.
    client: Option<Client>,
    gateway: Arc<dyn PaymentGateway>,
}

/// Who waits for an order's answer.
pub struct Customer {
    /// The session's.
    pub outbox: Arc<Outbox>,
    /// The request's number in it.
    pub id: u64,
}

impl Orders {
    /// Over a shard's writer.
    pub fn new(core: Arc<Core>, client: Option<Client>, gateway: Arc<dyn PaymentGateway>) -> Arc<Self> {
        Arc::new(Orders { core, client, gateway })
    }

    /// Goes on with an order that was just begun, and answers its customer.
    pub fn drive(self: &Arc<Self>, order: OrderId, card: Option<Card>, customer: Customer) {
        tokio::spawn(Saga::begun(self.clone(), order, card, customer));
    }

    /// Goes on with every order that is not done with.
    pub fn resume(self: &Arc<Self>) {
        let mut open = Vec::new();
        self.core.lock().state().each(RecordKind::OpenOrder, |record| open.extend(codec::decode_order(record.value())));
        for order in open {
            tracing::info!(order = %order.id, status = order.status.name(), "resuming an order");
            tokio::spawn(Saga::resumed(self.clone(), order));
        }
    }

    /// Applies a change and returns once everything it was computed from is durable.
    async fn durably<T>(&self, change: impl FnOnce(&mut Writer, Timestamp) -> T) -> T {
        let (result, step) = {
            let mut writer = self.core.lock();
            let (result, after) = writer.apply(|writer| change(writer, clock::now()));
            let step = (after != After::Nothing).then(|| {
                let (durable, step) = oneshot::channel();
                writer.wait(after, Waiting::Step(durable));
                step
            });
            self.core.commit(writer);
            (result, step)
        };
        if let Some(step) = step {
            // A commit that fails ends the process.
            let _ = step.await;
        }
        result
    }
}
