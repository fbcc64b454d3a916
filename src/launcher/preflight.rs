//! What is checked before anything is started: the ports and the data directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use uuid::Uuid;

use crate::address::{Address, MAX_SOCKET_PATH};
use crate::error::{Error, Result};
use crate::storage::StorageKind;

/// How long a port or a lock is waited for: the children of a launcher that was killed need up to
/// half a second to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried.
const INTERVAL: Duration = Duration::from_millis(25);
/// The most shards on one machine.
const MAX_SHARDS: u32 = 64;

const FORMAT: u32 = 1;
const STORE_FILE: &str = "store.json";
const LOCK_FILE: &str = "lock";

/// What `store.json` says of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Store {
    format: u32,
    store_id: Uuid,
    shards: u32,
    storage: String,
}

/// A data directory that is ours for as long as this is held.
pub struct DataDirectory {
    path: PathBuf,
    store_id: Uuid,
    _lock: File,
}

impl DataDirectory {
    /// Takes a data directory, making it when it is missing.
    ///
    /// # Errors
    /// [`Error::Fault`] when it is in use, holds another number of shards or another storage, or
    /// lacks a shard's data; [`Error::Invalid`] for a path too long or a number of shards that
    /// cannot be.
    pub fn open(path: &Path, shards: u32, storage: StorageKind) -> Result<Self> {
        if shards == 0 || shards > MAX_SHARDS {
            return Err(Error::Invalid(format!("--shards {shards}: must be 1 to {MAX_SHARDS}")));
        }
        fs::create_dir_all(path).map_err(|error| fault("cannot make", path, &error))?;
        let path = fs::canonicalize(path).map_err(|error| fault("cannot use", path, &error))?;
        let longest = socket_path(&path, shards - 1).as_os_str().len();
        if longest > MAX_SOCKET_PATH {
            return Err(Error::Invalid(format!(
                "--data {}: too long, the shards' sockets in it would have paths of {longest} bytes, at most {MAX_SOCKET_PATH} work",
                path.display()
            )));
        }
        let lock = lock(&path)?;
        let store_id = check_store(&path, shards, storage)?;
        Ok(DataDirectory { path, store_id, _lock: lock })
    }

    /// The directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's id.
    pub fn store_id(&self) -> Uuid {
        self.store_id
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
    retry(|| match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Fault(format!("{}: another store is running on this directory", directory.display())))
        }
        Err(TryLockError::Error(error)) => Err(fault("cannot lock", &path, &error)),
    })?;
    Ok(file)
}

fn check_store(directory: &Path, shards: u32, storage: StorageKind) -> Result<Uuid> {
    let path = directory.join(STORE_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create_store(directory, shards, storage),
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
        None => Ok(store.store_id),
    }
}

/// The shards' directories come first: a store.json stands for a directory that is whole.
fn create_store(directory: &Path, shards: u32, storage: StorageKind) -> Result<Uuid> {
    for shard in 0..shards {
        let path = shard_path(directory, shard);
        fs::create_dir_all(&path).map_err(|error| fault("cannot make", &path, &error))?;
    }
    let store = Store { format: FORMAT, store_id: Uuid::new_v4(), shards, storage: storage.to_string() };
    let text = serde_json::to_vec_pretty(&store).map_err(|error| Error::Fault(format!("{STORE_FILE}: {error}")))?;
    write_durably(directory, STORE_FILE, &text).map_err(|error| fault("cannot write in", directory, &error))?;
    Ok(store.store_id)
}

fn write_durably(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

/// An address of the facade that nobody else has.
pub struct Port {
    /// The address, with the port that the operating system chose where it was to.
    pub address: SocketAddr,
    /// Keeps others from being given the port by chance; it never listens.
    _reservation: Socket,
}

impl Port {
    /// Checks that an address is free, by a bind that does not share it, and reserves it.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has it.
    pub fn reserve(address: SocketAddr) -> Result<Self> {
        let in_use = |error: io::Error| Error::Fault(format!("cannot listen on {address}: {error}"));
        retry(|| {
            let free = TcpListener::bind(address).map_err(in_use)?;
            let address = free.local_addr().map_err(in_use)?;
            drop(free);
            let reservation = reserve(address).map_err(in_use)?;
            Ok(Port { address, _reservation: reservation })
        })
    }
}

fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without SO_REUSEADDR: two sockets that both have it may share a port while neither listens.
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(_) if started.elapsed() < PATIENCE => thread::sleep(INTERVAL),
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
        let open = |shards, storage| DataDirectory::open(directory.path(), shards, storage);
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
        assert!(matches!(DataDirectory::open(&long, 1, StorageKind::Fjall), Err(Error::Invalid(_))));
    }

    #[test]
    fn a_port_that_somebody_shares_is_noticed() {
        let first = Port::reserve("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(first.address.port(), 0);
        assert!(TcpListener::bind(first.address).is_err());
        assert!(reserve(first.address).is_ok());
    }
}
