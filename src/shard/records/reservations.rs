//! The participant's side of an order: holds stock on the product's shard, and claims or releases it when the order
//! is decided. The coordinator's side is in `saga`.

use super::products;
use crate::domain::order::OrderedItem;
use crate::domain::product::Product;
use crate::domain::reservation::{HoldMode, HoldResult, Quote, Reservation, Settlement};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::protocol::{Hold, Settle};
use crate::routing::{KeyHash, OrderId, ProductId};
use crate::shard::engine::{LIFETIME_MICROS, MAX_LIVE, Transaction, end_of_life};
use crate::storage::codec::{self, SettlementRecord};
use crate::storage::{DigestId, RecordKey, RecordKind};

/// The most reservations on one shard. Past that, holds are refused.
pub const MAX_RESERVATIONS: u64 = 1_000_000;
/// The most expired settlements removed by one sweep.
const MAX_SWEPT_SETTLEMENTS: usize = 10_000;
/// The number of settlements past which they are kept for [`MIN_SETTLEMENT_MICROS`] only.
pub const MAX_SETTLEMENTS: usize = MAX_LIVE / 10 * 9;
/// The time for which a settlement is kept when there are too many, in microseconds. It is long enough: a command is
/// not run past its deadline of a few seconds, so no hold can be later than that.
const MIN_SETTLEMENT_MICROS: i64 = 60 * 1_000_000;

fn reservation_key(hash: KeyHash, id: &DigestId) -> RecordKey<'_> {
    RecordKey { hash, kind: RecordKind::Reservation, id: &id.0 }
}

fn settlement_key(hash: KeyHash, id: &DigestId) -> RecordKey<'_> {
    RecordKey { hash, kind: RecordKind::Settlement, id: &id.0 }
}

/// The id of an order's reservation, settlement and return of a product.
pub fn id_of(order: OrderId, product: &ProductId) -> DigestId {
    DigestId::new(RecordKind::Reservation, order.as_bytes(), product.as_str().as_bytes())
}

fn find(txn: &mut Transaction<'_>, product: &ProductId, id: DigestId) -> Result<Option<Reservation>> {
    txn.read(reservation_key(product.hash(), &id)).map(codec::decode_reservation).transpose()
}

/// The reservation with this id, if it is not settled. The reply does not wait for it.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn peek(txn: &Transaction<'_>, hash: KeyHash, id: DigestId) -> Result<Option<Reservation>> {
    txn.peek(reservation_key(hash, &id)).map(codec::decode_reservation).transpose()
}

/// Holds all lines or none, and returns the result for each. Repeating a hold changes nothing.
///
/// # Errors
/// [`Error::WrongSlot`] for another shard's product, [`Error::Exhausted`] past a limit.
pub fn hold(txn: &mut Transaction<'_>, hold: &Hold) -> Result<Vec<HoldResult>> {
    fail_point::hit("holding");
    hold.lines().iter().try_for_each(|line| txn.check_owner(line.product.hash()))?;
    let is_full = txn.count(RecordKind::Reservation) + hold.lines().len() as u64 > MAX_RESERVATIONS;
    if hold.mode == HoldMode::Hold && (is_full || txn.indexes().settlements.is_full()) {
        return Err(Error::Exhausted("too many reservations on this shard; nothing was applied".into()));
    }
    let mut results = Vec::with_capacity(hold.lines().len());
    for line in hold.lines() {
        results.push(look(txn, hold.order, line)?);
    }
    let is_enough = results.iter().all(|result| matches!(result, HoldResult::Held(_)));
    if is_enough && hold.mode == HoldMode::Hold {
        for (line, result) in hold.lines().iter().zip(&mut results) {
            if let HoldResult::Held(quote) = result {
                quote.available = take(txn, hold.order, line)?.unwrap_or(quote.available);
            }
        }
    }
    Ok(results)
}

fn look(txn: &mut Transaction<'_>, order: OrderId, line: &OrderedItem) -> Result<HoldResult> {
    let id = id_of(order, &line.product);
    if let Some(reservation) = find(txn, &line.product, id)? {
        let product = products::find(txn, &line.product)?;
        return Ok(HoldResult::Held(Quote {
            price: reservation.price,
            has_isbn: reservation.has_isbn,
            available: product.as_ref().map_or(0, |product| product.stock),
            held: product.as_ref().map_or(0, |product| product.held),
            title: product.map(|product| product.details.title).unwrap_or_default(),
            incarnation: Some(reservation.incarnation),
        }));
    }
    if txn.indexes().settlements.contains(id) {
        return Ok(HoldResult::AlreadySettled);
    }
    let Some(product) = products::find(txn, &line.product)? else { return Ok(HoldResult::UnknownProduct) };
    let is_enough = product.stock >= u64::from(line.count);
    let quote = Quote {
        price: product.details.price,
        has_isbn: product.details.has_isbn,
        available: product.stock,
        held: product.held,
        title: product.details.title,
        incarnation: Some(product.incarnation),
    };
    Ok(if is_enough { HoldResult::Held(quote) } else { HoldResult::Short(quote) })
}

/// Holds the stock of one line and returns the count left; `None` when the order holds it already.
fn take(txn: &mut Transaction<'_>, order: OrderId, line: &OrderedItem) -> Result<Option<u64>> {
    let (hash, id) = (line.product.hash(), id_of(order, &line.product));
    if find(txn, &line.product, id)?.is_some() {
        return Ok(None);
    }
    let old = products::find(txn, &line.product)?.ok_or_else(products::no_such_product)?;
    let mut product = old.clone();
    product.hold(line.count)?;
    products::put(txn, &line.product, Some(&old), &mut product);
    let now = txn.now();
    let reservation = Reservation {
        version: txn.next_version(),
        order,
        product: line.product.clone(),
        incarnation: product.incarnation,
        count: line.count,
        price: product.details.price,
        has_isbn: product.details.has_isbn,
        held_at: now,
    };
    txn.put(reservation_key(hash, &id), &codec::encode_reservation(&reservation));
    if !txn.owns(order.hash()) {
        txn.indexes_mut().in_doubt.push(hash, id, now);
    }
    Ok(Some(product.stock))
}

/// Claims or releases an order's stock of some products. The settlement is recorded, so that a hold that arrives
/// later is rejected.
///
/// # Errors
/// [`Error::WrongSlot`] for another shard's product.
pub fn settle(txn: &mut Transaction<'_>, settle: &Settle) -> Result<()> {
    fail_point::hit("settling");
    settle.products().iter().try_for_each(|product| txn.check_owner(product.hash()))?;
    for product in settle.products() {
        end(txn, settle.order, product, settle.settlement())?;
    }
    Ok(())
}

/// Ends a product's reservation, if there is one, and records the settlement. True if there was one.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn end(txn: &mut Transaction<'_>, order: OrderId, product: &ProductId, settlement: Settlement) -> Result<bool> {
    let id = id_of(order, product);
    let reservation = find(txn, product, id)?;
    if let Some(reservation) = &reservation {
        give_up(txn, reservation, id, settlement)?;
    }
    // The order's home runs its holds and settlements one after the other, so on its own shard no hold is late.
    if !txn.owns(order.hash()) && !txn.indexes().settlements.contains(id) {
        let (expires_at, steadily) = (txn.stored_end_of_life(), end_of_life(txn.steady_now()));
        let claimed = settlement == Settlement::Claim;
        let record = SettlementRecord { version: txn.next_version(), expires_at, claimed };
        txn.put(settlement_key(product.hash(), &id), &codec::encode_settlement(&record));
        txn.indexes_mut().settlements.insert(product.hash(), id, steadily, 0);
    }
    Ok(reservation.is_some())
}

/// Deletes a reservation and moves its stock. If the product was deleted and created again since the hold, the stock of the
/// new one does not change.
fn give_up(txn: &mut Transaction<'_>, reservation: &Reservation, id: DigestId, settlement: Settlement) -> Result<()> {
    let product_id = &reservation.product;
    let current = products::find(txn, product_id)?;
    txn.delete(reservation_key(product_id.hash(), &id));
    let is_same = |product: &Product| product.incarnation == reservation.incarnation;
    let Some(old) = current.filter(is_same) else { return Ok(()) };
    let mut product = old.clone();
    match settlement {
        Settlement::Claim => product.claim(reservation.count),
        Settlement::Release => product.release(reservation.count),
    }
    products::put(txn, product_id, Some(&old), &mut product);
    Ok(())
}

/// Removes expired settlements and, while there are more than `most`, those older than a minute.
pub fn sweep_settlements(txn: &mut Transaction<'_>, most: usize) {
    let now = txn.steady_now();
    let early = Timestamp::from_micros(now.micros() + LIFETIME_MICROS - MIN_SETTLEMENT_MICROS).unwrap_or(now);
    for _ in 0..MAX_SWEPT_SETTLEMENTS {
        let settlements = &mut txn.indexes_mut().settlements;
        let until = if settlements.count() > most { early } else { now };
        let Some(expired) = settlements.pop_expired(until) else { break };
        txn.delete(settlement_key(expired.hash, &expired.id));
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_shard::{begin, held, make_again, order, settled, shard, shard_with, stock};
    use super::*;
    use crate::shard::engine::{Resident, Writer};
    use crate::storage::Record;

    fn sweep(writer: &mut Writer, now: Timestamp, most: usize) {
        sweep_settlements(&mut Transaction::begin(writer, now), most);
    }

    #[test]
    fn repeating_changes_nothing() {
        let (mut writer, id) = shard(5);
        for _ in 0..3 {
            assert!(matches!(held(&mut writer, order(1), &id, 2), HoldResult::Held(_)));
            assert_eq!(stock(&mut writer, &id), (3, 2, 0));
        }
        for _ in 0..3 {
            settled(&mut writer, order(1), &id, Settlement::Claim);
            assert_eq!(stock(&mut writer, &id), (3, 0, 2));
        }
        assert_eq!(held(&mut writer, order(1), &id, 2), HoldResult::AlreadySettled);
        assert_eq!(stock(&mut writer, &id), (3, 0, 2));
    }

    #[test]
    fn a_release_that_overtakes_its_hold_wins() {
        let (mut writer, id) = shard(5);
        settled(&mut writer, order(1), &id, Settlement::Release);
        assert_eq!(held(&mut writer, order(1), &id, 2), HoldResult::AlreadySettled);
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
    }

    #[test]
    fn all_lines_are_held_or_none() {
        let (mut writer, id) = shard(5);
        let other = ProductId::new("none").unwrap();
        let lines = [&id, &other].map(|id| OrderedItem { product: id.clone(), count: 1 }).to_vec();
        let asked = Hold::new(order(1), lines, HoldMode::Hold).unwrap();
        if begin(&mut writer).owns(other.hash()) {
            let found = hold(&mut begin(&mut writer), &asked).unwrap();
            assert!(matches!(found[..], [HoldResult::Held(_), HoldResult::UnknownProduct]));
        } else {
            assert!(matches!(hold(&mut begin(&mut writer), &asked), Err(Error::WrongSlot(_))));
        }
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
    }

    #[test]
    fn a_product_that_is_created_again_keeps_its_stock() {
        let (mut writer, id) = shard(5);
        for (number, settlement) in [(1, Settlement::Claim), (2, Settlement::Release)] {
            held(&mut writer, order(number), &id, 2);
            make_again(&mut writer, &id, 7);
            settled(&mut writer, order(number), &id, settlement);
            assert_eq!(stock(&mut writer, &id), (7, 0, 0));
        }
    }

    #[test]
    fn reservations_are_limited_and_looking_is_not() {
        let hash_of = |number: u64| KeyHash::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut resident = Resident::default();
        for number in 1..=MAX_RESERVATIONS {
            let (hash, id) = (hash_of(number), number.to_be_bytes());
            let key = RecordKey { hash, kind: RecordKind::Reservation, id: &id };
            resident.state.put(key, Record::new(key, b""));
        }
        let (mut writer, id) = shard_with(resident, 5);
        let ask = |writer: &mut Writer, mode| {
            let lines = vec![OrderedItem { product: id.clone(), count: 1 }];
            hold(&mut begin(writer), &Hold::new(order(1), lines, mode).unwrap())
        };
        assert!(matches!(ask(&mut writer, HoldMode::Hold), Err(Error::Exhausted(_))));
        assert!(matches!(ask(&mut writer, HoldMode::Quote).unwrap()[..], [HoldResult::Held(_)]));
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
        let (hash, first) = (hash_of(1), 1_u64.to_be_bytes());
        begin(&mut writer).delete(RecordKey { hash, kind: RecordKind::Reservation, id: &first });
        assert!(ask(&mut writer, HoldMode::Hold).is_ok());
    }

    #[test]
    fn no_stock_is_held_whose_settlement_could_not_be_remembered() {
        let (mut writer, id) = shard(5);
        let mut txn = begin(&mut writer);
        for number in 0..MAX_LIVE as u64 {
            let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let settled = DigestId([number, number].concat().try_into().unwrap());
            txn.indexes_mut().settlements.insert(id.hash(), settled, end_of_life(Timestamp::default()), 0);
        }
        let lines = vec![OrderedItem { product: id.clone(), count: 1 }];
        let asked = Hold::new(order(1), lines, HoldMode::Hold).unwrap();
        assert!(matches!(hold(&mut begin(&mut writer), &asked), Err(Error::Exhausted(_))));
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
    }

    #[test]
    fn settlements_are_forgotten_early_only_when_there_are_too_many() {
        let (mut writer, id) = shard(9);
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).unwrap();
        (0..5).for_each(|number| settled(&mut writer, order(number), &id, Settlement::Release));
        sweep(&mut writer, at(59), 3);
        assert_eq!(writer.indexes().settlements.count(), 5, "a minute is the least");
        sweep(&mut writer, at(120), 5);
        assert_eq!(writer.indexes().settlements.count(), 5, "there is room");
        sweep(&mut writer, at(120), 3);
        assert_eq!(writer.indexes().settlements.count(), 3);
        sweep(&mut writer, at(24 * 60 * 60 + 1), 3);
        assert_eq!(writer.indexes().settlements.count(), 0);
    }

    #[test]
    fn a_sweep_forgets_a_part_of_very_many_settlements() {
        let (mut writer, id) = shard(9);
        let mut txn = begin(&mut writer);
        for number in 0..MAX_SWEPT_SETTLEMENTS as u64 + 5 {
            let settled = DigestId([number.to_be_bytes(), number.to_be_bytes()].concat().try_into().unwrap());
            txn.indexes_mut().settlements.insert(id.hash(), settled, Timestamp::default(), 0);
        }
        let now = Timestamp::from_micros(10_000_000).unwrap();
        for left in [5, 0] {
            sweep(&mut writer, now, usize::MAX);
            assert_eq!(writer.indexes().settlements.count(), left);
        }
    }
}
