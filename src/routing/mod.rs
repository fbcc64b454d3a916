//! Routing: from an id to the shard that owns it.
//!
//! SHA-1 of an id, modulo 2^63, falls into one of 16,384 slots; a versioned table names the shard of each
//! slot. The hash decides which shard holds a record and nothing else. Identity is always the whole id: a
//! 63-bit hash collides by chance near 3 billion ids, and on purpose after 2^32 tries.

mod address;
mod hash;
mod ids;
mod slots;
mod slotted_id;
mod url_segment;

pub use address::{Address, MAX_SOCKET_PATH};
pub use hash::{KeyHash, SLOTS, Slot};
pub use ids::{CustomerId, ItemId, KvKey, MAX_ID_BYTES, MAX_KV_KEY_BYTES, ProductId};
pub use slots::{FIRST_TABLE_VERSION, MAX_SHARDS, SlotTable, initial_range};
pub use slotted_id::{DeliveryId, OrderId};
pub use url_segment::url_segment;
