//! The shop front: an order is placed by clicking, and of two shoppers one gets the last copy.

use std::sync::Barrier;
use std::thread;

use super::driver::{Browser, LAPTOP};
use super::turn;
use crate::harness::shop::{make_book, order, settled, stock_of};
use crate::harness::{Setup, Store, eventually};

const BOOK: &str = "9780140449136";

fn open(store: &Store, customer: &str) -> Browser {
    let mut browser = Browser::open(LAPTOP);
    browser.visit(store.facade.http[0], &format!("/shop?customer={customer}"));
    browser
}

fn add(browser: &mut Browser, book: &str) {
    browser.click(&format!("[data-product='{book}'] button"));
    browser.wait_for_element(&format!("shop-cart [data-item='{book}']"));
}

#[test]
fn an_order_is_placed_by_clicking() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(2).durable().start();
    let mut browser = open(&store, "alice");
    let fiction = "[...document.querySelectorAll('.topics button')].find((button) => button.innerText === 'fiction')";
    browser.wait_for("there are topics", &format!("return {fiction}"));
    browser.run(&format!("{fiction}.click()"));
    browser.wait_for("only fiction is shown", "return document.querySelectorAll('.products li').length === 2");
    add(&mut browser, BOOK);
    browser.click(&format!("[data-item='{BOOK}'] .stepper button:last-of-type"));
    browser.wait_for("two are in the cart", "return document.querySelector('.stepper output').innerText === '2'");
    browser.click(".pay");
    browser.wait_for("the order is placed", "return document.querySelector('.outcome.good')");
    browser.wait_for_element("[data-payment=captured]");
    let id = browser.run("return document.querySelector('[data-order]').dataset.order");
    let placed = order(&mut store.client(), id.as_str().expect("an id"));
    assert_eq!((&placed["status"], &placed["total"]), (&"created".into(), &19.0.into()), "{placed}");
    assert_eq!(placed["customer_id"], "alice");
    // The way of its delivery.
    for status in ["dispatched", "delivered"] {
        browser.click("[data-order] .actions button");
        browser.wait_for_element(&format!("[data-delivery={status}]"));
    }
    assert_eq!(browser.text("shop-cart .total"), "Nothing in it yet.");
    assert!(browser.text("last-action").contains("From a terminal"));
    assert_eq!(browser.complaints(|_| false), Vec::<String>::new());
}

#[test]
fn a_cancelled_order_brings_back_its_stock() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(2).start();
    let mut browser = open(&store, "alice");
    add(&mut browser, BOOK);
    browser.click(".pay");
    browser.wait_for_element("[data-payment=captured]");
    assert_eq!(settled(&store, &[BOOK])[0].stock, 24);
    browser.click("[data-order] .actions button:last-of-type");
    browser.wait_for_element("[data-payment=refunded]");
    assert_eq!(browser.text("[data-order] .tag"), "cancelled");
    eventually("the stock is back", || (stock_of(&mut store.client(), BOOK).stock == 25).then_some(()));
}

#[test]
fn a_declined_card_changes_nothing() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(2).start();
    let mut browser = open(&store, "alice");
    add(&mut browser, BOOK);
    browser.run("document.querySelector('select[name=card]').value = '4242424242420002'");
    browser.click(".pay");
    browser.wait_for("it is told", "return document.querySelector('.outcome.bad')?.innerText.includes('declined')");
    assert_eq!(stock_of(&mut store.client(), BOOK).stock, 25);
    browser.run("document.querySelector('select[name=card]').value = '4242424242424242'");
    browser.click(".pay");
    browser.wait_for("the same cart is bought", "return document.querySelector('.outcome.good')");
}

#[test]
fn of_two_shoppers_one_gets_the_last_copy() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(2).start();
    make_book(&mut store.client(), "42", 1);
    let start = Barrier::new(2);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let shop = |customer: &'static str| {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                let mut browser = open(store, customer);
                add(&mut browser, "42");
                start.wait();
                browser.click(".pay");
                browser.wait_for("there is an outcome", "return document.querySelector('.outcome.good, .outcome.bad')");
                let lines = browser.run("return document.querySelectorAll('shop-cart [data-item]').length");
                let fault = browser.run("return document.querySelector('.line-fault')?.innerText");
                (browser.text(".outcome"), lines, fault)
            })
        };
        ["alice", "bob"].map(shop).map(|shopper| shopper.join().expect("a shopper failed")).into()
    });
    let won: Vec<_> = outcomes.iter().filter(|(text, ..)| text.contains("Order placed")).collect();
    let lost: Vec<_> = outcomes.iter().filter(|(text, ..)| text.contains("Somebody else was faster")).collect();
    assert_eq!((won.len(), lost.len()), (1, 1), "{outcomes:?}");
    let (text, lines, fault) = lost[0];
    assert!(text.contains("not charged") && *lines == 1, "{text} {lines}");
    assert_eq!(fault, "out of stock");
    let stock = settled(&store, &["42"])[0];
    assert_eq!((stock.stock, stock.sold), (0, 1));
}
