//! The codec of all gRPC messages: prost's, which reads no message of more parts than a batch has. Two bytes of an empty
//! request become some hundred in memory, and those of an empty line 32, so a limit on bytes alone does not bound what a
//! message takes.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

use super::limits::MAX_BATCH;
use super::proto;

/// The most fields of a message, those of its parts not counted: a full batch, and some more beside it.
const MAX_FIELDS: usize = MAX_BATCH + 64;

/// The most fields of a message of requests, those of its parts counted: a message full of the shortest lines has fewer.
const MAX_NESTED_FIELDS: usize = 160_000;
/// The size up to which a message of requests has too few parts to count them, in bytes.
const MAX_UNCOUNTED_BYTES: usize = 16 << 10;
/// The depth of messages in a message of requests: requests, commands, baskets, lines.
const MAX_DEPTH: usize = 5;
/// The depth up to which every field that has a length is a message: a request and its command are.
const MESSAGES_DEPTH: usize = 3;
/// A size that no text of a request has, in bytes: a field below [`MESSAGES_DEPTH`] that is longer is a message.
const MAX_TEXT_BYTES: usize = 4 << 10;

/// A message that may be read.
pub trait Received {
    /// True if its sender may be anybody, so that the parts of its parts are counted as well. They must be requests.
    const IS_FROM_ANYBODY: bool;
}

impl Received for proto::RequestBatch {
    const IS_FROM_ANYBODY: bool = true;
}

impl Received for proto::StatusRequest {
    // It has no parts.
    const IS_FROM_ANYBODY: bool = false;
}

impl Received for proto::ReplyBatch {
    const IS_FROM_ANYBODY: bool = false;
}

impl Received for proto::StatusReply {
    const IS_FROM_ANYBODY: bool = false;
}

/// A codec of messages of type `T` that writes and of type `U` that reads.
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        BoundedCodec(PhantomData)
    }
}

/// Decodes messages that have at most [`MAX_FIELDS`] fields.
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Received + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::default())
    }
}

impl<U: Message + Received + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The whole message is in one piece.
        if has_more_fields(message.chunk(), MAX_FIELDS) {
            return Err(Status::resource_exhausted(format!("a message has more than {MAX_FIELDS} fields")));
        }
        if U::IS_FROM_ANYBODY
            && message.chunk().len() > MAX_UNCOUNTED_BYTES
            && has_more_nested_fields(message.chunk(), 1, &mut { MAX_NESTED_FIELDS })
        {
            return Err(Status::resource_exhausted(format!(
                "a message has parts of more than {MAX_NESTED_FIELDS} fields"
            )));
        }
        self.0.decode(message)
    }
}

/// True when a message has more than `most` fields before its end, or before something that prost will not read.
fn has_more_fields(mut message: &[u8], most: usize) -> bool {
    for _ in 0..most {
        if message.is_empty() || take_field(&mut message).is_none() {
            return false;
        }
    }
    !message.is_empty()
}

/// True when a message of requests and its parts have more fields than are left.
fn has_more_nested_fields(mut message: &[u8], depth: usize, left: &mut usize) -> bool {
    while !message.is_empty() {
        let Some(rest) = left.checked_sub(1) else { return true };
        *left = rest;
        let Some(content) = take_field(&mut message) else { return false };
        let is_message = depth < MESSAGES_DEPTH || (depth < MAX_DEPTH && content.len() > MAX_TEXT_BYTES);
        if is_message && has_more_nested_fields(content, depth + 1, left) {
            return true;
        }
    }
    false
}

/// Takes the next field, and returns its content; that of a number is empty.
fn take_field<'a>(message: &mut &'a [u8]) -> Option<&'a [u8]> {
    let wire_type = varint(message)? & 7;
    let (skipped, length) = match wire_type {
        0 => varint(message).map(|_| (0, 0))?,
        1 => (8, 0),
        2 => (0, usize::try_from(varint(message)?).ok()?),
        5 => (4, 0),
        _ => return None,
    };
    let (content, rest) = message.get(skipped..)?.split_at_checked(length)?;
    *message = rest;
    Some(content)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{MAX_REPLY_BATCH_BYTES, MAX_REQUEST_BATCH_BYTES};

    #[test]
    fn a_message_of_too_many_parts_is_not_decoded() {
        let batch = |count| proto::RequestBatch {
            requests: vec![proto::Request::default(); count],
            sent_us: u64::MAX,
            ..proto::RequestBatch::default()
        };
        assert!(!has_more_fields(&batch(MAX_BATCH).encode_to_vec(), MAX_FIELDS));
        assert!(has_more_fields(&batch(MAX_FIELDS).encode_to_vec(), MAX_FIELDS));
        assert!(has_more_fields(&batch(2_000_000).encode_to_vec(), MAX_FIELDS));
    }

    #[test]
    fn fields_of_every_type_count_once_however_long_they_are() {
        let reply = proto::Reply {
            result: Some(proto::reply::Result::Cart(vec![7; MAX_REPLY_BATCH_BYTES].into())),
            ..proto::Reply::default()
        };
        let replies = proto::ReplyBatch { replies: vec![reply; 3], goodbye: true, ..proto::ReplyBatch::default() };
        let bytes = replies.encode_to_vec();
        assert!(has_more_fields(&bytes, 3) && !has_more_fields(&bytes, 4));
        let request = proto::Request { id: 1, hash: 2, command: None, ..proto::Request::default() };
        let bytes = request.encode_to_vec();
        assert!(has_more_fields(&bytes, 1) && !has_more_fields(&bytes, 2));
        for cut in [&b"\x0a"[..], b"\x0a\x05a", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b"] {
            assert!(!has_more_fields(cut, MAX_FIELDS), "prost refuses it");
        }
    }

    #[test]
    fn the_parts_of_requests_are_counted_at_every_depth() {
        let count = |command| {
            let requests = vec![proto::Request { command: Some(command), ..proto::Request::default() }];
            let bytes = proto::RequestBatch { requests, ..proto::RequestBatch::default() }.encode_to_vec();
            (0..usize::MAX).find(|most| !has_more_nested_fields(&bytes, 1, &mut { *most })).unwrap()
        };
        let lines = |count| vec![proto::Line::default(); count];
        let hold = |lines| proto::request::Command::Hold(proto::Hold { lines, ..proto::Hold::default() });
        let books = |lines| {
            let basket = proto::place_order::Basket::Books(proto::place_order::Books { lines, ..Default::default() });
            proto::request::Command::PlaceOrder(proto::PlaceOrder { basket: Some(basket), card: None })
        };
        assert_eq!((count(hold(lines(0))), count(hold(lines(5_000)))), (2, 5_002));
        assert_eq!((count(books(lines(0))), count(books(lines(5_000)))), (3, 5_003));
        let text = "  ".repeat(512);
        assert_eq!(count(proto::request::Command::GetValue(proto::GetValue { key: text })), 3, "a text has no fields");
    }

    #[test]
    fn a_full_message_of_the_shortest_lines_is_decoded() {
        let line = proto::Line { product: "1".into(), count: 1 };
        let lines = MAX_REQUEST_BATCH_BYTES / (line.encoded_len() + 2);
        let hold = proto::Hold { lines: vec![line; lines], ..proto::Hold::default() };
        let command = Some(proto::request::Command::Hold(hold));
        let requests = vec![proto::Request { command, ..proto::Request::default() }; 1];
        let bytes = proto::RequestBatch { requests, ..proto::RequestBatch::default() }.encode_to_vec();
        assert!(!has_more_nested_fields(&bytes, 1, &mut { MAX_NESTED_FIELDS }));
    }
}
