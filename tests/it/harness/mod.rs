//! The harness of all tests: processes, stores of such processes, an HTTP client, and waiting with a deadline.

pub mod command;
pub mod document;
pub mod gateway;
pub mod http;
pub mod launcher;
pub mod linearizability;
pub mod process;
pub mod proxy;
pub mod scripted;
pub mod scripted_shard;
pub mod shop;
pub mod simulated;
pub mod status;
pub mod store;
pub mod wrong_clock;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

pub use document::Document;
pub use gateway::{Action, Fault, Gateway};
pub use http::{Answer, Call, Client};
pub use process::Process;
pub use proxy::Proxy;
pub use scripted::Scripted;
pub use simulated::Simulated;
pub use status::fresh_metrics;
pub use store::{Facade, Setup, Store};

/// The time limit of every wait in a test: far longer than needed on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const SEED_VARIABLE: &str = "SHARDCART_TEST_SEED";
const DEFAULT_SEED: u64 = 20_261_123;

/// Waits until a log has a text so many times, and asserts that it has it no more often.
#[track_caller]
fn expect_logged(log: impl Fn() -> String, text: &str, times: usize) {
    let log = eventually(&format!("the log has {text:?} {times} times"), || {
        Some(log()).filter(|log| log.matches(text).count() >= times)
    });
    assert_eq!(log.matches(text).count(), times, "{log}");
}

/// Repeats a probe until it returns a value. After [`DEADLINE`] the test fails.
#[track_caller]
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    in_time(probe).unwrap_or_else(|| panic!("not within {DEADLINE:?}: {what}"))
}

/// Repeats a probe until it returns a value. `None` when it has not until [`DEADLINE`].
pub fn in_time<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if started.elapsed() >= DEADLINE {
            return None;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The body of an addition to a cart. The price is written unchanged.
pub fn offer(price: &str, count: u32) -> String {
    format!(r#"{{"offeredPrice":{price},"itemCount":{count}}}"#)
}

/// Runs this many clients of a store at the same time, and returns their results.
pub fn all_at_once<T: Send>(store: &Store, clients: u32, work: impl Fn(u32, Client) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(clients as usize);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| {
                let (start, work) = (&start, &work);
                let client = store.client();
                scope.spawn(move || {
                    start.wait();
                    work(number, client)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("a client failed")).collect()
    })
}

/// Pseudo-random numbers: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub struct Random(u64);

impl Random {
    /// A generator whose seed is printed; `SHARDCART_TEST_SEED` sets another one.
    pub fn seeded(test: &str) -> Self {
        let seed = std::env::var(SEED_VARIABLE).map_or(DEFAULT_SEED, |text| text.parse().expect(SEED_VARIABLE));
        println!("{test}: {SEED_VARIABLE}={seed}");
        Random(seed)
    }

    /// Another generator, for another thread.
    pub fn split(&mut self) -> Self {
        Random(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
