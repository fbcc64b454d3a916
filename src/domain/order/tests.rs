//! Tests of an order's transitions: the state, the history and the refusals of each.

use proptest::prelude::*;

use super::facts::{Facts, IdempotencyRef, NewOrder, Origin};
use super::line::{AgreedPrice, OrderLine, OrderedItem};
use super::record::{OrderRecord, PaymentStatus, Recorded, RecordedState, Status};
use super::states::{Created, Order, Pending, Refused, RefusedPayment, Reserved, Unpaid, Unreserved};
use crate::domain::card::LastFour;
use crate::domain::money::Money;
use crate::domain::reservation::{Decision, HoldResult, Quote, Settlement};
use crate::domain::time::Timestamp;
use crate::error::{ConflictCode, Error, LineProblem, RejectedLine};
use crate::routing::{DeliveryId, OrderId, ProductId, Slot};

fn money(hundredths: u64) -> Money {
    Money::from_hundredths(hundredths).unwrap()
}

fn line(id: &str, agreed: AgreedPrice) -> OrderLine {
    OrderLine::new(OrderedItem { product: ProductId::new(id).unwrap(), count: 2 }, agreed)
}

fn new(origin: Origin, lines: Vec<OrderLine>, has_card: bool) -> NewOrder {
    NewOrder {
        id: OrderId::new(Slot(0), 0, 0),
        origin,
        customer: None,
        lines,
        address: None,
        accepts_price_changes: false,
        card: has_card.then(|| LastFour::from_stored("4242")),
        idempotency: None,
    }
}

fn order(origin: Origin, lines: Vec<OrderLine>, has_card: bool) -> Order<Pending> {
    Order::place(new(origin, lines, has_card), now())
}

/// An order of two copies of one product, with a card.
fn simple() -> Order<Pending> {
    order(Origin::Books, vec![line("a", AgreedPrice::Catalog)], true)
}

fn now() -> Timestamp {
    Timestamp::default()
}

fn quote(price: u64) -> Quote {
    Quote { price: money(price), has_isbn: true, available: 1, held: 0, title: "T".into(), incarnation: Some(7) }
}

fn held(price: u64) -> HoldResult {
    HoldResult::Held(quote(price))
}

fn unpaid() -> Order<Unpaid> {
    let Ok(Reserved::Due(order)) = simple().hold(&[held(100)], now()) else { panic!("money is due") };
    order
}

fn refused() -> Order<Refused> {
    simple().refuse(Error::conflict(ConflictCode::Other, "why"), RefusedPayment::NotAsked, now()).order
}

fn steps(order: &Facts) -> Vec<&'static str> {
    order.steps.iter().map(|step| step.event.name()).collect()
}

/// Status, payment and transaction.
fn shown(order: &impl Recorded) -> (&'static str, &'static str, Option<&str>) {
    let state = order.recorded_state();
    (state.status.name(), state.payment.name(), state.transaction)
}

#[test]
fn the_price_is_the_one_that_was_agreed() {
    let lines = vec![
        line("a", AgreedPrice::Catalog),
        line("b", AgreedPrice::Offer(money(5))),
        line("c", AgreedPrice::ExpiredOffer(money(7))),
    ];
    let new = NewOrder { accepts_price_changes: false, ..new(Origin::Checkout, lines, true) };
    let mut order = Order::place(new.clone(), now());
    order.quote(&[held(100), held(200), held(7)]).unwrap();
    assert_eq!(order.total().hundredths(), 2 * (100 + 5 + 7));
    let dearer = [held(100), held(200), held(8)];
    let Err(Error::LinesRejected(refused)) = order.quote(&dearer) else { panic!("it was not refused") };
    let problem = LineProblem::SaleExpired { old_price: 7, new_price: 8 };
    assert_eq!(refused.lines, [RejectedLine { item: "c".into(), problem }]);
    let mut order = Order::place(NewOrder { accepts_price_changes: true, ..new }, now());
    order.quote(&dearer).unwrap();
    assert_eq!(order.total().hundredths(), 2 * (100 + 5 + 8));
}

#[test]
fn refusals_have_their_precedence() {
    let refuse = |origin, found: &[HoldResult], has_card| {
        let lines = vec![line("a", AgreedPrice::Catalog), line("b", AgreedPrice::Catalog)];
        order(origin, lines, has_card).hold(found, now()).unwrap_err().error
    };
    let short = || HoldResult::Short(quote(100));
    let unknown = || HoldResult::UnknownProduct;
    assert!(matches!(refuse(Origin::Books, &[short(), unknown()], false), Error::Invalid(_)));
    assert!(matches!(refuse(Origin::Books, &[short(), held(100)], false), Error::CardMissing(_)));
    assert!(matches!(refuse(Origin::Books, &[held(100), held(100)], false), Error::CardMissing(_)));
    assert!(matches!(refuse(Origin::Books, &[short(), held(100)], true), Error::LinesRejected(_)));
    let by_others = || HoldResult::Short(Quote { held: 1, ..quote(100) });
    assert!(!refuse(Origin::Books, &[by_others(), held(100)], true).is_final(), "others may give it back");
    assert!(refuse(Origin::Books, &[by_others(), short()], true).is_final(), "one is really sold out");
    let Error::LinesRejected(all) = refuse(Origin::Checkout, &[short(), unknown()], false) else { panic!() };
    assert_eq!(all.lines.len(), 2);
    assert!(matches!(refuse(Origin::Buy, &[unknown(), held(100)], true), Error::NotFound(_)));
    assert!(matches!(refuse(Origin::Buy, &[held(1), HoldResult::AlreadySettled], true), Error::Unavailable(_)));
}

#[test]
fn a_free_order_needs_no_card() {
    for (origin, price) in [(Origin::Books, 0), (Origin::Purchase, 100)] {
        let order = order(origin, vec![line("a", AgreedPrice::Catalog)], false);
        let Ok(Reserved::Free(order)) = order.hold(&[held(price)], now()) else { panic!("nothing is due") };
        let mut order = order.create(None, now());
        assert!(order.capture_due().is_none());
        assert_eq!(shown(&order), ("created", "none", None));
        order.claimed(now());
        assert_eq!(steps(&order), ["pending", "held", "created", "claimed"]);
    }
}

#[test]
fn a_paid_order_is_captured_once() {
    let order = unpaid();
    assert_eq!((order.due().amount.hundredths(), order.due().card.as_str()), (200, "4242"));
    assert_eq!(shown(&order), ("pending", "pending", None));
    let delivery = DeliveryId::new(Slot(0), 0, 0);
    let mut order = order.authorised("tx".into(), now()).create(Some(delivery), now());
    assert_eq!(shown(&order), ("created", "authorised", Some("tx")));
    assert_eq!(order.recorded_state().delivery, Some(delivery));
    order.claimed(now());
    let due = order.capture_due().expect("the payment is authorised");
    assert_eq!((due.due().amount.hundredths(), due.due().card.as_str()), (200, "4242"));
    due.captured(now());
    assert!(order.capture_due().is_none());
    assert_eq!(shown(&order), ("created", "captured", Some("tx")));
    assert_eq!(steps(&order), ["pending", "held", "authorised", "created", "claimed", "captured"]);
}

#[test]
fn a_failed_capture_leaves_the_order_created() {
    let mut order = unpaid().authorised("tx".into(), now()).create(None, now());
    order.capture_due().expect("the payment is authorised").failed(now());
    assert!(order.capture_due().is_none());
    assert_eq!(shown(&order), ("created", "capture_failed", Some("tx")));
    assert_eq!(steps(&order).last(), Some(&"capture_failed"));
}

#[test]
fn a_refused_order_has_the_state_of_its_payment() {
    let error = || Error::conflict(ConflictCode::Other, "why");
    let mut order = refused();
    assert_eq!(order.recorded_state().status, Status::Refused { reason: "why" });
    assert_eq!(shown(&order), ("refused", "none", None));
    order.released(now());
    assert_eq!(steps(&order), ["pending", "refused", "released"]);

    let declined = unpaid().refuse(error(), RefusedPayment::Declined, now());
    assert_eq!((shown(&declined.order), declined.error), (("refused", "refused", None), error()));
    assert_eq!(steps(&declined.order), ["pending", "held", "refused"]);

    for (transaction, expected) in [(None, None), (Some("tx".to_owned()), Some("tx"))] {
        let voided = simple().resumed(now()).refuse(error(), RefusedPayment::Voided { transaction }, now());
        assert_eq!(shown(&voided.order), ("refused", "voided", expected));
        assert_eq!(steps(&voided.order), ["pending", "resumed", "voided", "refused"]);
    }
}

#[test]
fn holding_again_is_noted_once() {
    let record = unpaid();
    let state = record.recorded_state();
    let Some(OrderRecord::Pending(order)) = OrderRecord::restore(Facts::clone(&record), state) else {
        panic!("an unpaid order's record is pending")
    };
    let Ok(Reserved::Due(order)) = order.hold(&[held(100)], now()) else { panic!("money is due") };
    assert_eq!(steps(&order), ["pending", "held"]);
}

#[test]
fn an_order_that_was_paid_before_a_restart_is_held_and_payable() {
    let order = simple().resumed(now()).hold_paid(&[held(100)], "tx".into(), now()).unwrap();
    let order = order.create(None, now());
    assert_eq!(shown(&order), ("created", "authorised", Some("tx")));
    assert_eq!(steps(&order), ["pending", "resumed", "held", "authorised", "created"]);
}

#[test]
fn a_paid_order_without_its_stock_stays_pending() {
    let lost = simple().hold_paid(&[HoldResult::UnknownProduct], "tx".into(), now()).unwrap_err();
    assert!(matches!(lost.error, Error::Invalid(_)));
    assert_eq!(shown(&lost.order), ("pending", "pending", None));
    let free = simple().hold_paid(&[held(0)], "tx".into(), now()).unwrap_err();
    assert!(matches!(free.error, Error::Internal(_)));
}

#[test]
fn a_refused_order_shows_the_prices_that_were_found() {
    let lost = simple().hold(&[HoldResult::Short(quote(100))], now()).unwrap_err();
    let refusal = lost.order.refuse(lost.error, RefusedPayment::NotAsked, now());
    assert_eq!(refusal.order.total().hundredths(), 200);
    assert_eq!(refusal.error.detail(), "a: out of stock");
}

/// Tries every combination of the parts of a record: only those that transitions lead to are restored.
#[test]
fn only_states_are_restored() {
    let statuses =
        [Status::Pending, Status::Created, Status::Refused { reason: "why" }, Status::Cancelled { key: None }];
    let mut restored = Vec::new();
    for (status, number) in statuses.into_iter().flat_map(|status| (0..=8).map(move |number| (status, number))) {
        let payment = PaymentStatus::try_from(number).unwrap();
        for parts in 0..8 {
            let [has_card, has_transaction, has_delivery] = [1, 2, 4].map(|bit| parts & bit != 0);
            let transaction = has_transaction.then_some("tx");
            let delivery = has_delivery.then(|| DeliveryId::new(Slot(0), 0, 0));
            let state = RecordedState { status, payment, transaction, delivery };
            let facts = Facts::new(new(Origin::Books, vec![line("a", AgreedPrice::Catalog)], has_card));
            let Some(order) = OrderRecord::restore(facts, state) else { continue };
            assert_eq!(order.recorded_state(), state);
            let marks = [has_card, has_transaction, has_delivery].map(|part| if part { 'x' } else { '-' });
            restored.push(format!("{} {} {}", status.name(), payment.name(), String::from_iter(marks)));
        }
    }
    let expected = [
        "pending none ---",
        "pending pending x--",
        "created none ---",
        "created none x--",
        "created none --x",
        "created none x-x",
        "created authorised xx-",
        "created authorised xxx",
        "created captured xx-",
        "created captured xxx",
        "created capture_failed xx-",
        "created capture_failed xxx",
        "refused none ---",
        "refused none x--",
        "refused refused x--",
        "refused voided x--",
        "refused voided xx-",
        "cancelled none ---",
        "cancelled none x--",
        "cancelled none --x",
        "cancelled none x-x",
        "cancelled authorised xx-",
        "cancelled authorised xxx",
        "cancelled captured xx-",
        "cancelled captured xxx",
        "cancelled capture_failed xx-",
        "cancelled capture_failed xxx",
        "cancelled voided xx-",
        "cancelled voided xxx",
        "cancelled refunded xx-",
        "cancelled refunded xxx",
        "cancelled refund_failed xx-",
        "cancelled refund_failed xxx",
    ];
    assert_eq!(restored, expected);
}

/// A created order whose payment is captured.
fn captured() -> Order<Created> {
    let mut order = unpaid().authorised("tx".into(), now()).create(None, now());
    order.capture_due().expect("the payment is authorised").captured(now());
    order
}

#[test]
fn a_cancelled_order_gives_its_payment_back_once() {
    let key = IdempotencyRef { digest: [1; 16], fingerprint: vec![2; 32] };
    let mut order = captured().cancel(Some(key.clone()), now());
    assert_eq!((shown(&order), order.cancel_key()), (("cancelled", "captured", Some("tx")), Some(&key)));
    assert!(order.capture_due().is_none());
    let due = order.give_back_due().expect("the payment was captured");
    assert_eq!((due.due().amount.hundredths(), due.due().card.as_str()), (200, "4242"));
    due.refunded(now());
    order.returned(now());
    assert!(order.give_back_due().is_none());
    assert_eq!(shown(&order), ("cancelled", "refunded", Some("tx")));
    assert_eq!(steps(&order)[5..], ["cancelled", "refunded", "returned"]);
    let mut order = captured().cancel(None, now());
    order.give_back_due().expect("the payment was captured").failed(now());
    assert!(order.give_back_due().is_none());
    assert_eq!(shown(&order), ("cancelled", "refund_failed", Some("tx")));
}

#[test]
fn a_capture_that_is_under_way_ends_before_the_payment_is_given_back() {
    let authorised = || unpaid().authorised("tx".into(), now()).create(None, now()).cancel(None, now());
    let mut order = authorised();
    order.capture_due().expect("it is under way").captured(now());
    assert_eq!(shown(&order), ("cancelled", "captured", Some("tx")));
    assert!(order.give_back_due().is_some());
    let mut order = authorised();
    order.capture_due().expect("it is under way").failed(now());
    order.give_back_due().expect("what was set aside is given up").voided(now());
    assert!(order.capture_due().is_none());
    assert_eq!(shown(&order), ("cancelled", "voided", Some("tx")));
}

#[test]
fn nothing_is_given_back_for_a_free_order() {
    let free = order(Origin::Purchase, vec![line("a", AgreedPrice::Catalog)], false);
    let Ok(Reserved::Free(order)) = free.hold(&[held(100)], now()) else { panic!("nothing is due") };
    let mut order = order.create(None, now()).cancel(None, now());
    assert!(order.give_back_due().is_none() && order.capture_due().is_none());
    assert_eq!((shown(&order), order.lines[0].incarnation), (("cancelled", "none", None), Some(7)));
}

#[test]
fn a_decision_claims_or_releases_held_stock() {
    let created = unpaid().authorised("tx".into(), now()).create(None, now());
    let decisions = [
        OrderRecord::Pending(simple()),
        OrderRecord::Created(created),
        OrderRecord::Refused(refused()),
        OrderRecord::Cancelled(captured().cancel(None, now())),
    ];
    let decisions = decisions.map(|order| order.decision());
    assert_eq!(decisions, [Decision::Undecided, Decision::Created, Decision::Refused, Decision::Cancelled]);
    let settlements = decisions.map(Decision::settlement);
    assert_eq!(settlements, [None, Some(Settlement::Claim), Some(Settlement::Release), None]);
}

fn hold_results() -> impl Strategy<Value = HoldResult> {
    prop_oneof![
        6 => (0..3_u64).prop_map(held),
        1 => Just(HoldResult::Short(quote(1))),
        1 => Just(HoldResult::UnknownProduct),
        1 => Just(HoldResult::AlreadySettled),
    ]
}

proptest! {
    /// Decides an order for any results of holds and gateway: its record restores it, and it is created only with
    /// all stock held and its payment authorised.
    #[test]
    fn every_decision_is_sound(
        origin in 0..4_u8,
        has_card: bool,
        is_authorised: bool,
        found in prop::collection::vec(hold_results(), 2)
    ) {
        let lines = vec![line("a", AgreedPrice::Catalog), line("b", AgreedPrice::Offer(money(1)))];
        let order = order(Origin::try_from(origin).unwrap(), lines, has_card);
        let outcome = match order.hold(&found, now()) {
            Ok(Reserved::Free(order)) => Ok(order),
            Ok(Reserved::Due(order)) if is_authorised => Ok(order.authorised("tx".into(), now())),
            Ok(Reserved::Due(order)) => {
                Err(order.refuse(Error::PaymentRefused("no".into()), RefusedPayment::Declined, now()))
            }
            Err(Unreserved { order, error }) => Err(order.refuse(error, RefusedPayment::NotAsked, now())),
        };
        let record = match outcome {
            Ok(order) => OrderRecord::Created(order.create(None, now())),
            Err(refusal) => OrderRecord::Refused(refusal.order),
        };
        let state = record.recorded_state();
        if state.status == Status::Created {
            prop_assert!(found.iter().all(|found| matches!(found, HoldResult::Held(_))));
            prop_assert_eq!(state.transaction.is_some(), record.asks_payment());
            prop_assert!(has_card || !record.asks_payment());
        }
        let restored = OrderRecord::restore(Facts::clone(&record), state);
        prop_assert_eq!(restored, Some(record));
    }
}
