//! The system's clock.

use jiff::Timestamp;

use super::finding::Finding;
use crate::http::NtpServer;

const AREA: &str = "clock";
/// A time that has passed: a clock before it was never set.
const RELEASED: &str = "2026-11-01T00:00:00Z";
/// The offset from a time server that is noticed, in seconds.
const GREAT_OFFSET: f64 = 1.0;

/// Looks at the clock, and asks a time server if one is named. That takes some seconds when it does not answer.
pub fn clock(server: Option<&NtpServer>) -> Finding {
    let now = Timestamp::now();
    let shown = format!("{now:.0}");
    if RELEASED.parse::<Timestamp>().is_ok_and(|released| now < released) {
        return Finding::wrong(
            AREA,
            format!("{shown}: that is in the past"),
            "set the clock, and keep it with NTP (chrony)",
        );
    }
    let Some(server) = server else {
        return Finding::good(AREA, format!("{shown}; not compared: --ntp-server names a time server"));
    };
    match server.offset_seconds() {
        Ok(offset) if offset.abs() < GREAT_OFFSET => {
            Finding::good(AREA, format!("{shown}; {server} is {offset:+.3} s off"))
        }
        Ok(offset) => {
            let remedy = "keep the clock with NTP (chrony): times of orders and the ends of sales are wrong by as much";
            Finding::warning(AREA, format!("{shown}; {server} is {offset:+.1} s off"), remedy)
        }
        Err(reason) => Finding::warning(
            AREA,
            format!("{shown}; {server} does not answer: {reason}"),
            "check --ntp-server and UDP port 123; without an answer the system's clock counts",
        ),
    }
}
