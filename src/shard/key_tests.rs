//! Tests how long an idempotency key lives, with the shard of the durability tests: through jumps of the clock and
//! starts, and as long as the order that it stands for.

use super::clock::{self, Moment};
use super::durability_tests::{DEADLINE, Shard, add, keyed};
use super::engine::Transaction;
use super::records::{idempotency, orders, products, reservations};
use super::saga::begin::{self, Begun};
use super::saga::decide::{self, DecidedOrder};
use super::startup;
use crate::domain::card::Card;
use crate::domain::money::Money;
use crate::domain::order::{Created, IdempotencyRef, Order, OrderLine, OrderRecord, OrderedItem, Reserved, SingleItem};
use crate::domain::product::{Details, Product};
use crate::domain::reservation::HoldMode;
use crate::domain::time::Timestamp;
use crate::protocol::{Basket, Command, Hold, OrderCommand, PlaceOrder, ReplyBody, Request};
use crate::routing::{OrderId, ProductId, SLOTS};
use crate::storage::{DigestId, RecordKind};

#[test]
fn expired_stored_replies_are_removed() {
    let mut shard = Shard::new();
    shard.run(&keyed(add("alice"), "k")).unwrap();
    let mut writer = shard.writer.lock();
    assert_eq!(writer.indexes().idempotency.count(), 1);
    let next_day = Timestamp::from_micros(86_400_000_000 + 3_000_000).unwrap();
    idempotency::sweep(&mut Transaction::begin(&mut writer, next_day));
    assert_eq!(writer.indexes().idempotency.count(), 0);
    shard.writer.commit(writer);
    assert!(shard.writer.finish(DEADLINE));
    let survivors = shard.storage.survivors();
    assert!(survivors.keys().all(|key| key.get(8) != Some(&(RecordKind::Idempotency as u8))));
    assert!(matches!(shard.run(&keyed(add("alice"), "k")), Ok(ReplyBody::Cart(cart)) if cart.lines[0].count == 2));
}

#[test]
fn a_jump_of_the_clock_removes_no_stored_reply() {
    let mut shard = Shard::new();
    let start = clock::moment();
    shard.run_at(&keyed(add("alice"), "before"), start).unwrap();
    let steady = |seconds: i64| Timestamp::from_micros(start.steady.micros() + seconds * 1_000_000).unwrap();
    let hour = 3_600;
    // The clock is a year ahead for a while, and then right again.
    let wrong = Moment { system: steady(365 * 24 * hour), steady: steady(hour) };
    shard.run_at(&keyed(add("alice"), "wrong"), wrong).unwrap();
    let live_at = |seconds: i64, system: Timestamp| {
        let mut writer = shard.writer.lock();
        idempotency::sweep(&mut Transaction::begin(&mut writer, Moment { system, steady: steady(seconds) }));
        writer.indexes().idempotency.count()
    };
    assert_eq!(live_at(2 * hour, steady(366 * 24 * hour)), 2);
    assert_eq!(live_at(24 * hour + 2, steady(24 * hour)), 1);
    assert_eq!(live_at(25 * hour + 2, steady(0)), 0);
}

#[test]
fn a_stored_reply_of_a_wrong_clock_lives_a_lifetime_after_a_start() {
    let mut shard = Shard::new();
    let now = clock::moment();
    let wrong = Timestamp::from_micros(now.system.micros() + 365 * 86_400_000_000).unwrap();
    shard.run_at(&keyed(add("alice"), "k"), Moment { system: wrong, steady: wrong }).unwrap();
    let mut keys = startup::recover(&*shard.storage, &(0..=SLOTS - 1)).unwrap().indexes.idempotency;
    let in_hours = |hours: i64| Timestamp::from_micros(now.steady.micros() + hours * 3_600_000_000).unwrap();
    assert_eq!(keys.pop_expired(in_hours(23)), None);
    assert!(keys.pop_expired(in_hours(25)).is_some());
}

impl Shard {
    /// Changes records in so many hours.
    fn change_in<T>(&self, hours: i64, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let now = Timestamp::from_micros(clock::moment().steady.micros() + hours * 3_600_000_000).unwrap();
        let mut writer = self.writer.lock();
        let changed = change(&mut Transaction::begin(&mut writer, now));
        self.writer.commit(writer);
        assert!(self.writer.finish(DEADLINE));
        changed
    }

    /// True when a key is live in so many hours.
    fn knows_in(&self, hours: i64, key: &IdempotencyRef) -> bool {
        self.change_in(hours, idempotency::sweep);
        self.writer.lock().indexes().idempotency.contains(DigestId(key.digest))
    }
}

/// Places an order of a product that is not free, under a key, and returns its id.
fn begin_paid_order(txn: &mut Transaction<'_>, key: &IdempotencyRef) -> OrderId {
    let price = Money::from_hundredths(100).unwrap();
    let details = Details { title: "T".into(), author: None, topic: None, has_isbn: false, price };
    let (product, incarnation) = (ProductId::new("p").unwrap(), txn.next_version());
    products::put(txn, &product, None, &mut Product::new(details, 5, incarnation));
    let basket = Basket::Buy(OrderedItem { product, count: 1 });
    let place = PlaceOrder { basket, card: Some(Card::new("4242424242424242", None).unwrap()) };
    let request = Request::new(Command::Order(OrderCommand::Place(place.clone())));
    let Ok(Begun::Placed(order)) = begin::run(txn, &request, &place, Some(key)) else { panic!("it is begun") };
    order.id
}

/// Creates an order whose payment is authorised.
fn create_paid_order(txn: &mut Transaction<'_>, id: OrderId) -> Order<Created> {
    let Ok(Some(OrderRecord::Pending(order))) = orders::find(txn, id) else { panic!("it is pending") };
    let lines = order.lines.iter().map(OrderLine::item).collect();
    let found = reservations::hold(txn, &Hold::new(id, lines, HoldMode::Hold).unwrap()).unwrap();
    let item = SingleItem::of(&found);
    let Ok(Reserved::Due(order)) = order.hold(&found, txn.now()) else { panic!("it costs something") };
    let order = order.authorised("tx".into(), txn.now());
    let Ok((DecidedOrder::Created(order), _)) = decide::commit(txn, Ok((order, item))) else { panic!("it is created") };
    order
}

#[test]
fn the_key_of_an_order_lives_a_day_longer_than_the_order() {
    let mut shard = Shard::new();
    let key = IdempotencyRef { digest: [1; 16], fingerprint: vec![2; 32] };
    let id = shard.change_in(0, |txn| begin_paid_order(txn, &key));
    assert!(shard.knows_in(25, &key), "it is not decided");
    shard.restart();
    assert!(shard.knows_in(25, &key), "it is not decided after a restart");
    let mut order = shard.change_in(0, |txn| create_paid_order(txn, id));
    assert!(shard.knows_in(25, &key), "it is not captured");
    shard.restart();
    assert!(shard.knows_in(50, &key), "it is not captured after a restart");
    shard.change_in(50, |txn| orders::put_closed(txn, &mut order));
    assert!(shard.knows_in(73, &key), "it was closed less than a day ago");
    assert!(!shard.knows_in(75, &key));
}

#[test]
fn the_key_of_an_order_outlives_a_start_less_than_a_day_after_the_close() {
    let mut shard = Shard::new();
    let key = IdempotencyRef { digest: [1; 16], fingerprint: vec![2; 32] };
    let id = shard.change_in(-20, |txn| begin_paid_order(txn, &key));
    let mut order = shard.change_in(-20, |txn| create_paid_order(txn, id));
    shard.change_in(-1, |txn| orders::put_closed(txn, &mut order));
    shard.restart();
    assert!(shard.knows_in(22, &key), "it was closed 23 hours ago");
    assert!(!shard.knows_in(25, &key));
}
