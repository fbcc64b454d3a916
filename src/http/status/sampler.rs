//! Takes a snapshot of the store once a second, on a thread of its own, so that neither requests nor viewers wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::board::{Board, Publisher};
use super::figures::{FacadeFigures, Facts, OrderTotals, ShardFigures, answers};
use super::interval::{self, ClassOf};
use super::probe::Probe;
use super::slots::{PERIOD_SECONDS, SlotWindow};
use super::snapshot::{INTERVAL, Snapshot};
use super::verdict::{Evidence, judge};
use crate::client::{Shared, StatusProbe};
use crate::domain::stock_sums::StockSums;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::http::metrics::{HttpCounts, Metrics};
use crate::process::logging;
use crate::process::shutdown::Shutdown;
use crate::routing::{Address, initial_range};

/// The wait for the shards' answers, after which a snapshot goes without them.
const ANSWER_WAIT: Duration = Duration::from_millis(400);
/// The pauses before the first snapshot, and the time after which it goes without shards that have not answered.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The time for which dropped log lines are remembered.
const DROPS_TOLD: Duration = Duration::from_secs(60);

/// What a snapshot is made of.
pub struct Sources {
    /// The shards' addresses, in order.
    pub shards: Vec<Address>,
    /// The store's id.
    pub shared: Arc<Shared>,
    /// The counts of responses.
    pub metrics: Metrics,
    /// The class of a request.
    pub class_of: ClassOf,
    /// The permits for connections that are free, of so many.
    pub connections: (Arc<Semaphore>, usize),
    /// What does not change.
    pub facts: Facts,
}

/// Starts the sampler, which ends with the facade.
///
/// # Errors
/// [`Error::Internal`] when its thread cannot be started.
pub fn start(sources: Sources, board: Arc<Board>, publisher: Publisher, mut shutdown: Shutdown) -> Result<()> {
    let fault = |error: std::io::Error| Error::Internal(format!("cannot start the sampler: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
    let sampler = move || {
        runtime.block_on(async move {
            let mut sampler = Sampler::new(sources, board, publisher);
            tokio::select! {
                () = sampler.run() => {}
                () = shutdown.wait() => {}
            }
        });
    };
    thread::Builder::new().name("sampler".into()).spawn(sampler).map(drop).map_err(fault)
}

struct Sampler {
    sources: Sources,
    board: Arc<Board>,
    publisher: Publisher,
    probes: Vec<Probe>,
    slots: SlotWindow,
    started: Instant,
    number: u64,
    /// The counts of the last snapshot, and when they were taken.
    last: Option<(HttpCounts, Instant)>,
    drops: Drops,
}

/// The log lines that were dropped.
#[derive(Default)]
struct Drops {
    /// The count of the facade, and of each shard.
    known: BTreeMap<Option<u32>, u64>,
    last: Option<Instant>,
}

impl Drops {
    /// Notes the count of the facade or of a shard. What was dropped before the first look is old.
    fn note(&mut self, source: Option<u32>, dropped: u64) {
        if self.known.insert(source, dropped).is_some_and(|known| dropped > known) {
            self.last = Some(Instant::now());
        }
    }

    /// True if lines were dropped lately.
    fn are_told(&self) -> bool {
        self.last.is_some_and(|last| last.elapsed() < DROPS_TOLD)
    }
}

impl Sampler {
    fn new(sources: Sources, board: Arc<Board>, publisher: Publisher) -> Self {
        let count = u32::try_from(sources.shards.len()).unwrap_or(u32::MAX);
        let probes = (0..).zip(StatusProbe::of_each(&sources.shards, &sources.shared));
        let probes = probes.map(|(shard, probe)| Probe::new(shard, probe, initial_range(shard, count))).collect();
        let slots = SlotWindow::of_shards(sources.shards.len());
        let (started, drops) = (Instant::now(), Drops::default());
        Sampler { sources, board, publisher, probes, slots, started, number: 0, last: None, drops }
    }

    async fn run(&mut self) {
        self.take_first().await;
        let mut taken = Instant::now();
        let mut ticks = interval_at(taken + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            // A tick that comes a little early or late is still one.
            let seconds = (taken.elapsed() + INTERVAL / 2).as_secs().max(1);
            taken = Instant::now();
            self.take(usize::try_from(seconds).unwrap_or(usize::MAX)).await;
        }
    }

    /// The first snapshot waits for the shards of a store that begins together with its facade.
    async fn take_first(&mut self) {
        while !self.hear(true).await && self.started.elapsed() < FIRST_WAIT {
            sleep(FIRST_PAUSE).await;
        }
        self.publish(1, true);
    }

    async fn take(&mut self, seconds: usize) {
        let with_slots = self.number.is_multiple_of(PERIOD_SECONDS);
        self.hear(with_slots).await;
        self.publish(seconds, with_slots);
    }

    /// Asks all shards at once, and waits for their answers. True if each has answered.
    async fn hear(&mut self, with_slots: bool) -> bool {
        self.probes.iter_mut().for_each(|probe| probe.ask(with_slots));
        let until = Instant::now() + ANSWER_WAIT;
        for probe in &mut self.probes {
            probe.hear(until).await;
        }
        self.probes.iter().all(Probe::is_heard)
    }

    fn publish(&mut self, seconds: usize, with_slots: bool) {
        self.number += 1;
        let at = self.board.now();
        let shards: Vec<_> = self.probes.iter_mut().map(|probe| probe.figures(at)).collect();
        if with_slots {
            let statuses: Vec<_> = shards.iter().map(|shard| shard.status.as_deref()).collect();
            self.publisher.publish_slots(self.slots.add(self.number, &statuses));
        }
        let snapshot = self.snapshot(at, shards);
        self.publisher.publish(snapshot, seconds);
    }

    fn snapshot(&mut self, at: Timestamp, shards: Vec<ShardFigures>) -> Snapshot {
        let http = self.sources.metrics.counts();
        let facade = self.facade(&http);
        let (stock, orders) = (StockSums::over(answers(&shards).map(|status| &status.stock)), OrderTotals::of(&shards));
        self.drops.note(None, facade.log_dropped);
        answers(&shards).for_each(|status| self.drops.note(Some(status.identity.shard), status.log_dropped));
        let drops_logs = self.drops.are_told();
        let evidence = Evidence { at, shards: &shards, stock: &stock, orders: &orders, drops_logs };
        let verdict = judge(&evidence);
        Snapshot {
            number: self.number,
            at,
            facts: self.sources.facts,
            store: self.sources.shared.store(),
            verdict,
            facade,
            http,
            shards,
            orders,
            stock,
            faults: self.board.faults(),
        }
    }

    fn facade(&mut self, http: &HttpCounts) -> FacadeFigures {
        let now = Instant::now();
        let class_of = self.sources.class_of;
        let traffic = self.last.as_ref().map(|(last, then)| interval::of_facade(last, http, now - *then, class_of));
        self.last = Some((http.clone(), now));
        let (free, all) = &self.sources.connections;
        FacadeFigures {
            uptime_s: self.started.elapsed().as_secs(),
            connections: all.saturating_sub(free.available_permits()) as u64,
            viewers: self.board.viewers() as u64,
            traffic,
            log_dropped: logging::dropped(),
        }
    }
}
