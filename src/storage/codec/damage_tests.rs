//! Tests that no bytes make a decoder panic.

use proptest::prelude::*;

use super::format::{FORMAT_1, FORMAT_2};
use super::*;

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), valid_format: bool) {
        if let (true, Some(first)) = (valid_format, bytes.first_mut()) {
            *first = if *first % 2 == 0 { FORMAT_1 } else { FORMAT_2 };
        }
        let _ = decode_cart(&bytes);
        let _ = decode_product(&bytes);
        let _ = decode_order(&bytes);
        let _ = decode_delivery(&bytes);
        let _ = decode_reservation(&bytes);
        let _ = decode_settlement(&bytes);
        let _ = decode_value(&bytes);
        let _ = decode_idempotency(&bytes);
        let _ = decode_version(&bytes);
    }
}
