//! Fuzzes numbers, times, tags and addresses as text: a value that is read is written and read back unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::routing::Address;
use shardcart::domain::money::Money;
use shardcart::domain::tag::Tag;
use shardcart::domain::time::Timestamp;

fuzz_target!(|text: &str| {
    if let Ok(money) = Money::parse(text) {
        assert_eq!(Money::parse(&money.to_string()), Ok(money));
    }
    if let Ok(time) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
    }
    if let Some(tag) = Tag::parse(text) {
        assert_eq!(tag.to_string(), text);
    }
    let _ = text.parse::<Address>();
});
