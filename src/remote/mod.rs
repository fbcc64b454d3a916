//! An HTTP client of a store, for this project's own programs: it knows which answers mean that nothing was applied, which
//! leave it open, and which requests may be repeated.

mod answer;
mod attempt;
mod client;
mod idempotency_key;
mod outcome;
mod request;
mod store_url;
mod verdict;

pub use answer::Answer;
pub use attempt::MAX_ANSWER_BYTES;
pub use client::{Client, DEFAULT_TIMEOUT};
pub use idempotency_key::IdempotencyKey;
pub use outcome::{Failure, Outcome};
pub use request::{Path, Request};
pub use store_url::StoreUrl;
