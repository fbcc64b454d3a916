//! JSON bodies from HTTP clients.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::json::object::Members;

fuzz_target!(|body: &[u8]| {
    if let Ok(members) = Members::parse(body) {
        let _ = members.money("a");
        let _ = members.count("a", 1, 1_000_000);
        let _ = members.flag("a", false);
        let _ = members.time("a");
    }
});
