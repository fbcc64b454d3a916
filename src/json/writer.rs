//! Writes the JSON of carts, products and orders straight into the response body.
//!
//! Nearly every response on the hot path is a cart. With serde_json's derived serializers, and decimals as raw
//! values, rendering it took 40% of the facade's instructions; this writer takes a tenth of that. Everything else
//! is serialized by serde.

use crate::domain::money::{Money, Total};
use crate::domain::time::Timestamp;

/// A JSON text under construction. The caller writes the punctuation.
pub struct Json(Vec<u8>);

impl Json {
    /// Makes an empty text with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Json(Vec::with_capacity(bytes))
    }

    /// Appends punctuation and member names unchanged.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a string.
    pub fn string(&mut self, text: &str) -> &mut Self {
        // A loop without an early end, which the compiler turns into vector instructions.
        let must_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text.bytes().fold(false, |found, byte| found | must_escape(byte)) {
            serde_json::to_writer(&mut self.0, text)
                .expect("any string can be escaped, and writing to memory cannot fail");
        } else {
            self.0.push(b'"');
            self.0.extend_from_slice(text.as_bytes());
            self.0.push(b'"');
        }
        self
    }

    /// Appends an integer.
    pub fn integer(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self
    }

    /// Appends an integer, or `null`.
    pub fn optional_integer(&mut self, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.integer(value),
            None => self.raw("null"),
        }
    }

    /// Appends a price.
    pub fn money(&mut self, price: Money) -> &mut Self {
        let hundredths = price.hundredths();
        self.integer(hundredths / 100).fraction((hundredths % 100) as u8)
    }

    /// Appends a sum of prices.
    pub fn total(&mut self, total: Total) -> &mut Self {
        let hundredths = total.hundredths();
        self.0.extend_from_slice(itoa::Buffer::new().format(hundredths / 100).as_bytes());
        self.fraction((hundredths % 100) as u8)
    }

    fn fraction(&mut self, hundredths: u8) -> &mut Self {
        self.0.extend_from_slice(&[b'.', b'0' + hundredths / 10, b'0' + hundredths % 10]);
        self
    }

    /// Appends `true` or `false`.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    /// Appends a time, or `null`.
    pub fn time(&mut self, time: Option<Timestamp>) -> &mut Self {
        let Some(time) = time else { return self.raw("null") };
        self.0.push(b'"');
        time.append_to(&mut self.0);
        self.raw("\"")
    }

    /// Appends a string, or `null`.
    pub fn optional_string(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.raw("null"),
        }
    }

    /// The finished text.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn written(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json::with_capacity(0);
        write(&mut json);
        String::from_utf8(json.into_bytes()).unwrap()
    }

    #[test]
    fn decimals_are_written_with_all_their_digits() {
        let money = |hundredths| written(|json| _ = json.money(Money::from_hundredths(hundredths).unwrap()));
        assert_eq!([money(0), money(5), money(1_210)], ["0.00", "0.05", "12.10"]);
        assert_eq!(money(999_999_999_999), "9999999999.99");
        let total = Total::default().add(Money::from_hundredths(999_999_999_999).unwrap(), u32::MAX);
        assert_eq!(written(|json| _ = json.total(total)), total.to_string());
        assert_eq!(written(|json| _ = json.time(None)), "null");
    }

    proptest! {
        #[test]
        fn any_string_is_read_back(text in ".*|[\\x00-\\x7f]*") {
            let json = written(|json| _ = json.string(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_number_is_json(hundredths in 0..=999_999_999_999_u64) {
            let json = written(|json| _ = json.money(Money::from_hundredths(hundredths).unwrap()));
            prop_assert!(serde_json::from_str::<&RawValue>(&json).is_ok());
            prop_assert_eq!(Money::parse(&json).unwrap().hundredths(), hundredths);
        }
    }
}
