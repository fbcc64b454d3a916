//! Execution ids, which every response of `/find/{id}`, `/buy` and `/replenish` carries, and their clock.

mod clock;
mod id;
mod ntp;

pub use clock::Clock;
pub use id::{Executions, carries_id};
pub use ntp::{NtpServer, follow};
