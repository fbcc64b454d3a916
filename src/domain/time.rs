//! Points in time, read and written as RFC 3339 and kept to the microsecond.

use std::fmt;

use jiff::civil;
use jiff::tz::Offset;

use crate::error::{Invalid, Result};

/// 0000-01-01T00:00:00Z, in microseconds since the epoch.
const FIRST: i64 = -62_167_219_200_000_000;
/// 9999-12-31T23:59:59.999999Z.
const LAST: i64 = 253_402_300_799_999_999;
/// The years after which the calendar repeats itself, and their length in microseconds. jiff's timestamps end a day before
/// the year 9999 does.
const CYCLE_YEARS: u32 = 400;
const CYCLE: i64 = 146_097 * 86_400_000_000;
/// The year 9999 in microseconds since the epoch, from its first day.
const YEAR_9999: i64 = 253_370_764_800_000_000;
const EPOCH: civil::DateTime = civil::datetime(1970, 1, 1, 0, 0, 0, 0);
/// The length of a date and time without fraction and offset, in bytes.
const SECONDS_END: usize = 19;
/// The length of an offset such as `+02:00`, in bytes.
const OFFSET_BYTES: usize = 6;
const EXPECTED: &str = "is not a time: use RFC 3339, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS";

/// Microseconds since 1970-01-01T00:00:00Z. Finer digits of an input are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a timestamp from microseconds since the epoch, between the years 0000 and 9999.
    ///
    /// # Errors
    /// [`Invalid`] outside of them.
    pub fn from_micros(micros: i64) -> Result<Self, Invalid> {
        match micros {
            FIRST..=LAST => Ok(Timestamp(micros)),
            _ => Err(Invalid::general("is outside of the years 0000 to 9999")),
        }
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, or a date or date and time without an offset, taken as UTC.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::general(EXPECTED);
        if !text.is_ascii() || !has_shape(text.as_bytes()) {
            return Err(invalid());
        }
        let (local, offset) = split_offset(text).ok_or_else(invalid)?;
        let local: civil::DateTime = local.parse().map_err(|_| invalid())?;
        let nanos = local.duration_since(EPOCH).as_nanos();
        // The years 0000 to 9999 fit.
        Timestamp::from_micros(nanos.div_euclid(1_000) as i64 - offset)
    }

    /// Appends RFC 3339 in UTC, with as many fraction digits as are needed. It takes less than half of the instructions of
    /// jiff's printer: most answers are carts with several times.
    pub fn append_to(self, text: &mut Vec<u8>) {
        let (micros, years) = if self.0 < YEAR_9999 { (self.0, 0) } else { (self.0 - CYCLE, CYCLE_YEARS) };
        let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
        let time = Offset::UTC.to_datetime(time);
        let mut digits = *b"0000-00-00T00:00:00.000000";
        write_digits(&mut digits[0..4], u32::from(time.year().unsigned_abs()) + years);
        write_digits(&mut digits[5..7], time.month().unsigned_abs().into());
        write_digits(&mut digits[8..10], time.day().unsigned_abs().into());
        write_digits(&mut digits[11..13], time.hour().unsigned_abs().into());
        write_digits(&mut digits[14..16], time.minute().unsigned_abs().into());
        write_digits(&mut digits[17..19], time.second().unsigned_abs().into());
        let micros = self.0.rem_euclid(1_000_000) as u32;
        write_digits(&mut digits[20..26], micros);
        let fraction = match micros {
            0 => 0,
            _ => 7 - digits.iter().rev().take_while(|digit| **digit == b'0').count(),
        };
        text.extend_from_slice(&digits[..19 + fraction]);
        text.push(b'Z');
    }
}

/// Fills all places with a number's decimal digits. The number must fit.
fn write_digits(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Writes what [`Timestamp::append_to`] appends.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(SECONDS_END + 8);
        self.append_to(&mut text);
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Splits a text of an accepted form into its local time and its offset from UTC in microseconds; `None` for an offset of
/// a day or more (RFC 3339, section 5.6).
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, 0));
    }
    let start = text.len().checked_sub(OFFSET_BYTES).filter(|start| *start >= SECONDS_END);
    let Some((local, offset)) = start.map(|start| text.split_at(start)) else { return Some((text, 0)) };
    let (hours, minutes): (i64, i64) = (offset[1..3].parse().ok()?, offset[4..6].parse().ok()?);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    (hours < 24 && minutes < 60).then_some((local, sign * (hours * 60 + minutes) * 60_000_000))
}

/// True when the bytes look like one of the accepted forms; jiff then checks the values. Without this check,
/// jiff's wider grammar (week dates, annotations, basic format) would become part of the API.
fn has_shape(text: &[u8]) -> bool {
    let digits =
        |range: std::ops::Range<usize>| text.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let date =
        digits(0..4) && text.get(4) == Some(&b'-') && digits(5..7) && text.get(7) == Some(&b'-') && digits(8..10);
    if text.len() == 10 || !date {
        return date;
    }
    let separator = matches!(text[10], b'T' | b't' | b' ');
    let time = digits(11..13)
        && text.get(13) == Some(&b':')
        && digits(14..16)
        && text.get(16) == Some(&b':')
        && digits(17..19);
    if !separator || !time {
        return false;
    }
    let mut rest = &text[19..];
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 || length == fraction.len() {
            return false;
        }
        rest = &fraction[length..];
    }
    match rest {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted_forms_are_written_in_utc() {
        for (text, written) in [
            ("2026-11-23", "2026-11-23T00:00:00Z"),
            ("2026-11-23T10:20:30", "2026-11-23T10:20:30Z"),
            ("2026-11-23T10:20:30Z", "2026-11-23T10:20:30Z"),
            ("2026-11-23T10:20:30.5+02:00", "2026-11-23T08:20:30.5Z"),
            ("2026-11-23T10:20:30-23:59", "2026-11-24T10:19:30Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
            ("2026-11-23t10:20:30.123456789z", "2026-11-23T10:20:30.123456Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn times_begin_with_the_year_0000_and_end_with_the_year_9999() {
        for (micros, text, next) in
            [(FIRST, "0000-01-01T00:00:00Z", FIRST - 1), (LAST, "9999-12-31T23:59:59.999999Z", LAST + 1)]
        {
            assert_eq!(Timestamp::from_micros(micros).unwrap().to_string(), text);
            assert!(Timestamp::from_micros(next).is_err());
        }
        assert_eq!(Timestamp::parse("9999-12-31").unwrap().to_string(), "9999-12-31T00:00:00Z");
        for outside in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"] {
            assert!(Timestamp::parse(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "now",
            "2026",
            "20261123",
            "2026-W47-1",
            "2026-13-01",
            "2025-02-29",
            "2026-11-23T10:20",
            "2026-11-23T25:00:00",
            "2026-11-23T10:20:30+0200",
            "2026-11-23T10:20:30+24:00",
            "2026-11-23T10:20:30-24:00",
            "2026-11-23T10:20:30+23:60",
            "2026-11-23T10:20:30Z[UTC]",
            "2026-11-23T10:20:30.Z",
            "2026-11-23T10:20:30.5",
            "2026-11-23T10:20:30 ",
            "-2026-11-23",
            "２０26-11-23",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in FIRST..=LAST) {
            let time = Timestamp::from_micros(micros).unwrap();
            prop_assert_eq!(Timestamp::parse(&time.to_string()).unwrap(), time);
        }

        #[test]
        fn what_is_written_is_what_jiff_writes(
            seconds in FIRST / 1_000_000..YEAR_9999 / 1_000_000 + 86_400 * 363,
            micros in 0..1_000_000_i64,
            zeros in 0_u32..=6,
        ) {
            let unit = 10_i64.pow(zeros);
            let time = Timestamp::from_micros(seconds * 1_000_000 + micros / unit * unit).unwrap();
            let written = jiff::Timestamp::from_microsecond(time.micros()).unwrap().to_string();
            prop_assert_eq!(time.to_string(), written);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9T:.Z ]{0,40}|.*") {
            let _ = Timestamp::parse(&text);
        }
    }
}
