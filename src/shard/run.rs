//! Starts a shard: locks the data directory, loads it, connects to the other shards, and serves.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::context::ShardContext;
use super::damages::Damages;
use super::disk::{DiskLimit, FreeSpace};
use super::engine::{SharedWriter, Writer};
use super::grpc::{self, Listener};
use super::housekeeping;
use super::options::Options;
use super::removals::Removals;
use super::retention;
use super::saga::{Coordinator, driver, in_doubt};
use super::scrub;
use super::startup::{self, ExpectedIdentity, Identity};
use super::stored_reads::StoredReads;
use crate::client::{Client, Shared};
use crate::error::{Error, Result};
use crate::payment::HttpGateway;
use crate::process::files::{self, failed_to, make_directory};
use crate::process::heartbeat::Heartbeat;
use crate::process::shutdown::Shutdown;
use crate::process::{announce, descriptors, logging, scheduling};
use crate::storage::{Space, Storage};

/// The longest wait for the lock of the data directory, which a process that is ending may still hold.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// The permissions of the lock file, less the umask.
const LOCK_MODE: u32 = 0o666;
/// The time that accepted commands have to finish after a shutdown was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that the last commit has then.
const COMMIT_TIMEOUT_AT_END: Duration = Duration::from_secs(5);
/// The time that noting the end of the log has then.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The file descriptors that are kept for calls of the payment gateway and all else that is neither storage nor a session.
const RESERVED_DESCRIPTORS: u64 = 320;
/// The file descriptors for each session with another shard.
const SESSION_DESCRIPTORS: u64 = 2;

/// Runs a shard until a shutdown is requested.
///
/// # Errors
/// [`Error::Invalid`] for options that do not fit together, [`Error::Internal`] when the data or the
/// address cannot be used.
pub fn run(options: Options, shutdown: Shutdown) -> Result<()> {
    options.check()?;
    if options.require_data && !options.storage.is_in(&options.data) {
        return Err(is_missing(&options.data));
    }
    let started = Instant::now();
    let reserved = reserved_descriptors(&options);
    let connections = descriptors::possible_connections(grpc::MAX_CONNECTIONS, reserved);
    make_directory(&options.data).map_err(failed_to("make", &options.data))?;
    files::warn_if_open(&options.data);
    let _lock = lock(&options.data)?;
    let storage =
        options.storage.open(&options.data, Space { log_bytes: options.log_bytes, min_free: options.min_free })?;
    let disk = DiskLimit { directory: options.data.clone(), min_free: options.min_free };
    let expected = ExpectedIdentity { store_id: options.store_id, shard: options.index, shards: options.shards };
    let identity = startup::open(&*storage, expected, &options.catalog, &disk, &shutdown)?;
    let anchor = startup::start_clock(&*storage)?;
    let mut resident = startup::recover(&*storage, &identity.slots())?;
    startup::keep_anchor(&*storage, anchor)?;
    startup::build_indexes(&*storage, &identity, &resident.state, (&disk, &shutdown))?;
    resident.indexes.decided = startup::load_order_counts(&*storage, &identity.slots(), &resident.state, &shutdown)?;
    resident.indexes.orders.most_unresolved = options.max_unresolved_orders;
    let mut writer = Writer::new(resident, storage.clone(), identity.slots());
    writer.set_max_memory(options.max_memory);
    let writer = SharedWriter::new(writer, storage.clone());
    if !storage.is_volatile() {
        writer
            .start(options.commit_timeout)
            .map_err(|error| Error::Internal(format!("cannot start the committer: {error}")))?;
    }
    let gateway = HttpGateway::new(&options.payment)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("cannot start the runtime: {error}")))?;
    // Not the committer's thread: replies wait for it, so it must continue as soon as the disk has synced.
    scheduling::prefer_throughput();
    runtime.block_on(async {
        let peers = connect_to_peers(&options, &identity, &shutdown)?;
        let context = ShardContext {
            writer: writer.clone(),
            coordinator: Coordinator::new(writer.clone(), peers, gateway),
            identity,
            storage: storage.clone(),
            reads: StoredReads::new(storage.clone()),
            reply_times: Arc::default(),
            untaken_bytes: Arc::default(),
            operations: AtomicU64::new(0),
            free_space: FreeSpace::default(),
            min_free: if storage.is_volatile() { 0 } else { options.min_free },
            damages: Damages::default(),
            removals: Removals::default(),
            started,
            shutdown,
        };
        serve(&options, disk, Arc::new(context), connections).await
    })?;
    // A read of a disk that hangs must not keep the process.
    runtime.shutdown_background();
    if !writer.finish(COMMIT_TIMEOUT_AT_END) {
        tracing::error!("the last commit did not end in time: ending without knowing whether it is durable");
        logging::abort();
    }
    close(storage)
}

/// Notes the end of the log. Everything is durable without it, so a disk that hangs does not keep the process.
fn close(storage: Arc<dyn Storage>) -> Result<()> {
    let (closed, end) = mpsc::channel();
    thread::spawn(move || closed.send(storage.close()));
    end.recv_timeout(CLOSE_TIMEOUT).unwrap_or_else(|_| {
        tracing::warn!("the disk does not take the end of the log in time: ending without it");
        Ok(())
    })
}

fn is_missing(data: &Path) -> Error {
    let data = data.display();
    Error::Internal(format!(
        "{data}: the data of this shard is missing, and a new store must not take its place. Is its disk mounted? \
         Restore it from a backup; `shardcart repair --data {data}` shows whether a part is left"
    ))
}

async fn serve(options: &Options, disk: DiskLimit, context: Arc<ShardContext>, connections: usize) -> Result<()> {
    let listener = Listener::bind(&options.listen).await?;
    housekeeping::watch_disk(&disk, true, &context);
    announce::ready(listener.address(&options.listen));
    let (index, shards) = context.identity.shard();
    tracing::debug!(shard = index, shards, address = %listener.address(&options.listen), "ready");
    Heartbeat::of(1).start(0, &context.shutdown);
    driver::resume_all(&context.coordinator);
    let background = tokio::spawn(housekeeping::run(disk, context.clone()));
    let retention = tokio::spawn(retention::run(options.clone(), context.clone()));
    let polling = tokio::spawn(in_doubt::poll(context.coordinator.clone()));
    let scrub = tokio::spawn(scrub::run(context.clone()));
    let mut shutdown = context.shutdown.clone();
    let overdue = async move {
        shutdown.wait().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    let result = tokio::select! {
        result = grpc::serve(context, listener, connections) => result,
        () = overdue => {
            tracing::warn!("sessions did not end in time");
            Ok(())
        }
    };
    background.abort();
    retention.abort();
    polling.abort();
    scrub.abort();
    result
}

/// The file descriptors that connections must leave: without one a file of the log could not be made, and nothing written.
fn reserved_descriptors(options: &Options) -> u64 {
    let storage = options.storage.descriptors(options.log_bytes);
    RESERVED_DESCRIPTORS + storage + SESSION_DESCRIPTORS * options.peers.len() as u64
}

/// Opens sessions with all shards, this one included: an order may have products of any shard.
fn connect_to_peers(options: &Options, identity: &Identity, shutdown: &Shutdown) -> Result<Option<Client>> {
    if options.peers.is_empty() {
        return Ok(None);
    }
    let shared = Arc::new(Shared::of_store(identity.store_id()));
    Client::start(&options.peers, &shared, shutdown).map(Some)
}

/// Locks the data directory for this process, until the returned file is dropped.
///
/// # Errors
/// [`Error::Internal`] when another process holds the lock for some seconds.
pub fn lock(directory: &Path) -> Result<File> {
    let in_use = || Error::Internal(format!("{}: another process uses this directory", directory.display()));
    files::lock(&directory.join("lock"), LOCK_MODE, LOCK_TIMEOUT)?.ok_or_else(in_use)
}
