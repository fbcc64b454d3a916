//! Fuzzes records from disk: a decoded record is the same after it is encoded and decoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::storage::codec;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(cart) = codec::decode_cart(bytes) {
        assert_eq!(codec::decode_cart(&codec::encode_cart(&cart)), Ok(cart));
    }
    if let Ok(answer) = codec::decode_idempotency(bytes) {
        assert_eq!(codec::decode_idempotency(&codec::encode_idempotency(&answer)), Ok(answer));
    }
    if let Ok(product) = codec::decode_product(bytes) {
        assert_eq!(codec::decode_product(&codec::encode_product(&product)), Ok(product));
    }
    if let Ok(order) = codec::decode_order(bytes) {
        assert_eq!(codec::decode_order(&codec::encode_order(&order)), Ok(order));
    }
    if let Ok(delivery) = codec::decode_delivery(bytes) {
        assert_eq!(codec::decode_delivery(&codec::encode_delivery(&delivery)), Ok(delivery));
    }
    if let Ok(reservation) = codec::decode_reservation(bytes) {
        assert_eq!(codec::decode_reservation(&codec::encode_reservation(&reservation)), Ok(reservation));
    }
    if let Ok(settlement) = codec::decode_settlement(bytes) {
        assert_eq!(codec::decode_settlement(&codec::encode_settlement(&settlement)), Ok(settlement));
    }
    if let Ok(returned) = codec::decode_return(bytes) {
        assert_eq!(codec::decode_return(&codec::encode_return(&returned)), Ok(returned));
    }
    if let Ok(entry) = codec::decode_order_entry(bytes) {
        assert_eq!(codec::decode_order_entry(&codec::encode_order_entry(&entry)), Ok(entry));
    }
    if let Ok(deliveries) = codec::decode_order_deliveries(bytes) {
        assert_eq!(codec::decode_order_deliveries(&codec::encode_order_deliveries(&deliveries)), Ok(deliveries));
    }
    if let Ok(counts) = codec::decode_order_counts(bytes) {
        assert_eq!(codec::decode_order_counts(&codec::encode_order_counts(counts)), Ok(counts));
    }
    let _ = codec::decode_checkout(bytes);
    let _ = codec::decode_value(bytes);
    let _ = codec::decode_version(bytes);
});
