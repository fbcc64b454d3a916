//! The counts of a shard's decided orders, as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{decode, encode};
use crate::domain::order::OrderCounts;
use crate::error::Result;

#[derive(Encode, BorrowDecode)]
struct OrderCountsV1 {
    created: u64,
    refused: u64,
    cancelled: u64,
}

/// Encodes the counts.
pub fn encode_order_counts(counts: OrderCounts) -> Vec<u8> {
    let OrderCounts { created, refused, cancelled } = counts;
    encode(&OrderCountsV1 { created, refused, cancelled })
}

/// Decodes the counts.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are none.
pub fn decode_order_counts(bytes: &[u8]) -> Result<OrderCounts> {
    let OrderCountsV1 { created, refused, cancelled } = decode(bytes)?;
    Ok(OrderCounts { created, refused, cancelled })
}
