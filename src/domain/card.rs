//! Cards: used for one call to the payment gateway, then overwritten and forgotten. Nothing that can be printed,
//! stored or logged ever shows more than the last four characters.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Invalid, Result};

/// The length of a card's number, in letters or digits.
pub const CARD_NUMBER_CHARS: usize = 16;
/// The longest expiry, in bytes: `12/2031` and the like.
pub const MAX_EXPIRY_BYTES: usize = 16;

const SHOWN_CHARS: usize = 4;

/// A card's number: 16 ASCII letters or digits. It has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct CardNumber(Zeroizing<String>);

/// A card as a customer gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    /// Its number.
    pub number: CardNumber,
    /// The expiry as the client wrote it; only the gateway reads it.
    pub expiry: Option<String>,
}

/// The last four characters of a card's number, the only part that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFour(String);

impl CardNumber {
    /// Checks a number. The error does not contain it.
    ///
    /// # Errors
    /// [`Invalid`] when it is not 16 letters or digits.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = Zeroizing::new(text.into());
        if text.len() != CARD_NUMBER_CHARS || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Invalid::new("card_number", format!("must be {CARD_NUMBER_CHARS} letters or digits")));
        }
        Ok(CardNumber(text))
    }

    /// The whole number. Only the payment gateway may see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four characters, which may be stored.
    pub fn last_four(&self) -> LastFour {
        LastFour(self.0[CARD_NUMBER_CHARS - SHOWN_CHARS..].to_owned())
    }
}

impl LastFour {
    /// Restores the characters from a record, unchecked.
    pub(crate) fn from_stored(text: &str) -> Self {
        LastFour(text.to_owned())
    }

    /// The four characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Card {
    /// Checks a card.
    ///
    /// # Errors
    /// [`Invalid`] that names the field.
    pub fn new(number: impl Into<String>, expiry: Option<String>) -> Result<Self, Invalid> {
        let number = CardNumber::new(number)?;
        let fits = |text: &String| text.len() <= MAX_EXPIRY_BYTES && !text.chars().any(char::is_control);
        if !expiry.as_ref().is_none_or(fits) {
            return Err(Invalid::new("expiry", format!("must be at most {MAX_EXPIRY_BYTES} bytes")));
        }
        Ok(Card { number, expiry })
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardNumber(…{})", self.last_four().as_str())
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_sixteen_letters_or_digits_and_stays_hidden() {
        let card = Card::new("4242424242421234", Some("12/2031".into())).unwrap();
        let shown = format!("{card:?}");
        assert!(shown.contains("1234") && !shown.contains("4242") && !shown.contains("2031"), "{shown}");
        assert_eq!(card.number.last_four().as_str(), "1234");
        for text in
            ["", "424242424242424", "42424242424242424", "4242-4242-4242-1", "424242424242424é", "4242 42424242424"]
        {
            let error = CardNumber::new(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
        assert!(Card::new("4242424242421234", Some("x".repeat(17))).is_err());
    }
}
