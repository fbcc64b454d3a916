//! Names of stored records, for people: in errors, in the log, in what `shardcart repair` prints.

use super::record::{
    CLOCK_KEY, COUNTER_KEY, HEADER_KEY, KEY_PREFIX_BYTES, ORDER_COUNTS_KEY, Record, RecordKey, RecordKind, kind_of,
};
use crate::error::Error;
use crate::routing::{DeliveryId, OrderId};

/// The name of the record with a key, such as `order 019a…`.
pub fn record_name(key: &[u8]) -> String {
    match key {
        HEADER_KEY => return "the store's header".into(),
        COUNTER_KEY => return "the counter of versions".into(),
        ORDER_COUNTS_KEY => return "the counts of orders".into(),
        CLOCK_KEY => return "the anchor of the clock".into(),
        _ => {}
    }
    let (Some(kind), Some(id)) = (kind_of(key), key.get(KEY_PREFIX_BYTES..)) else {
        return "a record of an unknown kind".into();
    };
    let text = String::from_utf8_lossy(id);
    let uuid = id.try_into().ok();
    let order = uuid.and_then(OrderId::from_bytes).map_or_else(|| text.to_string(), |id| id.to_string());
    match kind {
        RecordKind::Cart => format!("the cart of {text}"),
        RecordKind::Product => format!("product {text}"),
        RecordKind::Order => format!("order {order}"),
        RecordKind::OpenOrder => format!("open order {order}"),
        RecordKind::Delivery => {
            let delivery = uuid.and_then(DeliveryId::from_bytes);
            format!("delivery {}", delivery.map_or_else(|| text.to_string(), |id| id.to_string()))
        }
        RecordKind::Kv => format!("the value of {text}"),
        // Their ids are digests.
        RecordKind::Idempotency => "the answer under an Idempotency-Key".into(),
        RecordKind::Reservation => "a reservation".into(),
        RecordKind::Settlement => "a settlement".into(),
        RecordKind::OrderEntry => "an order's place in a list".into(),
        RecordKind::OrderDeliveries => format!("the deliveries of order {order}"),
        RecordKind::Return => "a return of stock".into(),
    }
}

/// Adds the name of a record to an error.
pub fn naming(key: RecordKey<'_>) -> impl FnOnce(Error) -> Error {
    move |error| Error::Internal(format!("{}: {error}", record_name(Record::new(key, b"").key())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{KeyHash, Slot};

    #[test]
    fn records_are_named_by_kind_and_id() {
        let order = OrderId::new(Slot(3), 1_763_900_000_000, 7);
        let name =
            |kind, id: &[u8]| record_name(Record::new(RecordKey { hash: KeyHash::of("a"), kind, id }, b"").key());
        assert_eq!(name(RecordKind::Cart, b"alice"), "the cart of alice");
        assert_eq!(name(RecordKind::Order, order.as_bytes()), format!("order {order}"));
        assert_eq!(name(RecordKind::Idempotency, &[7; 16]), "the answer under an Idempotency-Key");
        assert_eq!(record_name(HEADER_KEY), "the store's header");
        let key = RecordKey { hash: KeyHash::of("a"), kind: RecordKind::Product, id: b"7" };
        assert_eq!(naming(key)(Error::Internal("damaged".into())).to_string(), "product 7: damaged");
        assert_eq!(record_name(b"x"), "a record of an unknown kind");
    }
}
