//! Exact decimal money: hundredths in an integer, never a binary float.

use std::fmt;

use crate::error::{Invalid, Result};

/// The greatest price: 9999999999.99, in hundredths.
pub const MAX_HUNDREDTHS: u64 = 999_999_999_999;

const FRACTION_DIGITS: i64 = 2;
/// The number of digits of [`MAX_HUNDREDTHS`]; a number with more is out of range.
const MAX_DIGITS: i64 = 12;

/// A price: 0 to 9999999999.99 with at most two fraction digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(u64);

/// A sum of prices in hundredths; 128 bits hold any sum a cart can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Total(u128);

impl Money {
    /// Makes a price from hundredths, at most [`MAX_HUNDREDTHS`].
    ///
    /// # Errors
    /// [`Invalid`] past the limit.
    pub fn from_hundredths(hundredths: u64) -> Result<Self, Invalid> {
        if hundredths > MAX_HUNDREDTHS {
            return Err(out_of_range());
        }
        Ok(Money(hundredths))
    }

    /// The value in hundredths.
    pub fn hundredths(self) -> u64 {
        self.0
    }

    /// Reads a number in JSON's grammar (RFC 8259, section 6) exactly: `12.10`, `7`, `1.5e3`.
    ///
    /// Fraction digits are counted after the exponent is applied: `12.100` has three and is refused, `1.21e1`
    /// has one.
    ///
    /// # Errors
    /// [`Invalid`] when it is not such a number, negative, too large, or has more than two
    /// fraction digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let number = Number::split(text).ok_or_else(|| Invalid::general("is not a decimal number"))?;
        let fraction_digits = number.fraction.len() as i64 - number.exponent;
        if fraction_digits > FRACTION_DIGITS {
            return Err(Invalid::general("has more than 2 fraction digits"));
        }
        let digits = || number.integer.bytes().chain(number.fraction.bytes()).skip_while(|byte| *byte == b'0');
        let significant = digits().count() as i64;
        if significant == 0 {
            return Ok(Money(0));
        }
        if number.negative {
            return Err(Invalid::general("is negative"));
        }
        let zeros = FRACTION_DIGITS - fraction_digits;
        if significant.saturating_add(zeros) > MAX_DIGITS {
            return Err(out_of_range());
        }
        let value = digits().fold(0, |value: u64, digit| value * 10 + u64::from(digit - b'0'));
        let scale = (0..zeros).fold(1, |scale: u64, _| scale * 10);
        Money::from_hundredths(value * scale)
    }
}

impl Total {
    /// The value in hundredths.
    pub fn hundredths(self) -> u128 {
        self.0
    }

    /// Adds a price times a count.
    pub fn add(self, price: Money, count: u32) -> Total {
        Total(self.0 + u128::from(price.0) * u128::from(count))
    }
}

/// Always with both fraction digits: `12.10`, `9.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

fn out_of_range() -> Invalid {
    Invalid::general("is greater than 9999999999.99")
}

/// The parts of a number in JSON's grammar.
struct Number<'a> {
    negative: bool,
    integer: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Number<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((integer, fraction)) if is_digits(fraction) => (integer, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let leading_zero = integer.len() > 1 && integer.starts_with('0');
        (is_digits(integer) && !leading_zero).then_some(Number { negative, integer, fraction, exponent })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Saturates where the exponent does not fit an `i32`: such a number is far out of range anyway.
fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    is_digits(digits).then(|| sign * i64::from(digits.parse::<i32>().unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hundredths(text: &str) -> Option<u64> {
        Money::parse(text).ok().map(Money::hundredths)
    }

    #[test]
    fn numbers_come_in_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e5", 0),
            ("12.10", 1210),
            ("12.1", 1210),
            ("9.5", 950),
            ("1e2", 10_000),
            ("1.21e1", 1210),
            ("1210E-2", 1210),
            ("0e999999999999", 0),
            ("9999999999.99", MAX_HUNDREDTHS),
        ] {
            assert_eq!(hundredths(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_exact_or_in_range_is_refused() {
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "01",
            "+1",
            "1e",
            "1e+",
            "NaN",
            "Infinity",
            "0x1",
            " 1",
            "1 ",
            "1,5",
            "-0.01",
            "0.001",
            "12.100",
            "1e-3",
            "10000000000",
            "1e400",
            "1e-400",
            "1e99999999999999999999",
            "9999999999.999",
        ] {
            assert_eq!(hundredths(text), None, "{text}");
        }
        assert_eq!(hundredths(&"9".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in 0..=MAX_HUNDREDTHS) {
            let money = Money::from_hundredths(value).unwrap();
            prop_assert_eq!(Money::parse(&money.to_string()).unwrap(), money);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,40}|.*") {
            let _ = Money::parse(&text);
        }
    }
}
