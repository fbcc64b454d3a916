//! What a store is doing, sampled once a second for everybody who looks: `/status`, its stream, `/metrics` and the page.
//!
//! A thread of its own (`sampler`) asks every shard, works out the rates of the second (`interval`), judges them (`verdict`)
//! and publishes one snapshot (`board`). Whoever shows it, shows the same numbers; each carries the snapshot's own number. The last
//! quarter of an hour is kept (`history`), and the load of each slot over a minute (`slots`).

mod board;
mod exposition;
mod faults;
mod figures;
mod history;
mod interval;
mod json;
mod probe;
mod published;
mod sampler;
mod slots;
mod snapshot;
mod verdict;

pub use board::{Board, Viewer, board};
pub use figures::Facts;
pub use history::MAX_SECONDS;
pub use sampler::{Sources, start};
