//! One shard: a process that owns a range of slots, holds their records in memory and loses no
//! acknowledged write. Sessions and commands run on one thread, commits on another.

mod batch;
mod clock;
mod commands;
mod committer;
mod deliveries;
mod disk;
#[cfg(test)]
mod durability_tests;
pub mod expiring;
mod fill;
mod idempotency;
mod identity;
mod load;
mod orders;
mod outbox;
mod product_index;
mod products;
mod reservations;
mod server;
mod session;
pub mod state;
pub mod writer;

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::catalog::Catalog;
use crate::client::{Client, KnownStore};
use crate::error::{Error, Result};
use crate::payment::PaymentKind;
use crate::process::scheduling;
use crate::process::shutdown::Shutdown;
use crate::routing::Address;
use crate::routing::MAX_SHARDS;
use crate::storage::StorageKind;
use committer::Core;
use identity::{Claim, Identity};
use orders::Orders;
use server::{Listener, Shared};

pub use disk::DEFAULT_MIN_FREE_BYTES;

/// How long the lock of the data directory is waited for: a process that is ending may still hold it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// How often it is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// How long accepted commands may take to finish after a shutdown was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often expired first answers are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How to run a shard.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which shard: 0 to `shards` - 1.
    pub index: u32,
    /// How many there are.
    pub shards: u32,
    /// Where to listen.
    pub listen: Address,
    /// Where the data is; made when missing.
    pub data: PathBuf,
    /// The addresses of all shards, in order; empty when not known.
    pub peers: Vec<Address>,
    /// What keeps the records.
    pub storage: StorageKind,
    /// Which store it belongs to; when `None`, shard 0 of a new store makes one and others learn it.
    pub store_id: Option<Uuid>,
    /// Bytes of disk space below which writes are refused.
    pub min_free: u64,
    /// What a fresh store is filled with.
    pub catalog: Catalog,
    /// Who takes payments.
    pub payment: PaymentKind,
}

/// Runs a shard until a shutdown is asked for.
///
/// # Errors
/// [`Error::Invalid`] for options that do not fit together, [`Error::Fault`] when the data or the
/// address cannot be used.
pub fn run(options: Options, shutdown: Shutdown) -> Result<()> {
    check(&options)?;
    let started = Instant::now();
    fs::create_dir_all(&options.data).map_err(|error| fault("cannot make", &options.data, &error))?;
    let _lock = lock(&options.data)?;
    let storage = options.storage.open(&options.data)?;
    let claim = Claim { store_id: options.store_id, shard: options.index, shards: options.shards };
    let identity = Identity::open(&*storage, claim, &options.catalog)?;
    if identity.is_filling() {
        fill::fill(&*storage, &identity, &options.catalog, &shutdown)?;
    }
    let writer = load::load(&storage, &identity)?;
    let core = Core::new(writer, storage.clone());
    if !storage.is_volatile() {
        core.start_committer().map_err(|error| Error::Fault(format!("cannot start the committer: {error}")))?;
    }
    let gateway = options.payment.gateway()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Fault(format!("cannot start the runtime: {error}")))?;
    // Only this thread: the committer is waited for, and so must go on as soon as the disk has synced.
    scheduling::prefer_throughput();
    runtime.block_on(async {
        let orders = Orders::new(core.clone(), connect_to_peers(&options, &identity, &shutdown)?, gateway);
        let free_space = disk::FreeSpace::default();
        let operations = AtomicU64::new(0);
        let shared =
            Shared { core: core.clone(), orders, identity, storage, operations, free_space, started, shutdown };
        serve(&options, Arc::new(shared)).await
    })?;
    core.finish();
    Ok(())
}

async fn serve(options: &Options, shared: Arc<Shared>) -> Result<()> {
    let listener = Listener::bind(&options.listen).await?;
    watch_disk(options, &shared);
    // Nobody may be reading; the shard serves all the same.
    let _ = writeln!(std::io::stdout(), "ready {}", listener.address(&options.listen));
    let (index, shards) = shared.identity.shard();
    tracing::debug!(shard = index, shards, address = %listener.address(&options.listen), "ready");
    shared.orders.resume();
    let background = tokio::spawn(keep_house(options.clone(), shared.clone()));
    let inquiry = tokio::spawn(orders::ask_for_ever(shared.orders.clone()));
    let mut shutdown = shared.shutdown.clone();
    let overdue = async move {
        shutdown.wait().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    let result = tokio::select! {
        result = server::serve(shared, listener) => result,
        () = overdue => {
            tracing::warn!("sessions did not end in time");
            Ok(())
        }
    };
    background.abort();
    inquiry.abort();
    result
}

/// Sessions with all shards, this one included: an order may want products of any.
fn connect_to_peers(options: &Options, identity: &Identity, shutdown: &Shutdown) -> Result<Option<Client>> {
    if options.peers.is_empty() {
        return Ok(None);
    }
    let store = KnownStore::default();
    if let Some(id) = identity.store_id() {
        store.get_or_init(|| id);
    }
    Client::start(&options.peers, &store, shutdown).map(Some)
}

/// Looks at the disk and removes what has expired, again and again.
async fn keep_house(options: Options, shared: Arc<Shared>) {
    let mut disk = tokio::time::interval(disk::CHECK_INTERVAL);
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = disk.tick() => watch_disk(&options, &shared),
            _ = sweep.tick() => {
                let mut writer = shared.core.lock();
                writer.sweep(clock::now());
                shared.core.commit(writer);
            }
        }
    }
}

fn watch_disk(options: &Options, shared: &Shared) {
    let free = shared.free_space.look(&options.data);
    let accepts = shared.storage.is_volatile() || free >= options.min_free;
    let mut writer = shared.core.lock();
    if writer.accepts_writes() == accepts {
        return;
    }
    writer.set_accepts_writes(accepts);
    if accepts {
        tracing::info!(free, "there is room on the disk again: writes are accepted");
    } else {
        tracing::error!(free, min_free = options.min_free, "the disk is nearly full: writes are refused");
    }
}

fn check(options: &Options) -> Result<()> {
    let Options { index, shards, peers, .. } = options;
    if *shards == 0 || *shards > MAX_SHARDS {
        return Err(Error::Invalid(format!("--shards {shards}: must be 1 to {MAX_SHARDS}")));
    }
    if index >= shards {
        return Err(Error::Invalid(format!("--index {index}: must be less than --shards {shards}")));
    }
    if !peers.is_empty() && peers.len() != *shards as usize {
        return Err(Error::Invalid(format!("--peers: {} addresses for {shards} shards", peers.len())));
    }
    Ok(())
}

/// Takes the data directory for this process alone, for as long as the file is held.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(|error| fault("cannot make", &path, &error))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Fault(format!("{}: another process uses this directory", directory.display())));
            }
            Err(TryLockError::Error(error)) => return Err(fault("cannot lock", &path, &error)),
        }
    }
}

fn fault(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Fault(format!("{what} {}: {error}", path.display()))
}
