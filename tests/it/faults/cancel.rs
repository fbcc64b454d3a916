//! Cancelled orders when processes die and the gateway loses messages: the stock comes back once, the money goes back once,
//! and a retry has the same answer.

use std::thread;

use serde_json::Value;

use crate::harness::shop::{CARD, KEY, Stock, insist, make_book, order, order_of, settled};
use crate::harness::{Action, Answer, Client, Fault, Gateway, Setup, Store, eventually, fresh_metrics};

const STOCK: u64 = 20;
const HOME: usize = 0;
const OTHER: usize = 1;
const UNTOUCHED: Stock = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };

/// A store with a gateway, an order of a book on its home and one on another shard.
struct Shop {
    store: Store,
    gateway: Gateway,
    books: [String; 2],
    order: String,
}

impl Shop {
    /// With the order paid and closed.
    fn open() -> Self {
        let shop = Self::with(&[]);
        shop.wait_for("captured");
        shop.wait_until_closed();
        shop
    }

    /// With a gateway that has some faults from the beginning.
    fn with(faults: &[(Action, Fault)]) -> Self {
        let gateway = Gateway::start();
        faults.iter().for_each(|(action, fault)| gateway.plan(*action, *fault));
        let store = Setup::new(2).durable().shard_options(&["--payment", &gateway.url()]).start();
        let books = [store.customer_on(HOME, "978-"), store.customer_on(OTHER, "978-")];
        let customer = store.customer_on(HOME, "customer");
        books.iter().for_each(|book| make_book(&mut store.client(), book, STOCK));
        let body = order_of(&customer, &[&books[0], &books[1]], CARD);
        let placed = insist(&mut store.client(), "k", &body).expect(201).json();
        let order = placed["order_id"].as_str().expect("an id").to_owned();
        Shop { store, gateway, books, order }
    }

    fn read(&self) -> Value {
        order(&mut self.store.client(), &self.order)
    }

    fn wait_for(&self, payment_status: &str) {
        eventually(payment_status, || (self.read()["payment_status"] == payment_status).then_some(()));
    }

    /// Waits until the gateway has the request that comes after the authorisation.
    fn wait_until_capture_is_asked(&self) {
        eventually("a capture is asked for", || (self.gateway.seen().len() >= 2).then_some(()));
    }

    fn wait_until_closed(&self) {
        let line = "shardcart_shard_records{shard=\"0\",kind=\"open_order\"} 0";
        eventually("it is closed", || fresh_metrics(&mut self.store.client()).contains(line).then_some(()));
    }

    fn cancel(&self, key: &str) -> Answer {
        cancel(&mut self.store.client(), &self.order, key)
    }

    /// Asserts that all is as before the order, but for the payment's history.
    fn expect_undone(&self) {
        assert_eq!(settled(&self.store, &[&self.books[0], &self.books[1]]), [UNTOUCHED, UNTOUCHED]);
        let paid = self.gateway.paid(&self.order);
        assert_eq!((paid.authorised, paid.captured, paid.refunded, paid.voided), (1, 1, 1, 0), "{paid:?}");
        let order = self.read();
        assert_eq!((&order["status"], &order["payment_status"]), (&"cancelled".into(), &"refunded".into()));
    }
}

fn cancel(client: &mut Client, order: &str, key: &str) -> Answer {
    let path = format!("/api/orders/{order}/cancel");
    client.call("POST", &path).header("X-API-Key", KEY).header("Idempotency-Key", key).send()
}

fn cancel_without_key(client: &mut Client, order: &str) -> Answer {
    client.call("POST", &format!("/api/orders/{order}/cancel")).header("X-API-Key", KEY).send()
}

/// Cancels, and repeats the request until there is a final answer.
fn insist_on_cancelling(client: &mut Client, order: &str) -> Answer {
    eventually("the cancellation has an answer", || {
        let answer = cancel(client, order, "c");
        let in_flight = answer.status == 409 && answer.json()["type"] == "/problems/in-flight";
        (!in_flight && ![503, 504].contains(&answer.status)).then_some(answer)
    })
}

/// Cancels an order while a shard dies at a fail point, restarts the shard, and retries.
fn dies_at(shard: usize, fail_point: &str) {
    let mut shop = Shop::open();
    shop.store.arm_shard(shard, fail_point);
    let (mut client, id) = (shop.store.client(), shop.order.clone());
    let first = thread::spawn(move || cancel(&mut client, &id, "c").status);
    shop.store.revive_shard(shard);
    let first = first.join().expect("the first attempt ends");
    assert!([200, 409, 503, 504].contains(&first), "{fail_point}: {first}");
    let answer = insist_on_cancelling(&mut shop.store.client(), &shop.order).expect(200);
    assert_eq!(answer.json()["status"], "cancelled", "{fail_point}");
    shop.wait_until_closed();
    shop.expect_undone();
    let again = insist_on_cancelling(&mut shop.store.client(), &shop.order).expect(200);
    assert!(again.is_replayed(), "{fail_point}");
    assert_eq!((again.json(), again.etag()), (answer.json(), answer.etag()), "{fail_point}");
    shop.cancel("another key").expect(200);
    shop.expect_undone();
}

deaths! {
    the_home_may_die_before_it_gives_back: HOME, ["cancelling", "cancelled", "giving_back"];
    the_home_may_die_after_it_gave_back: HOME, ["returned", "given_back", "finishing"];
    the_home_may_die_when_it_is_done: HOME, ["finished", "closed"];
    the_home_may_die_after_any_commit_of_a_cancellation: HOME, ["committed:1", "committed:2"];
    a_products_shard_may_die_around_its_return: OTHER, ["returning", "committed:1"];
}

#[test]
fn a_capture_that_is_under_way_ends_before_its_order_is_cancelled() {
    let shop = Shop::with(&[(Action::Capture, Fault::Late)]);
    shop.wait_until_capture_is_asked();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| shop.cancel("c"));
        eventually("it is cancelled", || (shop.read()["status"] == "cancelled").then_some(()));
        assert_eq!(shop.gateway.paid(&shop.order).refunded, 0);
        shop.gateway.release();
        let order = waiting.join().expect("the first attempt ends").expect(200).json();
        assert_eq!(order["payment_status"], "refunded");
    });
    shop.wait_until_closed();
    shop.expect_undone();
}

#[test]
fn the_home_may_die_while_a_capture_is_under_way_and_its_order_cancelled() {
    for (fault, payment, expected) in [(Fault::Hold, "voided", (1, 0, 0, 1)), (Fault::Late, "refunded", (1, 1, 1, 0))] {
        let mut shop = Shop::with(&[(Action::Capture, fault)]);
        shop.wait_until_capture_is_asked();
        let (mut client, id) = (shop.store.client(), shop.order.clone());
        let first = thread::spawn(move || cancel(&mut client, &id, "c").status);
        eventually("it is cancelled", || (shop.read()["status"] == "cancelled").then_some(()));
        // The capture stays on its way: what becomes of the payment is for the gateway to say.
        shop.store.restart_shard(HOME);
        assert!([200, 409, 503, 504].contains(&first.join().expect("the first attempt ends")));
        shop.wait_for(payment);
        shop.gateway.release();
        shop.wait_until_closed();
        let paid = shop.gateway.paid(&shop.order);
        assert_eq!((paid.authorised, paid.captured, paid.refunded, paid.voided), expected, "{fault:?}");
        assert_eq!(settled(&shop.store, &[&shop.books[0], &shop.books[1]]), [UNTOUCHED, UNTOUCHED]);
        let steps = shop.read()["steps"].clone();
        let last = steps.as_array().expect("steps").iter().find(|step| step["step"] == payment);
        assert_eq!(last.expect("the payment's end")["by"], "shard 0, after its restart", "{steps}");
        insist_on_cancelling(&mut shop.store.client(), &shop.order).expect(200);
    }
}

#[test]
fn lost_and_repeated_answers_of_the_gateway_refund_nobody_twice() {
    for fault in [Fault::Lose, Fault::Ignore, Fault::Fail, Fault::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")]
    {
        let shop = Shop::open();
        (0..2).for_each(|_| shop.gateway.plan(Action::Refund, fault));
        shop.cancel("c").expect(200);
        shop.wait_until_closed();
        shop.expect_undone();
    }
}

#[test]
fn a_slow_gateway_is_504_and_the_refund_goes_on() {
    let mut shop = Shop::open();
    shop.gateway.stop();
    shop.cancel("c").expect_problem(504, "not given back yet");
    assert_eq!(
        (shop.read()["status"].clone(), shop.read()["payment_status"].clone()),
        ("cancelled".into(), "captured".into())
    );
    shop.cancel("c").expect_problem(409, "being worked on");
    shop.cancel("another key").expect_problem(409, "being cancelled");
    shop.gateway.start_again();
    shop.wait_for("refunded");
    assert!(insist_on_cancelling(&mut shop.store.client(), &shop.order).expect(200).is_replayed());
    shop.wait_until_closed();
    shop.expect_undone();
}

#[test]
fn a_refused_refund_leaves_the_order_cancelled_and_says_so() {
    let shop = Shop::open();
    shop.gateway.plan(Action::Refund, Fault::Refuse);
    assert_eq!(shop.cancel("c").expect(200).json()["payment_status"], "refund_failed");
    assert_eq!(settled(&shop.store, &[&shop.books[0], &shop.books[1]]), [UNTOUCHED, UNTOUCHED]);
    assert_eq!(shop.gateway.paid(&shop.order).refunded, 0);
    let counted = "shardcart_shard_refunds_failed_total{shard=\"0\"} 1";
    assert!(fresh_metrics(&mut shop.store.client()).contains(counted));
}

#[test]
fn a_refused_capture_is_voided() {
    let shop = Shop::with(&[(Action::Capture, Fault::Refuse)]);
    shop.wait_for("capture_failed");
    shop.wait_until_closed();
    assert_eq!(shop.cancel("c").expect(200).json()["payment_status"], "voided");
    let paid = shop.gateway.paid(&shop.order);
    assert_eq!((paid.captured, paid.refunded, paid.voided), (0, 0, 1));
}

#[test]
fn a_products_shard_that_is_down_gets_its_stock_back_when_it_is_there_again() {
    let mut shop = Shop::open();
    shop.store.shards[OTHER].kill();
    // The answer waits for it only for a while.
    let first = shop.cancel("c").expect(200).json();
    assert_eq!(first["payment_status"], "refunded");
    // Who asks again has the same answer, with its key or without one.
    assert_eq!(cancel_without_key(&mut shop.store.client(), &shop.order).expect(200).json(), first);
    shop.store.restart_shard(HOME);
    shop.store.start_shard(OTHER);
    shop.wait_until_closed();
    shop.expect_undone();
    assert!(shop.cancel("c").expect(200).is_replayed());
}

/// Those whose stock waits for its shard count until it is back, so that they do not fill the home.
#[test]
fn cancellations_whose_stock_is_not_back_are_limited() {
    const MOST: usize = 256;
    let mut shop = Shop::open();
    let book = shop.store.customer_on(OTHER, "979-");
    make_book(&mut shop.store.client(), &book, 2 * MOST as u64);
    let customer = shop.store.customer_on(HOME, "customer");
    let place = |number: usize| {
        let body = order_of(&customer, &[&book], CARD);
        let placed = insist(&mut shop.store.client(), &format!("many-{number}"), &body).expect(201);
        placed.json()["order_id"].as_str().expect("an id").to_owned()
    };
    let orders: Vec<_> = (0..=MOST).map(place).collect();
    shop.wait_until_closed();
    shop.store.shards[OTHER].kill();
    thread::scope(|scope| {
        let store = &shop.store;
        let cancelling = orders[1..].iter().map(|order| {
            let mut client = store.client();
            // One whose record changes too often while it is read is refused, and asks again.
            let mut begun = move || Some(cancel_without_key(&mut client, order).status).filter(|status| *status != 503);
            scope.spawn(move || eventually("it is begun", &mut begun))
        });
        let waiting: Vec<_> = cancelling.collect();
        for answer in waiting {
            let status = answer.join().expect("it is answered");
            assert!([200, 504].contains(&status), "{status}");
        }
    });
    cancel_without_key(&mut shop.store.client(), &orders[0]).expect_problem(503, "too many orders are being cancelled");
    shop.store.start_shard(OTHER);
    shop.wait_until_closed();
    cancel_without_key(&mut shop.store.client(), &orders[0]).expect(200);
}

#[test]
fn a_return_is_noted_until_its_order_is_closed() {
    let mut shop = Shop::open();
    let noted = |shop: &Shop| {
        let line = "shardcart_shard_records{shard=\"1\",kind=\"return\"} 1";
        fresh_metrics(&mut shop.store.client()).contains(line)
    };
    shop.gateway.stop();
    shop.cancel("c").expect(504);
    eventually("the stock is back", || noted(&shop).then_some(()));
    // Both forget what is not on disk; the home asks for the stock again.
    shop.store.restart_shard(OTHER);
    shop.store.restart_shard(HOME);
    assert!(noted(&shop));
    shop.gateway.start_again();
    shop.wait_for("refunded");
    shop.wait_until_closed();
    shop.expect_undone();
}
