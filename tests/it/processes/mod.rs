//! The processes: start, stop, options, clocks.

mod cards;
mod gateway;
mod identity;
mod launcher;
mod ntp;
mod options;
mod playground;
mod prove;
mod shutdown;
