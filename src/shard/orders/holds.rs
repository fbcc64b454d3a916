//! An order's stock on all the shards that have some of it: held, and once the order is decided,
//! claimed or released.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::Orders;
use crate::domain::order::{Order, Wanted};
use crate::domain::reservation::{Holding, Ruling};
use crate::error::{Error, Result};
use crate::protocol::{Command, Hold, Outcome, Request, Settle};
use crate::shard::reservations;

/// How long shards that do not answer are asked to hold stock.
pub const HOLD_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause before a shard is asked again; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses that double.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Pauses(FIRST_PAUSE)
    }
}

impl Pauses {
    /// Waits for the next pause.
    pub async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

impl Orders {
    /// Positions of an order's lines by the shard that has them; `None` stands for this one.
    fn by_shard(&self, order: &Order) -> BTreeMap<Option<usize>, Vec<usize>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (position, line) in order.lines.iter().enumerate() {
            let hash = line.product.hash();
            let is_ours = self.core.lock().owns(hash);
            let owner = self.client.as_ref().map_or(usize::MAX, |client| client.owner(hash));
            groups.entry((!is_ours).then_some(owner)).or_default().push(position);
        }
        groups
    }

    /// Holds all lines of an order, or looks; what it found of each.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a shard does not answer in time.
    pub async fn hold(&self, order: &Order, only_look: bool, deadline: Instant) -> Result<Vec<Holding>> {
        let groups = self.by_shard(order);
        let asked = groups.into_iter().map(|(shard, positions)| async move {
            let lines = positions.iter().map(|at| &order.lines[*at]);
            let lines = lines.map(|line| Wanted { product: line.product.clone(), count: line.count });
            let hold = Hold { order: order.id, lines: lines.collect(), only_look };
            let found = match shard {
                None => self.durably(|writer, now| reservations::hold(writer, &hold, now)).await?,
                Some(_) => self.hold_elsewhere(hold, deadline).await?,
            };
            Ok((positions, found))
        });
        let mut holdings = vec![Holding::Unknown; order.lines.len()];
        for answer in join_all(asked).await {
            let (positions, found): (Vec<usize>, Vec<Holding>) = answer?;
            for (at, holding) in positions.into_iter().zip(found) {
                holdings[at] = holding;
            }
        }
        Ok(holdings)
    }

    async fn hold_elsewhere(&self, hold: Hold, deadline: Instant) -> Result<Vec<Holding>> {
        let Some(client) = &self.client else {
            return Err(Error::Unavailable("this shard was not told the addresses of the others (--peers)".into()));
        };
        let request = Request::new(Command::Hold(hold));
        let mut pauses = Pauses::default();
        let mut last = "it did not answer in time".to_owned();
        let asking = async {
            loop {
                match client.call(&request).await.result.map(|answer| answer.outcome) {
                    Ok(Outcome::Holdings(found)) => return found,
                    Ok(_) => "it answered something else".clone_into(&mut last),
                    Err(error) => error.detail().clone_into(&mut last),
                }
                pauses.pause().await;
            }
        };
        match timeout_at(deadline, asking).await {
            Ok(found) => Ok(found),
            Err(_) => Err(Error::Unavailable(format!("a product's shard could not be asked: {last}"))),
        }
    }

    /// Claims or releases on the other shards what a decided order holds there; this shard's part was in
    /// the decision's commit. Goes on until each has answered.
    pub async fn settle_elsewhere(&self, order: &Order, ruling: Ruling) {
        let groups = self.by_shard(order);
        let others = groups.into_iter().filter(|(shard, _)| shard.is_some());
        join_all(others.map(|(_, positions)| async move {
            let products = positions.iter().map(|at| order.lines[*at].product.clone()).collect();
            self.settle_one(Settle { order: order.id, products, ruling }).await;
        }))
        .await;
    }

    async fn settle_one(&self, settle: Settle) {
        let Some(client) = &self.client else { return };
        let order = settle.order;
        let request = Request::new(Command::Settle(settle));
        let mut pauses = Pauses::default();
        while let Err(error) = client.call(&request).await.result {
            tracing::debug!(%order, %error, "a product's shard could not be told what becomes of its stock");
            pauses.pause().await;
        }
    }
}
