//! Fuzzes JSON bodies from HTTP clients.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardcart::json::object::JsonObject;

fuzz_target!(|body: &[u8]| {
    if let Ok(members) = JsonObject::parse(body) {
        let _ = members.money("a");
        let _ = members.u32_in("a", 1, 1_000_000);
        let _ = members.bool("a", false);
        let _ = members.time("a");
    }
});
