//! The single writer: runs each command against the state in memory and collects its effects for
//! the next commit, and says what a reply has to wait for.
//!
//! Two batches exist at most: the *open* one that commands add to, and the one *in flight* that is
//! being made durable. A reply that was computed from a record in either of them waits for it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::batch::{Batch, value_of};
use super::commands::{self, Done};
use super::expiring::{Expiring, LIFETIME_MICROS, MAX_LIVE, ShortId};
use super::orders::begin::{self, Begun};
use super::outbox::Waiting;
use super::product_index::ProductIndex;
use super::reservations::Unruled;
use super::state::State;
use crate::domain::order::Pledge;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::{self, proto};
use crate::protocol::{Command, Request};
use crate::routing::{KeyHash, OrderId};
use crate::storage::Record;
use crate::storage::RecordKind;
use crate::storage::{Storage, Write};

/// The most replies that wait for commits; past that commands are refused, nothing applied.
pub const MAX_WAITING_REPLIES: usize = 16_384;
/// The most bytes in the open batch; past that commands are refused, nothing applied.
pub const MAX_OPEN_BYTES: usize = 32 << 20;
/// The most expired first answers removed at a time.
const MAX_SWEPT: usize = 1_000;
/// The same for settlements, of which a busy shard has more.
const MAX_SWEPT_SETTLEMENTS: usize = 10_000;
/// Past so many, settlements are kept for [`MIN_SETTLEMENT_MICROS`] only.
const MAX_SETTLEMENTS: usize = MAX_LIVE / 10 * 9;
/// How long a settlement is kept at least, in microseconds, when there are too many: a command that is
/// older than a few seconds is not run, so a hold cannot be later than that.
const MIN_SETTLEMENT_MICROS: i64 = 60 * 1_000_000;

/// The key under which each commit stores the counter that versions come from.
pub const COUNTER_KEY: &[u8] = b"counter";

/// What a reply has to wait for: the commit of the newest effect that it was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum After {
    /// Everything it was computed from is durable.
    #[default]
    Nothing,
    /// The batch that is being made durable.
    InFlight,
    /// The batch that commands add to.
    Open,
}

/// What came of a request.
pub enum Ran {
    /// A reply, which may leave after what it is to wait for.
    Replied(proto::Reply, After),
    /// An order that is not decided yet; whoever drives it replies.
    Opened(OrderId),
}

/// What a shard holds in memory.
#[derive(Default)]
pub struct Contents {
    /// The resident records.
    pub state: State,
    /// The counter of the last commit.
    pub counter: u64,
    /// The live idempotency keys.
    pub first_answers: Expiring,
    /// The reservations that were settled.
    pub settlements: Expiring,
    /// The products' ids, to list them.
    pub products: ProductIndex,
    /// Reservations for orders of other shards, which are to be asked about.
    pub unruled: Unruled,
}

/// The state of a shard and the effects that are not durable yet.
pub struct Writer {
    state: State,
    open: Batch,
    open_waiting: Vec<Waiting>,
    in_flight: Option<Arc<Batch>>,
    in_flight_waiting: Vec<Waiting>,
    pub(super) first_answers: Expiring,
    pub(super) settlements: Expiring,
    pub(super) products: ProductIndex,
    pub(super) unruled: Unruled,
    counter: u64,
    storage: Arc<dyn Storage>,
    slots: RangeInclusive<u16>,
    accepts_writes: bool,
    /// What the command that is being run has read and written so far.
    after: After,
}

impl Writer {
    /// A writer over what was loaded.
    pub fn new(contents: Contents, storage: Arc<dyn Storage>, slots: RangeInclusive<u16>) -> Self {
        Writer {
            state: contents.state,
            open: Batch::default(),
            open_waiting: Vec::new(),
            in_flight: None,
            in_flight_waiting: Vec::new(),
            first_answers: contents.first_answers,
            settlements: contents.settlements,
            products: contents.products,
            unruled: contents.unruled,
            counter: contents.counter,
            storage,
            slots,
            accepts_writes: true,
            after: After::Nothing,
        }
    }

    /// Runs one request. Its reply may leave once what it is to wait for is durable.
    pub fn run(&mut self, request: &Request, now: Timestamp) -> Ran {
        self.after = After::Nothing;
        match self.run_once(request, now) {
            Ok(Ran::Replied(reply, _)) => Ran::Replied(proto::Reply { id: 0, ..reply }, self.after),
            Ok(opened) => opened,
            Err(error) => Ran::Replied(reply_of(Err(error), now), self.after),
        }
    }

    /// Does something that is not a request, and says what has to be durable before anybody may know.
    pub fn apply<T>(&mut self, change: impl FnOnce(&mut Writer) -> T) -> (T, After) {
        self.after = After::Nothing;
        let result = change(self);
        (result, self.after)
    }

    fn run_once(&mut self, request: &Request, now: Timestamp) -> Result<Ran> {
        if request.command.route().is_some() {
            self.check_owner(request.hash)?;
        }
        let pledge = request.idempotency.as_ref().map(|idempotency| {
            let (owner, owner_id) = request.command.scope();
            let answer = ShortId::new(owner, owner_id, idempotency.key.as_bytes()).0;
            Pledge { answer, fingerprint: idempotency.fingerprint.clone() }
        });
        if let Some(pledge) = &pledge
            && let Some(reply) = self.replay(request.hash, pledge)?
        {
            return Ok(Ran::Replied(reply, After::Nothing));
        }
        self.check_room(request)?;
        if pledge.is_some() && self.first_answers.is_full() {
            return Err(Error::Exhausted(
                "too many idempotency keys are live on this shard; nothing was applied".into(),
            ));
        }
        let result = match &request.command {
            Command::PlaceOrder(place) => match begin::run(self, request, place, pledge.as_ref(), now) {
                Ok(Begun::Open(order)) => return Ok(Ran::Opened(order)),
                Ok(Begun::Done(done)) => Ok(done),
                Err(error) => Err(error),
            },
            _ => commands::run(self, request, now),
        };
        let is_kept = result.as_ref().map_or_else(is_kept, |_| true);
        let reply = reply_of(result, now);
        if let Some(pledge) = pledge.filter(|_| is_kept) {
            self.keep_first_answer(request.hash, &pledge, &reply, now)?;
        }
        Ok(Ran::Replied(reply, After::Nothing))
    }

    /// Whether a hash is one of this shard's.
    pub fn owns(&self, hash: KeyHash) -> bool {
        self.slots.contains(&hash.slot().0)
    }

    /// Refuses what is another shard's.
    ///
    /// # Errors
    /// [`Error::WrongSlot`].
    pub fn check_owner(&self, hash: KeyHash) -> Result<()> {
        if self.owns(hash) {
            return Ok(());
        }
        Err(Error::WrongSlot(format!("slot {} is not on this shard", hash.slot().0)))
    }

    /// Refuses a command that may write while there is no room for it, before anything is applied.
    fn check_room(&self, request: &Request) -> Result<()> {
        if request.command.is_read() {
            return Ok(());
        }
        if !self.accepts_writes {
            return Err(Error::Unavailable("the shard's disk is nearly full; nothing was applied".into()));
        }
        let waiting = self.open_waiting.len() + self.in_flight_waiting.len();
        if waiting >= MAX_WAITING_REPLIES || self.open.bytes() >= MAX_OPEN_BYTES {
            return Err(Error::Unavailable("the shard's commit queue is full; nothing was applied".into()));
        }
        Ok(())
    }

    /// Reads a resident record; the reply will wait until what was read is durable.
    pub fn read(&mut self, hash: KeyHash, kind: RecordKind, id: &[u8]) -> Option<&[u8]> {
        self.wait_for_writes_of(hash, kind, id);
        self.state.get(hash, kind, id)
    }

    /// Lets the reply wait until every change of a product so far is durable: a list depends on all.
    pub fn wait_for_products(&mut self) {
        let newest = if self.open.has_products() {
            After::Open
        } else if self.in_flight.as_ref().is_some_and(|batch| batch.has_products()) {
            After::InFlight
        } else {
            After::Nothing
        };
        self.after = self.after.max(newest);
    }

    /// Reads a record that is not resident.
    ///
    /// # Errors
    /// [`Error::Fault`] when storage cannot be read.
    pub fn read_stored(&mut self, hash: KeyHash, kind: RecordKind, id: &[u8]) -> Result<Option<Vec<u8>>> {
        self.wait_for_writes_of(hash, kind, id);
        let in_flight = || self.in_flight.as_ref().and_then(|batch| batch.find(hash, kind, id));
        if let Some(write) = self.open.find(hash, kind, id).or_else(in_flight) {
            return Ok(value_of(write).map(<[u8]>::to_vec));
        }
        self.storage.get(Record::new(hash, kind, id, b"").key())
    }

    fn wait_for_writes_of(&mut self, hash: KeyHash, kind: RecordKind, id: &[u8]) {
        let newest = if self.open.find(hash, kind, id).is_some() {
            After::Open
        } else if self.in_flight.as_ref().is_some_and(|batch| batch.find(hash, kind, id).is_some()) {
            After::InFlight
        } else {
            After::Nothing
        };
        self.after = self.after.max(newest);
    }

    /// Puts a record; the reply will wait for its commit.
    pub fn put(&mut self, hash: KeyHash, kind: RecordKind, id: &[u8], value: &[u8]) {
        let record = Record::new(hash, kind, id, value);
        if kind == RecordKind::Product {
            self.open.note_product();
        }
        if kind.is_resident() {
            self.state.put(hash, kind, record.clone());
        }
        self.open.push(hash, Write::Put(record));
        self.after = After::Open;
    }

    /// Deletes a record; the reply will wait for its commit.
    pub fn delete(&mut self, hash: KeyHash, kind: RecordKind, id: &[u8]) {
        if kind == RecordKind::Product {
            self.open.note_product();
        }
        if kind.is_resident() {
            self.state.delete(hash, kind, id);
        }
        self.open.push(hash, Write::Delete(Record::new(hash, kind, id, b"")));
        self.after = After::Open;
    }

    /// A version that no record of this shard ever had.
    pub fn next_version(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Lets a reply wait.
    ///
    /// # Panics
    /// Never: [`After::Nothing`] is nothing to wait for, and such a reply is sent at once.
    pub fn wait(&mut self, after: After, waiting: Waiting) {
        match after {
            After::Nothing => waiting.deliver(),
            After::InFlight => self.in_flight_waiting.push(waiting),
            After::Open => self.open_waiting.push(waiting),
        }
    }

    /// Removes what has expired.
    pub fn sweep(&mut self, now: Timestamp) {
        if !self.accepts_writes {
            return;
        }
        for _ in 0..MAX_SWEPT {
            let Some(live) = self.first_answers.pop_expired(now) else { break };
            self.delete(live.hash, RecordKind::Idempotency, &live.id.0);
        }
        self.sweep_settlements(now, MAX_SETTLEMENTS);
    }

    /// Removes settlements that have expired, and when there are more than `most`, those that have done
    /// their duty.
    pub(super) fn sweep_settlements(&mut self, now: Timestamp, most: usize) {
        let early = Timestamp::from_micros(now.micros() + LIFETIME_MICROS - MIN_SETTLEMENT_MICROS).unwrap_or(now);
        for _ in 0..MAX_SWEPT_SETTLEMENTS {
            let until = if self.settlements.count() > most { early } else { now };
            let Some(live) = self.settlements.pop_expired(until) else { break };
            self.delete(live.hash, RecordKind::Settlement, &live.id.0);
        }
    }

    /// Closes the open batch: it is in flight from now on. `None` when there is nothing to commit or
    /// another batch is in flight.
    pub fn seal(&mut self) -> Option<Arc<Batch>> {
        if self.open.is_empty() || self.in_flight.is_some() {
            return None;
        }
        let mut batch = std::mem::take(&mut self.open);
        batch.push_unread(Write::Put(Record::from_parts(COUNTER_KEY, &self.counter.to_be_bytes())));
        let batch = Arc::new(batch);
        self.in_flight = Some(batch.clone());
        self.in_flight_waiting = std::mem::take(&mut self.open_waiting);
        Some(batch)
    }

    /// The batch in flight is durable: what waited for it may leave.
    pub fn committed(&mut self) -> Vec<Waiting> {
        self.in_flight = None;
        std::mem::take(&mut self.in_flight_waiting)
    }

    /// Whether everything is durable.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.in_flight.is_none()
    }

    /// Whether the open batch waits for somebody to commit it.
    pub fn has_work(&self) -> bool {
        !self.open.is_empty() && self.in_flight.is_none()
    }

    /// Allows or refuses writes.
    pub fn set_accepts_writes(&mut self, accepts: bool) {
        self.accepts_writes = accepts;
    }

    /// Whether writes are allowed.
    pub fn accepts_writes(&self) -> bool {
        self.accepts_writes
    }

    /// The records in memory.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How many idempotency keys are live.
    pub fn live_keys(&self) -> usize {
        self.first_answers.count()
    }

    /// The slots that this shard owns.
    pub fn slots(&self) -> RangeInclusive<u16> {
        self.slots.clone()
    }
}

/// Whether the answer to a request that failed is given again.
pub fn is_kept(error: &Error) -> bool {
    matches!(error, Error::PaymentRefused(_) | Error::NotFound(_) | Error::Refused(_) | Error::LinesAtFault(_))
}

/// A reply to be sent.
pub fn reply_of(result: Result<Done>, now: Timestamp) -> proto::Reply {
    let (created, result) = match result {
        Ok(done) => (done.created, done.outcome),
        Err(error) => (false, protocol::failure(&error)),
    };
    proto::Reply { id: 0, at: now.micros(), replayed: false, created, result: Some(result) }
}
