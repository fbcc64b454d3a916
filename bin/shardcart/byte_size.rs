//! Numbers of bytes as options: `1000000`, `512MiB`, `1GB`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use shardcart::storage::{MAX_LOG_BYTES, MIN_LOG_BYTES};

/// The sizes that `access.log` may have, in bytes.
const ACCESS_LOG_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;
/// The units and their sizes in bytes; powers of 1024 come first, the largest at the top.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    /// Reads a whole number, in bytes or in a unit of [`UNITS`], ignoring case.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = if unit.is_empty() { "B" } else { unit.trim_start() };
        let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes);
        let (Ok(number), Some(factor)) = (number.parse::<u64>(), factor) else {
            return Err("is not a number of bytes, as 1000000, 512MiB or 1GB".into());
        };
        number.checked_mul(factor).map(ByteSize).ok_or_else(|| "is too large".into())
    }
}

/// Reads the size of a commit log.
pub fn log_size(text: &str) -> Result<ByteSize, String> {
    within(&(MIN_LOG_BYTES..=MAX_LOG_BYTES), text.parse()?)
}

/// Reads the size past which `access.log` is rotated.
pub fn access_log_size(text: &str) -> Result<ByteSize, String> {
    within(&ACCESS_LOG_BYTES, text.parse()?)
}

fn within(range: &RangeInclusive<u64>, size: ByteSize) -> Result<ByteSize, String> {
    match range.contains(&size.0) {
        true => Ok(size),
        false => Err(format!("must be {} to {}", ByteSize(*range.start()), ByteSize(*range.end()))),
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(name, bytes)| name.ends_with("iB") && self.0 > 0 && self.0.is_multiple_of(*bytes)) {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_and_units_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("7B", 7),
            ("1KB", 1_000),
            ("1kib", 1_024),
            ("512MiB", 512 << 20),
            ("10 mb", 10_000_000),
            ("1GB", 1_000_000_000),
            ("1GiB", 1 << 30),
            ("2TB", 2_000_000_000_000),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "much", "GB", "-1", "1.5GB", "1 GB free", "1PB", "99999999999TiB", "99999999999999999999"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (bytes, text) in [(0, "0"), (1_000, "1000"), (1_024, "1KiB"), (256 << 20, "256MiB"), (3 << 40, "3TiB")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
    }
}
