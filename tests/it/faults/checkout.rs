//! Checkouts when the shard of their cart dies: the cart is in checkout until its order is decided, and no longer; what was
//! sold leaves it once.

use std::thread;

use serde_json::json;

use super::saga::{HOME, OTHER, STOCK, Shop, id_of};
use crate::harness::shop::{CARD, Stock, settled};
use crate::harness::{Action, Answer, Client, Fault, eventually, offer};

/// Adds one of each book to the customer's cart.
fn fill_cart(shop: &Shop) {
    for book in &shop.books {
        shop.store.client().post(&format!("/item/{}/{book}", shop.customer), &offer("10", 1)).expect(201);
    }
}

fn check_out(client: &mut Client, customer: &str, key: &str) -> Answer {
    let body = json!({"payment": {"card_number": CARD}, "address": "Main St"}).to_string();
    client.call("POST", &format!("/checkout/{customer}")).header("Idempotency-Key", key).json(&body).send()
}

/// Checks out, and repeats the request until there is a final answer.
fn insist(shop: &Shop, key: &str) -> Answer {
    let mut client = shop.store.client();
    eventually("the order has an answer", || {
        let answer = check_out(&mut client, &shop.customer, key);
        let in_flight = answer.status == 409 && answer.json()["type"] == "/problems/in-flight";
        (!in_flight && ![503, 504].contains(&answer.status)).then_some(answer)
    })
}

/// Checks the cart out while its shard dies at a fail point, and starts the shard again. Returns the status of the answer.
fn dies_during_checkout(shop: &mut Shop, fail_point: &str) -> u16 {
    fill_cart(shop);
    shop.store.arm_shard(HOME, fail_point);
    let (mut waiting, customer) = (shop.store.client(), shop.customer.clone());
    let first = thread::scope(|scope| {
        let first = scope.spawn(move || check_out(&mut waiting, &customer, "k").status);
        eventually("the shard is dead", || shop.store.shards[HOME].has_ended().then_some(()));
        first.join().expect("the first attempt ends")
    });
    shop.store.revive_shard(HOME);
    first
}

/// Expects that the cart takes additions whatever became of the checkout, and once that is decided other changes as well.
fn expect_changes(shop: &Shop) {
    let other = format!("/item/{}/other", shop.customer);
    let mut client = shop.store.client();
    client.post(&other, &offer("1", 1)).expect(201);
    client.delete(&other).expect(200);
    let first = format!("/item/{}/{}", shop.customer, shop.books[HOME]);
    eventually("the checkout is not open any more", || {
        let answer = client.put(&first, r#"{"newCount": 1}"#);
        [200, 404].contains(&answer.status).then_some(())
    });
}

fn items(shop: &Shop) -> u64 {
    let cart = shop.store.client().get(&format!("/items/{}", shop.customer)).expect(200).json();
    cart["itemTotal"].as_u64().expect("a total")
}

fn dies_at(fail_point: &str) {
    let mut shop = Shop::open();
    let first = dies_during_checkout(&mut shop, fail_point);
    assert!([201, 409, 503, 504].contains(&first), "{fail_point}: {first}");
    expect_changes(&shop);
    shop.expect_one_sale(&id_of(&insist(&shop, "k").expect(201)));
    assert_eq!(items(&shop), 0, "{fail_point}");
}

fn declined_dies_at(fail_point: &str) {
    let mut shop = Shop::open();
    shop.gateway.plan(Action::Authorise, Fault::Refuse);
    let first = dies_during_checkout(&mut shop, fail_point);
    assert!([402, 409, 503, 504].contains(&first), "{fail_point}: {first}");
    insist(&shop, "k").expect_problem(402, "declined");
    expect_changes(&shop);
    assert_eq!(items(&shop), 2, "{fail_point}");
    let untouched = Stock { stock: STOCK, held: 0, sold: 0, received: STOCK };
    assert_eq!(settled(&shop.store, &shop.books()), [untouched, untouched]);
    shop.expect_one_sale(&id_of(&insist(&shop, "another").expect(201)));
    assert_eq!(items(&shop), 0, "{fail_point}");
}

macro_rules! checkouts {
    ($dies_at:ident: $($name:ident: $points:expr;)*) => {$(
        #[test]
        fn $name() {
            $points.iter().for_each(|point| $dies_at(point));
        }
    )*};
}

checkouts! {
    dies_at:
    the_shard_of_a_checkout_may_die_before_it_pays: ["begun", "pending", "holding", "held", "paying"];
    the_shard_of_a_checkout_may_die_before_it_settles: ["paid", "deciding", "decided", "settling"];
    the_shard_of_a_checkout_may_die_before_it_is_closed: ["claimed", "settled", "closed"];
    the_shard_of_a_checkout_may_die_after_any_commit: ["committed:1", "committed:2", "committed:3", "committed:4"];
}

checkouts! {
    declined_dies_at:
    the_shard_of_a_declined_checkout_may_die_before_it_settles: ["deciding", "decided", "settling"];
    the_shard_of_a_declined_checkout_may_die_before_it_is_closed: ["claimed", "settled", "closed"];
    the_shard_of_a_declined_checkout_may_die_after_its_last_commits: ["committed:3", "committed:4"];
}

#[test]
fn a_cart_stays_in_checkout_until_the_order_that_a_death_interrupted_is_decided() {
    let mut shop = Shop::open();
    let (mut client, line) = (shop.store.client(), format!("/item/{}/{}", shop.customer, shop.books[OTHER]));
    client.post(&line, &offer("10", 1)).expect(201);
    shop.store.arm_shard(HOME, "paid");
    // The home cannot find out what became of the payment.
    (0..10_000).for_each(|_| shop.gateway.plan(Action::Lookup, Fault::Hold));
    let (mut waiting, path) = (shop.store.client(), format!("/checkout/{}", shop.customer));
    let body = json!({"payment": {"card_number": CARD}}).to_string();
    let first = thread::spawn(move || waiting.post(&path, &body).status);
    shop.store.revive_shard(HOME);
    assert_eq!(first.join().expect("it has an answer"), 504);
    client.delete(&line).expect_problem(409, "being checked out");
    client.post(&line, &offer("10", 2)).expect(200);
    shop.gateway.release();
    let left = eventually("the cart can be changed", || {
        let answer = client.delete(&line);
        (answer.status != 409).then_some(answer)
    });
    assert_eq!(left.expect(200).json()["itemTotal"], 0);
    let sold = Stock { stock: STOCK - 1, held: 0, sold: 1, received: STOCK };
    assert_eq!(settled(&shop.store, &[&shop.books[OTHER]]), [sold]);
}
