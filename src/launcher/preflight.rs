//! What is checked before anything is started: the ports and the data directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use uuid::Uuid;

use super::catalog;
use super::child::say;
use crate::catalog::{Catalog, CatalogSummary};
use crate::error::{Error, Result};
use crate::routing::{Address, MAX_SOCKET_PATH};
use crate::storage::StorageKind;

/// How long a port or a lock is waited for: the children of a launcher that was killed need up to
/// half a second to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried.
const INTERVAL: Duration = Duration::from_millis(25);
/// The most shards on one machine.
pub const MAX_SHARDS: u32 = 64;

const FORMAT: u32 = 1;
const STORE_FILE: &str = "store.json";
const LOCK_FILE: &str = "lock";
/// A copy of the catalogue that the shards are being filled with.
const CATALOG_FILE: &str = "catalog.jsonl";

/// What `store.json` says of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Store {
    format: u32,
    store_id: Uuid,
    shards: u32,
    storage: String,
    created: String,
    /// What the shards are filled with: `sample`, `none`, or while that is not done in all of them,
    /// `file`, which is kept beside this.
    #[serde(default)]
    catalog: Filling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Filling {
    Sample,
    #[default]
    None,
    File,
}

/// A data directory that is ours for as long as this is held.
pub struct DataDirectory {
    path: PathBuf,
    store: Store,
    _lock: File,
}

impl DataDirectory {
    /// Takes a data directory, making it when it is missing.
    ///
    /// # Errors
    /// [`Error::Fault`] when it is in use, holds another number of shards or another storage, or
    /// lacks a shard's data; [`Error::Invalid`] for a path or a number of shards that cannot be, and for
    /// a catalogue with a bad row; [`Error::Unavailable`] when told to stop while that is read.
    pub fn open(
        path: &Path,
        shards: u32,
        storage: StorageKind,
        catalog: &Catalog,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Self> {
        if shards == 0 || shards > MAX_SHARDS {
            return Err(Error::Invalid(format!("--shards {shards}: must be 1 to {MAX_SHARDS}")));
        }
        // Links are kept: a short one is how to use a directory whose own path is too long.
        let path = path::absolute(path).map_err(|error| fault("cannot use", path, &error))?;
        if path.to_str().is_none_or(|text| text.contains(',')) {
            return Err(Error::Invalid(format!(
                "--data {}: must be UTF-8 without a comma, which separates the shards' addresses",
                path.display()
            )));
        }
        let longest = socket_path(&path, shards - 1).as_os_str().len();
        if longest > MAX_SOCKET_PATH {
            return Err(Error::Invalid(format!(
                "--data {}: too long, the shards' sockets in it would have paths of {longest} bytes, at most {MAX_SOCKET_PATH} work",
                path.display()
            )));
        }
        // Shards that keep nothing are fresh at every start.
        let is_fresh = storage == StorageKind::Memory || !path.join(STORE_FILE).exists();
        let checked = match catalog {
            Catalog::File(file) if is_fresh => Some(catalog::check(file, is_stopped)?),
            _ => None,
        };
        let fill = |directory: &Path| choose(directory, catalog, checked, is_stopped);
        make_directory(&path).map_err(|error| fault("cannot make", &path, &error))?;
        let lock = lock(&path)?;
        let store = check_store(&path, shards, storage, &fill)?;
        remove_unused_copy(&path, &store)?;
        if let (false, Catalog::File(file)) = (is_fresh, catalog) {
            let why = match store.catalog {
                Filling::File => "the store is still being filled with the one it was first started with",
                Filling::Sample | Filling::None => "the store is not a fresh one",
            };
            say(&format!("--catalog {} is not read: {why}", file.display()));
        }
        Ok(DataDirectory { path, store, _lock: lock })
    }

    /// The directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's id.
    pub fn store_id(&self) -> Uuid {
        self.store.store_id
    }

    /// What the shards are to be filled with where they are fresh.
    pub fn catalog(&self) -> Catalog {
        match self.store.catalog {
            Filling::Sample => Catalog::Sample,
            Filling::None => Catalog::None,
            Filling::File => Catalog::File(self.path.join(CATALOG_FILE)),
        }
    }

    /// All shards are filled: the copy of the catalogue has done its duty. Shards that keep nothing need it
    /// at every start.
    ///
    /// # Errors
    /// [`Error::Fault`] when the directory cannot be written.
    pub fn filled(&self) -> Result<()> {
        if self.store.catalog != Filling::File || self.store.storage == StorageKind::Memory.to_string() {
            return Ok(());
        }
        let store = Store { catalog: Filling::None, ..self.store.clone() };
        write_store(&self.path, &store)?;
        remove_unused_copy(&self.path, &store)
    }

    /// Where a shard's data is.
    pub fn shard(&self, shard: u32) -> PathBuf {
        shard_path(&self.path, shard)
    }

    /// Where a shard listens.
    pub fn address(&self, shard: u32) -> Address {
        Address::Unix(socket_path(&self.path, shard))
    }
}

fn shard_path(directory: &Path, shard: u32) -> PathBuf {
    directory.join(format!("shard-{shard}"))
}

fn socket_path(directory: &Path, shard: u32) -> PathBuf {
    shard_path(directory, shard).join("sock")
}

fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK_FILE);
    let file = File::create(&path).map_err(|error| fault("cannot make", &path, &error))?;
    match retry_while(ErrorKind::WouldBlock, || file.try_lock().map_err(io::Error::from)) {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(Error::Fault(format!("{}: another store is running on this directory", directory.display())))
        }
        Err(error) => Err(fault("cannot lock", &path, &error)),
    }
}

/// Removes the copy of a catalogue where nothing is to be filled with it, also one that a launcher left
/// behind which was killed in between.
fn remove_unused_copy(directory: &Path, store: &Store) -> Result<()> {
    let copy = directory.join(CATALOG_FILE);
    if store.catalog == Filling::File {
        return Ok(());
    }
    match fs::remove_file(&copy) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(fault("cannot remove", &copy, &error)),
        _ => Ok(()),
    }
}

/// Decides what a fresh store is filled with; of a file a copy is made that outlives an interruption.
fn choose(
    directory: &Path,
    catalog: &Catalog,
    checked: Option<CatalogSummary>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Filling> {
    let file = match catalog {
        Catalog::Sample => return Ok(Filling::Sample),
        Catalog::None => return Ok(Filling::None),
        Catalog::File(file) => file,
    };
    // Somebody may have removed the store that was there a moment ago.
    let checked = checked.map_or_else(|| catalog::check(file, is_stopped), Ok)?;
    catalog::copy(file, checked, &directory.join(CATALOG_FILE), is_stopped)?;
    Ok(Filling::File)
}

fn check_store(
    directory: &Path,
    shards: u32,
    storage: StorageKind,
    fill: &dyn Fn(&Path) -> Result<Filling>,
) -> Result<Store> {
    let path = directory.join(STORE_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return create_store(directory, shards, storage, fill);
        }
        Err(error) => return Err(fault("cannot read", &path, &error)),
    };
    let store: Store = serde_json::from_slice(&text)
        .map_err(|error| Error::Fault(format!("{} cannot be read: {error}", path.display())))?;
    let refuse = |text: String| Err(Error::Fault(format!("{}: {text}", directory.display())));
    if store.format != FORMAT {
        return refuse(format!("its format is {}, this release knows {FORMAT}", store.format));
    }
    if store.shards != shards {
        return refuse(format!(
            "it holds {} shards, --shards asks for {shards}; use --shards {} or another directory",
            store.shards, store.shards
        ));
    }
    if store.storage != storage.to_string() {
        return refuse(format!("its storage is {}, --storage asks for {storage}", store.storage));
    }
    let missing = (0..shards).find(|shard| !shard_path(directory, *shard).is_dir());
    match missing {
        Some(shard) => refuse(format!("the data of shard {shard} is missing; starting would lose it for good")),
        None if storage == StorageKind::Memory => {
            let store = Store { catalog: fill(directory)?, ..store };
            write_store(directory, &store)?;
            Ok(store)
        }
        None => Ok(store),
    }
}

/// The shards' directories come first: a store.json stands for a directory that is whole.
fn create_store(
    directory: &Path,
    shards: u32,
    storage: StorageKind,
    fill: &dyn Fn(&Path) -> Result<Filling>,
) -> Result<Store> {
    for shard in 0..shards {
        let path = shard_path(directory, shard);
        make_directory(&path).map_err(|error| fault("cannot make", &path, &error))?;
        let mut entries = fs::read_dir(&path).map_err(|error| fault("cannot read", &path, &error))?;
        if entries.next().is_some() {
            return Err(Error::Fault(format!(
                "{}: holds data, but {STORE_FILE} beside it, which says whose, is missing",
                path.display()
            )));
        }
    }
    let store = Store {
        catalog: fill(directory)?,
        format: FORMAT,
        store_id: Uuid::new_v4(),
        shards,
        storage: storage.to_string(),
        created: jiff::Timestamp::now().to_string(),
    };
    write_store(directory, &store)?;
    Ok(store)
}

fn write_store(directory: &Path, store: &Store) -> Result<()> {
    let text = serde_json::to_vec_pretty(store).map_err(|error| Error::Fault(format!("{STORE_FILE}: {error}")))?;
    write_durably(directory, STORE_FILE, &text).map_err(|error| fault("cannot write in", directory, &error))
}

/// Makes a directory that is still there after a power failure, and what is missing above it.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
        fs::create_dir(path)?;
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn write_durably(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// An address that is ours and our facade's, also while the facade is being started again.
pub struct Port {
    /// The address, with the port that the operating system chose where it was to.
    pub address: SocketAddr,
    /// Holds the port; it never listens.
    _reservation: Socket,
}

impl Port {
    /// Takes an address that nobody has.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has it.
    pub fn reserve(address: SocketAddr) -> Result<Self> {
        retry_while(ErrorKind::AddrInUse, || reserve(address))
            .map_err(|error| Error::Fault(format!("cannot listen on {address}: {error}")))
    }
}

fn reserve(address: SocketAddr) -> io::Result<Port> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier facade that linger in TIME_WAIT do not count.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // It was bound alone, so nobody else has it; from now on only who shares it may join: the facade.
    socket.set_reuse_address(false)?;
    socket.set_reuse_port(true)?;
    let address = socket.local_addr()?.as_socket().ok_or(ErrorKind::AddrNotAvailable)?;
    Ok(Port { address, _reservation: socket })
}

/// Tries again for a while, but only after an error that may pass.
fn retry_while<T>(passing: ErrorKind, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == passing && started.elapsed() < PATIENCE => thread::sleep(INTERVAL),
            result => return result,
        }
    }
}

fn fault(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::Fault(format!("{what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_store_and_refuses_another_layout() {
        let directory = tempfile::tempdir().unwrap();
        let open = |shards, storage| DataDirectory::open(directory.path(), shards, storage, &Catalog::None, &|| false);
        let id = open(4, StorageKind::Fjall).unwrap().store_id();
        assert_eq!(open(4, StorageKind::Fjall).unwrap().store_id(), id);
        let refusal = open(2, StorageKind::Fjall).err().unwrap().to_string();
        assert!(refusal.contains("4 shards") && refusal.contains("asks for 2"), "{refusal}");
        assert!(open(4, StorageKind::Memory).is_err());
        fs::remove_dir(directory.path().join("shard-3")).unwrap();
        assert!(open(4, StorageKind::Fjall).err().unwrap().to_string().contains("shard 3 is missing"));
        assert!(open(0, StorageKind::Fjall).is_err());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("x".repeat(MAX_SOCKET_PATH));
        assert!(matches!(
            DataDirectory::open(&long, 1, StorageKind::Fjall, &Catalog::None, &|| false),
            Err(Error::Invalid(_))
        ));
    }

    #[test]
    fn a_path_that_would_split_the_list_of_addresses_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let comma = directory.path().join("a,b");
        assert!(matches!(
            DataDirectory::open(&comma, 1, StorageKind::Fjall, &Catalog::None, &|| false),
            Err(Error::Invalid(_))
        ));
        assert!(!comma.exists());
    }

    #[test]
    fn shards_without_their_store_are_not_adopted() {
        let directory = tempfile::tempdir().unwrap();
        let open = || DataDirectory::open(directory.path(), 1, StorageKind::Fjall, &Catalog::None, &|| false);
        drop(open().unwrap());
        fs::remove_file(directory.path().join(STORE_FILE)).unwrap();
        drop(open().unwrap());
        fs::write(directory.path().join("shard-0/records"), "x").unwrap();
        fs::remove_file(directory.path().join(STORE_FILE)).unwrap();
        assert!(open().err().unwrap().to_string().contains(STORE_FILE));
        assert!(!directory.path().join(STORE_FILE).exists());
    }

    #[test]
    fn a_port_is_ours_also_while_no_facade_listens() {
        let ours = reserve("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(ours.address.port(), 0);
        assert_eq!(reserve(ours.address).err().unwrap().kind(), ErrorKind::AddrInUse);
        let facade = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        facade.set_reuse_address(true).unwrap();
        facade.set_reuse_port(true).unwrap();
        facade.bind(&ours.address.into()).unwrap();
        facade.listen(1).unwrap();
        assert_eq!(reserve(ours.address).err().unwrap().kind(), ErrorKind::AddrInUse);
    }
}
