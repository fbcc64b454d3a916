//! `shardcart prove`: shoppers use a store while its processes are killed at random, and at the end everything that was
//! acknowledged is looked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde::Serialize;
use tokio::sync::watch;

use super::conditions;
use super::crowd::{Crowd, SHOPPERS, Unchecked};
use super::directory::FreshDirectory;
use super::floor::{Floor, Patience};
use super::remote_store::RemoteStore;
use crate::access::Secret;
use crate::error::{Error, Result};
use crate::launcher::{self, Crashes, RunningStore, Target};
use crate::process::shutdown::Shutdown;

/// The most kills a second that make sense: a process that dies more often is not started at once any more.
pub const MAX_KILLS_PER_SECOND: u32 = 2;

/// The time for all outcomes to become known at the end, and then for reading everything.
const CHECK_LIMIT: Duration = Duration::from_secs(60);
/// The part of the time in which processes are killed. Shoppers go on a little after the last kill.
const KILLING: f64 = 0.95;
/// The pause before another process is looked for when the chosen one is just being started.
const KILL_PAUSE: Duration = Duration::from_millis(50);
/// The time between two notes about the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// The options of a proof.
#[derive(Debug, Clone)]
pub struct ProofOptions {
    /// The store's options. Its data directory is not used.
    pub store: launcher::Options,
    /// The data directory, which must not exist yet; without it one among the system's temporary files.
    pub data: Option<PathBuf>,
    /// True to leave the data directory at the end.
    pub is_kept: bool,
    /// How long shoppers shop.
    pub time: Duration,
    /// How often a process is killed.
    pub kills: u32,
    /// How many changes a second shoppers make.
    pub rate: u32,
    /// Decides what shoppers want, and what is killed when. The course of a run also depends on the machine.
    pub seed: u64,
}

/// How far a proof is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The time that shoppers have shopped, at most [`ProofOptions::time`].
    pub shopped: Duration,
    /// True once everything is looked for.
    pub is_checking: bool,
    /// Changes that were acknowledged so far.
    pub acknowledged: u64,
    /// Processes that were killed so far.
    pub kills: u64,
}

/// The result of a proof.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// True when nothing was lost, applied twice or off, and everything was checked.
    pub holds: bool,
    /// The seed.
    pub seed: u64,
    /// The time that shoppers shopped, in seconds.
    pub seconds: f64,
    /// True when somebody asked for the end before it came.
    pub ended_early: bool,
    /// The number of shards.
    pub shards: u32,
    /// The number of shoppers.
    pub shoppers: u64,
    /// Changes a second that were wanted.
    pub rate_per_s: u32,
    /// Changes that the store acknowledged.
    pub acknowledged: u64,
    /// Changes that it refused or did not apply in time.
    pub refused: u64,
    /// Requests that were sent once more.
    pub retried: u64,
    /// Orders that it acknowledged.
    pub orders_created: u64,
    /// Orders that it refused.
    pub orders_refused: u64,
    /// Orders that it cancelled.
    pub orders_cancelled: u64,
    /// Processes that were killed, by name.
    pub kills: BTreeMap<String, u64>,
    /// The longest time from a request to its outcome, in milliseconds.
    pub longest_wait_ms: u64,
    /// Acknowledged changes that are gone.
    pub lost: u64,
    /// Changes that took effect more than once.
    pub applied_twice: u64,
    /// Pieces by which products are off.
    pub stock_drift: u64,
    /// Refusals of what is there.
    pub contradictions: u64,
    /// Changes whose outcome is not known at the end.
    pub unknown: u64,
    /// Carts, orders and products that could not be read at the end.
    pub unchecked: u64,
    /// The first faults of the store, for people.
    pub findings: Vec<String>,
}

/// Makes a store, lets shoppers use it while its processes are killed, checks it, and removes it. `None` when a shutdown
/// was requested before anybody could shop. A shutdown that is requested later ends the shopping; another one the checks.
///
/// # Errors
/// [`Error::Invalid`] for options that a proof cannot have; else those of [`launcher::run`].
pub fn prove(options: ProofOptions, shutdown: Shutdown, progress: impl Fn(Progress)) -> Result<Option<Proof>> {
    let key = conditions::check(&options.store)?;
    let directory = FreshDirectory::make(options.data.as_deref(), options.is_kept)?;
    let store = launcher::Options { data: directory.path().to_owned(), ..options.store.clone() };
    let ended = launcher::run_with_guest(&store, shutdown, |running, shutdown| async move {
        Course::begin(&options, &running, &key).await?.run(shutdown, &progress).await
    });
    ended?.transpose()
}

/// A proof under way.
struct Course<'a> {
    options: &'a ProofOptions,
    crashes: Crashes,
    floor: Arc<Floor<RemoteStore>>,
    crowd: Crowd<RemoteStore>,
}

impl<'a> Course<'a> {
    async fn begin(options: &'a ProofOptions, running: &RunningStore, key: &Secret) -> Result<Self> {
        let store = RemoteStore::at(running.shop, key)?;
        let floor = Arc::new(Floor::new(store, SHOPPERS, Patience::default()));
        let crowd = Crowd::gather(floor.clone(), SHOPPERS, options.seed).await;
        let crowd = crowd.ok_or_else(|| Error::Unavailable("the store refuses the shoppers' products".into()))?;
        Ok(Course { options, crashes: running.crashes.clone(), floor, crowd })
    }

    async fn run(self, mut shutdown: Shutdown, progress: &impl Fn(Progress)) -> Result<Proof> {
        let Course { options, crashes, floor, mut crowd } = self;
        let (_, rate) = watch::channel(options.rate);
        let began = Instant::now();
        let note = |is_checking| {
            let shopped = began.elapsed().min(options.time);
            let (acknowledged, kills) = (floor.tally.acknowledged.get(), floor.tally.kills.get());
            progress(Progress { shopped, is_checking, acknowledged, kills });
        };
        let mut killed = BTreeMap::new();
        let whole = async {
            let killing = tokio::time::timeout(options.time, kill(options, &crashes, &floor, &mut killed));
            // Kills that did not find a process in time are left out; the result says how many there were.
            let _ = tokio::join!(tokio::time::sleep(options.time), killing);
        };
        let end = async {
            tokio::select! {
                () = whole => {}
                () = shutdown.wait() => {}
                () = repeat(|| note(false)) => {}
            }
        };
        crowd.shop(&rate, end).await;
        let seconds = began.elapsed().as_secs_f64();
        let ended_early = shutdown.is_requested();
        let unchecked = tokio::select! {
            unchecked = crowd.check(CHECK_LIMIT) => unchecked,
            () = shutdown.wait_for_another() => Unchecked { shoppers: floor.tally.unknown(), reads: 1 },
            () = repeat(|| note(true)) => Unchecked::default(),
        };
        Ok(report(options, &floor, Ended { seconds, ended_early, kills: killed, unchecked }))
    }
}

/// Calls it now and then, for ever.
async fn repeat(call: impl Fn()) {
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        call();
    }
}

/// Kills processes at random moments, spread over the time.
async fn kill<S>(options: &ProofOptions, crashes: &Crashes, floor: &Floor<S>, killed: &mut BTreeMap<String, u64>) {
    let began = tokio::time::Instant::now();
    let mut random = Rng::with_seed(options.seed);
    let mut moments: Vec<_> = (0..options.kills).map(|_| options.time.mul_f64(random.f64() * KILLING)).collect();
    moments.sort_unstable();
    let mut next = Targets::of(crashes, random);
    for moment in moments {
        tokio::time::sleep_until(began + moment).await;
        let mut target = next.target();
        // One that is just being started cannot be killed; another one can.
        while crashes.crash(target).await.is_err() {
            tokio::time::sleep(KILL_PAUSE).await;
            target = next.target();
        }
        floor.tally.kills.add(1);
        *killed.entry(target.to_string()).or_default() += 1;
    }
}

/// An endless random choice of processes: of five, three are shards, one is the facade and one the gateway.
struct Targets {
    shards: Vec<Target>,
    hand: Vec<Option<Target>>,
    random: Rng,
}

impl Targets {
    fn of(crashes: &Crashes, random: Rng) -> Self {
        let shards = crashes.targets().filter(|target| matches!(target, Target::Shard(_))).collect();
        Targets { shards, hand: Vec::new(), random }
    }

    fn target(&mut self) -> Target {
        if self.hand.is_empty() {
            self.hand = vec![None, None, None, Some(Target::Facade), Some(Target::Gateway)];
            self.random.shuffle(&mut self.hand);
        }
        let any_shard = self.random.choice(&self.shards).copied().unwrap_or(Target::Facade);
        self.hand.pop().flatten().unwrap_or(any_shard)
    }
}

/// The end of a proof.
struct Ended {
    seconds: f64,
    ended_early: bool,
    kills: BTreeMap<String, u64>,
    unchecked: Unchecked,
}

fn report<S>(options: &ProofOptions, floor: &Floor<S>, ended: Ended) -> Proof {
    let tally = &floor.tally;
    let proof = Proof {
        holds: false,
        seed: options.seed,
        seconds: ended.seconds,
        ended_early: ended.ended_early,
        shards: options.store.shards,
        shoppers: SHOPPERS as u64,
        rate_per_s: options.rate,
        acknowledged: tally.acknowledged.get(),
        refused: tally.refused.get(),
        retried: tally.retried.get(),
        orders_created: tally.orders_created.get(),
        orders_refused: tally.orders_refused.get(),
        orders_cancelled: tally.orders_cancelled.get(),
        kills: ended.kills,
        longest_wait_ms: tally.longest_wait_ms(),
        lost: tally.lost.get(),
        applied_twice: tally.applied_twice.get(),
        stock_drift: floor.stock.drift(),
        contradictions: tally.contradictions.get(),
        unknown: ended.unchecked.shoppers,
        unchecked: ended.unchecked.reads,
        findings: tally.findings(),
    };
    let faults =
        [proof.lost, proof.applied_twice, proof.stock_drift, proof.contradictions, proof.unknown, proof.unchecked];
    Proof { holds: faults.iter().all(|number| *number == 0), ..proof }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_five_kills_three_are_of_shards() {
        let targets = [Target::Gateway, Target::Facade, Target::Shard(0), Target::Shard(1)];
        let (crashes, _requests) = Crashes::of(targets.into_iter());
        let mut next = Targets::of(&crashes, Rng::with_seed(7));
        let chosen: Vec<_> = (0..500).map(|_| next.target()).collect();
        let count = |wanted: Target| chosen.iter().filter(|target| **target == wanted).count();
        assert_eq!((count(Target::Facade), count(Target::Gateway)), (100, 100));
        assert!(count(Target::Shard(0)) > 100 && count(Target::Shard(1)) > 100);
    }
}
