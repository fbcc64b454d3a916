//! Who a data directory belongs to: written when it is first used, checked ever after, so that a
//! swapped address or a foreign directory can never split a cart.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fill;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::protocol::proto;
use crate::routing::{self, FIRST_TABLE_VERSION};
use crate::storage::Record;
use crate::storage::{Storage, Write};

/// The key of the header in storage; shorter than any record's key.
pub const HEADER_KEY: &[u8] = b"header";

const FORMAT: u32 = 1;

/// What a data directory's header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    /// `None` until the first session that knows it.
    store_id: Option<Uuid>,
    shard: u32,
    shards: u32,
    first_slot: u16,
    last_slot: u16,
    table_version: u64,
    /// The catalogue that is being written; until it is, the shard does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalog: Option<Filling>,
}

/// The catalogue file that a shard is being filled with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filling {
    /// How it was called.
    pub file: String,
    /// The sum of its bytes.
    pub sha256: String,
}

/// The identity of a running shard.
pub struct Identity {
    header: Mutex<Header>,
    /// A catalogue is to be written, perhaps not for the first time.
    is_filling: bool,
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The store; when unknown, shard 0 makes one and the others learn it from their first session.
    pub store_id: Option<Uuid>,
    /// Which shard.
    pub shard: u32,
    /// Of how many.
    pub shards: u32,
}

impl Identity {
    /// Checks the header in storage against what is asked for. A fresh storage gets one, in one commit
    /// with the sample where that is wanted; with a file it gets one from [`Identity::fill_from`].
    ///
    /// # Errors
    /// [`Error::Fault`] when the storage belongs to another shard or store, or fails.
    pub fn open(storage: &dyn Storage, claim: Claim, catalog: &Catalog) -> Result<Self> {
        let Some(bytes) = storage.get(HEADER_KEY)? else {
            let slots = routing::initial_range(claim.shard, claim.shards);
            let header = Header {
                format: FORMAT,
                store_id: claim.store_id.or_else(|| (claim.shard == 0).then(Uuid::new_v4)),
                shard: claim.shard,
                shards: claim.shards,
                first_slot: *slots.start(),
                last_slot: *slots.end(),
                table_version: FIRST_TABLE_VERSION,
                catalog: None,
            };
            match catalog {
                Catalog::Sample => write(storage, &header, fill::sample_records(&slots))?,
                Catalog::None => write(storage, &header, Vec::new())?,
                Catalog::File(_) => {}
            }
            let is_filling = matches!(catalog, Catalog::File(_));
            return Ok(Identity { header: Mutex::new(header), is_filling });
        };
        let mut header: Header = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Fault(format!("the data directory's header cannot be read: {error}")))?;
        check(&header, claim)?;
        if header.store_id.is_none() && claim.store_id.is_some() {
            header.store_id = claim.store_id;
            write(storage, &header, Vec::new())?;
        }
        let is_filling = header.catalog.is_some();
        Ok(Identity { header: Mutex::new(header), is_filling })
    }

    /// The slots that the shard owns.
    pub fn slots(&self) -> RangeInclusive<u16> {
        let header = self.lock();
        header.first_slot..=header.last_slot
    }

    /// Which shard of how many.
    pub fn shard(&self) -> (u32, u32) {
        let header = self.lock();
        (header.shard, header.shards)
    }

    /// Whether a catalogue file was still to be written when this was opened.
    pub fn is_filling(&self) -> bool {
        self.is_filling
    }

    /// The file that the shard was being filled with when that was interrupted.
    pub fn interrupted_filling(&self) -> Option<Filling> {
        self.lock().catalog.clone()
    }

    /// Says durably which file is being written, before any of it is.
    ///
    /// # Errors
    /// [`Error::Fault`] when storage fails.
    pub fn fill_from(&self, storage: &dyn Storage, file: Filling) -> Result<()> {
        let mut header = self.lock();
        header.catalog = Some(file);
        write(storage, &header, Vec::new())
    }

    /// Writes the last records of the catalogue, and with them that it is whole.
    ///
    /// # Errors
    /// [`Error::Fault`] when storage fails.
    pub fn filled(&self, storage: &dyn Storage, last: Vec<Write>) -> Result<()> {
        let mut header = self.lock();
        header.catalog = None;
        write(storage, &header, last)
    }

    /// The store, if it is known.
    pub fn store_id(&self) -> Option<Uuid> {
        self.lock().store_id
    }

    /// The identity as it is sent.
    pub fn hello(&self) -> proto::Hello {
        hello(&self.lock())
    }

    /// Checks whom a session believes to talk to. A shard that does not know its store yet takes
    /// the session's word, durably.
    ///
    /// # Errors
    /// [`Error::WrongSlot`] when it means another shard or store, [`Error::Unavailable`] when
    /// neither side knows the store, [`Error::Fault`] when storage fails.
    pub fn greet(&self, storage: &dyn Storage, theirs: &proto::Hello) -> Result<proto::Hello> {
        let mut header = self.lock();
        let ours = hello(&header);
        let same_place =
            (theirs.shard, theirs.shards, theirs.table_version) == (ours.shard, ours.shards, ours.table_version);
        if !same_place {
            return Err(Error::WrongSlot(format!(
                "this is shard {} of {} (slot table {}), not shard {} of {} (slot table {})",
                ours.shard, ours.shards, ours.table_version, theirs.shard, theirs.shards, theirs.table_version
            )));
        }
        if theirs.store_id.is_empty() {
            let known = header.store_id.is_some().then_some(ours);
            return known.ok_or_else(|| Error::Unavailable("this shard does not know its store yet".into()));
        }
        let store_id = Uuid::parse_str(&theirs.store_id).map_err(|_| Error::Invalid("store_id: is no UUID".into()))?;
        match header.store_id {
            Some(ours) if ours != store_id => {
                Err(Error::WrongSlot(format!("this shard belongs to store {ours}, not {store_id}")))
            }
            Some(_) => Ok(ours),
            None => {
                let claimed = Header { store_id: Some(store_id), ..header.clone() };
                write(storage, &claimed, Vec::new())?;
                *header = claimed;
                Ok(hello(&header))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Header> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hello(header: &Header) -> proto::Hello {
    proto::Hello {
        store_id: header.store_id.map(|id| id.to_string()).unwrap_or_default(),
        shard: header.shard,
        shards: header.shards,
        table_version: header.table_version,
    }
}

fn check(header: &Header, claim: Claim) -> Result<()> {
    let refuse = |text: String| Err(Error::Fault(format!("the data directory is another one's: {text}")));
    if header.format != FORMAT {
        return refuse(format!("its format is {}, this release knows {FORMAT}", header.format));
    }
    if (header.shard, header.shards) != (claim.shard, claim.shards) {
        return refuse(format!(
            "it holds shard {} of {}, asked for was shard {} of {}",
            header.shard, header.shards, claim.shard, claim.shards
        ));
    }
    match (header.store_id, claim.store_id) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            refuse(format!("it belongs to store {ours}, asked for was {theirs}"))
        }
        _ => Ok(()),
    }
}

fn write(storage: &dyn Storage, header: &Header, mut beside: Vec<Write>) -> Result<()> {
    let text = serde_json::to_vec(header).map_err(|error| Error::Fault(format!("the header: {error}")))?;
    beside.push(Write::Put(Record::from_parts(HEADER_KEY, &text)));
    storage.write(&beside)?;
    storage.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StorageKind;

    fn claim(shard: u32, shards: u32, store_id: Option<Uuid>) -> Claim {
        Claim { store_id, shard, shards }
    }

    #[test]
    fn a_directory_stays_with_its_shard_and_store() {
        let directory = tempfile::tempdir().unwrap();
        let storage = StorageKind::Fjall.open(directory.path()).unwrap();
        let id = Uuid::new_v4();
        Identity::open(&*storage, claim(1, 4, Some(id)), &Catalog::None).unwrap();
        assert!(Identity::open(&*storage, claim(1, 4, Some(id)), &Catalog::None).is_ok());
        assert!(Identity::open(&*storage, claim(1, 4, None), &Catalog::None).is_ok());
        for other in [claim(0, 4, Some(id)), claim(1, 2, Some(id)), claim(1, 4, Some(Uuid::new_v4()))] {
            assert!(Identity::open(&*storage, other, &Catalog::None).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_shard_without_a_store_takes_the_first_one_named() {
        let directory = tempfile::tempdir().unwrap();
        let storage = StorageKind::Fjall.open(directory.path()).unwrap();
        let identity = Identity::open(&*storage, claim(1, 2, None), &Catalog::None).unwrap();
        let mut hello = identity.hello();
        assert!(matches!(identity.greet(&*storage, &hello), Err(Error::Unavailable(_))));
        hello.store_id = Uuid::new_v4().to_string();
        assert_eq!(identity.greet(&*storage, &hello).unwrap(), hello);
        let reopened = Identity::open(&*storage, claim(1, 2, None), &Catalog::None).unwrap();
        assert_eq!(reopened.greet(&*storage, &hello).unwrap(), hello);
        let stranger = proto::Hello { store_id: Uuid::new_v4().to_string(), ..hello.clone() };
        assert!(matches!(reopened.greet(&*storage, &stranger), Err(Error::WrongSlot(_))));
        let swapped = proto::Hello { shard: 0, ..hello };
        assert!(matches!(reopened.greet(&*storage, &swapped), Err(Error::WrongSlot(_))));
    }
}
