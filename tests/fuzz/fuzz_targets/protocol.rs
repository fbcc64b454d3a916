//! Fuzzes messages from facades and shards.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use shardcart::protocol::{self, proto};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = proto::RequestBatch::decode(bytes) {
        for request in batch.requests {
            let _ = protocol::decode_request(request);
        }
    }
    if let Ok(batch) = proto::ReplyBatch::decode(bytes) {
        for reply in batch.replies {
            let _ = protocol::decode_reply(reply);
        }
    }
});
