//! The data directory's header: the store and shard that it belongs to. A mismatch refuses to start, so that a
//! swapped address or a foreign directory can never split a cart.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::protocol::Hello;
use crate::routing::{FIRST_TABLE_VERSION, initial_range};
use crate::shard::engine::Writer;
use crate::storage::{HEADER_KEY, Record, Storage, Write};

const FORMAT: u32 = 1;
/// The indexes over orders that this release keeps: 0 stands for none.
const INDEXES: u32 = 1;

/// The header, stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    /// The store's id; `None` until the first session tells it.
    store_id: Option<Uuid>,
    shard: u32,
    shards: u32,
    first_slot: u16,
    last_slot: u16,
    table_version: u64,
    /// The catalog that is being imported; until that is done, the shard does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalog: Option<PendingImport>,
    /// The indexes that are complete.
    #[serde(default)]
    indexes: u32,
}

/// The catalog file that a shard is importing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingImport {
    /// The path of the file.
    pub file: String,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The identity of a running shard.
pub struct Identity {
    header: Mutex<Header>,
}

/// The identity that the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedIdentity {
    /// The store's id. When unknown, shard 0 chooses one, and the others learn it from their first session.
    pub store_id: Option<Uuid>,
    /// The shard.
    pub shard: u32,
    /// The number of shards.
    pub shards: u32,
}

impl Identity {
    /// Loads the header and checks it against what is expected. `None` for a fresh storage.
    ///
    /// # Errors
    /// [`Error::Internal`] when the storage belongs to another shard or store, or fails.
    pub fn load(storage: &dyn Storage, expected: ExpectedIdentity) -> Result<Option<Self>> {
        let Some(bytes) = storage.get(HEADER_KEY)? else { return Ok(None) };
        let mut header: Header = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Internal(format!("the data directory's header cannot be read: {error}")))?;
        check(&header, expected)?;
        if header.store_id.is_none() && expected.store_id.is_some() {
            header.store_id = expected.store_id;
            write(storage, &header, Vec::new())?;
        }
        Ok(Some(Identity { header: Mutex::new(header) }))
    }

    /// The identity for a fresh storage; nothing is written yet.
    pub fn new(expected: ExpectedIdentity) -> Self {
        let slots = initial_range(expected.shard, expected.shards);
        let header = Header {
            format: FORMAT,
            store_id: expected.store_id.or_else(|| (expected.shard == 0).then(Uuid::new_v4)),
            shard: expected.shard,
            shards: expected.shards,
            first_slot: *slots.start(),
            last_slot: *slots.end(),
            table_version: FIRST_TABLE_VERSION,
            catalog: None,
            indexes: INDEXES,
        };
        Identity { header: Mutex::new(header) }
    }

    /// Writes the header, in one commit with the first records of a new store.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage fails.
    pub fn create(&self, storage: &dyn Storage, records: Vec<Write>) -> Result<()> {
        write(storage, &self.lock(), records)
    }

    /// The slots that the shard owns.
    pub fn slots(&self) -> RangeInclusive<u16> {
        let header = self.lock();
        header.first_slot..=header.last_slot
    }

    /// The shard's number, and the number of shards.
    pub fn shard(&self) -> (u32, u32) {
        let header = self.lock();
        (header.shard, header.shards)
    }

    /// The interrupted import, if there is one.
    pub fn pending_import(&self) -> Option<PendingImport> {
        self.lock().catalog.clone()
    }

    /// Records durably which file is being imported, before any of its products is written.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage fails.
    pub fn begin_import(&self, storage: &dyn Storage, file: PendingImport) -> Result<()> {
        let mut header = self.lock();
        header.catalog = Some(file);
        write(storage, &header, Vec::new())
    }

    /// Writes the last records of the catalog and, in the same commit, the end of the import.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage fails.
    pub fn finish_import(&self, storage: &dyn Storage, last: Vec<Write>) -> Result<()> {
        let mut header = self.lock();
        header.catalog = None;
        write(storage, &header, last)
    }

    /// True when every order is in the indexes of this release.
    pub fn is_indexed(&self) -> bool {
        self.lock().indexes == INDEXES
    }

    /// Writes the last entries of the indexes and, in the same commit, that they are complete.
    ///
    /// # Errors
    /// [`Error::Internal`] when storage fails.
    pub fn note_indexed(&self, storage: &dyn Storage, last: Vec<Write>) -> Result<()> {
        let mut header = self.lock();
        header.indexes = INDEXES;
        write(storage, &header, last)
    }

    /// The store, if it is known.
    pub fn store_id(&self) -> Option<Uuid> {
        self.lock().store_id
    }

    /// The identity as a Hello.
    pub fn hello(&self) -> Hello {
        hello(&self.lock())
    }

    /// Checks the store and shard that a session expects. A shard that does not know its store yet adopts the session's;
    /// the answer must wait until everything so far is durable.
    ///
    /// # Errors
    /// [`Error::WrongSlot`] when the session expects another shard or store, [`Error::Unavailable`] when neither side
    /// knows the store or there is no room to note it.
    pub fn greet(&self, writer: &mut Writer, theirs: &Hello) -> Result<Hello> {
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
        let Some(store_id) = theirs.store else {
            let known = header.store_id.is_some().then_some(ours);
            return known.ok_or_else(|| Error::Unavailable("this shard does not know its store yet".into()));
        };
        match header.store_id {
            Some(ours) if ours != store_id => {
                Err(Error::WrongSlot(format!("this shard belongs to store {ours}, not {store_id}")))
            }
            Some(_) => Ok(ours),
            None => {
                writer.check_capacity()?;
                let adopted = Header { store_id: Some(store_id), ..header.clone() };
                writer.put_header(&text_of(&adopted)?);
                *header = adopted;
                Ok(hello(&header))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Header> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hello(header: &Header) -> Hello {
    Hello { store: header.store_id, shard: header.shard, shards: header.shards, table_version: header.table_version }
}

fn check(header: &Header, expected: ExpectedIdentity) -> Result<()> {
    let refuse =
        |text: String| Err(Error::Internal(format!("the data directory belongs to another shard or store: {text}")));
    if header.format != FORMAT {
        return refuse(format!("its format is {}, this release knows {FORMAT}", header.format));
    }
    if (header.shard, header.shards) != (expected.shard, expected.shards) {
        return refuse(format!(
            "it holds shard {} of {}, not shard {} of {}",
            header.shard, header.shards, expected.shard, expected.shards
        ));
    }
    match (header.store_id, expected.store_id) {
        (Some(ours), Some(theirs)) if ours != theirs => refuse(format!("it belongs to store {ours}, not {theirs}")),
        _ => Ok(()),
    }
}

fn text_of(header: &Header) -> Result<Vec<u8>> {
    serde_json::to_vec(header).map_err(|error| Error::Internal(format!("the header: {error}")))
}

fn write(storage: &dyn Storage, header: &Header, mut beside: Vec<Write>) -> Result<()> {
    beside.push(Write::Put(Record::from_parts(HEADER_KEY, &text_of(header)?)));
    storage.commit_next(&beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::engine::{CommitDependency, Resident};
    use crate::storage::{MIN_LOG_BYTES, Space, StorageKind};

    const SPACE: Space = Space { log_bytes: MIN_LOG_BYTES, min_free: 0 };

    fn expected(shard: u32, shards: u32, store_id: Option<Uuid>) -> ExpectedIdentity {
        ExpectedIdentity { store_id, shard, shards }
    }

    fn create(storage: &dyn Storage, expected: ExpectedIdentity) -> Identity {
        assert!(Identity::load(storage, expected).unwrap().is_none(), "the storage is fresh");
        let identity = Identity::new(expected);
        identity.create(storage, Vec::new()).unwrap();
        identity
    }

    #[test]
    fn a_directory_stays_with_its_shard_and_store() {
        let directory = tempfile::tempdir().unwrap();
        let storage = StorageKind::Log.open(directory.path(), SPACE).unwrap();
        let id = Uuid::new_v4();
        create(&*storage, expected(1, 4, Some(id)));
        assert!(matches!(Identity::load(&*storage, expected(1, 4, Some(id))), Ok(Some(_))));
        assert!(matches!(Identity::load(&*storage, expected(1, 4, None)), Ok(Some(_))));
        for other in [expected(0, 4, Some(id)), expected(1, 2, Some(id)), expected(1, 4, Some(Uuid::new_v4()))] {
            assert!(Identity::load(&*storage, other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_shard_without_a_store_adopts_the_first_one() {
        let directory = tempfile::tempdir().unwrap();
        let storage = StorageKind::Log.open(directory.path(), SPACE).unwrap();
        let identity = create(&*storage, expected(1, 2, None));
        let mut writer = Writer::new(Resident::default(), storage.clone(), identity.slots());
        let mut hello = identity.hello();
        assert!(matches!(identity.greet(&mut writer, &hello), Err(Error::Unavailable(_))));
        assert_eq!(writer.dependency_on_all(), CommitDependency::None);
        hello.store = Some(Uuid::new_v4());
        assert_eq!(identity.greet(&mut writer, &hello).unwrap(), hello);
        assert_eq!(writer.dependency_on_all(), CommitDependency::Open, "the answer waits for the commit");
        let batch = writer.seal().unwrap();
        storage.commit(batch.writes(), batch.sequence()).into_result().unwrap();
        let reopened = Identity::load(&*storage, expected(1, 2, None)).unwrap().unwrap();
        assert_eq!(reopened.greet(&mut writer, &hello).unwrap(), hello);
        let stranger = Hello { store: Some(Uuid::new_v4()), ..hello.clone() };
        assert!(matches!(reopened.greet(&mut writer, &stranger), Err(Error::WrongSlot(_))));
        let swapped = Hello { shard: 0, ..hello };
        assert!(matches!(reopened.greet(&mut writer, &swapped), Err(Error::WrongSlot(_))));
    }
}
