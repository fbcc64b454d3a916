//! Fuzzes what a commit log has on disk: frames, headers, manifest, mark.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::storage::fuzz_log;

fuzz_target!(|bytes: &[u8]| fuzz_log(bytes));
