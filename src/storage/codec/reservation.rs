//! Reservations and settlements as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{corrupt, decode, encode, money, order_id, time};
use crate::domain::cart::MAX_COUNT;
use crate::domain::reservation::{Reservation, Return};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::routing::ProductId;

#[derive(Encode, BorrowDecode)]
struct ReservationV1<'a> {
    version: u64,
    order: [u8; 16],
    product: &'a str,
    incarnation: u64,
    count: u32,
    price: u64,
    has_isbn: bool,
    held_at: i64,
}

#[derive(Encode, BorrowDecode)]
struct SettlementV1 {
    version: u64,
    expires_at: i64,
    claimed: bool,
}

#[derive(Encode, BorrowDecode)]
struct ReturnV1<'a> {
    version: u64,
    order: [u8; 16],
    product: &'a str,
    closed_at: Option<i64>,
}

/// The settlement of a reservation. It is kept after the reservation is deleted, so that a late hold does not
/// create it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementRecord {
    /// The record's version.
    pub version: u64,
    /// The time after which it may be removed.
    pub expires_at: Timestamp,
    /// True when the stock was sold, false when it was released.
    pub claimed: bool,
}

/// Encodes a reservation.
pub fn encode_reservation(reservation: &Reservation) -> Vec<u8> {
    encode(&ReservationV1 {
        version: reservation.version,
        order: *reservation.order.as_bytes(),
        product: reservation.product.as_str(),
        incarnation: reservation.incarnation,
        count: reservation.count,
        price: reservation.price.hundredths(),
        has_isbn: reservation.has_isbn,
        held_at: reservation.held_at.micros(),
    })
}

/// Decodes a reservation.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not one.
pub fn decode_reservation(bytes: &[u8]) -> Result<Reservation> {
    let decoded: ReservationV1 = decode(bytes)?;
    if decoded.count == 0 || decoded.count > MAX_COUNT {
        return Err(corrupt("a reservation's count"));
    }
    Ok(Reservation {
        version: decoded.version,
        order: order_id(decoded.order)?,
        product: ProductId::from_stored(decoded.product),
        incarnation: decoded.incarnation,
        count: decoded.count,
        price: money(decoded.price)?,
        has_isbn: decoded.has_isbn,
        held_at: time(decoded.held_at)?,
    })
}

/// Encodes a return.
pub fn encode_return(returned: &Return) -> Vec<u8> {
    encode(&ReturnV1 {
        version: returned.version,
        order: *returned.order.as_bytes(),
        product: returned.product.as_str(),
        closed_at: returned.closed_at.map(Timestamp::micros),
    })
}

/// Decodes a return.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not one.
pub fn decode_return(bytes: &[u8]) -> Result<Return> {
    let decoded: ReturnV1 = decode(bytes)?;
    Ok(Return {
        version: decoded.version,
        order: order_id(decoded.order)?,
        product: ProductId::from_stored(decoded.product),
        closed_at: decoded.closed_at.map(time).transpose()?,
    })
}

/// Encodes a settlement.
pub fn encode_settlement(settlement: &SettlementRecord) -> Vec<u8> {
    let SettlementRecord { version, expires_at, claimed } = *settlement;
    encode(&SettlementV1 { version, expires_at: expires_at.micros(), claimed })
}

/// Decodes a settlement.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not one.
pub fn decode_settlement(bytes: &[u8]) -> Result<SettlementRecord> {
    let SettlementV1 { version, expires_at, claimed } = decode(bytes)?;
    Ok(SettlementRecord { version, expires_at: time(expires_at)?, claimed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{OrderId, Slot};

    #[test]
    fn all_are_read_back() {
        let reservation = Reservation {
            version: 7,
            order: OrderId::new(Slot(1), 2, 3),
            product: ProductId::new("p").unwrap(),
            incarnation: 5,
            count: MAX_COUNT,
            price: money(100).unwrap(),
            has_isbn: true,
            held_at: time(9).unwrap(),
        };
        assert_eq!(decode_reservation(&encode_reservation(&reservation)).unwrap(), reservation);
        for closed_at in [None, Some(time(11).unwrap())] {
            let returned =
                Return { version: 7, order: reservation.order, product: reservation.product.clone(), closed_at };
            assert_eq!(decode_return(&encode_return(&returned)).unwrap(), returned);
        }
        let settlement = SettlementRecord { version: 8, expires_at: time(10).unwrap(), claimed: true };
        assert_eq!(decode_settlement(&encode_settlement(&settlement)).unwrap(), settlement);
    }
}
