//! The protocol between facade and shard: commands, replies, and their protobuf messages.

mod card_seal;
mod carts;
mod class;
mod codec;
mod command;
mod deadline;
mod deliveries;
mod effect;
mod limits;
mod order_lists;
mod orders;
mod owner;
mod peers;
mod products;
pub mod proto;
mod reply;
mod request;
mod status;
mod values;

pub use card_seal::{CardKey, KeyOffer};
pub use carts::CartCommand;
pub use class::RequestClass;
pub use codec::BoundedCodec;
pub use command::Command;
pub use deadline::SenderClock;
pub use deliveries::DeliveryCommand;
pub use effect::Effect;
pub use limits::{
    MAX_BATCH, MAX_IDEMPOTENCY_KEY_BYTES, MAX_RECORD_REPLY_BYTES, MAX_REPLY_BATCH_BYTES, MAX_REPLY_MESSAGE_BYTES,
    MAX_REQUEST_BATCH_BYTES, MAX_REQUEST_MESSAGE_BYTES,
};
pub use order_lists::{ListOrders, OrderFilter};
pub use orders::{Basket, OrderCommand, PlaceOrder};
pub use owner::Owner;
pub use peers::{Hold, PeerCommand, ReturnStock, Settle};
pub use products::{Filter, ListProducts, MAX_LIST, ProductCommand};
pub use reply::{
    Answer, CommandOutput, FromReply, OrderList, Placed, ProductList, Reply, ReplyBody, WireReply, Written,
    decode_reply, decode_stored_reply, encode_reply, encode_stored_reply, is_failure,
};
pub use request::{Idempotency, MAX_TAGS, Request, decode_request, encode_request, fingerprint};
pub use status::{Hello, ShardStatus, SlotLoad, UndecidedOrder, status_of};
pub use values::ValueCommand;
