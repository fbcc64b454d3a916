//! Limits of the messages between facade and shard.

/// The most commands or replies in one message.
pub const MAX_BATCH: usize = 256;
/// The size past which a message takes no further request, in bytes.
pub const MAX_REQUEST_BATCH_BYTES: usize = 1 << 20;
/// The size past which a message takes no further reply, in bytes.
pub const MAX_REPLY_BATCH_BYTES: usize = 256 << 10;
/// The longest reply that is made of one record, in bytes: a cart or an order of 1,000 lines.
pub const MAX_RECORD_REPLY_BYTES: usize = 512 << 10;
/// The longest message that a shard reads, in bytes: room for [`MAX_REQUEST_BATCH_BYTES`] and one more request. The
/// longest request holds 1,000 lines with ids of 128 bytes.
pub const MAX_REQUEST_MESSAGE_BYTES: usize = MAX_REQUEST_BATCH_BYTES + (256 << 10);
/// The longest message that a client reads, in bytes: room for [`MAX_REPLY_BATCH_BYTES`] and one more reply.
pub const MAX_REPLY_MESSAGE_BYTES: usize = 4 << 20;
/// The longest `Idempotency-Key`, in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::domain::cart::MAX_LINES;
    use crate::domain::money::{MAX_HUNDREDTHS, Money};
    use crate::domain::product::{Details, MAX_AUTHOR_BYTES, MAX_STOCK, MAX_TITLE_BYTES, MAX_TOPIC_BYTES, Product};
    use crate::domain::reservation::{HoldResult, Quote};
    use crate::domain::time::Timestamp;
    use crate::error::{Error, LineProblem, RejectedLine, RejectedLines};
    use crate::protocol::{CommandOutput, MAX_LIST, encode_reply};
    use crate::routing::MAX_ID_BYTES;
    use crate::storage::codec;

    /// The longest list of products.
    fn products() -> CommandOutput {
        let details = Details {
            title: "t".repeat(MAX_TITLE_BYTES),
            author: Some("a".repeat(MAX_AUTHOR_BYTES)),
            topic: Some("t".repeat(MAX_TOPIC_BYTES)),
            has_isbn: true,
            price: Money::from_hundredths(MAX_HUNDREDTHS).unwrap(),
        };
        let product = Product { version: u64::MAX, ..Product::new(details, MAX_STOCK, u64::MAX) };
        let entry = ("i".repeat(MAX_ID_BYTES), codec::encode_product(&product).into());
        CommandOutput::products(std::iter::repeat_n(entry, MAX_LIST as usize), true)
    }

    /// The longest result of a hold.
    fn holds() -> CommandOutput {
        let quote = Quote {
            price: Money::from_hundredths(MAX_HUNDREDTHS).unwrap(),
            has_isbn: true,
            available: u64::MAX,
            held: u64::MAX,
            title: "t".repeat(MAX_TITLE_BYTES),
            incarnation: Some(u64::MAX),
        };
        CommandOutput::holds(&vec![HoldResult::Held(quote); MAX_LINES])
    }

    /// The longest refusal. Its detail names the lines too.
    fn refusal() -> Error {
        let item = "i".repeat(MAX_ID_BYTES);
        let problem = LineProblem::SaleExpired { old_price: MAX_HUNDREDTHS, new_price: MAX_HUNDREDTHS };
        Error::LinesRejected(RejectedLines::new(vec![RejectedLine { item, problem }; MAX_LINES]))
    }

    /// A message takes one more reply while it has less than [`MAX_REPLY_BATCH_BYTES`], whatever the reply's size.
    #[test]
    fn the_longest_replies_fit_into_a_message_that_is_almost_full() {
        for (name, result) in [("products", Ok(products())), ("holds", Ok(holds())), ("refusal", Err(refusal()))] {
            let reply = encode_reply(result, Timestamp::default()).encoded_len();
            assert!(reply > MAX_REPLY_BATCH_BYTES, "{name}: {reply} bytes");
            assert!(MAX_REPLY_BATCH_BYTES + reply < MAX_REPLY_MESSAGE_BYTES, "{name}: {reply} bytes");
        }
    }
}
