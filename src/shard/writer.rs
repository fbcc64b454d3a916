//! The single writer: runs each command against the state in memory and collects its effects for
//! the next commit, and says what a reply has to wait for.
//!
//! Two batches exist at most: the *open* one that commands add to, and the one *in flight* that is
//! being made durable. A reply that was computed from a record in either of them waits for it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use prost::Message;

use super::batch::{Batch, value_of};
use super::commands::{self, Done};
use super::first_answers::{AnswerId, FirstAnswers, LIFETIME_MICROS};
use super::outbox::Waiting;
use super::state::State;
use crate::codec::{self, FirstAnswer};
use crate::domain::command::{Idempotency, Request};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::key::{KeyHash, Kind};
use crate::record::Record;
use crate::storage::{Storage, Write};
use crate::wire::{self, proto};

/// The most replies that wait for commits; past that commands are refused, nothing applied.
pub const MAX_WAITING_REPLIES: usize = 16_384;
/// The most bytes in the open batch; past that commands are refused, nothing applied.
pub const MAX_OPEN_BYTES: usize = 32 << 20;
/// The most expired first answers removed at a time.
const MAX_SWEPT: usize = 1_000;

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

/// The state of a shard and the effects that are not durable yet.
pub struct Writer {
    state: State,
    open: Batch,
    open_waiting: Vec<Waiting>,
    in_flight: Option<Arc<Batch>>,
    in_flight_waiting: Vec<Waiting>,
    first_answers: FirstAnswers,
    counter: u64,
    storage: Arc<dyn Storage>,
    slots: RangeInclusive<u16>,
    accepts_writes: bool,
    /// What the command that is being run has read and written so far.
    after: After,
}

impl Writer {
    /// A writer over what was loaded.
    pub fn new(
        state: State,
        first_answers: FirstAnswers,
        counter: u64,
        storage: Arc<dyn Storage>,
        slots: RangeInclusive<u16>,
    ) -> Self {
        Writer {
            state,
            open: Batch::default(),
            open_waiting: Vec::new(),
            in_flight: None,
            in_flight_waiting: Vec::new(),
            first_answers,
            counter,
            storage,
            slots,
            accepts_writes: true,
            after: After::Nothing,
        }
    }

    /// Runs one request. Its reply may leave once what it is to wait for is durable.
    pub fn run(&mut self, request: &Request, now: Timestamp) -> (proto::Reply, After) {
        self.after = After::Nothing;
        let mut reply = match self.run_once(request, now) {
            Ok(reply) => reply,
            Err(error) => reply_of(Err(error), now),
        };
        reply.id = 0;
        (reply, self.after)
    }

    fn run_once(&mut self, request: &Request, now: Timestamp) -> Result<proto::Reply> {
        let slot = request.hash.slot().0;
        if !self.slots.contains(&slot) && !request.command.owner().is_empty() {
            return Err(Error::WrongSlot(format!("slot {slot} is not on this shard")));
        }
        let Some(idempotency) = &request.idempotency else {
            self.check_room(request)?;
            return Ok(reply_of(commands::run(self, request, now), now));
        };
        let id = AnswerId::new(commands::owner_kind(&request.command), request.command.owner(), &idempotency.key);
        if let Some(reply) = self.replay(request.hash, id, idempotency)? {
            return Ok(reply);
        }
        self.check_room(request)?;
        if self.first_answers.is_full() {
            return Err(Error::Exhausted(
                "too many idempotency keys are live on this shard; nothing was applied".into(),
            ));
        }
        let result = commands::run(self, request, now);
        let keep = matches!(result, Ok(_) | Err(Error::NotFound(_) | Error::Refused(_)));
        let reply = reply_of(result, now);
        if keep {
            self.keep_first_answer(request.hash, id, idempotency, &reply, now)?;
        }
        Ok(reply)
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

    fn replay(&mut self, hash: KeyHash, id: AnswerId, asked: &Idempotency) -> Result<Option<proto::Reply>> {
        if !self.first_answers.contains(id) {
            return Ok(None);
        }
        let Some(bytes) = self.read_stored(hash, Kind::Idempotency, &id.0)? else {
            return Ok(None);
        };
        let first = codec::decode_first_answer(&bytes)?;
        if first.fingerprint != asked.fingerprint {
            return Err(Error::KeyReused("Idempotency-Key: it was used before, with a different request".into()));
        }
        let mut reply = proto::Reply::decode(first.reply.as_slice())
            .map_err(|error| Error::Fault(format!("a first answer cannot be read: {error}")))?;
        reply.replayed = true;
        Ok(Some(reply))
    }

    fn keep_first_answer(
        &mut self,
        hash: KeyHash,
        id: AnswerId,
        idempotency: &Idempotency,
        reply: &proto::Reply,
        now: Timestamp,
    ) -> Result<()> {
        let answer = FirstAnswer {
            version: self.next_version(),
            expires_at: Timestamp::from_micros(now.micros() + LIFETIME_MICROS)?,
            fingerprint: idempotency.fingerprint.clone(),
            reply: reply.encode_to_vec(),
        };
        self.put(hash, Kind::Idempotency, &id.0, &codec::encode_first_answer(&answer));
        self.first_answers.insert(hash, id, answer.expires_at);
        Ok(())
    }

    /// Reads a resident record; the reply will wait until what was read is durable.
    pub fn read(&mut self, hash: KeyHash, kind: Kind, id: &[u8]) -> Option<&[u8]> {
        self.wait_for_writes_of(hash, kind, id);
        self.state.get(hash, kind, id)
    }

    /// Reads a record that is not resident.
    fn read_stored(&mut self, hash: KeyHash, kind: Kind, id: &[u8]) -> Result<Option<Vec<u8>>> {
        self.wait_for_writes_of(hash, kind, id);
        let in_flight = || self.in_flight.as_ref().and_then(|batch| batch.find(hash, kind, id));
        if let Some(write) = self.open.find(hash, kind, id).or_else(in_flight) {
            return Ok(value_of(write).map(<[u8]>::to_vec));
        }
        self.storage.get(Record::new(hash, kind, id, b"").key())
    }

    fn wait_for_writes_of(&mut self, hash: KeyHash, kind: Kind, id: &[u8]) {
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
    pub fn put(&mut self, hash: KeyHash, kind: Kind, id: &[u8], value: &[u8]) {
        let record = Record::new(hash, kind, id, value);
        if kind.is_resident() {
            self.state.put(hash, kind, record.clone());
        }
        self.open.push(hash, Write::Put(record));
        self.after = After::Open;
    }

    /// Deletes a record; the reply will wait for its commit.
    pub fn delete(&mut self, hash: KeyHash, kind: Kind, id: &[u8]) {
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

    /// Removes first answers that have expired.
    pub fn sweep(&mut self, now: Timestamp) {
        if !self.accepts_writes {
            return;
        }
        for _ in 0..MAX_SWEPT {
            let Some(key) = self.first_answers.pop_expired(now) else { break };
            self.delete(key.hash, Kind::Idempotency, &key.id.0);
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

fn reply_of(result: Result<Done>, now: Timestamp) -> proto::Reply {
    let (created, result) = match result {
        Ok(done) => (done.created, done.outcome),
        Err(error) => (false, wire::failure(&error)),
    };
    proto::Reply { id: 0, at: now.micros(), replayed: false, created, result: Some(result) }
}
