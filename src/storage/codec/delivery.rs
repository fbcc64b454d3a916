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
