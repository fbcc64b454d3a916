//! Orders as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{corrupt, decode, encode, money, order_id, time};
use crate::domain::card::LastFour;
use crate::domain::cart::MAX_COUNT;
use crate::domain::money::Money;
use crate::domain::order::{
    Asked, Event, IdempotencyRef, Order, OrderLine, OrderPayment, Origin, PaymentStatus, Status, Step,
};
use crate::error::Result;
use crate::routing::{CustomerId, DeliveryId, ProductId};

#[derive(Encode, BorrowDecode)]
struct OrderV1<'a> {
    version: u64,
    id: [u8; 16],
    origin: u8,
    customer: Option<&'a str>,
    lines: Vec<LineV1<'a>>,
    status: StatusV1<'a>,
    payment: u8,
    transaction: Option<&'a str>,
    last_four: Option<&'a str>,
    address: Option<&'a str>,
    delivery: Option<[u8; 16]>,
    accepts_price_changes: bool,
    steps: Vec<(u8, i64)>,
    idempotency: Option<([u8; 16], &'a [u8])>,
}

#[derive(Encode, BorrowDecode)]
struct LineV1<'a> {
    product: &'a str,
    count: u32,
    asked: AskedV1,
    price: Option<u64>,
    has_isbn: bool,
}

#[derive(Encode, BorrowDecode)]
enum AskedV1 {
    Catalogue,
    Offer(u64),
    ExpiredOffer(u64),
}

#[derive(Encode, BorrowDecode)]
enum StatusV1<'a> {
    Pending,
    Created,
    Refused(&'a str),
}

/// Numbers are positions: never reordered, only added to.
const ORIGINS: [Origin; 4] = [Origin::Purchase, Origin::Buy, Origin::Books, Origin::Checkout];
const PAYMENTS: [PaymentStatus; 7] = [
    PaymentStatus::None,
    PaymentStatus::Pending,
    PaymentStatus::Authorised,
    PaymentStatus::Captured,
    PaymentStatus::CaptureFailed,
    PaymentStatus::Refused,
    PaymentStatus::Voided,
];
const EVENTS: [Event; 11] = [
    Event::Pending,
    Event::Held,
    Event::Authorised,
    Event::Created,
    Event::Refused,
    Event::Resumed,
    Event::Claimed,
    Event::Released,
    Event::Captured,
    Event::CaptureFailed,
    Event::Voided,
];

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let position = all.iter().position(|other| other == one);
    position.expect("the table has every variant, and far fewer than 256") as u8
}

fn numbered<T: Copy>(all: &[T], number: u8) -> Result<T> {
    all.get(usize::from(number)).copied().ok_or_else(|| corrupt("an order's number"))
}

/// Encodes an order.
pub fn encode_order(order: &Order) -> Vec<u8> {
    encode(&OrderV1 {
        version: order.version,
        id: *order.id.as_bytes(),
        origin: number(&ORIGINS, &order.origin),
        customer: order.customer.as_ref().map(CustomerId::as_str),
        lines: order.lines.iter().map(encode_line).collect(),
        status: match &order.status {
            Status::Pending => StatusV1::Pending,
            Status::Created => StatusV1::Created,
            Status::Refused(reason) => StatusV1::Refused(reason),
        },
        payment: number(&PAYMENTS, &order.payment.status),
        transaction: order.payment.transaction.as_deref(),
        last_four: order.payment.last_four.as_ref().map(LastFour::as_str),
        address: order.address.as_deref(),
        delivery: order.delivery.map(|delivery| *delivery.as_bytes()),
        accepts_price_changes: order.accepts_price_changes,
        steps: order.steps.iter().map(|step| (number(&EVENTS, &step.event), step.at.micros())).collect(),
        idempotency: order.idempotency.as_ref().map(|key| (key.digest, key.fingerprint.as_slice())),
    })
}

fn encode_line(line: &OrderLine) -> LineV1<'_> {
    LineV1 {
        product: line.product.as_str(),
        count: line.count,
        asked: match line.asked {
            Asked::Catalogue => AskedV1::Catalogue,
            Asked::Offer(price) => AskedV1::Offer(price.hundredths()),
            Asked::ExpiredOffer(price) => AskedV1::ExpiredOffer(price.hundredths()),
        },
        price: line.price.map(Money::hundredths),
        has_isbn: line.has_isbn,
    }
}

/// Decodes an order.
///
/// # Errors
/// [`crate::error::Error::Fault`] when the bytes are not one.
pub fn decode_order(bytes: &[u8]) -> Result<Order> {
    let decoded: OrderV1 = decode(bytes)?;
    if decoded.lines.is_empty() {
        return Err(corrupt("an order has no lines"));
    }
    let step = |(event, at)| Ok(Step { event: numbered(&EVENTS, event)?, at: time(at)? });
    let delivery = |bytes| DeliveryId::from_bytes(bytes).ok_or_else(|| corrupt("a delivery's id"));
    Ok(Order {
        version: decoded.version,
        id: order_id(decoded.id)?,
        origin: numbered(&ORIGINS, decoded.origin)?,
        customer: decoded.customer.map(CustomerId::from_stored),
        lines: decoded.lines.into_iter().map(decode_line).collect::<Result<_>>()?,
        status: match decoded.status {
            StatusV1::Pending => Status::Pending,
            StatusV1::Created => Status::Created,
            StatusV1::Refused(reason) => Status::Refused(reason.to_owned()),
        },
        payment: OrderPayment {
            status: numbered(&PAYMENTS, decoded.payment)?,
            transaction: decoded.transaction.map(str::to_owned),
            last_four: decoded.last_four.map(LastFour::from_stored),
        },
        address: decoded.address.map(str::to_owned),
        delivery: decoded.delivery.map(delivery).transpose()?,
        accepts_price_changes: decoded.accepts_price_changes,
        steps: decoded.steps.into_iter().map(step).collect::<Result<_>>()?,
        idempotency: decoded
            .idempotency
            .map(|(digest, fingerprint)| IdempotencyRef { digest, fingerprint: fingerprint.to_vec() }),
    })
}

fn decode_line(line: LineV1<'_>) -> Result<OrderLine> {
    if line.count == 0 || line.count > MAX_COUNT {
        return Err(corrupt("a line's count"));
    }
    Ok(OrderLine {
        product: ProductId::from_stored(line.product),
        count: line.count,
        asked: match line.asked {
            AskedV1::Catalogue => Asked::Catalogue,
            AskedV1::Offer(price) => Asked::Offer(money(price)?),
            AskedV1::ExpiredOffer(price) => Asked::ExpiredOffer(money(price)?),
        },
        price: line.price.map(money).transpose()?,
        has_isbn: line.has_isbn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{OrderId, Slot};

    #[test]
    fn everything_of_an_order_is_read_back() {
        let line =
            |asked, price| OrderLine { product: ProductId::new("p").unwrap(), count: 3, asked, price, has_isbn: true };
        let price = money(1_299).unwrap();
        let mut order = Order {
            version: 9,
            id: OrderId::new(Slot(1), 2, 3),
            origin: Origin::Checkout,
            customer: Some(CustomerId::new("alice").unwrap()),
            lines: vec![
                line(Asked::Catalogue, None),
                line(Asked::Offer(price), Some(price)),
                line(Asked::ExpiredOffer(price), None),
            ],
            status: Status::Pending,
            payment: OrderPayment {
                status: PaymentStatus::Authorised,
                transaction: Some("tx".into()),
                last_four: Some(LastFour::from_stored("1234")),
            },
            address: Some("here".into()),
            delivery: Some(DeliveryId::new(Slot(1), 2, 4)),
            accepts_price_changes: true,
            steps: EVENTS.iter().map(|event| Step { event: *event, at: time(7).unwrap() }).collect(),
            idempotency: Some(IdempotencyRef { digest: [1; 16], fingerprint: vec![2; 32] }),
        };
        assert_eq!(decode_order(&encode_order(&order)).unwrap(), order);
        for status in [Status::Created, Status::Refused("why".into())] {
            order.status = status;
            assert_eq!(decode_order(&encode_order(&order)).unwrap(), order);
        }
    }
}
