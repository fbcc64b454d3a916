//! The page at `/` shows what happens in the store.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use shardcart::access::KEY_VARIABLES;
use shardcart::routing::KeyHash;

use super::driver::{Browser, LAPTOP};
use super::turn;
use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM};
use crate::harness::shop::{CARD, KEY};
use crate::harness::{Client, Setup, Store, eventually, offer};

/// A key that a store can be started with.
const STORE_KEY: &str = "sck_0123456789abcdef0123456789abcdef";

/// True once the page is up to date.
const LIVE: &str = "return document.querySelector('.feed .lamp.good')";

/// Opens the page, and waits until it is up to date.
fn open(store: &Store) -> Browser {
    let mut browser = Browser::open(LAPTOP);
    browser.visit(store.facade.http[0], "/");
    browser.wait_for("the page is live", LIVE);
    browser
}

/// Writes into carts of every shard while the page is watched.
fn with_load(store: &Store, watch: impl FnOnce()) {
    /// Ends the load also when a test fails, which would wait for it otherwise.
    struct Ending<'a>(&'a AtomicBool);
    impl Drop for Ending<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| load(&mut store.client(), &has_ended));
        let _ending = Ending(&has_ended);
        watch();
    });
}

fn load(client: &mut Client, has_ended: &AtomicBool) {
    for number in (0..).take_while(|_| !has_ended.load(Ordering::Relaxed)) {
        client.post(&format!("/item/customer{}/tea", number % 100), &offer("0.07", 1));
    }
}

fn viewers(store: &Store) -> u64 {
    store.client().get("/status").expect(200).json()["facade"]["viewers"].as_u64().expect("a count")
}

#[test]
fn plots_move_under_load() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(2).start();
    let mut browser = open(&store);
    let picture = "return document.querySelector('time-plot[data-metric=requests_per_s] canvas').toDataURL()";
    let before = browser.wait_for("there is a plot", picture);
    with_load(&store, || {
        browser.wait_for(
            "the plot says how many requests there are",
            "return parseInt(document.querySelector('time-plot[data-metric=requests_per_s] .plot-now').textContent) > 0",
        );
        eventually("the line moves", || (browser.run(picture) != before).then_some(()));
        browser.wait_for(
            "each shard has its share",
            "return [0, 1].every((shard) => {
                const cells = [...document.querySelectorAll(`tr[data-shard='${shard}'] td`)];
                return parseInt(cells.find((cell) => cell.dataset.title === 'Requests/s').textContent) > 0;
            })",
        );
    });
    assert_eq!(browser.complaints(|_| false), Vec::<String>::new());
}

#[test]
fn a_killed_shard_turns_red_and_back() {
    let Some(_turn) = turn() else { return };
    let mut store = Setup::new(2).durable().start();
    let mut browser = open(&store);
    browser.wait_for("all is well", "return document.querySelector('verdict-line[data-ok=true]')");
    store.shards[1].kill();
    browser.wait_for(
        "the shard is down",
        "return document.querySelector('tr[data-shard=\"1\"][data-state=down] .tag.bad')",
    );
    let colours = browser.run(
        "const red = document.createElement('i');
         red.style.color = getComputedStyle(document.documentElement).getPropertyValue('--bad');
         document.body.append(red);
         return ['.verdict .lamp', 'tr[data-shard=\"1\"] .tag'].map((selector) =>
             getComputedStyle(document.querySelector(selector)).color === getComputedStyle(red).color);",
    );
    assert_eq!(colours, json!([true, true]), "verdict and shard are red");
    assert!(browser.text(".verdict strong").contains("Shard 1"), "{}", browser.text(".verdict strong"));
    browser.wait_for("the other shard is up", "return document.querySelector('tr[data-shard=\"0\"][data-state=up]')");
    store.start_shard(1);
    browser.wait_for("the shard is back", "return document.querySelector('tr[data-shard=\"1\"][data-state=up]')");
    browser.wait_for("all is well again", "return document.querySelector('verdict-line[data-ok=true]')");
}

#[test]
fn a_customer_and_an_order_are_found() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(2).start();
    let mut client = store.client();
    client.post("/item/alice/9780140449136", &offer("9.50", 2)).expect(201);
    let paid = format!(r#"{{"payment": {{"card_number": "{CARD}"}}}}"#);
    let order = client.post("/checkout/alice", &paid).expect(201).json()["order_id"].as_str().unwrap().to_owned();
    client.post("/item/alice/tea", &offer("0.07", 3)).expect(201);
    let mut browser = open(&store);
    browser.type_into("look-up input", "alice");
    browser.click("look-up button[value=customer]");
    browser.wait_for("the cart", "return document.querySelector('look-up .cart-lines')");
    let found = browser.text("look-up .found");
    let shard = store.shard_of("alice").to_string();
    let slot = KeyHash::of("alice").slot().0.to_string();
    let values: Vec<_> = found.lines().map(|line| line.trim().replace(',', "")).collect();
    assert!(values.contains(&slot) && values.contains(&shard), "{slot} and {shard} in {found}");
    assert!(found.contains("tea") && found.contains("0.21"), "{found}");
    assert!(browser.text(".slot-readout").contains(&format!("shard {shard}")), "the map shows the slot");
    // The customer's order leads to its steps.
    browser.click("look-up .own-orders button");
    browser.wait_for("the order", "return document.querySelectorAll('look-up .timeline li').length > 3");
    let steps = browser.text("look-up .found");
    assert!(steps.contains(&order) && steps.contains("gateway: authorise") && steps.contains("shard 0"), "{steps}");
    // And what is not there is said to be not there.
    browser.type_into("look-up input", "00000000-0000-4000-8000-000000000000");
    browser.click("look-up button[value=order]");
    browser.wait_for(
        "it is not there",
        "return document.querySelector('look-up .bad')?.innerText.includes('no such order')",
    );
}

#[test]
fn the_command_lines_work() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(1).start();
    let mut browser = open(&store);
    browser.type_into("look-up input", "Zoë's");
    browser.click("look-up button[value=customer]");
    browser.wait_for("the cart", "return document.querySelector('look-up .found as-command code')");
    let lines = browser.run("return [...document.querySelectorAll('as-command code')].map((code) => code.textContent)");
    let lines: Vec<_> = lines.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let run = |line: &str| Command::new("bash").args(["-c", line]).env_remove("SHARDCART_API_KEY").output().unwrap();
    let (curls, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with("curl"));
    assert!(curls.len() > 5 && curls.iter().any(|line| line.contains(KEY)), "{curls:?}");
    for line in curls {
        let output = run(&line.replace("curl -s", "curl -sf"));
        assert!(output.status.success() && output.stdout.starts_with(b"{"), "{line}: {output:?}");
    }
    // The program itself takes the place of its name; what watches does not end.
    let commands: Vec<_> =
        others.into_iter().filter(|line| line.starts_with("shardcart") && !line.contains("--watch")).collect();
    assert!(commands.len() > 3 && commands.iter().any(|line| line.contains("where")), "{commands:?}");
    for line in commands {
        let output = run(&line.replace("shardcart ", &format!("{PROGRAM} ")));
        assert!(output.status.success() && !output.stdout.is_empty(), "{line}: {output:?}");
    }
}

#[test]
fn a_hidden_page_holds_no_connection() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(1).start();
    let mut browser = open(&store);
    eventually("the page views", || (viewers(&store) == 1).then_some(()));
    let set_visibility = |state: &str| {
        format!(
            "Object.defineProperty(document, 'visibilityState', {{ configurable: true, value: '{state}' }});
             document.dispatchEvent(new Event('visibilitychange'));"
        )
    };
    browser.run(&set_visibility("hidden"));
    eventually("the stream is closed", || (viewers(&store) == 0).then_some(()));
    browser.run(&set_visibility("visible"));
    eventually("the page views again", || (viewers(&store) == 1).then_some(()));
}

#[test]
fn a_paused_page_holds_no_connection() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(1).start();
    let mut browser = open(&store);
    eventually("the page views", || (viewers(&store) == 1).then_some(()));
    browser.click("feed-state button[aria-pressed]");
    eventually("the page is paused", || (viewers(&store) == 0).then_some(()));
    assert!(browser.text(".feed").contains("paused"), "{}", browser.text(".feed"));
    browser.click("feed-state button[aria-pressed]");
    browser.wait_for("the page is live again", LIVE);
}

#[test]
fn a_page_outlives_its_facade() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    let mut browser = Browser::open(LAPTOP);
    browser.visit(launcher.shop(), "/");
    browser.wait_for("the page is live", LIVE);
    kill_process(launcher.child(" facade "), Signal::KILL).unwrap();
    browser.wait_for("the page says so", "return document.querySelector('.feed .lamp.bad')");
    browser.wait_for("the page is live again", LIVE);
}

#[test]
fn a_crash_button_kills_and_nothing_is_lost() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().unwrap();
    let options = ["--playground", "--data", "play", "--shards", "2", "--http", ANY_PORT, "--kv", ANY_PORT];
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    let mut browser = Browser::open(LAPTOP);
    browser.visit(launcher.shop(), "/");
    let count = |browser: &mut Browser, member: &str| {
        let text = browser.text(&format!("playground-panel [data-figure={member}] dd"));
        text.replace(',', "").parse::<u64>().unwrap_or_else(|_| panic!("{member} is {text}"))
    };
    browser.wait_for(
        "shoppers shop",
        "return parseInt(document.querySelector('[data-figure=acknowledged] dd')?.innerText) > 0",
    );
    let killed = launcher.child("--index=1");
    browser.click("playground-panel button[aria-label='Crash shard-1']");
    eventually("another process is shard 1", || (launcher.child("--index=1") != killed).then_some(()));
    browser.wait_for("all is well again", "return document.querySelector('verdict-line[data-code=all_well]')");
    browser.click("playground-panel input[value=slow]");
    browser.wait_for(
        "the gateway is slow",
        "return document.querySelector('playground-panel .note[role=status]').innerText.includes('slow')",
    );
    browser.click("playground-panel button[aria-label='Crash facade']");
    browser.wait_for(
        "both kills are counted",
        "return document.querySelector('[data-figure=kills] dd').innerText === '2'",
    );
    browser.wait_for("the page is live", LIVE);
    for member in ["lost", "applied_twice", "stock_drift"] {
        assert_eq!(count(&mut browser, member), 0, "{member}");
    }
    assert!(count(&mut browser, "acknowledged") > 0);
}

#[test]
fn a_wrong_key_is_told() {
    let Some(_turn) = turn() else { return };
    let store =
        Setup::new(1).facade_environment(KEY_VARIABLES[0], STORE_KEY).facade_options(&["--require-key"]).start();
    let mut browser = Browser::open(LAPTOP);
    browser.visit(store.facade.http[0], "/");
    browser.type_into("dialog input", "sck_wrong");
    browser.click("dialog button.first");
    browser.wait_for(
        "a wrong key is told",
        "return document.querySelector('dialog [role=alert]').innerText.includes('does not know')",
    );
    browser.type_into("dialog input", STORE_KEY);
    browser.click("dialog button.first");
    browser.wait_for("the page is live", LIVE);
    browser.wait_for("the form is gone", "return !document.querySelector('dialog').open");
    let kept =
        browser.run("return [localStorage.length, sessionStorage.length, document.cookie.length, location.href]");
    assert_eq!(kept, json!([0, 0, 0, format!("http://{}/", store.facade.http[0])]), "it is kept nowhere");
    assert!(!browser.run("return document.documentElement.outerHTML").to_string().contains(STORE_KEY));
}
