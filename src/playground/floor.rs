//! What all shoppers share: the store, what is known of its stock, the counts, and how patient they are.

use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::action::{Action, Fact, Question, Refusal, Store};
use super::products;
use super::stock::{Movement, Stock};
use super::tally::Tally;
use crate::remote::{IdempotencyKey, Outcome};

/// How long shoppers wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The time of one call with its retries. A change that is then not applied is given up; one whose outcome is not
    /// known is asked for again, under its key, until it is.
    pub call: Duration,
    /// The pause between two such calls.
    pub pause: Duration,
    /// The pause between two looks at stock that has to come to rest. Orders of dead shards are looked after every 2 s.
    pub rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // A store answers an order within 10 s.
        Patience { call: Duration::from_secs(15), pause: Duration::from_secs(1), rest: Duration::from_millis(200) }
    }
}

/// What all shoppers share.
pub struct Floor<S> {
    /// The store.
    pub store: S,
    /// The pieces of products that shoppers know of.
    pub stock: Stock,
    /// The counts.
    pub tally: Tally,
    /// Limits the shoppers that wait for an order at a time: while the payment gateway is away, the others go on.
    pub orders: Semaphore,
    /// How long they wait.
    pub patience: Patience,
}

/// What became of a change, for good.
pub enum Resolved {
    /// The store acknowledged it.
    Done(Fact),
    /// It refused it.
    Refused(Refusal),
    /// It did not apply it in time, and will not.
    GivenUp,
}

impl<S: Store> Floor<S> {
    /// Makes the floor of this many shoppers.
    pub fn new(store: S, shoppers: usize, patience: Patience) -> Self {
        let orders = Semaphore::new(shoppers.div_ceil(2));
        Floor { store, stock: Stock::of(products::PRODUCTS), tally: Tally::default(), orders, patience }
    }

    /// Asks for a change until its outcome is known, however long that takes, and counts it.
    pub async fn act(&self, action: &Action, movement: Option<&Movement>) -> Resolved {
        if let Some(movement) = movement {
            self.stock.ask(movement);
        }
        let (key, asked) = (IdempotencyKey::random(), Instant::now());
        let mut unknown = None;
        let resolved = loop {
            let reply = self.store.act(action, &key, self.patience.call).await;
            self.tally.retried.add(u64::from(reply.attempts.saturating_sub(1)));
            self.tally.note_wait(asked.elapsed());
            match reply.said {
                Ok(fact) => break Resolved::Done(fact),
                Err(refusal) if unknown.is_none() && refusal.outcome == Outcome::NotApplied => break Resolved::GivenUp,
                Err(refusal) if is_final(&refusal, unknown.is_some()) => break Resolved::Refused(refusal),
                Err(_) => {}
            }
            unknown.get_or_insert_with(|| self.tally.unknown_outcome());
            sleep(self.patience.pause).await;
            self.tally.retried.add(1);
        };
        drop(unknown);
        self.count(action, &resolved);
        if let Some(movement) = movement {
            self.stock.settle(movement, matches!(resolved, Resolved::Done(_)));
        }
        resolved
    }

    fn count(&self, action: &Action, resolved: &Resolved) {
        let is_order = matches!(action, Action::CheckOut { .. } | Action::Purchase { .. });
        let is_done = matches!(resolved, Resolved::Done(_));
        if is_done { &self.tally.acknowledged } else { &self.tally.refused }.add(1);
        if is_done && matches!(action, Action::Cancel { .. }) {
            self.tally.orders_cancelled.add(1);
        }
        if is_order {
            if is_done { &self.tally.orders_created } else { &self.tally.orders_refused }.add(1);
        }
    }

    /// Asks a question; `None` while the store does not answer.
    pub async fn tell(&self, question: &Question) -> Option<Result<Fact, Refusal>> {
        let reply = self.store.tell(question, self.patience.call).await;
        self.tally.retried.add(u64::from(reply.attempts.saturating_sub(1)));
        match reply.said {
            Err(refusal) if !is_final(&refusal, false) => None,
            said => Some(said),
        }
    }

    /// Reads a product and returns by how many pieces it is off; `None` while the store does not answer. With `at_rest`
    /// nobody shops, and nothing may be held.
    pub async fn check_product(&self, product: usize, at_rest: bool) -> Option<u64> {
        let before = self.stock.known(product);
        match self.tell(&Question::Product(products::id(product))).await? {
            Ok(Fact::Product(shown)) => {
                let after = self.stock.known(product);
                Some(if at_rest { shown.drift_at_rest(&after) } else { shown.drift(&before, &after) })
            }
            Err(refusal) if refusal.outcome == Outcome::NotFound => {
                if self.stock.note_gone(product) {
                    self.tally.note_lost(|| format!("{} is gone", products::id(product)));
                }
                Some(0)
            }
            Ok(_) | Err(_) => None,
        }
    }
}

/// True when a refusal says for good that nothing was applied, also by an earlier call whose outcome is not known: a store
/// looks for the answer of that call before it gives these.
fn is_final(refusal: &Refusal, is_unknown: bool) -> bool {
    match refusal.outcome {
        Outcome::NotFound | Outcome::Conflict => true,
        Outcome::Refused | Outcome::Denied => !is_unknown || refusal.code == "card_declined",
        Outcome::Done | Outcome::NotApplied | Outcome::Unknown => false,
    }
}
