//! What facade and shard say to each other: commands, replies, and their protobuf messages.

mod command;
mod limits;
pub mod proto;
mod reply;
mod request;
mod shop;
mod status;

pub use command::{
    Answer, Basket, Command, Filter, Hold, Idempotency, ListProducts, Outcome, PlaceOrder, Placed, Reply, Request,
    Settle,
};
pub use limits::{MAX_BATCH, MAX_IDEMPOTENCY_KEY_BYTES, MAX_MESSAGE_BYTES, MAX_REPLY_BATCH_BYTES};
pub use reply::{CommandOutput, WireReply, decode_reply, decode_stored_reply, encode_reply, encode_stored_reply};
pub use request::{MAX_TAGS, decode_request, encode_request, fingerprint};
pub use shop::MAX_LIST;
pub use status::status_of;
