//! The data directory of a store, which is checked, locked and laid out before anything is started.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::catalog_check::{self, CopyLimits};
use super::store_file::{InitialCatalog, STORE_FILE, StoreFile};
use crate::catalog::{Catalog, CatalogSummary};
use crate::error::{Error, Invalid, Result};
use crate::process::files::{self, failed_to, make_directory};
use crate::process::logging::print;
use crate::process::same_file::is_same;
use crate::routing::{Address, MAX_SOCKET_PATH};
use crate::storage::StorageKind;

/// The longest wait for the lock. The children of a killed launcher need up to half a second to end.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// The permissions of the lock file, less the umask.
const LOCK_MODE: u32 = 0o666;
/// The most shards on one machine.
pub const MAX_LOCAL_SHARDS: u32 = 64;

const LOCK_FILE: &str = "lock";
/// What a file system has at its root, so that a mount is no directory that holds data.
const LOST_AND_FOUND: &str = "lost+found";
/// The name of the directory of the simulated gateway.
const GATEWAY_DIRECTORY: &str = "gateway";
/// The name of the socket in the directory of a shard, and of the gateway.
const SOCKET_FILE: &str = "sock";
/// The name of the copy of the catalog that the shards import. It is removed afterwards, so it must be no name that a user
/// would choose.
const CATALOG_FILE: &str = "catalog-copied-by-launch.jsonl";

/// A data directory, locked for this process until this is dropped.
pub struct DataDirectory {
    path: PathBuf,
    store: StoreFile,
    _lock: File,
}

impl DataDirectory {
    /// Opens and locks a data directory, and creates it when it is missing.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is in use, holds another number of shards or another storage, or lacks a shard's
    /// data; [`Error::Invalid`] for an unusable path or number of shards, and for a catalog with a bad row;
    /// [`Error::Unavailable`] when a shutdown is requested while the catalog is read, or there is no room for its copy.
    pub fn open(
        path: &Path,
        shards: u32,
        storage: StorageKind,
        catalog: &Catalog,
        limits: CopyLimits<'_>,
    ) -> Result<Self> {
        if shards == 0 || shards > MAX_LOCAL_SHARDS {
            return Err(Invalid::general(format!("--shards {shards}: must be 1 to {MAX_LOCAL_SHARDS}")).into());
        }
        // Symbolic links are not resolved: a short one makes a directory usable whose own path is too long.
        let path = path::absolute(path).map_err(failed_to("use", path))?;
        if path.to_str().is_none_or(|text| text.contains(',')) {
            return Err(Invalid::general(format!(
                "--data {}: must be UTF-8 without a comma, which separates the shards' addresses",
                path.display()
            ))
            .into());
        }
        let longest = socket_path(&path, shards - 1).as_os_str().len();
        if longest > MAX_SOCKET_PATH {
            return Err(Invalid::general(format!(
                "--data {}: too long, the shards' sockets in it would have paths of {longest} bytes, at most {MAX_SOCKET_PATH} work",
                path.display()
            )).into());
        }
        if let Catalog::File(file) = catalog {
            refuse_own_copy(file, &path.join(CATALOG_FILE))?;
        }
        // Shards with storage in memory are new at every start.
        let is_fresh = storage == StorageKind::Memory || !path.join(STORE_FILE).exists();
        let checked = match catalog {
            Catalog::File(file) if is_fresh => Some(catalog_check::check(file, limits.is_stopped)?),
            _ => None,
        };
        let initial = |directory: &Path| initial_catalog(directory, catalog, checked, limits);
        make_directory(&path).map_err(failed_to("make", &path))?;
        files::warn_if_open(&path);
        let lock = lock(&path)?;
        let store = open_store(&path, shards, storage, &initial)?;
        remove_unused_copy(&path, &store)?;
        if let (false, Catalog::File(file)) = (is_fresh, catalog) {
            let why = match store.catalog {
                InitialCatalog::File => "the store still imports the one it was first started with",
                InitialCatalog::Sample | InitialCatalog::None => "the store is not a fresh one",
            };
            print(format_args!("--catalog {} is not read: {why}", file.display()));
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

    /// The products that new shards begin with.
    pub fn catalog(&self) -> Catalog {
        match self.store.catalog {
            InitialCatalog::Sample => Catalog::Sample,
            InitialCatalog::None => Catalog::None,
            InitialCatalog::File => Catalog::File(self.path.join(CATALOG_FILE)),
        }
    }

    /// True when shards keep data, so that one that was ready must have its own at every later start.
    pub fn keeps_data(&self) -> bool {
        !self.store.is_volatile()
    }

    /// True when all shards were ready once.
    pub fn was_ready(&self) -> bool {
        self.store.was_ready
    }

    /// True when the simulated gateway was ready with this store, so that its payments must be there.
    pub fn has_payments(&self) -> bool {
        self.store.has_payments
    }

    /// Records that all shards are ready, and whether with the simulated gateway. They have imported the catalog, so its
    /// copy is removed; shards with storage in memory need it at every start, so for them it stays.
    ///
    /// # Errors
    /// [`Error::Internal`] when the directory cannot be written.
    pub fn note_ready(&self, is_simulated: bool) -> Result<()> {
        let is_imported = self.store.catalog != InitialCatalog::File;
        let is_noted = self.store.has_payments || !is_simulated;
        if (self.store.was_ready && is_imported && is_noted) || self.store.is_volatile() {
            return Ok(());
        }
        let mut store = self.store.clone();
        store.was_ready = true;
        store.has_payments |= is_simulated;
        if !is_imported {
            store.catalog = InitialCatalog::None;
        }
        store.write(&self.path)?;
        remove_unused_copy(&self.path, &store)
    }

    /// The directory of a shard.
    pub fn shard(&self, shard: u32) -> PathBuf {
        shard_path(&self.path, shard)
    }

    /// The directory of the simulated gateway.
    pub fn gateway(&self) -> PathBuf {
        self.path.join(GATEWAY_DIRECTORY)
    }

    /// The address of the simulated gateway.
    pub fn gateway_address(&self) -> Address {
        Address::Unix(self.gateway_socket())
    }

    /// The socket of the simulated gateway.
    pub fn gateway_socket(&self) -> PathBuf {
        self.gateway().join(SOCKET_FILE)
    }

    /// The address of a shard.
    pub fn address(&self, shard: u32) -> Address {
        Address::Unix(socket_path(&self.path, shard))
    }
}

fn shard_path(directory: &Path, shard: u32) -> PathBuf {
    directory.join(format!("shard-{shard}"))
}

fn socket_path(directory: &Path, shard: u32) -> PathBuf {
    shard_path(directory, shard).join(SOCKET_FILE)
}

fn lock(directory: &Path) -> Result<File> {
    let in_use = || Error::Internal(format!("{}: another store is running on this directory", directory.display()));
    files::lock(&directory.join(LOCK_FILE), LOCK_MODE, LOCK_TIMEOUT)?.ok_or_else(in_use)
}

/// Removes the copy of a catalog that no shard imports any more, also one that a killed launcher left behind.
fn remove_unused_copy(directory: &Path, store: &StoreFile) -> Result<()> {
    let copy = directory.join(CATALOG_FILE);
    if store.catalog == InitialCatalog::File {
        return Ok(());
    }
    match fs::remove_file(&copy) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed_to("remove", &copy)(error)),
        _ => Ok(()),
    }
}

/// Refuses a catalog that is the launcher's own copy, by whatever path: it is overwritten and removed.
fn refuse_own_copy(catalog: &Path, copy: &Path) -> Result<()> {
    match (fs::metadata(catalog), fs::metadata(copy)) {
        (Ok(theirs), Ok(ours)) if is_same(&theirs, &ours) => {
            let reason = "a start makes and removes a file of this name: move the catalog elsewhere";
            Err(Invalid::general(format!("--catalog {}: {reason}", catalog.display())).into())
        }
        _ => Ok(()),
    }
}

/// Decides the products that a new store begins with. A catalog file is copied, so that the import can be resumed.
fn initial_catalog(
    directory: &Path,
    catalog: &Catalog,
    checked: Option<CatalogSummary>,
    limits: CopyLimits<'_>,
) -> Result<InitialCatalog> {
    let file = match catalog {
        Catalog::Sample => return Ok(InitialCatalog::Sample),
        Catalog::None => return Ok(InitialCatalog::None),
        Catalog::File(file) => file,
    };
    // The store may have been removed since `is_fresh` was determined.
    let checked = checked.map_or_else(|| catalog_check::check(file, limits.is_stopped), Ok)?;
    catalog_check::copy(file, checked, &directory.join(CATALOG_FILE), limits)?;
    Ok(InitialCatalog::File)
}

fn open_store(
    directory: &Path,
    shards: u32,
    storage: StorageKind,
    initial: &dyn Fn(&Path) -> Result<InitialCatalog>,
) -> Result<StoreFile> {
    let Some(mut store) = StoreFile::read(directory)? else {
        return create_store(directory, shards, storage, initial);
    };
    store.check(directory, shards, storage)?;
    if let Some(shard) = (0..shards).find(|shard| !shard_path(directory, *shard).is_dir()) {
        return Err(Error::Internal(format!(
            "{}: the data of shard {shard} is missing; a start would replace it with an empty one",
            directory.display()
        )));
    }
    if store.is_volatile() {
        store.catalog = initial(directory)?;
        store.write(directory)?;
    }
    Ok(store)
}

/// Lays out a new store. store.json is written after the shards' directories, since it marks a complete directory.
fn create_store(
    directory: &Path,
    shards: u32,
    storage: StorageKind,
    initial: &dyn Fn(&Path) -> Result<InitialCatalog>,
) -> Result<StoreFile> {
    for shard in 0..shards {
        let path = shard_path(directory, shard);
        make_directory(&path).map_err(failed_to("make", &path))?;
        let entries = fs::read_dir(&path).map_err(failed_to("read", &path))?;
        if entries.into_iter().any(|entry| !entry.is_ok_and(|entry| entry.file_name() == LOST_AND_FOUND)) {
            return Err(Error::Internal(format!(
                "{}: holds data, but {STORE_FILE} beside it, which says whose, is missing",
                path.display()
            )));
        }
    }
    let store = StoreFile::new(shards, storage, initial(directory)?);
    store.write(directory)?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CopyLimits<'_> = CopyLimits { min_free: 0, is_stopped: &|| false };

    #[test]
    fn a_directory_keeps_its_store_and_refuses_another_layout() {
        let directory = tempfile::tempdir().unwrap();
        let open = |shards, storage| DataDirectory::open(directory.path(), shards, storage, &Catalog::None, LIMITS);
        let id = open(4, StorageKind::Log).unwrap().store_id();
        assert_eq!(open(4, StorageKind::Log).unwrap().store_id(), id);
        let refusal = open(2, StorageKind::Log).err().unwrap().to_string();
        assert!(refusal.contains("4 shards") && refusal.contains("asks for 2"), "{refusal}");
        assert!(open(4, StorageKind::Memory).is_err());
        fs::remove_dir(directory.path().join("shard-3")).unwrap();
        assert!(open(4, StorageKind::Log).err().unwrap().to_string().contains("shard 3 is missing"));
        assert!(open(0, StorageKind::Log).is_err());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("x".repeat(MAX_SOCKET_PATH));
        assert!(matches!(
            DataDirectory::open(&long, 1, StorageKind::Log, &Catalog::None, LIMITS),
            Err(Error::Invalid(_))
        ));
    }

    #[test]
    fn a_path_that_would_split_the_list_of_addresses_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let comma = directory.path().join("a,b");
        assert!(matches!(
            DataDirectory::open(&comma, 1, StorageKind::Log, &Catalog::None, LIMITS),
            Err(Error::Invalid(_))
        ));
        assert!(!comma.exists());
    }

    #[test]
    fn shards_without_their_store_are_not_adopted() {
        let directory = tempfile::tempdir().unwrap();
        let open = || DataDirectory::open(directory.path(), 1, StorageKind::Log, &Catalog::None, LIMITS);
        drop(open().unwrap());
        fs::remove_file(directory.path().join(STORE_FILE)).unwrap();
        drop(open().unwrap());
        fs::write(directory.path().join("shard-0/records"), "x").unwrap();
        fs::remove_file(directory.path().join(STORE_FILE)).unwrap();
        assert!(open().err().unwrap().to_string().contains(STORE_FILE));
        assert!(!directory.path().join(STORE_FILE).exists());
    }

    #[test]
    fn a_new_store_is_laid_out_behind_dots_and_on_mounts_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/../data");
        let data = DataDirectory::open(&path, 1, StorageKind::Log, &Catalog::None, LIMITS).unwrap();
        assert!(data.shard(0).is_dir() && directory.path().join("data").join(STORE_FILE).is_file());
        let mounted = directory.path().join("mounted");
        fs::create_dir_all(mounted.join("shard-0").join(LOST_AND_FOUND)).unwrap();
        DataDirectory::open(&mounted, 1, StorageKind::Log, &Catalog::None, LIMITS).unwrap();
    }

    #[test]
    fn a_catalog_at_the_place_of_the_copy_is_refused_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (own, link) = (directory.path().join(CATALOG_FILE), directory.path().join("link"));
        fs::write(&own, "isbn,title,price,stock\n1,T,1.00,1\n").unwrap();
        std::os::unix::fs::symlink(&own, &link).unwrap();
        for path in [own.clone(), link] {
            let catalog = Catalog::File(path);
            let opened = DataDirectory::open(directory.path(), 1, StorageKind::Log, &catalog, LIMITS);
            assert!(matches!(opened, Err(Error::Invalid(_))));
        }
        assert!(own.is_file() && !directory.path().join(STORE_FILE).exists());
    }
}
