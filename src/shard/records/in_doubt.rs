//! What a shard asks the homes of orders about: stock that it holds for them, and stock that it took back from them.

use super::reservations;
use super::returns::{self, Noted};
use crate::domain::reservation::{Reservation, Return};
use crate::error::Result;
use crate::shard::engine::Transaction;

/// The reason to ask an order's home for its decision.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Stock is held for the order.
    Held(Reservation),
    /// Stock of the order was taken back.
    Returned(Return),
}

/// The questions that are due now, at most `limit`.
///
/// # Errors
/// [`crate::error::Error::Internal`] for a damaged record.
pub fn due(txn: &mut Transaction<'_>, limit: usize) -> Result<Vec<Question>> {
    let now = txn.now();
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(next) = txn.indexes_mut().in_doubt.pop_due(now) else { break };
        let question = match reservations::peek(txn, next.hash, next.id)? {
            Some(reservation) => Some(Question::Held(reservation)),
            None => match returns::find_open(txn, next.hash, next.id)? {
                // What was settled meanwhile has no record.
                Noted::Nothing => continue,
                Noted::Closed => None,
                Noted::Open(returned) => Some(Question::Returned(returned)),
            },
        };
        found.extend(question);
        txn.indexes_mut().in_doubt.push(next.hash, next.id, now);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::test_shard::{held, order, settled, shard};
    use super::*;
    use crate::domain::reservation::Settlement;
    use crate::domain::time::Timestamp;
    use crate::routing::{OrderId, Slot};
    use crate::shard::engine::ASK_INTERVAL_MICROS;

    fn order_of(question: &Question) -> OrderId {
        match question {
            Question::Held(reservation) => reservation.order,
            Question::Returned(returned) => returned.order,
        }
    }

    #[test]
    fn what_is_past_the_limit_is_asked_about_the_next_time() {
        const LIMIT: usize = 3;
        let (mut writer, id) = shard(9);
        (1..=5).for_each(|number| _ = held(&mut writer, order(number), &id, 1));
        let now = Timestamp::from_micros(ASK_INTERVAL_MICROS).unwrap();
        let mut next = || {
            let found = due(&mut Transaction::begin(&mut writer, now), LIMIT).unwrap();
            found.iter().map(order_of).collect::<Vec<_>>()
        };
        assert_eq!([next(), next(), next()], [vec![order(1), order(2), order(3)], vec![order(4), order(5)], vec![]]);
    }

    #[test]
    fn only_orders_of_other_shards_that_still_hold_are_asked_about() {
        let (mut writer, id) = shard(9);
        let ours = OrderId::new(Slot(0), 0, 0);
        for order in [order(1), order(2), ours] {
            held(&mut writer, order, &id, 1);
        }
        settled(&mut writer, order(1), &id, Settlement::Claim);
        let at = |micros| Timestamp::from_micros(micros).unwrap();
        assert!(due(&mut Transaction::begin(&mut writer, at(ASK_INTERVAL_MICROS - 1)), 10).unwrap().is_empty());
        let orders = |found: Vec<Question>| found.iter().map(order_of).collect::<Vec<_>>();
        assert_eq!(orders(due(&mut Transaction::begin(&mut writer, at(ASK_INTERVAL_MICROS)), 10).unwrap()), [order(2)]);
        assert!(due(&mut Transaction::begin(&mut writer, at(ASK_INTERVAL_MICROS)), 10).unwrap().is_empty());
        assert_eq!(
            orders(due(&mut Transaction::begin(&mut writer, at(2 * ASK_INTERVAL_MICROS)), 10).unwrap()),
            [order(2)]
        );
    }
}
