//! Deliveries as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{corrupt, decode, encode, order_id, time};
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::error::Result;
use crate::routing::DeliveryId;

#[derive(Encode, BorrowDecode)]
struct DeliveryV1<'a> {
    version: u64,
    id: [u8; 16],
    order: [u8; 16],
    address: &'a str,
    courier: &'a str,
    status: u8,
    updated_at: i64,
}

#[derive(Encode, BorrowDecode)]
struct OrderDeliveriesV1 {
    version: u64,
    deliveries: Vec<[u8; 16]>,
}

/// The deliveries of an order that may be under way or have arrived: all but those known to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderDeliveries {
    /// The record's version.
    pub version: u64,
    /// The deliveries.
    pub deliveries: Vec<DeliveryId>,
}

/// Encodes the deliveries of an order.
pub fn encode_order_deliveries(record: &OrderDeliveries) -> Vec<u8> {
    let deliveries = record.deliveries.iter().map(|delivery| *delivery.as_bytes()).collect();
    encode(&OrderDeliveriesV1 { version: record.version, deliveries })
}

/// Decodes the deliveries of an order.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not such a record.
pub fn decode_order_deliveries(bytes: &[u8]) -> Result<OrderDeliveries> {
    let OrderDeliveriesV1 { version, deliveries } = decode(bytes)?;
    let id = |bytes| DeliveryId::from_bytes(bytes).ok_or_else(|| corrupt("a delivery's id"));
    Ok(OrderDeliveries { version, deliveries: deliveries.into_iter().map(id).collect::<Result<_>>()? })
}

/// Encodes a delivery.
pub fn encode_delivery(delivery: &Delivery) -> Vec<u8> {
    encode(&DeliveryV1 {
        version: delivery.version,
        id: *delivery.id.as_bytes(),
        order: *delivery.order.as_bytes(),
        address: &delivery.address,
        courier: &delivery.courier,
        status: delivery.status as u8,
        updated_at: delivery.updated_at.micros(),
    })
}

/// Decodes a delivery.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not a delivery.
pub fn decode_delivery(bytes: &[u8]) -> Result<Delivery> {
    let decoded: DeliveryV1 = decode(bytes)?;
    let status = DeliveryStatus::ALL.get(usize::from(decoded.status));
    Ok(Delivery {
        version: decoded.version,
        id: DeliveryId::from_bytes(decoded.id).ok_or_else(|| corrupt("a delivery's id"))?,
        order: order_id(decoded.order)?,
        address: decoded.address.to_owned(),
        courier: decoded.courier.to_owned(),
        status: *status.ok_or_else(|| corrupt("a delivery's status"))?,
        updated_at: time(decoded.updated_at)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{OrderId, Slot};

    #[test]
    fn the_deliveries_of_an_order_are_read_back() {
        for count in 0..3 {
            let deliveries = (0..count).map(|number| DeliveryId::new(Slot(1), 2, number)).collect();
            let record = OrderDeliveries { version: 300, deliveries };
            assert_eq!(decode_order_deliveries(&encode_order_deliveries(&record)), Ok(record));
        }
        assert!(
            decode_order_deliveries(&encode(&OrderDeliveriesV1 { version: 1, deliveries: vec![[0; 16]] })).is_err()
        );
    }

    #[test]
    fn it_is_read_back() {
        for status in DeliveryStatus::ALL {
            let delivery = Delivery {
                version: 1,
                id: DeliveryId::new(Slot(1), 2, 3),
                order: OrderId::new(Slot(1), 2, 4),
                address: "1 Main St\nTown".into(),
                courier: "local".into(),
                status,
                updated_at: time(5).unwrap(),
            };
            assert_eq!(decode_delivery(&encode_delivery(&delivery)).unwrap(), delivery);
        }
    }
}
