//! Both pages are accessible and break no rule: axe finds nothing, the console has no error, no policy is breached, and
//! nothing is wider than a phone.

use std::fs;

use serde_json::Value;

use super::driver::{Browser, LAPTOP, Window};
use super::{skip, turn};
use crate::harness::{Setup, Store, offer};

/// The variable with the path of axe-core's `axe.min.js`, which is installed outside the repository.
const AXE_VARIABLE: &str = "SHARDCART_AXE";
const WINDOWS: [Window; 4] = [
    LAPTOP,
    Window { is_dark: true, ..LAPTOP },
    Window { width: 390, height: 844, is_dark: false },
    Window { width: 2000, height: 1100, is_dark: true },
];

/// A store with something to show, and a browser.
fn store() -> Store {
    let store = Setup::new(3).start();
    let mut client = store.client();
    client.post("/item/alice/9780140449136", &offer("9.50", 2)).expect(201);
    client.post("/item/alice/4", &offer("9.99", 1)).expect(201);
    store
}

/// Opens everything that can be opened on a page, so that it is looked at too.
fn unfold(browser: &mut Browser, path: &str) {
    match path {
        "/" => {
            browser.wait_for("the page is live", "return document.querySelector('.feed .lamp.good')");
            browser.type_into("look-up input", "alice");
            browser.click("look-up button[value=customer]");
            browser.wait_for_element("look-up .cart-lines");
        }
        _ => {
            browser.wait_for_element("shop-cart [data-item='4']");
            browser.click(".pay");
            browser.wait_for("there is an outcome", "return document.querySelector('.outcome.good, .outcome.bad')");
        }
    }
    browser.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
}

#[test]
fn pages_fit_their_windows_and_raise_no_error() {
    let Some(_turn) = turn() else { return };
    let store = store();
    let mut browser = Browser::open(LAPTOP);
    for path in ["/", "/shop?customer=alice"] {
        browser.visit(store.facade.http[0], path);
        unfold(&mut browser, path);
        for window in WINDOWS {
            browser.resize(window);
            let width = browser.run("return document.documentElement.scrollWidth");
            assert!(width.as_u64() <= Some(u64::from(window.width)), "{path} is {width} wide in {window:?}");
        }
        browser.resize(LAPTOP);
        assert_eq!(browser.complaints(|_| false), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn the_api_page_breaches_no_policy() {
    let Some(_turn) = turn() else { return };
    let store = store();
    let mut browser = Browser::open(LAPTOP);
    browser.visit(store.facade.http[0], "/docs/");
    browser.wait_for_element("#operations-carts-getCart, .opblock");
    browser.click(".opblock-summary-control");
    browser.wait_for_element(".opblock-body");
    assert_eq!(browser.complaints(|_| false), Vec::<String>::new());
}

/// What axe finds wrong on the page, in each window.
fn look_with_axe(browser: &mut Browser, axe: &str, what: &str) {
    browser.run(&format!("{axe}; window.axe = axe;"));
    for window in WINDOWS {
        browser.resize(window);
        let found = browser.run_until_done(
            "const done = arguments[arguments.length - 1];
             axe.run(document).then(({ violations }) => done(violations.map(({ id, help, nodes }) =>
                 [id, help, ...nodes.map(({ target }) => target.join(' '))])));",
        );
        assert_eq!(found, Value::Array(Vec::new()), "{what} in {window:?}");
    }
    browser.resize(LAPTOP);
}

#[test]
fn axe_finds_nothing() {
    let Some(_turn) = turn() else { return };
    let Some(path) = std::env::var_os(AXE_VARIABLE) else {
        return skip(&format!("{AXE_VARIABLE} does not name axe-core's axe.min.js"));
    };
    let axe = fs::read_to_string(path).expect("axe can be read");
    let mut store = store();
    let mut browser = Browser::open(LAPTOP);
    for path in ["/", "/shop?customer=alice"] {
        browser.visit(store.facade.http[0], path);
        unfold(&mut browser, path);
        look_with_axe(&mut browser, &axe, path);
    }
    // The form that asks for a key, and a page that nobody answers.
    browser.visit(store.facade.http[0], "/");
    // Until then the form may not listen.
    browser.wait_for_element(".feed .lamp.good");
    browser.run("import('/assets/access.js').then(({ askForKey }) => askForKey(null))");
    browser.wait_for("the form is there", "return document.querySelector('dialog').open");
    look_with_axe(&mut browser, &axe, "the form");
    store.facade.process.kill();
    browser.wait_for("the page says so", "return document.querySelector('verdict-line[data-code=away]')");
    look_with_axe(&mut browser, &axe, "a page without a facade");
}
