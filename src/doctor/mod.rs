//! Looks at a machine as a store needs it: ports, limits, memory, disk, clock, keys. Each finding says what to do.

mod clock;
mod disk;
mod finding;
mod keys;
mod limits;
mod ports;
mod store;

pub use clock::clock;
pub use disk::disk;
pub use finding::{Finding, Level};
pub use keys::{client_key, server_keys};
pub use limits::{descriptors, memory};
pub use ports::port;
pub use store::{StoreState, store};
