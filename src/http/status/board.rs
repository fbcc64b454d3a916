//! Where the sampler puts its snapshots, and workers find them.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::wrappers::WatchStream;

use super::faults::{Fault, Faults};
use super::history::History;
use super::json;
use super::published::Published;
use super::slots::SlotLoads;
use super::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::http::execution::Clock;
use crate::http::problem::FaultNote;

/// The most open streams of the status, over all workers.
pub const MAX_VIEWERS: usize = 64;
/// The most histories that are rendered at a time, each on a thread beside the workers. Others wait.
const MAX_RENDERED: usize = 2;
/// The longest wait for the first snapshot of a facade.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);

/// What the sampler publishes, and what workers tell it.
pub struct Board {
    snapshots: watch::Receiver<Option<Arc<Published>>>,
    slots: watch::Receiver<Option<Arc<SlotLoads>>>,
    history: Arc<Mutex<History>>,
    faults: Faults,
    clock: Arc<Clock>,
    viewers: Arc<Semaphore>,
    renderers: Arc<Semaphore>,
}

/// The sampler's end of a board. The streams of all viewers end when it is dropped.
pub struct Publisher {
    snapshots: watch::Sender<Option<Arc<Published>>>,
    slots: watch::Sender<Option<Arc<SlotLoads>>>,
    history: Arc<Mutex<History>>,
}

/// A place among those who watch the status, until it is dropped.
#[derive(Debug, Clone)]
pub struct Viewer(Arc<OwnedSemaphorePermit>);

/// Makes the board of a store with so many shards.
pub fn board(shards: usize, clock: Arc<Clock>) -> (Arc<Board>, Publisher) {
    let (snapshots, seen) = watch::channel(None);
    let (slots, seen_slots) = watch::channel(None);
    let history = Arc::new(Mutex::new(History::of_shards(shards)));
    let board = Board {
        snapshots: seen,
        slots: seen_slots,
        history: history.clone(),
        faults: Faults::default(),
        clock,
        viewers: Arc::new(Semaphore::new(MAX_VIEWERS)),
        renderers: Arc::new(Semaphore::new(MAX_RENDERED)),
    };
    (Arc::new(board), Publisher { snapshots, slots, history })
}

impl Publisher {
    /// Shows a snapshot that was taken so many seconds after the last one.
    pub fn publish(&self, snapshot: Snapshot, seconds: usize) {
        lock(&self.history).add(snapshot.at, &snapshot.shards, seconds);
        self.snapshots.send_replace(Some(Arc::new(Published::from(snapshot))));
    }

    /// Shows the load of the slots.
    pub fn publish_slots(&self, loads: SlotLoads) {
        self.slots.send_replace(Some(Arc::new(loads)));
    }
}

impl Board {
    /// The newest snapshot.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the facade has begun so shortly ago that there is none.
    pub async fn latest(&self) -> Result<Arc<Published>> {
        newest(self.snapshots.clone()).await
    }

    /// The newest load of the slots.
    ///
    /// # Errors
    /// As for [`Board::latest`].
    pub async fn slots(&self) -> Result<Arc<SlotLoads>> {
        newest(self.slots.clone()).await
    }

    /// The newest snapshot as JSON, with so many seconds of history as far as there are any. It is rendered beside the
    /// worker, whose requests would wait for it.
    ///
    /// # Errors
    /// As for [`Board::latest`].
    pub async fn with_history(&self, seconds: usize) -> Result<Bytes> {
        let failed = |_| Error::Internal("a history cannot be rendered".into());
        let snapshot = self.latest().await?;
        let permit = self.renderers.clone().acquire_owned().await.expect("the semaphore is never closed");
        let history = self.history.clone();
        let render = move || {
            let series = lock(&history).last(seconds);
            let json = json::with_member(&snapshot.json(), "history", &series);
            drop(permit);
            Bytes::from(json)
        };
        tokio::task::spawn_blocking(render).await.map_err(failed)
    }

    /// The time, as snapshots have it.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now() / 1_000).unwrap_or_default()
    }

    /// Notes a request that was not served, now.
    pub fn note_fault(
        &self,
        request_id: &str,
        route: &'static str,
        status: StatusCode,
        shard: Option<usize>,
        note: FaultNote,
    ) {
        let FaultNote { code, detail } = note;
        let (at, status, request_id) = (self.now(), status.as_u16(), request_id.to_owned());
        self.faults.add(Fault { at, shard, request_id, route, status, code, detail });
    }

    /// The newest faults, the last one first.
    pub fn faults(&self) -> Vec<Arc<Fault>> {
        self.faults.newest()
    }

    /// Waits until a snapshot shows these shards up, or the time is over.
    pub async fn wait_until_up(&self, shards: &[usize], timeout: Duration) {
        let shows = |published: &Option<Arc<Published>>| {
            published.as_ref().is_some_and(|published| {
                shards.iter().all(|shard| published.shards.get(*shard).is_some_and(|shard| shard.status.is_some()))
            })
        };
        let mut snapshots = self.snapshots.clone();
        // Neither being late nor the end of the sampler matters: whoever looks sees what there is.
        let _ = tokio::time::timeout(timeout, snapshots.wait_for(shows)).await;
    }

    /// A place among the viewers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when all are taken.
    pub fn viewer(&self) -> Result<Viewer> {
        let place = self.viewers.clone().try_acquire_owned();
        let full = |_| Error::Unavailable(format!("{MAX_VIEWERS} viewers watch the status already"));
        place.map(|permit| Viewer(Arc::new(permit))).map_err(full)
    }

    /// The number of viewers.
    pub fn viewers(&self) -> usize {
        MAX_VIEWERS - self.viewers.available_permits()
    }

    /// The snapshots as server-sent events, from the newest on, until the facade ends. Who reads slowly misses some: only the
    /// newest one waits.
    pub fn frames(&self, viewer: Viewer) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync + use<> {
        WatchStream::new(self.snapshots.clone()).filter_map(move |published| {
            let _place = &viewer.0;
            ready(published.map(|published| Ok(published.frame())))
        })
    }
}

async fn newest<T: Clone>(mut published: watch::Receiver<Option<T>>) -> Result<T> {
    let first = tokio::time::timeout(FIRST_TIMEOUT, published.wait_for(Option::is_some)).await;
    let found = first.ok().and_then(|first| first.ok()?.clone());
    found.ok_or_else(|| Error::Unavailable("the facade has just begun and has no figures yet".into()))
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::domain::stock_sums::StockSums;
    use crate::http::metrics::HttpCounts;
    use crate::http::status::figures::{FacadeFigures, Facts, OrderTotals};
    use crate::http::status::verdict::Verdict;

    /// That of a store without shards.
    fn snapshot() -> Snapshot {
        Snapshot {
            number: 1,
            at: Timestamp::default(),
            facts: Facts { development_key: true, playground: false },
            store: None,
            verdict: Verdict { ok: true, code: "all_well", text: String::new(), action: None, command: None },
            facade: FacadeFigures { uptime_s: 0, connections: 0, viewers: 0, traffic: None, log_dropped: 0 },
            http: HttpCounts::default(),
            shards: Vec::new(),
            orders: OrderTotals::default(),
            stock: StockSums::default(),
            faults: Vec::new(),
        }
    }

    #[tokio::test]
    async fn few_histories_are_rendered_at_a_time_and_whoever_wants_none_waits_for_none() {
        let (board, publisher) = board(0, Arc::default());
        publisher.publish(snapshot(), 1);
        let mut context = Context::from_waker(Waker::noop());
        let idle = Arc::strong_count(&board.history);
        let history = board.history.clone();
        let mut asked: Vec<_> = (0..=MAX_RENDERED).map(|_| Box::pin(board.with_history(60))).collect();
        {
            // What is rendered waits for this.
            let _held = lock(&history);
            for one in &mut asked {
                assert!(one.as_mut().poll(&mut context).is_pending());
            }
            assert_eq!(Arc::strong_count(&board.history) - idle - 1, MAX_RENDERED);
            assert!(std::pin::pin!(board.latest()).poll(&mut context).is_ready());
        }
        for one in asked {
            assert!(!one.await.unwrap().is_empty());
        }
    }
}
