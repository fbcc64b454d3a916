//! The places of orders in lists, as bytes. An entry has what lists are filtered by, so that an order that is filtered
//! out is not read.

use bincode::{BorrowDecode, Encode};

use super::format::{corrupt, decode, encode};
use crate::domain::order::{OrderStatus, PaymentStatus, Recorded};
use crate::error::Result;

#[derive(Encode, BorrowDecode)]
struct OrderEntryV1 {
    version: u64,
    status: u8,
    payment: u8,
}

/// What a list knows about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderEntry {
    /// The version of the order's record.
    pub version: u64,
    /// The order's status.
    pub status: OrderStatus,
    /// The state of its payment.
    pub payment: PaymentStatus,
}

impl OrderEntry {
    /// The entry of an order as it is now.
    pub fn of(order: &impl Recorded) -> Self {
        let state = order.recorded_state();
        OrderEntry { version: order.version, status: state.status.kind(), payment: state.payment }
    }
}

/// Encodes an order's place in a list.
pub fn encode_order_entry(entry: &OrderEntry) -> Vec<u8> {
    encode(&OrderEntryV1 { version: entry.version, status: entry.status as u8, payment: entry.payment as u8 })
}

/// Decodes an order's place in a list.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not one.
pub fn decode_order_entry(bytes: &[u8]) -> Result<OrderEntry> {
    let decoded: OrderEntryV1 = decode(bytes)?;
    Ok(OrderEntry {
        version: decoded.version,
        status: OrderStatus::try_from(decoded.status).map_err(|()| corrupt("an order's status"))?,
        payment: PaymentStatus::try_from(decoded.payment).map_err(|()| corrupt("a payment's status"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_read_back() {
        let statuses = (0..=u8::MAX).filter_map(|number| OrderStatus::try_from(number).ok());
        for status in statuses {
            for payment in (0..=u8::MAX).filter_map(|number| PaymentStatus::try_from(number).ok()) {
                let entry = OrderEntry { version: 300, status, payment };
                assert_eq!(decode_order_entry(&encode_order_entry(&entry)), Ok(entry));
            }
        }
        assert!(decode_order_entry(&encode(&OrderEntryV1 { version: 1, status: 99, payment: 0 })).is_err());
    }
}
