//! First answers: a request that comes again under its idempotency key gets the answer that it got.

use prost::Message;

use super::expiring::{LIFETIME_MICROS, ShortId};
use super::writer::Writer;
use crate::domain::order::Pledge;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::protocol::proto;
use crate::routing::KeyHash;
use crate::storage::RecordKind;
use crate::storage::codec::{self, FirstAnswer};

impl Writer {
    /// The first answer under a key, if there is one.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when it was to another request, [`Error::InFlight`] when there is none yet.
    pub fn replay(&mut self, hash: KeyHash, asked: &Pledge) -> Result<Option<proto::Reply>> {
        if !self.first_answers.contains(ShortId(asked.answer)) {
            return Ok(None);
        }
        let Some(bytes) = self.read_stored(hash, RecordKind::Idempotency, &asked.answer)? else {
            return Ok(None);
        };
        let first = codec::decode_first_answer(&bytes)?;
        if first.fingerprint != asked.fingerprint {
            return Err(Error::KeyReused("Idempotency-Key: it was used before, with a different request".into()));
        }
        if first.reply.is_empty() {
            return Err(Error::InFlight("the request with this Idempotency-Key is being worked on".into()));
        }
        let mut reply = proto::Reply::decode(first.reply.as_slice())
            .map_err(|error| Error::Fault(format!("a first answer cannot be read: {error}")))?;
        reply.replayed = true;
        Ok(Some(reply))
    }

    /// Keeps the first answer under a key.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the clock is at the end of time.
    pub fn keep_first_answer(
        &mut self,
        hash: KeyHash,
        pledge: &Pledge,
        reply: &proto::Reply,
        now: Timestamp,
    ) -> Result<()> {
        self.write_first_answer(hash, pledge, reply.encode_to_vec(), now)
    }

    /// Notes that the answer under a key is being worked on.
    ///
    /// # Errors
    /// As for [`Writer::keep_first_answer`].
    pub fn note_in_flight(&mut self, hash: KeyHash, pledge: &Pledge, now: Timestamp) -> Result<()> {
        self.write_first_answer(hash, pledge, Vec::new(), now)
    }

    /// Frees a key.
    pub fn forget_first_answer(&mut self, hash: KeyHash, pledge: &Pledge) {
        self.first_answers.forget(ShortId(pledge.answer));
        self.delete(hash, RecordKind::Idempotency, &pledge.answer);
    }

    fn write_first_answer(&mut self, hash: KeyHash, pledge: &Pledge, reply: Vec<u8>, now: Timestamp) -> Result<()> {
        let answer = FirstAnswer {
            version: self.next_version(),
            expires_at: Timestamp::from_micros(now.micros() + LIFETIME_MICROS)?,
            fingerprint: pledge.fingerprint.clone(),
            reply,
        };
        self.put(hash, RecordKind::Idempotency, &pledge.answer, &codec::encode_first_answer(&answer));
        self.first_answers.insert(hash, ShortId(pledge.answer), answer.expires_at);
        Ok(())
    }
}
