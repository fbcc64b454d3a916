//! What a playground and a proof have in common: nobody else reaches the store, no money is taken, and the shoppers have a
//! key.

use crate::access::Secret;
use crate::error::{Error, Invalid, Result};
use crate::launcher::{Options, PaymentKind};

/// Checks the options of a store for shoppers, and returns their API key.
///
/// # Errors
/// [`Error::Invalid`] that names the option.
pub fn check(store: &Options) -> Result<Secret> {
    let addresses = store.http.iter().map(|address| ("--http", address)).chain([("--kv", &store.kv)]);
    for (option, address) in addresses {
        if !address.ip().to_canonical().is_loopback() {
            let reason = "a playground can be crashed by whoever reaches it, so it listens on loopback only";
            return Err(Invalid::general(format!("{option} {address}: {reason}")).into());
        }
    }
    if store.payment != PaymentKind::Simulated {
        let reason = "the shoppers of a playground pay with test cards, so it has the simulated gateway";
        return Err(Invalid::general(format!("--payment {}: {reason}", store.payment)).into());
    }
    store.access.known_key().ok_or_else(|| {
        let reason = "the shoppers of a playground need a key too, in the environment as SHARDCART_API_KEY";
        Error::Invalid(Invalid::general(format!("--api-keys: {reason}")))
    })
}
