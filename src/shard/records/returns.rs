//! The stock of cancelled orders, taken back on the product's shard. A return is noted until the order's home has nothing
//! left to ask for, so that nothing comes back twice, however long the home was away.

use super::{products, reservations};
use crate::domain::product::Product;
use crate::domain::reservation::{Return, ReturnedLine, Settlement};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::process::fail_point;
use crate::protocol::ReturnStock;
use crate::routing::{KeyHash, OrderId};
use crate::shard::engine::Transaction;
use crate::storage::codec;
use crate::storage::{DigestId, RecordKey, RecordKind};

/// The most noted returns on one shard. Past that, the homes have to ask again.
const MAX_RETURNS: u64 = 1_000_000;
/// The time for which a return is noted after its home was found to ask no more, in microseconds. It is long enough: a
/// command is not run past its deadline of a few seconds, so no repeated one can be later than that.
const KEPT_MICROS: i64 = 60 * 1_000_000;

fn key(hash: KeyHash, id: &DigestId) -> RecordKey<'_> {
    RecordKey { hash, kind: RecordKind::Return, id: &id.0 }
}

/// Takes the stock of a cancelled order back. Repeating it changes nothing.
///
/// # Errors
/// [`Error::WrongSlot`] for another shard's product, [`Error::Exhausted`] past a limit.
pub fn take_back(txn: &mut Transaction<'_>, returned: &ReturnStock) -> Result<()> {
    fail_point::hit("returning");
    returned.lines().iter().try_for_each(|line| txn.check_owner(line.product.hash()))?;
    let count = txn.count(RecordKind::Return) + returned.lines().len() as u64;
    if count > MAX_RETURNS || txn.indexes().settlements.is_full() {
        return Err(Error::Exhausted("too many returns on this shard; nothing was applied".into()));
    }
    returned.lines().iter().try_for_each(|line| take_line_back(txn, returned.order, line))
}

/// Takes one product's part back: what the order holds is released, what it was sold can be sold again. A product that was
/// deleted and created again since the hold gets nothing.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn take_line_back(txn: &mut Transaction<'_>, order: OrderId, line: &ReturnedLine) -> Result<()> {
    let (hash, id) = (line.product.hash(), reservations::id_of(order, &line.product));
    if txn.read(key(hash, &id)).is_some() {
        return Ok(());
    }
    if !reservations::end(txn, order, &line.product, Settlement::Release)? {
        let current = products::find(txn, &line.product)?;
        let is_same = |product: &Product| product.incarnation == line.incarnation;
        if let Some(old) = current.filter(is_same) {
            let mut product = old.clone();
            product.take_back(line.count);
            products::put(txn, &line.product, Some(&old), &mut product);
        }
    }
    // On the home's own shard the order itself is the note: its stock is back in the commit that cancels it.
    if !txn.owns(order.hash()) {
        let returned = Return { version: 0, order, product: line.product.clone(), closed_at: None };
        put(txn, returned, id);
        let now = txn.now();
        txn.indexes_mut().in_doubt.push(hash, id, now);
    }
    Ok(())
}

fn put(txn: &mut Transaction<'_>, returned: Return, id: DigestId) {
    let returned = Return { version: txn.next_version(), ..returned };
    txn.put(key(returned.product.hash(), &id), &codec::encode_return(&returned));
}

/// The noted return with this id whose order's home may still ask for it. One that is noted for long enough is forgotten.
///
/// # Errors
/// [`Error::Internal`] for a damaged record.
pub fn find_open(txn: &mut Transaction<'_>, hash: KeyHash, id: DigestId) -> Result<Noted> {
    let Some(record) = txn.peek(key(hash, &id)) else { return Ok(Noted::Nothing) };
    let returned = codec::decode_return(record)?;
    let Some(closed_at) = returned.closed_at else { return Ok(Noted::Open(returned)) };
    if txn.steady_now().micros() - closed_at.micros() < KEPT_MICROS {
        return Ok(Noted::Closed);
    }
    txn.delete(key(hash, &id));
    Ok(Noted::Nothing)
}

/// What is noted about a return.
#[derive(Debug, PartialEq, Eq)]
pub enum Noted {
    /// Nothing.
    Nothing,
    /// The home may still ask for it.
    Open(Return),
    /// The home asks no more; it is noted for a while.
    Closed,
}

/// Notes that the home of a return's order asks for it no more.
pub fn close(txn: &mut Transaction<'_>, returned: Return) {
    let id = reservations::id_of(returned.order, &returned.product);
    if txn.peek(key(returned.product.hash(), &id)).is_some() {
        let closed_at: Option<Timestamp> = Some(txn.steady_now());
        put(txn, Return { closed_at, ..returned }, id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::in_doubt::{Question, due};
    use super::super::test_shard::{begin, held, make_again, order, settled, shard, shard_with, stock};
    use super::*;
    use crate::domain::reservation::HoldResult;
    use crate::routing::{ProductId, Slot};
    use crate::shard::engine::{ASK_INTERVAL_MICROS, Resident, Writer};
    use crate::storage::Record;

    /// The return of an order's two copies of a product.
    fn two_of(writer: &mut Writer, order: OrderId, id: &ProductId) -> ReturnStock {
        let incarnation = products::find(&mut begin(writer), id).unwrap().unwrap().incarnation;
        ReturnStock::new(order, vec![ReturnedLine { product: id.clone(), incarnation, count: 2 }]).unwrap()
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    #[test]
    fn what_was_sold_comes_back_once() {
        let (mut writer, id) = shard(5);
        held(&mut writer, order(1), &id, 2);
        settled(&mut writer, order(1), &id, Settlement::Claim);
        let returned = two_of(&mut writer, order(1), &id);
        for _ in 0..3 {
            take_back(&mut begin(&mut writer), &returned).unwrap();
            assert_eq!(stock(&mut writer, &id), (5, 0, 0));
            settled(&mut writer, order(1), &id, Settlement::Claim);
            assert_eq!(held(&mut writer, order(1), &id, 2), HoldResult::AlreadySettled);
        }
    }

    #[test]
    fn a_return_that_overtakes_its_claim_or_its_hold_wins() {
        let (mut writer, id) = shard(5);
        held(&mut writer, order(1), &id, 2);
        let returned = two_of(&mut writer, order(1), &id);
        take_back(&mut begin(&mut writer), &returned).unwrap();
        settled(&mut writer, order(1), &id, Settlement::Claim);
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
        // Of another order nothing was held yet: what others bought does not come back.
        held(&mut writer, order(2), &id, 1);
        settled(&mut writer, order(2), &id, Settlement::Claim);
        let early = two_of(&mut writer, order(3), &id);
        held(&mut writer, order(3), &id, 2);
        take_back(&mut begin(&mut writer), &early).unwrap();
        assert_eq!(held(&mut writer, order(3), &id, 2), HoldResult::AlreadySettled);
        assert_eq!(stock(&mut writer, &id), (4, 0, 1));
    }

    #[test]
    fn a_product_that_was_made_again_gets_nothing() {
        for is_claimed in [true, false] {
            let (mut writer, id) = shard(5);
            held(&mut writer, order(1), &id, 2);
            if is_claimed {
                settled(&mut writer, order(1), &id, Settlement::Claim);
            }
            let returned = two_of(&mut writer, order(1), &id);
            make_again(&mut writer, &id, 7);
            held(&mut writer, order(2), &id, 3);
            settled(&mut writer, order(2), &id, Settlement::Claim);
            take_back(&mut begin(&mut writer), &returned).unwrap();
            assert_eq!(stock(&mut writer, &id), (4, 0, 3));
        }
    }

    #[test]
    fn a_return_is_noted_until_its_home_asks_no_more_and_a_minute_longer() {
        let (mut writer, id) = shard(5);
        held(&mut writer, order(1), &id, 2);
        settled(&mut writer, order(1), &id, Settlement::Claim);
        let returned = two_of(&mut writer, order(1), &id);
        take_back(&mut begin(&mut writer), &returned).unwrap();
        let asked = |writer: &mut Writer, micros| due(&mut Transaction::begin(writer, at(micros)), 10).unwrap();
        let day = 24 * 60 * 60 * 1_000_000;
        for now in [ASK_INTERVAL_MICROS, day, 3 * day] {
            let questions = asked(&mut writer, now);
            assert!(questions.iter().all(|question| matches!(question, Question::Returned(_))), "{questions:?}");
            assert!(!questions.is_empty(), "at {now}");
        }
        let question = asked(&mut writer, 4 * day).remove(0);
        let Question::Returned(noted) = question else { panic!("{question:?}") };
        close(&mut Transaction::begin(&mut writer, at(4 * day)), noted);
        assert_eq!(asked(&mut writer, 4 * day + KEPT_MICROS - 1), []);
        take_back(&mut begin(&mut writer), &returned).unwrap();
        assert_eq!(stock(&mut writer, &id), (5, 0, 0), "a late command changes nothing");
        assert_eq!(writer.state().count(RecordKind::Return), 1);
        assert_eq!(asked(&mut writer, 5 * day), []);
        assert_eq!(writer.state().count(RecordKind::Return), 0);
    }

    #[test]
    fn an_order_of_the_products_own_shard_needs_no_note() {
        let (mut writer, id) = shard(5);
        let ours = OrderId::new(Slot(0), 0, 0);
        held(&mut writer, ours, &id, 2);
        settled(&mut writer, ours, &id, Settlement::Claim);
        let returned = two_of(&mut writer, ours, &id);
        take_line_back(&mut begin(&mut writer), ours, &returned.lines()[0]).unwrap();
        assert_eq!((stock(&mut writer, &id), writer.state().count(RecordKind::Return)), ((5, 0, 0), 0));
    }

    #[test]
    fn noted_returns_are_limited() {
        let mut resident = Resident::default();
        for number in 1..=MAX_RETURNS {
            let (hash, id) = (KeyHash::from_bits(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), number.to_be_bytes());
            let key = RecordKey { hash, kind: RecordKind::Return, id: &id };
            resident.state.put(key, Record::new(key, b""));
        }
        let (mut writer, id) = shard_with(resident, 5);
        held(&mut writer, order(1), &id, 2);
        settled(&mut writer, order(1), &id, Settlement::Claim);
        let returned = two_of(&mut writer, order(1), &id);
        assert!(matches!(take_back(&mut begin(&mut writer), &returned), Err(Error::Exhausted(_))));
        assert_eq!(stock(&mut writer, &id), (3, 0, 2));
        let (hash, first) = (KeyHash::from_bits(0x9e37_79b9_7f4a_7c15), 1_u64.to_be_bytes());
        begin(&mut writer).delete(RecordKey { hash, kind: RecordKind::Return, id: &first });
        take_back(&mut begin(&mut writer), &returned).unwrap();
        assert_eq!(stock(&mut writer, &id), (5, 0, 0));
    }
}
