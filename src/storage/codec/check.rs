//! Decodes a record of any kind, to find out whether that is possible.

use super::cart::decode_cart;
use super::delivery::{decode_delivery, decode_order_deliveries};
use super::idempotency::decode_idempotency;
use super::order::decode_order;
use super::order_entry::decode_order_entry;
use super::product::decode_product;
use super::reservation::{decode_reservation, decode_return, decode_settlement};
use super::value::decode_value;
use crate::error::Result;
use crate::storage::record::RecordKind;

/// Decodes a record and returns its version.
///
/// # Errors
/// [`crate::error::Error::Internal`] when it is damaged.
pub fn check(kind: RecordKind, value: &[u8]) -> Result<u64> {
    Ok(match kind {
        RecordKind::Cart => decode_cart(value)?.version,
        RecordKind::Product => decode_product(value)?.version,
        RecordKind::Order | RecordKind::OpenOrder => decode_order(value)?.version,
        RecordKind::Delivery => decode_delivery(value)?.version,
        RecordKind::Kv => decode_value(value)?.version,
        RecordKind::Idempotency => decode_idempotency(value)?.version,
        RecordKind::Reservation => decode_reservation(value)?.version,
        RecordKind::Settlement => decode_settlement(value)?.version,
        RecordKind::OrderEntry => decode_order_entry(value)?.version,
        RecordKind::OrderDeliveries => decode_order_deliveries(value)?.version,
        RecordKind::Return => decode_return(value)?.version,
    })
}
