//! The load generator: connections on a few current-thread runtimes, each of which sends one request after the other,
//! either as soon as the last is answered or at a fixed rate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::connection::Connection;
use crate::harness::{Result, procfs};

/// The longest latency that is recorded, in nanoseconds.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
/// The significant decimal digits of latencies.
const LATENCY_DIGITS: u8 = 3;

/// The load on a server.
pub struct Load {
    /// The number of connections that are open at once.
    pub connections: usize,
    /// The number of threads that share them.
    pub threads: usize,
    /// The time of load before the measurement.
    pub warm_up: Duration,
    /// The time of the measurement.
    pub window: Duration,
    /// The requests per second in all; `None` for a closed loop.
    pub rate: Option<f64>,
    /// The requests, one of which is chosen at random each time.
    pub requests: Arc<Vec<Vec<u8>>>,
}

/// The result of a measurement.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The number of successful answers within the window.
    pub answered: u64,
    /// The number of other requests: those with another status or a broken connection.
    pub failed: u64,
    /// The first failure, for people.
    pub first_failure: Option<String>,
    /// The time of the measurement.
    pub window: Duration,
    /// Nanoseconds from sending, or from the time at which a request was due, to the whole answer.
    pub latencies: Histogram<u64>,
    /// The processor time of the server's processes within the window.
    pub server: Duration,
    /// The processor time of this process within the window.
    pub generator: Duration,
}

/// The counts of a generator thread.
struct Tally {
    answered: u64,
    failed: u64,
    first_failure: Option<String>,
    latencies: Histogram<u64>,
}

/// The time in which answers count.
#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

impl Load {
    /// Applies the load to the server at `address`, which consists of `processes`.
    ///
    /// # Errors
    /// When the server does not accept the connections or has ended.
    pub fn run(&self, address: SocketAddr, processes: &[u32]) -> Result<Measured> {
        let start = Instant::now();
        let window = Window { from: start + self.warm_up, until: start + self.warm_up + self.window };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.min(self.connections))
                .map(|thread| scope.spawn(move || self.run_thread(thread, address, window)))
                .collect();
            let costs = watch(processes, window);
            let mut total = Tally::new()?;
            for thread in threads {
                total.add(&thread.join().map_err(|_| "a generator thread panicked")??)?;
            }
            let (server, generator) = costs?;
            Ok(Measured {
                answered: total.answered,
                failed: total.failed,
                first_failure: total.first_failure,
                window: self.window,
                latencies: total.latencies,
                server,
                generator,
            })
        })
    }

    fn run_thread(&self, thread: usize, address: SocketAddr, window: Window) -> Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let threads = self.threads.min(self.connections);
        let mine = (thread..self.connections).step_by(threads);
        let tally = Arc::new(Mutex::new(Tally::new()?));
        runtime.block_on(async {
            let mut clients = Vec::new();
            for number in mine {
                clients.push(Client {
                    connection: Connection::open(address).await?,
                    requests: Arc::clone(&self.requests),
                    random: SplitMix(number as u64),
                    tally: Arc::clone(&tally),
                    window,
                });
            }
            let mut tasks = JoinSet::new();
            match self.rate {
                None => clients.into_iter().for_each(|client| drop(tasks.spawn(client.run_closed()))),
                Some(rate) => pace(clients, rate / threads as f64, &mut tasks, window),
            }
            while tasks.join_next().await.is_some() {}
            Ok::<(), crate::harness::Failure>(())
        })?;
        let tally = Arc::into_inner(tally).ok_or("a connection outlived its thread")?;
        Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection with its requests.
struct Client {
    connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    random: SplitMix,
    tally: Arc<Mutex<Tally>>,
    window: Window,
}

impl Client {
    /// Sends the next request as soon as the last one is answered.
    async fn run_closed(mut self) {
        let mut now = Instant::now();
        while now < self.window.until {
            match self.exchange(now).await {
                Some(finished) => now = finished,
                None => return,
            }
        }
    }

    /// Sends a request for every due time received. Its latency counts from that time, so that waiting for the
    /// connection is included.
    async fn run_paced(mut self, mut due: mpsc::UnboundedReceiver<Instant>) {
        while let Some(due) = due.recv().await {
            if self.exchange(due).await.is_none() {
                return;
            }
        }
    }

    /// Sends one request; `None` when the connection cannot be used any more.
    async fn exchange(&mut self, started: Instant) -> Option<Instant> {
        let chosen = self.random.below(self.requests.len());
        let outcome = self.connection.exchange(&self.requests[chosen]).await;
        let finished = Instant::now();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(answer) if answer.is_success() => {
                if (self.window.from..self.window.until).contains(&finished) {
                    tally.answered += 1;
                    tally.latencies.saturating_record((finished - started).as_nanos() as u64);
                }
                Some(finished)
            }
            Ok(answer) => {
                tally.fail(answer.describe());
                Some(finished)
            }
            Err(error) => {
                tally.fail(error.to_string());
                None
            }
        }
    }
}

/// Sends every client in turn the times at which its requests are due.
///
/// The times come from a thread that does nothing else, since tokio's timers have a resolution of a
/// millisecond.
fn pace(clients: Vec<Client>, rate: f64, tasks: &mut JoinSet<()>, window: Window) {
    let mut queues = Vec::new();
    for client in clients {
        let (sender, receiver) = mpsc::unbounded_channel();
        queues.push(sender);
        tasks.spawn(client.run_paced(receiver));
    }
    thread::spawn(move || {
        let start = Instant::now();
        for number in 0_u64.. {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            if due >= window.until {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // An error means that the client's connection broke, which is already counted.
            let _ = queues[number as usize % queues.len()].send(due);
        }
    });
}

/// Waits for the window to begin and to end, and reads the processor time of server and generator in between.
fn watch(processes: &[u32], window: Window) -> Result<(Duration, Duration)> {
    thread::sleep(window.from.saturating_duration_since(Instant::now()));
    let (server, generator) = (procfs::processor_time(processes)?, procfs::own_processor_time());
    thread::sleep(window.until.saturating_duration_since(Instant::now()));
    Ok((
        procfs::processor_time(processes)?.saturating_sub(server),
        procfs::own_processor_time().saturating_sub(generator),
    ))
}

impl Tally {
    fn new() -> Result<Self> {
        let latencies = Histogram::new_with_max(MAX_LATENCY_NS, LATENCY_DIGITS)?;
        Ok(Tally { answered: 0, failed: 0, first_failure: None, latencies })
    }

    fn fail(&mut self, failure: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(failure);
    }

    fn add(&mut self, other: &Tally) -> Result<()> {
        self.answered += other.answered;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or_else(|| other.first_failure.clone());
        self.latencies.add(&other.latencies)?;
        Ok(())
    }
}

/// The SplitMix64 generator, which chooses the next request, the same in every run.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}
