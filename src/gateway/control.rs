//! What a tester tells the gateway over HTTP: to be slow, to refuse, or to be away. It is not kept: a gateway that
//! starts behaves well.

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// The longest delay of an answer, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// The orders of a tester. A member that is missing has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// The delay of each answer about a payment, in milliseconds. What was asked for is done before.
    pub delay_ms: u64,
    /// True when every new payment is refused.
    pub refuse: bool,
    /// True when requests about payments are neither applied nor answered: their connections are closed.
    pub away: bool,
}

impl Control {
    /// Reads a control from JSON.
    ///
    /// # Errors
    /// [`Invalid`] when it is malformed or the delay is too long.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let control: Control = serde_json::from_slice(body).map_err(Invalid::general)?;
        if control.delay_ms > MAX_DELAY_MS {
            return Err(Invalid::new("delay_ms", format!("must be 0 to {MAX_DELAY_MS}")));
        }
        Ok(control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_defaults_and_limits() {
        assert_eq!(Control::parse(b"{}"), Ok(Control::default()));
        let slow = Control { delay_ms: 60_000, refuse: true, away: false };
        assert_eq!(Control::parse(br#"{"delay_ms":60000,"refuse":true}"#), Ok(slow));
        for body in ["", "{", r#"{"delay_ms":60001}"#, r#"{"delay_ms":-1}"#, r#"{"slow":1}"#, r#"{"away":1}"#] {
            assert!(Control::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
