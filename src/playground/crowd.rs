//! All shoppers at work: at every moment as many of them take a step as the wanted rate says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, timeout};

use super::action::{Action, Store};
use super::floor::{Floor, Resolved};
use super::products;
use super::shopper::{Shopper, note_drift};
use super::stock::Movement;

/// The most changes a second that may be wanted.
pub const MAX_RATE: u32 = 1_000;
/// The number of shoppers.
pub const SHOPPERS: usize = 64;

/// The time between two looks at the clock.
const TICK: Duration = Duration::from_millis(10);
/// How often a product is made that the store does not make in time, as when it is crashed from the first moment on.
const CREATE_ATTEMPTS: u32 = 5;
/// The shoppers that are checked at a time.
const CHECKS_AT_A_TIME: usize = 16;

/// Shoppers that wait for their next step.
pub struct Crowd<S> {
    floor: Arc<Floor<S>>,
    idle: Vec<Shopper>,
    busy: JoinSet<Shopper>,
    random: fastrand::Rng,
}

/// What could not be found out at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unchecked {
    /// Shoppers whose last change has no outcome.
    pub shoppers: u64,
    /// Carts, orders and products that could not be read.
    pub reads: u64,
}

impl<S: Store> Crowd<S> {
    /// Makes the products, and shoppers that have not begun. The seed decides what they want. False when the store does
    /// not make the products.
    pub async fn gather(floor: Arc<Floor<S>>, shoppers: usize, seed: u64) -> Option<Self> {
        for product in 0..floor.stock.products() {
            let stock = products::first_stock(product);
            let action = Action::Create { product: products::id(product), stock };
            let movement = Movement::Delivery(product, stock);
            let mut attempts = 0;
            while !matches!(floor.act(&action, Some(&movement)).await, Resolved::Done(_)) {
                attempts += 1;
                if attempts == CREATE_ATTEMPTS {
                    return None;
                }
            }
        }
        let idle = (0..shoppers).map(|number| Shopper::new(number, seed)).collect();
        Some(Crowd { floor, idle, busy: JoinSet::new(), random: fastrand::Rng::with_seed(seed) })
    }

    /// Lets them shop at the rate, in changes a second, until the end comes.
    pub async fn shop(&mut self, rate: &watch::Receiver<u32>, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut due, mut last) = (0.0, Instant::now());
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    due += last.elapsed().as_secs_f64() * f64::from(*rate.borrow());
                    last = Instant::now();
                    while due >= 1.0 && self.start_one() {
                        due -= 1.0;
                    }
                    // Steps that nobody is free to take are not made up for.
                    due = due.min(1.0);
                }
                Some(shopper) = self.busy.join_next() => self.idle.extend(shopper),
                () = &mut end => return,
            }
        }
    }

    /// Lets one shopper take a step; false when all are at work.
    fn start_one(&mut self) -> bool {
        if self.idle.is_empty() {
            return false;
        }
        let mut shopper = self.idle.swap_remove(self.random.usize(0..self.idle.len()));
        let floor = self.floor.clone();
        self.busy.spawn(async move {
            shopper.step(&floor).await;
            shopper
        });
        true
    }

    /// Waits until every change has its outcome, then reads everything that the shoppers know of and compares it. `limit`
    /// is for each of the two.
    pub async fn check(mut self, limit: Duration) -> Unchecked {
        let all_back = async {
            while let Some(shopper) = self.busy.join_next().await {
                self.idle.extend(shopper);
            }
        };
        // Those who are not back by then are counted.
        let _ = timeout(limit, all_back).await;
        let mut unchecked = Unchecked { shoppers: self.busy.len() as u64, reads: 0 };
        let deadline = Instant::now() + limit;
        let mut checks = JoinSet::new();
        while !(self.idle.is_empty() && checks.is_empty()) {
            if checks.len() < CHECKS_AT_A_TIME
                && let Some(mut shopper) = self.idle.pop()
            {
                let floor = self.floor.clone();
                checks.spawn(async move { shopper.check_all(&floor).await });
                continue;
            }
            match timeout(deadline.saturating_duration_since(Instant::now()), checks.join_next()).await {
                Ok(Some(Ok(true)) | None) => {}
                Ok(Some(_)) => unchecked.reads += 1,
                Err(_) => {
                    unchecked.reads += (checks.len() + self.idle.len()) as u64;
                    break;
                }
            }
        }
        for product in self.floor.stock.present() {
            unchecked.reads += u64::from(!self.check_product(product, unchecked.shoppers == 0, deadline).await);
        }
        unchecked
    }

    /// Checks a product, once what orders held of it is settled.
    async fn check_product(&self, product: usize, at_rest: bool, deadline: Instant) -> bool {
        loop {
            let drift = self.floor.check_product(product, at_rest).await;
            if drift == Some(0) {
                return true;
            }
            if Instant::now() >= deadline {
                note_drift(&self.floor, product, drift.unwrap_or_default());
                return drift.is_some();
            }
            tokio::time::sleep(self.floor.patience.rest).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::super::floor::Patience;
    use super::super::lying_store::{Lie, LyingStore};
    use super::*;

    const STEPS: usize = 150;
    const MOST_SEEDS: u64 = 60;
    const LIMIT: Duration = Duration::from_millis(20);

    /// Lets six shoppers use a store that lies in one way. Returns whether it lied, and the faults that were found.
    fn shop(lie: Lie, seed: u64) -> (bool, [u64; 4], Unchecked) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let patience = Patience { call: Duration::ZERO, pause: Duration::ZERO, rest: Duration::ZERO };
            let floor = Arc::new(Floor::new(LyingStore::new(lie, seed), 6, patience));
            let mut crowd = Crowd::gather(floor.clone(), 6, seed).await.unwrap();
            join_all(crowd.idle.iter_mut().map(|shopper| async {
                for _ in 0..STEPS {
                    shopper.step(&floor).await;
                }
            }))
            .await;
            let unchecked = crowd.check(LIMIT).await;
            let tally = &floor.tally;
            assert_eq!(tally.unknown(), 0);
            let counts = [&tally.lost, &tally.applied_twice, &tally.contradictions].map(|counter| counter.get());
            let found = [counts[0], counts[1], counts[2], floor.stock.drift()];
            assert_eq!(found == [0; 4], tally.findings().is_empty(), "{:?}", tally.findings());
            (floor.store.has_lied(), found, unchecked)
        })
    }

    #[test]
    fn a_true_store_is_not_accused_whatever_is_lost_on_the_way() {
        for seed in 0..20 {
            assert_eq!(shop(Lie::None, seed), (false, [0; 4], Unchecked::default()), "seed {seed}");
        }
    }

    #[test]
    fn every_lie_is_found() {
        for lie in Lie::ALL {
            let mut lied = 0;
            // How often a store has the occasion for its lie depends on the machine's pace too.
            for seed in 0..MOST_SEEDS {
                let (has_lied, found, _) = shop(lie, seed);
                assert_eq!(has_lied, found != [0; 4], "{lie:?}, seed {seed}: {found:?}");
                lied += u32::from(has_lied);
                if lied == 3 {
                    break;
                }
            }
            assert_eq!(lied, 3, "{lie:?} was hardly told");
        }
    }
}
