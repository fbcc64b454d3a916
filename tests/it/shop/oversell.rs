//! Many buyers at once: exactly the stock is sold, in every way of buying, and stock adds up in every read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::harness::shop::{CARD, KEY, Stock, make_book, order_of, settled, stock_of};
use crate::harness::{Answer, Client, Setup, Store, all_at_once, offer};

const CLIENTS: u32 = 64;
const COPIES: u64 = 100;

/// Buys one copy in one of the four ways.
fn buy(client: &mut Client, way: u32, customer: &str, book: &str) -> Answer {
    match way % 4 {
        0 => client.put("/buy", &json!({"id": book, "quantity": 1, "card": CARD}).to_string()),
        1 => client.post(&format!("/purchase/{book}"), ""),
        2 => {
            let body = order_of(customer, &[book], CARD);
            client.call("POST", "/api/orders").header("X-API-Key", KEY).json(&body).send()
        }
        _ => {
            client.post(&format!("/item/{customer}/{book}"), &offer("9.99", 1));
            let body = json!({"payment": {"card_number": CARD}}).to_string();
            let answer = client.post(&format!("/checkout/{customer}"), &body);
            client.delete(&format!("/items/{customer}"));
            answer
        }
    }
}

fn is_sale(answer: &Answer) -> bool {
    match answer.status {
        200 | 201 => true,
        400 | 404 | 409 => false,
        other => panic!("{other}: {}", answer.text()),
    }
}

/// Reads a book until `stop` is set. `stock_of` checks each time that its stock adds up.
fn watch(store: &Store, book: &str, done: &AtomicBool) -> u64 {
    let mut client = store.client();
    let (mut looks, mut sold) = (0, 0);
    while !done.load(Ordering::SeqCst) {
        let stock = stock_of(&mut client, book);
        assert!(stock.sold >= sold && stock.received == COPIES, "{stock:?}");
        sold = stock.sold;
        looks += 1;
    }
    looks
}

#[test]
fn the_last_hundred_are_sold_exactly_once_in_every_way() {
    let store = Setup::new(4).start();
    let book = store.customer_on(2, "978-");
    make_book(&mut store.client(), &book, COPIES);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&store, &book, &done));
        let sales: Vec<u64> = all_at_once(&store, CLIENTS, |number, mut client| {
            let mut sales = 0;
            for way in 0..8 {
                sales += u64::from(is_sale(&buy(&mut client, way + number, &format!("customer{number}"), &book)));
            }
            sales
        });
        done.store(true, Ordering::SeqCst);
        assert!(watcher.join().expect("the watcher failed") > 10);
        assert_eq!(sales.iter().sum::<u64>(), COPIES);
    });
    assert_eq!(settled(&store, &[&book]), [Stock { stock: 0, held: 0, sold: COPIES, received: COPIES }]);
}

#[test]
fn the_last_copy_has_one_buyer() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    for round in 0..1_000 {
        let book = format!("last-{round}");
        make_book(&mut client, &book, 1);
        let sales = all_at_once(&store, 8, |number, mut client| {
            is_sale(&buy(&mut client, number, &format!("customer{round}-{number}"), &book))
        });
        assert_eq!(sales.iter().filter(|sold| **sold).count(), 1, "{book}");
        assert_eq!(settled(&store, &[&book]), [Stock { stock: 0, held: 0, sold: 1, received: 1 }]);
    }
}

#[test]
fn a_deleted_book_is_not_sold_and_does_not_come_back() {
    const ROUNDS: u32 = 250;
    let store = Setup::new(2).start();
    all_at_once(&store, 8, |number, mut client| {
        for round in 0..ROUNDS {
            let book = format!("gone-{number}-{round}");
            make_book(&mut client, &book, 2);
            thread::scope(|scope| {
                let (mut other, way, path) = (store.client(), round, format!("/catalog/books/{book}"));
                let deleted = scope.spawn(move || other.delete(&path).expect(200).json());
                let answer = buy(&mut client, way, &format!("customer{number}"), &book);
                let deleted = deleted.join().expect("the delete failed");
                // The reply has the counts sold and held at the deletion. Nothing was sold or held later.
                let before = deleted["sold"].as_u64() == Some(1) || deleted["held"].as_u64() == Some(1);
                let refused_all_the_same = deleted["held"].as_u64() == Some(1) && way % 4 != 1;
                assert!(is_sale(&answer) == before || refused_all_the_same, "{way}: {} {deleted}", answer.text());
            });
            client.get(&format!("/info/{book}")).expect(404);
            // A new book with the same id is another product, which the old one's orders do not affect.
            make_book(&mut client, &book, 5);
            let fresh = Stock { stock: 5, held: 0, sold: 0, received: 5 };
            assert_eq!(stock_of(&mut client, &book), fresh);
        }
    });
    for number in 0..8 {
        for round in 0..ROUNDS {
            let fresh = Stock { stock: 5, held: 0, sold: 0, received: 5 };
            assert_eq!(stock_of(&mut store.client(), &format!("gone-{number}-{round}")), fresh);
        }
    }
}

#[test]
fn items_added_during_a_checkout_stay_in_the_cart() {
    let store = Setup::new(2).start();
    let (customer, book) = ("alice", store.customer_on(1, "978-"));
    make_book(&mut store.client(), &book, 100_000);
    let path = format!("/item/{customer}/{book}");
    let done = AtomicBool::new(false);
    let (added, sold) = thread::scope(|scope| {
        let adder = scope.spawn(|| {
            let mut client = store.client();
            let mut added = 0;
            while !done.load(Ordering::SeqCst) {
                let answer = client.post(&path, &offer("1", 1));
                assert!([200, 201].contains(&answer.status), "{}", answer.text());
                added += 1;
            }
            added
        });
        let mut client = store.client();
        let body = json!({"payment": {"card_number": CARD}}).to_string();
        let mut sold = 0;
        for _ in 0..100 {
            let answer = client.post(&format!("/checkout/{customer}"), &body);
            if answer.status == 201 {
                sold += answer.json()["items"][0]["quantity"].as_u64().expect("a quantity");
            } else {
                assert!([404, 409].contains(&answer.status), "{}", answer.text());
            }
        }
        done.store(true, Ordering::SeqCst);
        (adder.join().expect("the adder failed"), sold)
    });
    let left = store.client().get(&format!("/items/{customer}")).expect(200).json();
    assert!(sold > 0);
    assert_eq!(left["itemTotal"].as_u64(), Some(added - sold), "{added} added, {sold} sold: {left}");
    let [stock] = settled(&store, &[&book])[..] else { panic!("one book") };
    assert_eq!(stock.sold, sold);
}
