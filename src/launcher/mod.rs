//! The launcher runs a whole store on this machine: it starts a simulated payment gateway, N shards
//! and a facade as child processes, restarts those
//! that die, and stops all of them cleanly.

mod catalog_check;
mod child;
mod crash;
mod data_directory;
mod payment;
mod port;
mod restart;
mod silence;
mod store_file;
mod supervisor;

pub use crash::{Crashes, Target};
pub use data_directory::MAX_LOCAL_SHARDS;
pub use payment::PaymentKind;
pub use supervisor::{DEFAULT_ANSWER_TIMEOUT, Options, RunningStore, run, run_with_guest};
