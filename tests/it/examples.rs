//! The example clients buy exactly once, although every request meets every fault on its way.

mod trouble;

use std::path::Path;
use std::process::Command;

use crate::harness::shop::{Stock, settled};
use crate::harness::{Setup, Store};
use trouble::{Trouble, Troublesome};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shardcart");
/// The first book of the topic that the examples look for.
const BOOK: &str = "9780140449136";
const COPIES: u64 = 25;
/// The copies that an example buys: one is added, the count is set to two, one more is added.
const BOUGHT: u64 = 3;

/// Runs an example against a store behind the proxy, and checks its output and the store's content.
fn check(store: &Store, example: &mut Command) {
    let front = Troublesome::start(store.facade.http[0]);
    let run = example.arg(format!("http://{}", front.address())).output().expect("the example can be started");
    let (said, log) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}{log}");
    for line in [
        "found The Odyssey for 9.5",
        "in the cart: 1\n",
        "changed to 2, ",
        "applied once: 3 in the cart, replayed: true\n",
        " of 28.5",
        "payment captured, delivery scheduled\n",
    ] {
        assert!(said.contains(line), "{line:?} is not in\n{said}{log}");
    }
    for trouble in Trouble::ALL {
        assert!(front.met(trouble) >= 4, "{trouble:?} was met {} times", front.met(trouble));
    }
    let stock = settled(store, &[BOOK]);
    assert_eq!(stock, [Stock { stock: COPIES - BOUGHT, held: 0, sold: BOUGHT, received: COPIES }]);
}

#[test]
fn the_rust_client_buys_exactly_once() {
    let example = Path::new(PROGRAM).with_file_name("examples").join("shop");
    assert!(example.exists(), "{} is missing: run `cargo build --examples`, as `cargo test` does", example.display());
    check(&Setup::new(2).durable().start(), &mut Command::new(example));
}

#[test]
fn the_python_client_buys_exactly_once() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("not run: there is no python3");
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop.py");
    check(&Setup::new(2).durable().start(), Command::new("python3").arg(example));
}
