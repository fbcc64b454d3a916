//! Orders over several shards when processes die and a payment gateway loses messages: each order ends as created or
//! refused, stock stays balanced and none stays held, and nobody pays twice.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::shop::{CARD, KEY, Stock, insist, make_book, order, order_of, place, settled};
use crate::harness::{Action, Client, Fault, Gateway, Random, Setup, Store, eventually, fresh_metrics};

pub const STOCK: u64 = 20;
pub const HOME: usize = 0;
pub const OTHER: usize = 1;

/// A store with a gateway, a customer whose home is one shard, a book there and a book on another shard.
pub struct Shop {
    pub store: Store,
    pub gateway: Gateway,
    pub customer: String,
    pub books: [String; 2],
}

impl Shop {
    pub fn open() -> Self {
        Self::open_on(Setup::new(2).durable())
    }

    fn open_on(setup: Setup) -> Self {
        let gateway = Gateway::start();
        let store = setup.shard_options(&["--payment", &gateway.url()]).start();
        let books = [store.customer_on(HOME, "978-"), store.customer_on(OTHER, "978-")];
        let customer = store.customer_on(HOME, "customer");
        books.iter().for_each(|book| make_book(&mut store.client(), book, STOCK));
        Shop { store, gateway, customer, books }
    }

    pub fn books(&self) -> [&str; 2] {
        [&self.books[0], &self.books[1]]
    }

    fn body(&self) -> String {
        order_of(&self.customer, &self.books(), CARD)
    }

    /// Asserts that one order is created, both books are sold once, one payment is captured, and every other one is
    /// voided.
    pub fn expect_one_sale(&self, created: &str) {
        let sold = Stock { stock: STOCK - 1, held: 0, sold: 1, received: STOCK };
        assert_eq!(settled(&self.store, &self.books()), [sold, sold]);
        let paid = eventually("the money is taken", || {
            let paid = self.gateway.paid(created);
            (paid.captured > 0).then_some(paid)
        });
        assert_eq!((paid.authorised, paid.captured, paid.amount.as_str()), (1, 1, "20.00"));
        for (id, other) in self.gateway.payments().into_iter().filter(|(id, _)| id != created) {
            assert_ne!(other.state, "authorised", "{id}: {other:?}");
            assert_eq!(other.captured, 0, "{id}: {other:?}");
        }
    }
}

pub fn id_of(answer: &crate::harness::Answer) -> String {
    answer.json()["order_id"].as_str().expect("an order's id").to_owned()
}

/// Places an order during which a shard dies at a fail point, restarts the shard, and retries as the customer.
fn dies_at(shard: usize, fail_point: &str) {
    dies_in(Shop::open(), shard, fail_point);
}

fn dies_in(mut shop: Shop, shard: usize, fail_point: &str) {
    shop.store.arm_shard(shard, fail_point);
    let body = shop.body();
    let mut client = shop.store.client();
    let first = thread::spawn(move || place(&mut client, "k", &body).status);
    shop.store.revive_shard(shard);
    let first = first.join().expect("the first attempt ends");
    assert!([201, 409, 503, 504].contains(&first), "{fail_point}: {first}");
    let answer = insist(&mut shop.store.client(), "k", &shop.body()).expect(201);
    shop.expect_one_sale(&id_of(&answer));
    let again = insist(&mut shop.store.client(), "k", &shop.body()).expect(201);
    assert!(again.is_replayed() && id_of(&again) == id_of(&answer), "{fail_point}");
    let mut client = shop.store.client();
    eventually("the order is captured", || {
        (order(&mut client, &id_of(&answer))["payment_status"] == "captured").then_some(())
    });
}

deaths! {
    the_home_may_die_before_it_holds: HOME, ["begun", "pending", "holding"];
    the_home_may_die_before_it_pays: HOME, ["held", "paying"];
    the_home_may_die_before_it_decides: HOME, ["paid", "deciding"];
    the_home_may_die_before_it_settles: HOME, ["decided", "settling"];
    the_home_may_die_before_it_closes: HOME, ["claimed", "settled", "closed"];
    the_home_may_die_after_any_commit: HOME, ["committed:1", "committed:2", "committed:3", "committed:4"];
    a_products_shard_may_die_around_its_hold: OTHER, ["holding", "committed:1"];
    a_products_shard_may_die_around_its_claim: OTHER, ["settling", "committed:2"];
}

#[test]
fn shards_on_tcp_may_die_as_well() {
    for (shard, fail_point) in [(HOME, "paid"), (HOME, "decided"), (OTHER, "holding"), (OTHER, "settling")] {
        dies_in(Shop::open_on(Setup::new(2).durable().tcp()), shard, fail_point);
    }
}

#[test]
fn a_paid_order_at_home_is_held_once() {
    let shop = Shop::open();
    let mut client = shop.store.client();
    let answer = place(&mut client, "k", &order_of(&shop.customer, &[&shop.books[HOME]], CARD)).expect(201);
    let order = order(&mut client, &id_of(&answer));
    let steps: Vec<_> = order["steps"].as_array().expect("steps").iter().map(|step| &step["step"]).collect();
    assert_eq!(steps[..4], ["pending", "held", "authorised", "created"], "{steps:?}");
}

#[test]
fn lost_and_repeated_answers_of_the_gateway_charge_nobody_twice() {
    for fault in [Fault::Lose, Fault::Ignore, Fault::Fail] {
        let shop = Shop::open();
        [Action::Authorise, Action::Capture].into_iter().for_each(|action| shop.gateway.plan(action, fault));
        let answer = place(&mut shop.store.client(), "k", &shop.body()).expect(201);
        shop.expect_one_sale(&id_of(&answer));
    }
}

#[test]
fn an_authorisation_that_comes_too_late_is_refused() {
    let shop = Shop::open();
    (0..10).for_each(|_| shop.gateway.plan(Action::Authorise, Fault::Hold));
    place(&mut shop.store.client(), "k", &shop.body()).expect_problem(503, "nothing was charged");
    // The delayed authorisation arrives after the void.
    shop.gateway.release();
    let untouched = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };
    assert_eq!(settled(&shop.store, &shop.books()), [untouched, untouched]);
    assert!(shop.gateway.payments().values().all(|paid| paid.authorised == 0 && paid.state == "voided"));
    // The key is free: the retry is a new order.
    let answer = insist(&mut shop.store.client(), "k", &shop.body()).expect(201);
    shop.expect_one_sale(&id_of(&answer));
}

#[test]
fn a_refused_capture_leaves_the_order_and_says_so() {
    let shop = Shop::open();
    shop.gateway.plan(Action::Capture, Fault::Refuse);
    let answer = place(&mut shop.store.client(), "k", &shop.body()).expect(201);
    let mut client = shop.store.client();
    let order = eventually("the capture is refused", || {
        let order = order(&mut client, &id_of(&answer));
        (order["payment_status"] == "capture_failed").then_some(order)
    });
    assert_eq!(order["status"], "created");
    let sold = Stock { stock: STOCK - 1, held: 0, sold: 1, received: STOCK };
    assert_eq!(settled(&shop.store, &shop.books()), [sold, sold]);
}

#[test]
fn a_products_shard_that_stays_down_refuses_the_order_and_gets_its_stock_back() {
    let mut shop = Shop::open();
    shop.store.shards[OTHER].kill();
    place(&mut shop.store.client(), "k", &shop.body()).expect_problem(503, "could not be asked");
    wait_until_closed(&shop.store);
    shop.store.start_shard(OTHER);
    let untouched = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };
    assert_eq!(settled(&shop.store, &shop.books()), [untouched, untouched]);
    assert!(shop.gateway.payments().is_empty());
}

/// Waits until the home has no open order.
fn wait_until_closed(store: &Store) {
    let line = "shardcart_shard_records{shard=\"0\",kind=\"open_order\"} 0";
    eventually("the order is closed", || fresh_metrics(&mut store.client()).contains(line).then_some(()));
}

#[test]
fn money_is_taken_and_the_order_closed_while_a_products_shard_is_away() {
    let mut shop = Shop::open();
    shop.store.arm_shard(OTHER, "settling");
    let answer = place(&mut shop.store.client(), "k", &shop.body()).expect(201);
    let mut client = shop.store.client();
    wait_until_closed(&shop.store);
    let order = order(&mut client, &id_of(&answer));
    assert_eq!(order["payment_status"], "captured");
    shop.store.revive_shard(OTHER);
    shop.expect_one_sale(&id_of(&answer));
}

#[test]
fn a_paid_order_that_lost_its_stock_is_given_up_and_its_payment_voided() {
    let mut shop = Shop::open();
    shop.store.arm_shard(HOME, "paid");
    let (mut client, body) = (shop.store.client(), shop.body());
    let first = thread::spawn(move || place(&mut client, "k", &body).status);
    eventually("the home is dead", || shop.store.shards[HOME].has_ended().then_some(()));
    // The other shard loses everything, what it holds for the order too.
    shop.store.shards[OTHER].kill();
    std::fs::remove_dir_all(shop.store.directory().join("shard-1")).expect("its directory can be removed");
    shop.store.start_shard(OTHER);
    shop.store.revive_shard(HOME);
    // 400 where the facade sent it again only after the order was given up: it is a new order then.
    let status = first.join().expect("the first attempt ends");
    assert!([400, 409, 503, 504].contains(&status), "{status}");
    let paid =
        eventually("the payment is voided", || shop.gateway.payments().into_values().find(|paid| paid.voided > 0));
    assert_eq!((paid.authorised, paid.captured, paid.state), (1, 0, "voided"));
    wait_until_closed(&shop.store);
    let untouched = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };
    assert_eq!(settled(&shop.store, &[&shop.books[HOME]]), [untouched]);
    let mut client = shop.store.client();
    let refused = client.call("GET", "/api/orders?status=refused&payment_status=voided").header("X-API-Key", KEY);
    assert_eq!(refused.send().expect(200).json()["items"].as_array().map(Vec::len), Some(1));
    // The key is free: the retry is a new order, of a book that is not there any more.
    insist(&mut client, "k", &shop.body()).expect_problem(400, "unknown book");
}

#[test]
fn a_shard_asks_about_stock_that_an_order_left_held() {
    let mut shop = Shop::open();
    // The home dies with stock held on the other shard, which would never hear of the decision without asking.
    shop.store.arm_shard(HOME, "held");
    let (mut client, body) = (shop.store.client(), shop.body());
    let first = thread::spawn(move || {
        let call = client.call("POST", "/api/orders").header("X-API-Key", KEY);
        call.json(&body).send().expect_problem(504, "")
    });
    shop.store.revive_shard(HOME);
    first.join().expect("the outcome is unknown to who has no key");
    let untouched = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };
    assert_eq!(settled(&shop.store, &shop.books()), [untouched, untouched]);
}

#[test]
fn no_card_number_is_anywhere() {
    let card = "4929123412341234";
    let mut shop = Shop::open();
    shop.gateway.plan(Action::Authorise, Fault::Refuse);
    let body = order_of(&shop.customer, &shop.books(), card);
    let refused = place(&mut shop.store.client(), "k", &body).expect(402);
    let created = place(&mut shop.store.client(), "l", &body).expect(201);
    let wrong = order_of(&shop.customer, &shop.books(), &format!("{card}5"));
    let invalid = place(&mut shop.store.client(), "m", &wrong).expect_problem(400, "payment.card_number");
    for answer in [refused, created, invalid] {
        assert!(!answer.text().contains(card), "{}", answer.text());
    }
    shop.store.restart_shard(HOME);
    assert!(shop.gateway.seen().iter().any(|body| body.contains(card)), "the gateway alone sees it");
    let mut directories = vec![shop.store.directory().to_owned()];
    let mut searched = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory can be read") {
            let path = entry.expect("a directory can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                searched += 1;
                let found = bytes.windows(card.len()).any(|window| window == card.as_bytes());
                assert!(!found, "{} holds it", path.display());
            }
        }
    }
    assert!(searched > 5, "{searched} files were searched");
}

#[test]
fn orders_survive_shards_that_are_killed_at_random() {
    const CUSTOMERS: u32 = 8;
    const ORDERS: u32 = 6;
    let gateway = Gateway::start();
    let mut store = Setup::new(3).durable().shard_options(&["--payment", &gateway.url()]).start();
    let books: Vec<String> = (0..3).map(|shard| store.customer_on(shard, "978-")).collect();
    let books: Vec<&str> = books.iter().map(String::as_str).collect();
    books.iter().for_each(|book| make_book(&mut store.client(), book, 1_000));
    let mut random = Random::seeded("orders_survive_shards_that_are_killed_at_random");
    let done = AtomicBool::new(false);
    let address = store.facade.http[0];
    let created: Vec<String> = thread::scope(|scope| {
        let customers: Vec<_> = (0..CUSTOMERS)
            .map(|number| {
                let books = &books;
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    let body = order_of(&format!("customer{number}"), books, CARD);
                    let orders = (0..ORDERS).map(|order| insist(&mut client, &format!("{number}-{order}"), &body));
                    orders.map(|answer| id_of(&answer.expect(201))).collect::<Vec<_>>()
                })
            })
            .collect();
        let killer = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let shard = random.below(3) as usize;
                store.restart_shard(shard);
            }
        });
        let created = customers.into_iter().flat_map(|customer| customer.join().expect("a customer failed")).collect();
        done.store(true, Ordering::SeqCst);
        killer.join().expect("the killer failed");
        created
    });
    let total = u64::from(CUSTOMERS * ORDERS);
    assert_eq!(created.iter().collect::<HashSet<_>>().len() as u64, total);
    for stock in settled(&store, &books) {
        assert_eq!(stock, Stock { stock: 1_000 - total, held: 0, sold: total, received: 1_000 });
    }
    for id in &created {
        let paid = eventually("the money is taken", || Some(gateway.paid(id)).filter(|paid| paid.captured > 0));
        assert_eq!((paid.authorised, paid.captured), (1, 1), "{id}");
    }
    let others = gateway.payments().into_iter().filter(|(id, _)| !created.contains(id));
    others.for_each(|(id, paid)| assert_ne!((paid.state, paid.captured), ("authorised", 0), "{id}"));
}
