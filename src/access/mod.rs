//! API keys and their roles. The facade checks each request's key, the launcher checks the settings before it starts
//! anything, and `shardcart keys` edits the file of keys. The role that a path needs is for the facade to say.

mod api_keys;
mod file_watch;
mod follow;
mod key_file;
mod key_set;
mod role;
mod secret;

pub use api_keys::{ApiKeys, KEY_VARIABLES, Settings, Start, development_key, exposed};
pub use key_file::{Entry, KeyFile};
pub use key_set::KnownKey;
pub use role::Role;
pub use secret::Secret;
