//! Stock that orders hold, on the product's shard: held by order, claimed or released by order, and
//! asked about when its order does not come back to it.

use std::collections::VecDeque;

use super::expiring::{LIFETIME_MICROS, ShortId};
use super::products;
use super::writer::Writer;
use crate::domain::order::Wanted;
use crate::domain::product::Product;
use crate::domain::reservation::{Held, Holding, Reservation, Ruling};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::protocol::{Hold, Settle};
use crate::routing::{KeyHash, OrderId, ProductId};
use crate::storage::RecordKind;
use crate::storage::codec::{self, Settlement};

/// The most reservations on one shard; past that holds are refused.
pub const MAX_RESERVATIONS: u64 = 1_000_000;
/// How long after a hold, and after each answer, its order's home is asked, in microseconds.
const ASK_INTERVAL_MICROS: i64 = 2_000_000;

/// A reservation whose order's home is another shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    ask_at: Timestamp,
    hash: KeyHash,
    id: ShortId,
}

/// Reservations for orders of other shards, in the order in which they are to be asked about. What was
/// settled meanwhile is left out when its turn comes.
#[derive(Default)]
pub struct Unruled(VecDeque<Waiting>);

impl Unruled {
    /// Adds one that was just held, or answered for with "keep".
    pub fn push(&mut self, hash: KeyHash, id: ShortId, now: Timestamp) {
        let ask_at = Timestamp::from_micros(now.micros() + ASK_INTERVAL_MICROS).unwrap_or(now);
        self.0.push_back(Waiting { ask_at, hash, id });
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<Waiting> {
        self.0.front().is_some_and(|waiting| waiting.ask_at <= now).then(|| self.0.pop_front())?
    }
}

/// The id of what an order holds of a product.
pub fn id_of(order: OrderId, product: &ProductId) -> ShortId {
    ShortId::new(RecordKind::Reservation, order.as_bytes(), product.as_str().as_bytes())
}

fn find(writer: &mut Writer, product: &ProductId, id: ShortId) -> Result<Option<Reservation>> {
    let record = writer.read(product.hash(), RecordKind::Reservation, &id.0);
    record.map(codec::decode_reservation).transpose()
}

/// Reservations that it is time to ask about, at most `limit`.
pub fn due(writer: &mut Writer, now: Timestamp, limit: usize) -> Vec<Reservation> {
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(waiting) = writer.unruled.pop_due(now) else { break };
        let record = writer.state().get(waiting.hash, RecordKind::Reservation, &waiting.id.0);
        if let Some(reservation) = record.and_then(|record| codec::decode_reservation(record).ok()) {
            writer.unruled.push(waiting.hash, waiting.id, now);
            found.push(reservation);
        }
    }
    found
}

/// Holds all lines or none, and says what it found of each.
///
/// # Errors
/// [`Error::WrongSlot`] for another shard's product, [`Error::Exhausted`] past a limit.
pub fn hold(writer: &mut Writer, hold: &Hold, now: Timestamp) -> Result<Vec<Holding>> {
    fail_point::hit("holding");
    hold.lines.iter().try_for_each(|line| writer.check_owner(line.product.hash()))?;
    let is_full = writer.state().count(RecordKind::Reservation) + hold.lines.len() as u64 > MAX_RESERVATIONS;
    if !hold.only_look && (is_full || writer.settlements.is_full()) {
        return Err(Error::Exhausted("too many reservations on this shard; nothing was applied".into()));
    }
    let mut holdings = Vec::with_capacity(hold.lines.len());
    for line in &hold.lines {
        holdings.push(look(writer, hold.order, line)?);
    }
    let is_enough = holdings.iter().all(|holding| matches!(holding, Holding::Enough(_)));
    if is_enough && !hold.only_look {
        for (line, holding) in hold.lines.iter().zip(&mut holdings) {
            if let Holding::Enough(held) = holding {
                held.available = take(writer, hold.order, line, now)?.unwrap_or(held.available);
            }
        }
    }
    Ok(holdings)
}

fn look(writer: &mut Writer, order: OrderId, line: &Wanted) -> Result<Holding> {
    let id = id_of(order, &line.product);
    if let Some(reservation) = find(writer, &line.product, id)? {
        let product = products::find(writer, &line.product)?;
        return Ok(Holding::Enough(Held {
            price: reservation.price,
            has_isbn: reservation.has_isbn,
            available: product.as_ref().map_or(0, |product| product.stock),
            title: product.map(|product| product.details.title).unwrap_or_default(),
        }));
    }
    if writer.settlements.contains(id) {
        return Ok(Holding::Settled);
    }
    let Some(product) = products::find(writer, &line.product)? else { return Ok(Holding::Unknown) };
    let is_enough = product.stock >= u64::from(line.count);
    let held = Held {
        price: product.details.price,
        has_isbn: product.details.has_isbn,
        available: product.stock,
        title: product.details.title,
    };
    Ok(if is_enough { Holding::Enough(held) } else { Holding::Short { product: held } })
}

/// Takes the stock of one line; what is left. `None` when the order has it already.
fn take(writer: &mut Writer, order: OrderId, line: &Wanted, now: Timestamp) -> Result<Option<u64>> {
    let (hash, id) = (line.product.hash(), id_of(order, &line.product));
    if find(writer, &line.product, id)?.is_some() {
        return Ok(None);
    }
    let old = products::find(writer, &line.product)?.ok_or_else(products::no_such_product)?;
    let mut product = old.clone();
    product.hold(line.count)?;
    products::put(writer, &line.product, Some(&old), &mut product);
    let reservation = Reservation {
        version: writer.next_version(),
        order,
        product: line.product.clone(),
        incarnation: product.incarnation,
        count: line.count,
        price: product.details.price,
        has_isbn: product.details.has_isbn,
        held_at: now,
    };
    writer.put(hash, RecordKind::Reservation, &id.0, &codec::encode_reservation(&reservation));
    if !writer.owns(order.hash()) {
        writer.unruled.push(hash, id, now);
    }
    Ok(Some(product.stock))
}

/// Claims or releases what an order holds of some products. What it does not hold it will not get
/// either: a hold that comes later finds that the order was settled.
///
/// # Errors
/// [`Error::WrongSlot`] for another shard's product.
pub fn settle(writer: &mut Writer, settle: &Settle, now: Timestamp) -> Result<()> {
    fail_point::hit("settling");
    settle.products.iter().try_for_each(|product| writer.check_owner(product.hash()))?;
    for product in &settle.products {
        let id = id_of(settle.order, product);
        end(writer, settle.order, product, settle.ruling)?;
        // An order of this shard holds and settles in order, so no hold of its can be late.
        if !writer.owns(settle.order.hash()) && !writer.settlements.contains(id) {
            let expires_at = Timestamp::from_micros(now.micros() + LIFETIME_MICROS)?;
            let claimed = settle.ruling == Ruling::Claim;
            let settlement = Settlement { version: writer.next_version(), expires_at, claimed };
            writer.put(product.hash(), RecordKind::Settlement, &id.0, &codec::encode_settlement(&settlement));
            writer.settlements.insert(product.hash(), id, expires_at);
        }
    }
    Ok(())
}

/// Ends a reservation, if there is one. A product that was deleted meanwhile, or made again, is
/// another one: its stock does not change.
fn end(writer: &mut Writer, order: OrderId, id: &ProductId, ruling: Ruling) -> Result<()> {
    let short_id = id_of(order, id);
    let Some(reservation) = find(writer, id, short_id)? else { return Ok(()) };
    writer.delete(id.hash(), RecordKind::Reservation, &short_id.0);
    let is_same = |product: &Product| product.incarnation == reservation.incarnation;
    let Some(old) = products::find(writer, id)?.filter(is_same) else { return Ok(()) };
    let mut product = old.clone();
    match ruling {
        Ruling::Claim => product.claim(reservation.count),
        Ruling::Release | Ruling::Keep => product.release(reservation.count),
    }
    products::put(writer, id, Some(&old), &mut product);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::money::Money;
    use crate::domain::product::Details;
    use crate::routing::{SLOTS, Slot};
    use crate::shard::writer::Contents;
    use crate::storage::MemoryStorage;

    /// A shard with half of the slots, and a product of its own.
    fn shard(stock: u64) -> (Writer, ProductId) {
        let mut writer = Writer::new(Contents::default(), Arc::new(MemoryStorage::default()), 0..=SLOTS / 2 - 1);
        let mut ids = (0..).map(|number| ProductId::new(format!("p{number}")).unwrap());
        let id = ids.find(|id| writer.owns(id.hash())).unwrap();
        make(&mut writer, &id, stock);
        (writer, id)
    }

    fn make(writer: &mut Writer, id: &ProductId, stock: u64) {
        let details =
            Details { title: "T".into(), author: None, topic: None, has_isbn: false, price: Money::default() };
        let incarnation = writer.next_version();
        products::put(writer, id, None, &mut Product::new(details, stock, incarnation));
    }

    /// An order whose home is another shard.
    fn order(number: u128) -> OrderId {
        OrderId::new(Slot(SLOTS - 1), 0, number << 20)
    }

    fn held(writer: &mut Writer, order: OrderId, id: &ProductId, count: u32) -> Holding {
        let lines = vec![Wanted { product: id.clone(), count }];
        hold(writer, &Hold { order, lines, only_look: false }, Timestamp::default()).unwrap().remove(0)
    }

    fn settled(writer: &mut Writer, order: OrderId, id: &ProductId, ruling: Ruling) {
        settle(writer, &Settle { order, products: vec![id.clone()], ruling }, Timestamp::default()).unwrap();
    }

    fn stock(writer: &mut Writer, id: &ProductId) -> (u64, u64, u64) {
        let product = products::find(writer, id).unwrap().unwrap();
        (product.stock, product.held, product.sold)
    }

    #[test]
    fn repeating_changes_nothing() {
        let (mut writer, id) = shard(5);
        for _ in 0..3 {
            assert!(matches!(held(&mut writer, order(1), &id, 2), Holding::Enough(_)));
            assert_eq!(stock(&mut writer, &id), (3, 2, 0));
        }
        for _ in 0..3 {
            settled(&mut writer, order(1), &id, Ruling::Claim);
            assert_eq!(stock(&mut writer, &id), (3, 0, 2));
        }
        assert_eq!(held(&mut writer, order(1), &id, 2), Holding::Settled);
        assert_eq!(stock(&mut writer, &id), (3, 0, 2));
    }

    #[test]
    fn a_release_that_overtakes_its_hold_wins() {
        let (mut writer, id) = shard(5);
        settled(&mut writer, order(1), &id, Ruling::Release);
        assert_eq!(held(&mut writer, order(1), &id, 2), Holding::Settled);
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
    }

    #[test]
    fn all_lines_are_held_or_none() {
        let (mut writer, id) = shard(5);
        let other = ProductId::new("none").unwrap();
        let lines = [&id, &other].map(|id| Wanted { product: id.clone(), count: 1 }).to_vec();
        let asked = Hold { order: order(1), lines, only_look: false };
        if writer.owns(other.hash()) {
            let found = hold(&mut writer, &asked, Timestamp::default()).unwrap();
            assert!(matches!(found[..], [Holding::Enough(_), Holding::Unknown]));
        } else {
            assert!(matches!(hold(&mut writer, &asked, Timestamp::default()), Err(Error::WrongSlot(_))));
        }
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
    }

    #[test]
    fn a_product_that_was_made_again_is_another_one() {
        let (mut writer, id) = shard(5);
        for (number, ruling) in [(1, Ruling::Claim), (2, Ruling::Release)] {
            held(&mut writer, order(number), &id, 2);
            let old = products::find(&mut writer, &id).unwrap().unwrap();
            writer.products.remove(&id, &old.details);
            writer.delete(id.hash(), RecordKind::Product, id.as_str().as_bytes());
            make(&mut writer, &id, 7);
            settled(&mut writer, order(number), &id, ruling);
            assert_eq!(stock(&mut writer, &id), (7, 0, 0));
        }
    }

    #[test]
    fn only_orders_of_other_shards_that_still_hold_are_asked_about() {
        let (mut writer, id) = shard(9);
        let ours = OrderId::new(Slot(0), 0, 0);
        for order in [order(1), order(2), ours] {
            held(&mut writer, order, &id, 1);
        }
        settled(&mut writer, order(1), &id, Ruling::Claim);
        let at = |micros| Timestamp::from_micros(micros).unwrap();
        assert!(due(&mut writer, at(ASK_INTERVAL_MICROS - 1), 10).is_empty());
        let orders = |found: Vec<Reservation>| found.iter().map(|reservation| reservation.order).collect::<Vec<_>>();
        assert_eq!(orders(due(&mut writer, at(ASK_INTERVAL_MICROS), 10)), [order(2)]);
        assert!(due(&mut writer, at(ASK_INTERVAL_MICROS), 10).is_empty());
        assert_eq!(orders(due(&mut writer, at(2 * ASK_INTERVAL_MICROS), 10)), [order(2)]);
    }

    #[test]
    fn settlements_are_forgotten_early_only_when_there_are_too_many() {
        let (mut writer, id) = shard(9);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).unwrap();
        (0..5).for_each(|number| settled(&mut writer, order(number), &id, Ruling::Release));
        writer.sweep_settlements(at(59), 3);
        assert_eq!(writer.settlements.count(), 5, "a minute is the least");
        writer.sweep_settlements(at(120), 5);
        assert_eq!(writer.settlements.count(), 5, "there is room");
        writer.sweep_settlements(at(120), 3);
        assert_eq!(writer.settlements.count(), 3);
        writer.sweep_settlements(at(24 * 60 * 60 + 1), 3);
        assert_eq!(writer.settlements.count(), 0);
    }
}
