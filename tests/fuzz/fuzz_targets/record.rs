//! Records from disk: whatever decodes is written the same way again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::codec;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(cart) = codec::decode_cart(bytes) {
        assert_eq!(codec::decode_cart(&codec::encode_cart(&cart)), Ok(cart));
    }
    if let Ok(answer) = codec::decode_first_answer(bytes) {
        assert_eq!(codec::decode_first_answer(&codec::encode_first_answer(&answer)), Ok(answer));
    }
    let _ = codec::decode_value(bytes);
    let _ = codec::decode_version(bytes);
});
