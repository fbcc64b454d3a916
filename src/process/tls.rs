//! TLS for the HTTP clients of a process.

use std::sync::Once;

/// Makes ring the cryptography of this process. reqwest needs one to be chosen before its first client is made.
pub fn choose_provider() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        // An error means that this process already has a provider, which works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
