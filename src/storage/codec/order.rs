//! Orders as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{corrupt, decode, encode, money, order_id, time};
use crate::domain::card::LastFour;
use crate::domain::cart::MAX_COUNT;
use crate::domain::money::Money;
use crate::domain::order::{
    AgreedPrice, Facts, IdempotencyRef, OrderLine, OrderRecord, OrderStep, Recorded, RecordedState, Status,
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
    agreed: AgreedPriceV1,
    price: Option<u64>,
    has_isbn: bool,
}

#[derive(Encode, BorrowDecode)]
enum AgreedPriceV1 {
    Catalog,
    Offer(u64),
    ExpiredOffer(u64),
}

#[derive(Encode, BorrowDecode)]
enum StatusV1<'a> {
    Pending,
    Created,
    Refused(&'a str),
}

/// Encodes an order.
pub fn encode_order(order: &impl Recorded) -> Vec<u8> {
    let state = order.recorded_state();
    encode(&OrderV1 {
        version: order.version,
        id: *order.id.as_bytes(),
        origin: order.origin as u8,
        customer: order.customer.as_ref().map(CustomerId::as_str),
        lines: order.lines.iter().map(encode_line).collect(),
        status: match state.status {
            Status::Pending => StatusV1::Pending,
            Status::Created => StatusV1::Created,
            Status::Refused { reason } => StatusV1::Refused(reason),
        },
        payment: state.payment as u8,
        transaction: state.transaction,
        last_four: order.card.as_ref().map(LastFour::as_str),
        address: order.address.as_deref(),
        delivery: state.delivery.map(|delivery| *delivery.as_bytes()),
        accepts_price_changes: order.accepts_price_changes,
        steps: order.steps.iter().map(|step| (step.event as u8, step.at.micros())).collect(),
        idempotency: order.idempotency.as_ref().map(|key| (key.digest, key.fingerprint.as_slice())),
    })
}

fn encode_line(line: &OrderLine) -> LineV1<'_> {
    LineV1 {
        product: line.product.as_str(),
        count: line.count,
        agreed: match line.agreed {
            AgreedPrice::Catalog => AgreedPriceV1::Catalog,
            AgreedPrice::Offer(price) => AgreedPriceV1::Offer(price.hundredths()),
            AgreedPrice::ExpiredOffer(price) => AgreedPriceV1::ExpiredOffer(price.hundredths()),
        },
        price: line.price.map(Money::hundredths),
        has_isbn: line.has_isbn,
    }
}

/// Decodes an order.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the bytes are not an order, or its parts are not a state.
pub fn decode_order(bytes: &[u8]) -> Result<OrderRecord> {
    let decoded: OrderV1 = decode(bytes)?;
    if decoded.lines.is_empty() {
        return Err(corrupt("an order has no lines"));
    }
    let delivery = |bytes| DeliveryId::from_bytes(bytes).ok_or_else(|| corrupt("a delivery's id"));
    let state = RecordedState {
        status: match decoded.status {
            StatusV1::Pending => Status::Pending,
            StatusV1::Created => Status::Created,
            StatusV1::Refused(reason) => Status::Refused { reason },
        },
        payment: numbered(decoded.payment)?,
        transaction: decoded.transaction,
        delivery: decoded.delivery.map(delivery).transpose()?,
    };
    let step = |(event, at)| Ok(OrderStep { event: numbered(event)?, at: time(at)? });
    let facts = Facts {
        version: decoded.version,
        id: order_id(decoded.id)?,
        origin: numbered(decoded.origin)?,
        customer: decoded.customer.map(CustomerId::from_stored),
        lines: decoded.lines.into_iter().map(decode_line).collect::<Result<_>>()?,
        address: decoded.address.map(str::to_owned),
        accepts_price_changes: decoded.accepts_price_changes,
        card: decoded.last_four.map(LastFour::from_stored),
        idempotency: decoded
            .idempotency
            .map(|(digest, fingerprint)| IdempotencyRef { digest, fingerprint: fingerprint.to_vec() }),
        steps: decoded.steps.into_iter().map(step).collect::<Result<_>>()?,
    };
    OrderRecord::restore(facts, state).ok_or_else(|| corrupt("an order's state"))
}

fn numbered<T: TryFrom<u8>>(number: u8) -> Result<T> {
    T::try_from(number).map_err(|_| corrupt("an order's number"))
}

fn decode_line(line: LineV1<'_>) -> Result<OrderLine> {
    if line.count == 0 || line.count > MAX_COUNT {
        return Err(corrupt("a line's count"));
    }
    Ok(OrderLine {
        product: ProductId::from_stored(line.product),
        count: line.count,
        agreed: match line.agreed {
            AgreedPriceV1::Catalog => AgreedPrice::Catalog,
            AgreedPriceV1::Offer(price) => AgreedPrice::Offer(money(price)?),
            AgreedPriceV1::ExpiredOffer(price) => AgreedPrice::ExpiredOffer(money(price)?),
        },
        price: line.price.map(money).transpose()?,
        has_isbn: line.has_isbn,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::order::{OrderEvent, Origin, PaymentStatus};
    use crate::routing::{OrderId, Slot};

    fn facts(card: bool) -> Facts {
        let price = money(1_299).unwrap();
        let line = |agreed, price| OrderLine {
            product: ProductId::new("p").unwrap(),
            count: 3,
            agreed,
            price,
            has_isbn: true,
        };
        let events = (0..=u8::MAX).filter_map(|number| OrderEvent::try_from(number).ok());
        Facts {
            version: 9,
            id: OrderId::new(Slot(1), 2, 3),
            origin: Origin::Checkout,
            customer: Some(CustomerId::new("alice").unwrap()),
            lines: vec![
                line(AgreedPrice::Catalog, None),
                line(AgreedPrice::Offer(price), Some(price)),
                line(AgreedPrice::ExpiredOffer(price), None),
            ],
            address: Some("here".into()),
            accepts_price_changes: true,
            card: card.then(|| LastFour::from_stored("1234")),
            idempotency: Some(IdempotencyRef { digest: [1; 16], fingerprint: vec![2; 32] }),
            steps: events.map(|event| OrderStep { event, at: time(7).unwrap() }).collect(),
        }
    }

    fn statuses() -> impl Strategy<Value = Status<'static>> {
        prop_oneof![Just(Status::Pending), Just(Status::Created), Just(Status::Refused { reason: "why" })]
    }

    proptest! {
        /// Decodes any combination of parts: a state is read back as it was written, any other is refused.
        #[test]
        fn every_state_is_read_back(
            status in statuses(), payment in 0..7_u8, transaction: bool, delivery: bool, card: bool
        ) {
            let state = RecordedState {
                status,
                payment: PaymentStatus::try_from(payment).unwrap(),
                transaction: transaction.then_some("tx"),
                delivery: delivery.then(|| DeliveryId::new(Slot(1), 2, 4)),
            };
            if let Some(order) = OrderRecord::restore(facts(card), state) {
                prop_assert_eq!(order.recorded_state(), state);
                prop_assert_eq!(decode_order(&encode_order(&order)).unwrap(), order);
            }
        }
    }

    #[test]
    fn parts_that_are_no_state_are_not_read() {
        let state =
            RecordedState { status: Status::Pending, payment: PaymentStatus::None, transaction: None, delivery: None };
        let order = OrderRecord::restore(facts(false), state).unwrap();
        let bytes = encode_order(&order);
        let mut decoded: OrderV1<'_> = decode(&bytes).unwrap();
        decoded.payment = PaymentStatus::Captured as u8;
        assert!(decode_order(&encode(&decoded)).unwrap_err().detail().contains("an order's state"));
        decoded.payment = 7;
        assert!(decode_order(&encode(&decoded)).unwrap_err().detail().contains("an order's number"));
    }
}
