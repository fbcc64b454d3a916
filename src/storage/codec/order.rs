//! Orders as bytes.

use bincode::{BorrowDecode, Encode};

use super::format::{
    FORMAT_1, FORMAT_2, corrupt, decode_body, encode_as, money, order_id, split, time, unknown_format,
};
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

/// What the first format has no room for: the incarnations of the lines' products, and the key of a cancellation.
#[derive(Encode, BorrowDecode)]
struct OrderV2<'a> {
    order: OrderV1<'a>,
    /// One for each line.
    incarnations: Vec<Option<u64>>,
    cancelled: Option<CancelledV2<'a>>,
}

#[derive(Encode, BorrowDecode)]
struct CancelledV2<'a> {
    key: Option<([u8; 16], &'a [u8])>,
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

/// Encodes an order, in the first format if that has room for it.
pub fn encode_order(order: &impl Recorded) -> Vec<u8> {
    let state = order.recorded_state();
    let first = first_format(order, &state);
    let cancelled = match state.status {
        Status::Cancelled { key } => Some(CancelledV2 { key: key.map(encode_key) }),
        Status::Pending | Status::Created | Status::Refused { .. } => None,
    };
    let incarnations: Vec<_> = order.lines.iter().map(|line| line.incarnation).collect();
    if cancelled.is_none() && incarnations.iter().all(Option::is_none) {
        return encode_as(FORMAT_1, &first);
    }
    encode_as(FORMAT_2, &OrderV2 { order: first, incarnations, cancelled })
}

fn encode_key(key: &IdempotencyRef) -> ([u8; 16], &[u8]) {
    (key.digest, key.fingerprint.as_slice())
}

fn first_format<'a>(order: &'a Facts, state: &RecordedState<'a>) -> OrderV1<'a> {
    OrderV1 {
        version: order.version,
        id: *order.id.as_bytes(),
        origin: order.origin as u8,
        customer: order.customer.as_ref().map(CustomerId::as_str),
        lines: order.lines.iter().map(encode_line).collect(),
        status: match state.status {
            Status::Pending => StatusV1::Pending,
            // A cancelled order was created; the second format says the rest.
            Status::Created | Status::Cancelled { .. } => StatusV1::Created,
            Status::Refused { reason } => StatusV1::Refused(reason),
        },
        payment: state.payment as u8,
        transaction: state.transaction,
        last_four: order.card.as_ref().map(LastFour::as_str),
        address: order.address.as_deref(),
        delivery: state.delivery.map(|delivery| *delivery.as_bytes()),
        accepts_price_changes: order.accepts_price_changes,
        steps: order.steps.iter().map(|step| (step.event as u8, step.at.micros())).collect(),
        idempotency: order.idempotency.as_ref().map(encode_key),
    }
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
    let (decoded, incarnations, cancelled) = match split(bytes)? {
        (FORMAT_1, body) => (decode_body::<OrderV1<'_>>(body)?, Vec::new(), None),
        (FORMAT_2, body) => {
            let OrderV2 { order, incarnations, cancelled } = decode_body(body)?;
            if incarnations.len() != order.lines.len() {
                return Err(corrupt("an order's incarnations"));
            }
            (order, incarnations, cancelled)
        }
        (format, _) => return Err(unknown_format(format)),
    };
    if decoded.lines.is_empty() {
        return Err(corrupt("an order has no lines"));
    }
    let key = cancelled.as_ref().and_then(|cancelled| cancelled.key).map(decode_key);
    let delivery = |bytes| DeliveryId::from_bytes(bytes).ok_or_else(|| corrupt("a delivery's id"));
    let state = RecordedState {
        status: match (decoded.status, &cancelled) {
            (StatusV1::Created, Some(_)) => Status::Cancelled { key: key.as_ref() },
            (_, Some(_)) => return Err(corrupt("an order's cancellation")),
            (StatusV1::Pending, None) => Status::Pending,
            (StatusV1::Created, None) => Status::Created,
            (StatusV1::Refused(reason), None) => Status::Refused { reason },
        },
        payment: numbered(decoded.payment)?,
        transaction: decoded.transaction,
        delivery: decoded.delivery.map(delivery).transpose()?,
    };
    let known = incarnations.into_iter().chain(std::iter::repeat(None));
    let lines = decoded.lines.into_iter().zip(known).map(|(line, incarnation)| decode_line(line, incarnation));
    let step = |(event, at)| Ok(OrderStep { event: numbered(event)?, at: time(at)? });
    let facts = Facts {
        version: decoded.version,
        id: order_id(decoded.id)?,
        origin: numbered(decoded.origin)?,
        customer: decoded.customer.map(CustomerId::from_stored),
        lines: lines.collect::<Result<_>>()?,
        address: decoded.address.map(str::to_owned),
        accepts_price_changes: decoded.accepts_price_changes,
        card: decoded.last_four.map(LastFour::from_stored),
        idempotency: decoded.idempotency.map(decode_key),
        steps: decoded.steps.into_iter().map(step).collect::<Result<_>>()?,
    };
    OrderRecord::restore(facts, state).ok_or_else(|| corrupt("an order's state"))
}

fn numbered<T: TryFrom<u8>>(number: u8) -> Result<T> {
    T::try_from(number).map_err(|_| corrupt("an order's number"))
}

fn decode_key((digest, fingerprint): ([u8; 16], &[u8])) -> IdempotencyRef {
    IdempotencyRef { digest, fingerprint: fingerprint.to_vec() }
}

fn decode_line(line: LineV1<'_>, incarnation: Option<u64>) -> Result<OrderLine> {
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
        incarnation,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::order::{OrderEvent, Origin, PaymentStatus};
    use crate::routing::{OrderId, Slot};

    fn facts(card: bool, incarnation: Option<u64>) -> Facts {
        let price = money(1_299).unwrap();
        let line = |agreed, price| OrderLine {
            product: ProductId::new("p").unwrap(),
            count: 3,
            agreed,
            price,
            has_isbn: true,
            incarnation,
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
        static KEY: IdempotencyRef = IdempotencyRef { digest: [3; 16], fingerprint: Vec::new() };
        prop_oneof![
            Just(Status::Pending),
            Just(Status::Created),
            Just(Status::Refused { reason: "why" }),
            Just(Status::Cancelled { key: None }),
            Just(Status::Cancelled { key: Some(&KEY) }),
        ]
    }

    proptest! {
        /// Decodes any combination of parts: a state is read back as it was written, any other is refused.
        #[test]
        fn every_state_is_read_back(
            status in statuses(),
            payment in 0..9_u8,
            (transaction, delivery, card) in any::<(bool, bool, bool)>(),
            incarnation in any::<Option<u64>>(),
        ) {
            let state = RecordedState {
                status,
                payment: PaymentStatus::try_from(payment).unwrap(),
                transaction: transaction.then_some("tx"),
                delivery: delivery.then(|| DeliveryId::new(Slot(1), 2, 4)),
            };
            if let Some(order) = OrderRecord::restore(facts(card, incarnation), state) {
                prop_assert_eq!(order.recorded_state(), state);
                prop_assert_eq!(decode_order(&encode_order(&order)).unwrap(), order);
            }
        }
    }

    #[test]
    fn parts_that_are_no_state_are_not_read() {
        let state =
            RecordedState { status: Status::Pending, payment: PaymentStatus::None, transaction: None, delivery: None };
        let order = OrderRecord::restore(facts(false, None), state).unwrap();
        let bytes = encode_order(&order);
        let mut decoded: OrderV1<'_> = decode_body(&bytes[1..]).unwrap();
        let encode = |decoded: &OrderV1<'_>| encode_as(FORMAT_1, decoded);
        decoded.payment = PaymentStatus::Captured as u8;
        assert!(decode_order(&encode(&decoded)).unwrap_err().detail().contains("an order's state"));
        decoded.payment = 9;
        assert!(decode_order(&encode(&decoded)).unwrap_err().detail().contains("an order's number"));
        decoded.payment = PaymentStatus::None as u8;
        let cancelled = Some(CancelledV2 { key: None });
        let second = |incarnations, cancelled, order| encode_as(FORMAT_2, &OrderV2 { order, incarnations, cancelled });
        let short = second(vec![None], None, decode_body(&bytes[1..]).unwrap());
        assert!(decode_order(&short).unwrap_err().detail().contains("incarnations"));
        let pending = second(vec![None; 3], cancelled, decoded);
        assert!(decode_order(&pending).unwrap_err().detail().contains("cancellation"));
    }
}
