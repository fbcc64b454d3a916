//! What a shopper knows about one of its orders: it was acknowledged, so it stands until it is cancelled, and its delivery
//! is where it was moved.

use super::action::{Action, Delivery, Fact, Order, Question, Refusal, Store};
use super::cart::{Difference, Lines};
use super::floor::Floor;
use crate::remote::Outcome;

const CREATED: &str = "created";
const SCHEDULED: &str = "scheduled";
const DISPATCHED: &str = "dispatched";
const DELIVERED: &str = "delivered";
const CANCELLED: &str = "cancelled";

/// An order that the store acknowledged.
#[derive(Debug, Clone)]
pub struct KnownOrder {
    id: String,
    lines: Lines,
    status: &'static str,
    /// The delivery and its status.
    delivery: Option<(String, &'static str)>,
}

impl KnownOrder {
    /// Notes an acknowledged order.
    pub fn of(order: Order) -> Self {
        let delivery = order.delivery.map(|delivery| (delivery, SCHEDULED));
        KnownOrder { id: order.id, lines: order.lines, status: CREATED, delivery }
    }

    /// What was ordered.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// True when an action is about this order or its delivery.
    pub fn concerns(&self, action: &Action) -> bool {
        match action {
            Action::Deliver { order } | Action::Cancel { order } => *order == self.id,
            Action::Move { delivery, .. } => self.delivery.as_ref().is_some_and(|(id, _)| id == delivery),
            _ => false,
        }
    }

    /// The next step towards the customer; `None` once it is delivered or cancelled.
    pub fn next_action(&self) -> Option<Action> {
        match &self.delivery {
            _ if self.status == CANCELLED => None,
            None => Some(Action::Deliver { order: self.id.clone() }),
            Some((delivery, SCHEDULED)) => Some(Action::Move { delivery: delivery.clone(), status: DISPATCHED }),
            Some((delivery, DISPATCHED)) => Some(Action::Move { delivery: delivery.clone(), status: DELIVERED }),
            Some(_) => None,
        }
    }

    /// Cancelling it, while that is possible: its goods are not dispatched.
    pub fn cancellation(&self) -> Option<Action> {
        let is_here = self.delivery.as_ref().is_none_or(|(_, status)| *status == SCHEDULED);
        (self.status == CREATED && is_here).then(|| Action::Cancel { order: self.id.clone() })
    }

    /// Notes that it is cancelled, and with it its delivery. What the answer shows must be this order, cancelled.
    pub fn cancel(&mut self, shown: &Order) -> Difference {
        self.status = CANCELLED;
        if let Some((_, status)) = &mut self.delivery {
            *status = CANCELLED;
        }
        lost_if(shown.id != self.id || shown.status != CANCELLED || shown.lines != self.lines)
    }

    /// Notes the acknowledged step. What the answer shows must be that step.
    pub fn advance(&mut self, asked: &Action, shown: &Delivery) -> Difference {
        let status = match asked {
            Action::Move { status, .. } => status,
            _ => SCHEDULED,
        };
        self.delivery = Some((shown.id.clone(), status));
        lost_if(shown.order != self.id || shown.status != status)
    }

    /// Reads the order and its delivery and compares them with what was acknowledged. `None` while the store does not answer.
    pub async fn check<S: Store>(&self, floor: &Floor<S>) -> Option<Difference> {
        let order = match floor.tell(&Question::Order(self.id.clone())).await? {
            Ok(Fact::Order(shown)) => lost_if(shown.status != self.status || shown.lines != self.lines),
            said => is_gone(said)?,
        };
        let Some((delivery, status)) = &self.delivery else { return Some(order) };
        let delivery = match floor.tell(&Question::Delivery(delivery.clone())).await? {
            Ok(Fact::Delivery(shown)) => lost_if(shown.status != *status || shown.order != self.id),
            said => is_gone(said)?,
        };
        Some(Difference { lost: order.lost + delivery.lost, applied_twice: 0 })
    }

    /// The order and its delivery, for people.
    pub fn describe(&self) -> String {
        let delivery = self.delivery.as_ref().map(|(id, status)| format!(" with the delivery {id}, {status},"));
        format!(
            "the order {}{} was acknowledged as {} and is not so",
            self.id,
            delivery.unwrap_or_default(),
            self.status
        )
    }
}

fn lost_if(is_lost: bool) -> Difference {
    Difference { lost: u64::from(is_lost), applied_twice: 0 }
}

/// The loss of what is not found; `None` for any other answer, which says nothing.
fn is_gone(said: Result<Fact, Refusal>) -> Option<Difference> {
    let refusal = said.err()?;
    (refusal.outcome == Outcome::NotFound).then(|| lost_if(true))
}
