//! The harness of the benchmarks with real processes: starts a store, fills it with carts over HTTP, and reads the
//! processor time and memory of its processes from `/proc`.

pub mod carts;
pub mod connection;
pub mod procfs;
pub mod store;

/// The reason why a benchmark cannot continue, for people.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result of the benchmarks.
pub type Result<T> = std::result::Result<T, Failure>;

/// Runs client work to its end on a runtime of its own.
///
/// # Errors
/// When the work fails.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
