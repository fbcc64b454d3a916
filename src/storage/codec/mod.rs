//! Values of records as bytes: one format byte, then the fields in bincode's standard configuration.
//!
//! A new field means a new format byte, and decoders keep reading every older format. bincode 2.0.1 is no longer
//! maintained (RUSTSEC-2025-0141); its format is fixed, and nothing outside this folder uses it.

mod cart;
mod check;
#[cfg(test)]
mod damage_tests;
mod delivery;
mod format;
mod idempotency;
mod order;
mod order_counts;
mod order_entry;
mod product;
mod reservation;
mod value;

pub use cart::{decode_cart, decode_checkout, decode_untouched_since, encode_cart};
pub use check::check;
pub use delivery::{
    OrderDeliveries, decode_delivery, decode_order_deliveries, encode_delivery, encode_order_deliveries,
};
pub use format::{MAX_ENCODED_BYTES, decode_version};
pub use idempotency::{IdempotencyRecord, decode_idempotency, encode_idempotency};
pub use order::{decode_order, encode_order};
pub use order_counts::{decode_order_counts, encode_order_counts};
pub use order_entry::{OrderEntry, decode_order_entry, encode_order_entry};
pub use product::{decode_product, encode_product};
pub use reservation::{
    SettlementRecord, decode_reservation, decode_return, decode_settlement, encode_reservation, encode_return,
    encode_settlement,
};
pub use value::{decode_value, encode_value};
