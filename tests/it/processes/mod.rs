//! The processes themselves: starting, stopping, options, clocks.

mod identity;
pub mod launcher;
mod ntp;
mod shutdown;
