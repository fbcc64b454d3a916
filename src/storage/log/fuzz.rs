//! What the fuzzer calls: the decoders of a log's bytes, with checksums that fit, since random bytes never get past those.

use uuid::Uuid;

use super::file_header::FileHeader;
use super::frame::{FrameHeader, Payload, Place};
use super::manifest::Manifest;
use super::mark::Mark;

/// Decodes bytes as everything that a log has on disk. What decodes is the same after it is encoded again.
pub fn fuzz_log(bytes: &[u8]) {
    let place = Place { ring: Uuid::from_u128(1), file: 2, offset: 4_096 };
    let _ = FrameHeader::decode(bytes, place);
    if let Some((raw, stored)) = bytes.split_first_chunk() {
        for raw in [0, u32::from_le_bytes(*raw)] {
            let payload = Payload { bytes: stored.to_vec(), raw };
            let header = FrameHeader::decode(&payload.header(place, 9, 8), place).expect("it was just encoded");
            if let Some(effects) = header.decode_payload(payload.bytes()) {
                let again = Payload::of(&effects);
                let header = FrameHeader::decode(&again.header(place, 9, 8), place).expect("it was just encoded");
                assert_eq!(header.decode_payload(again.bytes()), Some(effects));
            }
        }
    }
    let fitted = [bytes, &crc32c::crc32c(bytes).to_le_bytes()].concat();
    if let Some((generation, manifest)) = Manifest::decode(&fitted) {
        assert!(fitted.starts_with(&manifest.encode(generation)));
    }
    if let Some(header) = FileHeader::decode(&fitted) {
        assert!(fitted.starts_with(&header.encode()));
    }
    if let Some(mark) = Mark::decode(bytes) {
        assert_eq!(mark.encode(), *bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz_log(&bytes);
        }
    }
}
