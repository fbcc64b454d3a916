//! The codec of all gRPC messages: prost's, which reads no message of more parts than a batch has. Two bytes of an empty
//! request become some hundred in memory, so a limit on bytes alone does not bound what a message takes.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

use super::limits::MAX_BATCH;

/// The most fields of a message, those of its parts not counted: a full batch, and some more beside it.
const MAX_FIELDS: usize = MAX_BATCH + 64;

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
    U: Message + Default + Send + 'static,
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

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The whole message is in one piece.
        if has_more_fields(message.chunk(), MAX_FIELDS) {
            return Err(Status::resource_exhausted(format!("a message has more than {MAX_FIELDS} fields")));
        }
        self.0.decode(message)
    }
}

/// True when a message has more than `most` fields before its end, or before something that prost will not read.
fn has_more_fields(mut message: &[u8], most: usize) -> bool {
    for _ in 0..most {
        if message.is_empty() || skip_field(&mut message).is_none() {
            return false;
        }
    }
    !message.is_empty()
}

fn skip_field(message: &mut &[u8]) -> Option<()> {
    let wire_type = varint(message)? & 7;
    let length = match wire_type {
        0 => varint(message).map(|_| 0)?,
        1 => 8,
        2 => usize::try_from(varint(message)?).ok()?,
        5 => 4,
        _ => return None,
    };
    *message = message.get(length..)?;
    Some(())
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
    use crate::protocol::{MAX_REPLY_BATCH_BYTES, proto};

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
}
