//! API keys: who may read and who may write. The facade asks for each request; the launcher checks the same
//! settings before it starts anything; `shardcart keys` edits the file. Paths are none of its business.

mod api_keys;
mod file_watch;
mod key_file;
mod key_set;
mod role;
mod secret;

pub use api_keys::{ApiKeys, KEY_VARIABLES, Settings, exposed};
pub use key_file::{Entry, KeyFile};
pub use role::{Denied, Role};
pub use secret::Secret;
