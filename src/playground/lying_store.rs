//! A store in memory that keeps its word, or breaks it in one way: the checker is checked with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::yield_now;

use super::action::{Action, Delivery, Fact, Order, Question, Refusal, Reply, Store};
use super::cart::{Line, Lines};
use super::stock::Shown;
use crate::remote::{IdempotencyKey, Outcome};

/// The way in which a store breaks its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// It keeps its word.
    None,
    /// It acknowledges a change of a cart and does not make it.
    LoseChange,
    /// It empties a cart that nobody asks for.
    LoseCart,
    /// It forgets the answer to a change that it made, so that a retry makes it again.
    ForgetAnswer,
    /// It forgets an order.
    LoseOrder,
    /// It forgets a move of a delivery.
    LoseMove,
    /// It acknowledges that an order is cancelled, and it is not.
    LoseCancellation,
    /// It takes back more of a cancelled order than was sold.
    ReturnMore,
    /// It forgets a product.
    LoseProduct,
    /// It acknowledges new stock that does not come.
    LoseStock,
    /// It sells one copy more than it says.
    SellMore,
    /// It acknowledges a sale and keeps the copy.
    SellNothing,
    /// It keeps a copy for an order that it refused.
    KeepHold,
    /// A product's sum is wrong.
    MisCount,
}

impl Lie {
    /// Every way.
    pub const ALL: [Lie; 13] = [
        Lie::LoseChange,
        Lie::LoseCart,
        Lie::ForgetAnswer,
        Lie::LoseOrder,
        Lie::LoseMove,
        Lie::LoseCancellation,
        Lie::ReturnMore,
        Lie::LoseProduct,
        Lie::LoseStock,
        Lie::SellMore,
        Lie::SellNothing,
        Lie::KeepHold,
        Lie::MisCount,
    ];
}

#[derive(Default)]
struct State {
    carts: HashMap<String, Lines>,
    products: HashMap<String, Shown>,
    orders: HashMap<String, Order>,
    deliveries: HashMap<String, Delivery>,
    answers: HashMap<String, Result<Fact, Refusal>>,
    ids: u64,
    /// The number of lies told so far.
    lies: u32,
}

/// A store in memory.
pub struct LyingStore {
    state: Mutex<State>,
    random: Mutex<Rng>,
    lie: Lie,
}

fn refuse(outcome: Outcome, code: &str) -> Result<Fact, Refusal> {
    Err(Refusal { outcome, code: code.into(), detail: "for a test".into() })
}

impl LyingStore {
    /// A store that lies once.
    pub fn new(lie: Lie, seed: u64) -> Self {
        LyingStore { state: Mutex::default(), random: Mutex::new(Rng::with_seed(seed)), lie }
    }

    /// True once it has lied in a way that could be seen.
    pub fn has_lied(&self) -> bool {
        self.state().lies > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One time of so many.
    fn chance(&self, of: u32) -> bool {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).u32(0..of) == 0
    }

    /// True when this lie is to be told now: once, and not at the first opportunity.
    fn lies(&self, state: &mut State, lie: Lie) -> bool {
        let now = self.lie == lie && state.lies == 0 && self.chance(5);
        state.lies += u32::from(now);
        now
    }

    fn apply(&self, state: &mut State, action: &Action) -> Result<Fact, Refusal> {
        match action {
            Action::Add { customer, item, line } => self.change_cart(state, customer, |lines| {
                let kept = lines.entry(item.clone()).or_insert(Line { count: 0, price: line.price });
                *kept = Line { count: kept.count + line.count, price: line.price };
                true
            }),
            Action::Set { customer, item, count } => {
                self.change_cart(state, customer, |lines| lines.get_mut(item).map(|line| line.count = *count).is_some())
            }
            Action::Remove { customer, item } => {
                self.change_cart(state, customer, |lines| lines.remove(item).is_some())
            }
            Action::Empty { customer } => match state.carts.remove(customer) {
                Some(lines) if !lines.is_empty() => Ok(Fact::Cart(lines)),
                _ => refuse(Outcome::NotFound, "not_found"),
            },
            Action::CheckOut { customer, with_address } => self.check_out(state, customer, *with_address),
            Action::Purchase { product } => {
                let lines = [(product.clone(), 1)];
                self.sell(state, &lines).map(|()| Fact::Done)
            }
            Action::Deliver { order } => match state.orders.contains_key(order) {
                true => Ok(Fact::Delivery(Self::schedule(state, order))),
                false => refuse(Outcome::NotFound, "not_found"),
            },
            Action::Move { delivery, status } => {
                let is_lost = self.lies(state, Lie::LoseMove);
                let Some(kept) = state.deliveries.get_mut(delivery) else {
                    return refuse(Outcome::NotFound, "not_found");
                };
                let before = if *status == "dispatched" { "scheduled" } else { "dispatched" };
                if kept.status != before {
                    return refuse(Outcome::Conflict, "wrong_state");
                }
                let moved = Delivery { status: (*status).to_owned(), ..kept.clone() };
                if !is_lost {
                    *kept = moved.clone();
                }
                Ok(Fact::Delivery(moved))
            }
            Action::Cancel { order } => self.cancel(state, order),
            Action::Create { product, stock } => {
                let shown = Shown { stock: *stock, held: 0, sold: 0, received: *stock };
                state.products.insert(product.clone(), shown);
                Ok(Fact::Done)
            }
            Action::Replenish { product, quantity } => {
                let is_lost = self.lies(state, Lie::LoseStock);
                let Some(shown) = state.products.get_mut(product) else {
                    return refuse(Outcome::NotFound, "not_found");
                };
                if !is_lost {
                    shown.stock += quantity;
                    shown.received += quantity;
                }
                Ok(Fact::Done)
            }
        }
    }

    fn change_cart(
        &self,
        state: &mut State,
        customer: &str,
        change: impl FnOnce(&mut Lines) -> bool,
    ) -> Result<Fact, Refusal> {
        let before = state.carts.get(customer).cloned().unwrap_or_default();
        let mut after = before.clone();
        if !change(&mut after) {
            return refuse(Outcome::NotFound, "not_found");
        }
        let is_lost = before != after && self.lies(state, Lie::LoseChange);
        state.carts.insert(customer.to_owned(), if is_lost { before } else { after.clone() });
        if !after.is_empty() && !is_lost && self.lies(state, Lie::LoseCart) {
            state.carts.remove(customer);
        }
        Ok(Fact::Cart(after))
    }

    fn check_out(&self, state: &mut State, customer: &str, with_address: bool) -> Result<Fact, Refusal> {
        let lines = state.carts.get(customer).cloned().unwrap_or_default();
        if lines.is_empty() {
            return refuse(Outcome::NotFound, "not_found");
        }
        if self.chance(10) {
            if self.lies(state, Lie::KeepHold)
                && let Some(shown) = lines.keys().next().and_then(|item| state.products.get_mut(item))
            {
                shown.stock -= 1;
                shown.held += 1;
            }
            return refuse(Outcome::Refused, "card_declined");
        }
        let sold: Vec<_> = lines.iter().map(|(item, line)| (item.clone(), u64::from(line.count))).collect();
        self.sell(state, &sold)?;
        state.carts.remove(customer);
        state.ids += 1;
        let id = format!("order-{}", state.ids);
        let delivery = with_address.then(|| Self::schedule(state, &id).id);
        let order = Order { id: id.clone(), status: "created".into(), lines, delivery };
        if !self.lies(state, Lie::LoseOrder) {
            state.orders.insert(id, order.clone());
        }
        Ok(Fact::Order(order))
    }

    fn sell(&self, state: &mut State, lines: &[(String, u64)]) -> Result<(), Refusal> {
        for (item, count) in lines {
            match state.products.get(item) {
                None => return refuse(Outcome::NotFound, "unknown_product").map(drop),
                Some(shown) if shown.stock < *count => return refuse(Outcome::Conflict, "out_of_stock").map(drop),
                Some(_) => {}
            }
        }
        let stock = |item: &String| state.products.get(item).map_or(0, |shown| shown.stock);
        let can_be_more = lines.iter().any(|(item, count)| stock(item) > *count);
        let more = u64::from(can_be_more && self.lies(state, Lie::SellMore));
        let is_kept = self.lies(state, Lie::SellNothing);
        for (item, count) in lines.iter().filter(|_| !is_kept) {
            if let Some(shown) = state.products.get_mut(item) {
                let count = (count + more).min(shown.stock);
                shown.stock -= count;
                shown.sold += count;
            }
        }
        if self.lies(state, Lie::MisCount)
            && let Some(shown) = lines.first().and_then(|(item, _)| state.products.get_mut(item))
        {
            shown.stock += 1;
        }
        if self.lies(state, Lie::LoseProduct) {
            state.products.remove(&lines[0].0);
        }
        Ok(())
    }

    fn cancel(&self, state: &mut State, id: &str) -> Result<Fact, Refusal> {
        let Some(order) = state.orders.get(id).cloned() else { return refuse(Outcome::NotFound, "not_found") };
        let cancelled = Order { status: "cancelled".into(), ..order };
        if self.lies(state, Lie::LoseCancellation) {
            return Ok(Fact::Order(cancelled));
        }
        let mut deliveries: Vec<_> = state.deliveries.values_mut().filter(|delivery| delivery.order == id).collect();
        if deliveries.iter().any(|delivery| delivery.status != "scheduled") {
            return refuse(Outcome::Conflict, "order_dispatched");
        }
        deliveries.iter_mut().for_each(|delivery| delivery.status = "cancelled".into());
        let more = u64::from(self.lies(state, Lie::ReturnMore));
        for (item, line) in &cancelled.lines {
            if let Some(shown) = state.products.get_mut(item) {
                let count = u64::from(line.count) + more;
                shown.sold = shown.sold.saturating_sub(count);
                shown.stock += count;
            }
        }
        state.orders.insert(id.to_owned(), cancelled.clone());
        Ok(Fact::Order(cancelled))
    }

    fn schedule(state: &mut State, order: &str) -> Delivery {
        state.ids += 1;
        let delivery =
            Delivery { id: format!("delivery-{}", state.ids), order: order.to_owned(), status: "scheduled".into() };
        state.deliveries.insert(delivery.id.clone(), delivery.clone());
        delivery
    }

    /// Applies a change once under its key.
    fn once(&self, action: &Action, key: &str) -> Result<Fact, Refusal> {
        let mut state = self.state();
        if let Some(answer) = state.answers.get(key) {
            return answer.clone();
        }
        let answer = self.apply(&mut state, action);
        state.answers.insert(key.to_owned(), answer.clone());
        answer
    }
}

impl Store for LyingStore {
    async fn act(&self, action: &Action, key: &IdempotencyKey, _: Duration) -> Reply {
        yield_now().await;
        if self.chance(20) {
            return Reply { said: refuse(Outcome::NotApplied, ""), attempts: 3 };
        }
        if self.chance(20) {
            // The request is lost.
            return Reply { said: refuse(Outcome::Unknown, ""), attempts: 2 };
        }
        let said = self.once(action, key.as_str());
        yield_now().await;
        if said.is_ok() && self.chance(10) {
            // The answer is lost.
            let mut state = self.state();
            let is_seen = matches!(action, Action::Add { .. } | Action::Purchase { .. } | Action::Replenish { .. });
            if is_seen && self.lies(&mut state, Lie::ForgetAnswer) {
                state.answers.remove(key.as_str());
            }
            return Reply { said: refuse(Outcome::Unknown, ""), attempts: 2 };
        }
        Reply { said, attempts: 1 }
    }

    async fn tell(&self, question: &Question, _: Duration) -> Reply {
        yield_now().await;
        let state = self.state();
        let found = match question {
            Question::Cart(id) => Some(Fact::Cart(state.carts.get(id).cloned().unwrap_or_default())),
            Question::Product(id) => state.products.get(id).copied().map(Fact::Product),
            Question::Order(id) => state.orders.get(id).cloned().map(Fact::Order),
            Question::Delivery(id) => state.deliveries.get(id).cloned().map(Fact::Delivery),
        };
        Reply { said: found.map_or_else(|| refuse(Outcome::NotFound, "not_found"), Ok), attempts: 1 }
    }
}
