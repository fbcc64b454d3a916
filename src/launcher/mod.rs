//! One command that runs a whole store on this machine: starts N shards and a facade as child processes,
//! restarts what dies, stops all of it cleanly.

mod catalog_check;
mod child;
mod data_directory;
mod port;
mod restart;
mod store_file;
mod supervisor;

pub use data_directory::MAX_LOCAL_SHARDS;
pub use supervisor::{Options, run};
