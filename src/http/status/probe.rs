//! What the sampler knows of one shard. A shard that hangs delays nobody: its question goes on beside the others'.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::figures::{ShardFigures, ShardState};
use super::interval::{self, ShardInterval};
use crate::client::StatusProbe;
use crate::domain::time::Timestamp;
use crate::protocol::ShardStatus;

/// The silence after which a shard counts as down.
const SILENCE: Duration = Duration::from_millis(1_500);
/// The time limit of one question, connecting included.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);

/// An answer and when it came; `None` when there was none.
type Asked = (StatusProbe, Option<ShardStatus>);

/// The last answer of a shard.
struct Heard {
    status: Arc<ShardStatus>,
    interval: Option<ShardInterval>,
    at: Instant,
}

/// One shard as the sampler sees it.
pub struct Probe {
    shard: u32,
    /// `None` while a question is under way.
    idle: Option<StatusProbe>,
    asked: Option<JoinHandle<Asked>>,
    heard: Option<Heard>,
    slots: Vec<RangeInclusive<u16>>,
    state: Option<(ShardState, Timestamp)>,
    /// True if the process has begun anew since the last sample.
    has_restarted: bool,
}

impl Probe {
    /// Makes a probe that has asked nothing yet. `slots` are those of a new store's shard.
    pub fn new(shard: u32, probe: StatusProbe, slots: RangeInclusive<u16>) -> Self {
        let slots = vec![slots];
        Probe { shard, idle: Some(probe), asked: None, heard: None, slots, state: None, has_restarted: false }
    }

    /// Asks the shard, unless it still owes an answer.
    pub fn ask(&mut self, with_slots: bool) {
        let Some(mut probe) = self.idle.take() else { return };
        self.asked = Some(tokio::spawn(async move {
            let status = timeout(QUESTION_TIMEOUT, probe.ask(with_slots)).await.ok().flatten();
            (probe, status)
        }));
    }

    /// Waits for the answer until then.
    pub async fn hear(&mut self, until: Instant) {
        let Some(asked) = &mut self.asked else { return };
        let Ok(answered) = timeout_at(until, asked).await else { return };
        self.asked = None;
        // The task is never aborted, and a panic ends the process.
        let Ok((probe, status)) = answered else { return };
        self.idle = Some(probe);
        let Some(status) = status else {
            self.heard = None;
            return;
        };
        let last = self.heard.as_ref().map(|heard| heard.status.clone());
        self.has_restarted = last.as_ref().is_some_and(|last| last.uptime > status.uptime);
        self.slots.clone_from(&status.slots);
        let interval = last.and_then(|last| interval::of_shard(&last, &status));
        self.heard = Some(Heard { status: Arc::new(status), interval, at: Instant::now() });
    }

    /// True if the shard's last answer came.
    pub fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// The shard's figures at a time. One that has begun anew counts as down once, or nobody would see it.
    pub fn figures(&mut self, at: Timestamp) -> ShardFigures {
        let has_restarted = std::mem::take(&mut self.has_restarted);
        let heard = self.heard.as_ref().filter(|heard| heard.at.elapsed() < SILENCE && !has_restarted);
        let state = heard.map_or(ShardState::Down, |heard| state_of(&heard.status));
        let since = match (self.state, heard) {
            (Some((before, since)), _) if before == state => since,
            // A shard that was up before the facade is so since its start.
            (None, Some(heard)) => before(at, heard.status.uptime),
            _ => at,
        };
        self.state = Some((state, since));
        ShardFigures {
            shard: self.shard,
            state,
            since,
            slots: self.slots.clone(),
            status: heard.map(|heard| heard.status.clone()),
            interval: heard.and_then(|heard| heard.interval),
        }
    }
}

fn state_of(status: &ShardStatus) -> ShardState {
    if !status.accepts_writes {
        ShardState::ReadOnly
    } else if status.memory_bytes >= status.max_memory_bytes {
        ShardState::Full
    } else {
        ShardState::Up
    }
}

fn before(at: Timestamp, passed: Duration) -> Timestamp {
    let micros = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(micros)).unwrap_or(at)
}
