//! The bytes of what a log has on disk. They are on users' disks, so these literals never change: a new format has a new
//! number, a reader of its own, and literals of its own.

use uuid::Uuid;

use super::file_header::FileHeader;
use super::frame::{FrameHeader, HEADER_BYTES, Payload, Place};
use super::manifest::{LiveFile, Manifest};
use super::mark::Mark;
use crate::storage::record::{Record, Write};

const RING: Uuid = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[test]
fn a_frame() {
    let place = Place { ring: RING, file: 3, offset: 8_192 };
    let writes = [Write::Put(Record::from_parts(b"key", b"value")), Write::Delete(Record::from_parts(b"gone", b""))];
    let payload = Payload::of(&writes);
    let frame = [&payload.header(place, 9, 8)[..], payload.bytes()].concat();
    assert_eq!(hex(&frame), FRAME);
    let effects = FrameHeader::decode(&frame, place).unwrap().decode_payload(&frame[HEADER_BYTES..]);
    assert_eq!(effects.unwrap(), writes);
}

#[test]
fn a_file_header() {
    let header = FileHeader { ring: RING, index: 2, number: 77, file_bytes: 1 << 24 };
    assert_eq!(hex(&header.encode()), FILE_HEADER);
}

#[test]
fn a_manifest() {
    let manifest = Manifest {
        ring: RING,
        unit: 4_096,
        file_bytes: 1 << 24,
        files: 3,
        applied: 5,
        next_number: 8,
        reached: 11,
        given_up: 2,
        live: vec![LiveFile { index: 1, number: 7, after: 5 }],
    };
    assert_eq!(hex(&manifest.encode(6)), MANIFEST);
}

#[test]
fn a_mark() {
    assert_eq!(hex(&Mark { ring: RING, applied: 5, reached: 11 }.encode()), MARK);
}

const FRAME: &str = "73636631160000000900000000000000080000000000000000000000df4459754004a2440103006b6579050000007661\
    6c7565020400676f6e65";
const FILE_HEADER: &str = "73636172746c6f67020000000123456789ab4def8123456789abcdef02004d000000000000000000000100000000226a\
    81db";
const MANIFEST: &str = "73636172746d616e0300000006000000000000000123456789ab4def8123456789abcdef001000000000000100000000\
    0300050000000000000008000000000000000b0000000000000002000000000000000100010007000000000000000500\
    0000000000001b4b8bcd";
const MARK: &str = "0123456789ab4def8123456789abcdef05000000000000000b00000000000000";
