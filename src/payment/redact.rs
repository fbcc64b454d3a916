//! Redacts card numbers from texts that a payment gateway returns, and limits their length. A gateway may echo the
//! request.

use super::gateway::Payment;
use crate::domain::card::{CARD_NUMBER_CHARS, Card};

/// The longest reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 256;
/// The longest transaction id that is kept, in bytes.
const MAX_TRANSACTION_BYTES: usize = 128;
/// The number of a card number's last characters that are always shown.
const SHOWN_CHARS: usize = 4;
/// The size of the groups that cards are printed in, in characters.
const GROUP_CHARS: usize = 4;
/// The least length of a word with digits that could be a card's number, in characters.
const POSSIBLE_NUMBER_CHARS: usize = 12;

/// Redacts the number of the card that pays.
#[derive(Clone, Copy)]
pub struct Redactor<'a> {
    last_four: &'a str,
    /// The card's number, if it is known. Otherwise every possible number with its last four characters is redacted.
    number: Option<&'a str>,
}

impl<'a> Redactor<'a> {
    /// Makes a redactor for a payment whose card is no longer known.
    pub fn of(payment: &'a Payment) -> Self {
        Redactor { last_four: payment.last_four.as_str(), number: None }
    }

    /// Makes a redactor for a payment with its card.
    pub fn with_card(payment: &'a Payment, card: &'a Card) -> Self {
        Redactor { number: Some(card.number.reveal()), ..Redactor::of(payment) }
    }

    /// Redacts a gateway's reason. Words that could be any card's number are hidden too.
    pub fn reason(self, text: Option<&str>) -> String {
        let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("no reason given");
        // Words are masked first, since hiding splits them. The cut comes last: a number cut in two is not recognised.
        cut(&self.hide(&mask_long_digit_runs(text)), MAX_REASON_BYTES)
    }

    /// Redacts a gateway's id of a transaction; `None` if there is none.
    pub fn transaction(self, text: Option<&str>) -> Option<String> {
        text.filter(|text| !text.is_empty()).map(|text| cut(&self.hide(text), MAX_TRANSACTION_BYTES))
    }

    /// Replaces all but the last four characters of the number, regardless of separators between its characters.
    fn hide(self, text: &str) -> String {
        let places: Vec<(usize, char)> = text.char_indices().filter(|(_, char)| char.is_ascii_alphanumeric()).collect();
        let (mut shown, mut done) = (String::with_capacity(text.len()), 0);
        for window in places.windows(CARD_NUMBER_CHARS).filter(|window| self.is_number(window)) {
            let (start, end) = (window[0].0, window[CARD_NUMBER_CHARS - SHOWN_CHARS].0);
            if start >= done {
                shown.push_str(&text[done..start]);
                shown.push('…');
            }
            done = end;
        }
        shown + &text[done..]
    }

    /// True when these letters and digits, each with its position, are the number or could be.
    fn is_number(self, window: &[(usize, char)]) -> bool {
        let letters: String = window.iter().map(|(_, char)| *char).collect();
        if let Some(number) = self.number {
            return letters.eq_ignore_ascii_case(number);
        }
        if !letters[CARD_NUMBER_CHARS - SHOWN_CHARS..].eq_ignore_ascii_case(self.last_four) {
            return false;
        }
        let grouped =
            window.windows(2).zip(1..).all(|(two, index)| two[1].0 == two[0].0 + 1 || index % GROUP_CHARS == 0);
        grouped || letters.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Masks words that could be the number of any card.
fn mask_long_digit_runs(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for word in text.split_inclusive(|char: char| !char.is_ascii_alphanumeric()) {
        let letters = word.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
        let has_digits = letters.bytes().any(|byte| byte.is_ascii_digit());
        let suspect = letters.len() >= CARD_NUMBER_CHARS || (letters.len() >= POSSIBLE_NUMBER_CHARS && has_digits);
        words.push_str(if suspect { "…" } else { letters });
        words.push_str(&word[letters.len()..]);
    }
    words
}

fn cut(text: &str, max_bytes: usize) -> String {
    let kept = &text[..text.floor_char_boundary(max_bytes)];
    kept.chars().map(|char| if char.is_control() { ' ' } else { char }).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Total;
    use crate::routing::{OrderId, Slot};
    use proptest::prelude::*;

    const NUMBER: &str = "4242424242421234";

    fn payment(card: &Card) -> Payment {
        let order = OrderId::new(Slot(1), 1, 1);
        Payment { order, amount: Total::default(), last_four: card.number.last_four() }
    }

    fn card(number: &str) -> Card {
        Card::new(number, None).unwrap()
    }

    #[test]
    fn a_number_is_hidden_however_it_is_written() {
        let card = card(NUMBER);
        let payment = payment(&card);
        for text in
            [NUMBER, "4242 4242 4242 1234", "4242-4242-4242-1234", "42 42.42/42 424 2 1234", "4242\u{a0}424242421234"]
        {
            for hidden in [Redactor::of(&payment), Redactor::with_card(&payment, &card)] {
                assert_eq!(hidden.hide(&format!("card {text} declined")), "card …1234 declined", "{text}");
                assert_eq!(hidden.transaction(Some(&format!("tx-{text}"))).unwrap(), "tx-…1234", "{text}");
                assert!(!hidden.reason(Some(&format!("é{text}{text}"))).contains("42424242"), "{text}");
            }
        }
    }

    #[test]
    fn letters_in_a_number_may_change_their_case() {
        let card = card("abcdEFGH1234wxyz");
        let payment = payment(&card);
        for hidden in [Redactor::of(&payment), Redactor::with_card(&payment, &card)] {
            for text in ["ABCDEFGH1234WXYZ", "abcd-efgh-1234-wxyz"] {
                assert!(hidden.hide(text).starts_with('…'), "{text}");
            }
        }
    }

    #[test]
    fn other_texts_stay() {
        let card = card(NUMBER);
        let payment = payment(&card);
        for hidden in [Redactor::of(&payment), Redactor::with_card(&payment, &card)] {
            for text in ["insufficient funds", "the limit of the card that ends in 1234 is reached"] {
                assert_eq!(hidden.reason(Some(text)), text);
            }
            for text in ["ch_3MmlLrLkdIwHu7ix0snN0B15", "9f0c9a3e-7c1b-4d0e-8a55-0e9b6c2f1d77"] {
                assert_eq!(hidden.transaction(Some(text)).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn other_cards_are_hidden_in_reasons_too() {
        let card = card(NUMBER);
        let payment = payment(&card);
        let hidden = Redactor::of(&payment);
        assert_eq!(hidden.reason(Some("card 4929123412341111 was declined\n")), "card … was declined ");
        assert_eq!(hidden.reason(Some("abcd1234efgh5678")), "…");
    }

    #[test]
    fn lengths_are_bounded_and_nothing_is_a_reason_too() {
        let card = card(NUMBER);
        let payment = payment(&card);
        let hidden = Redactor::of(&payment);
        assert_eq!(hidden.reason(Some(&"é".repeat(500))).len(), MAX_REASON_BYTES);
        assert_eq!(hidden.transaction(Some(&"é".repeat(500))).unwrap().len(), MAX_TRANSACTION_BYTES);
        assert_eq!(hidden.transaction(Some("a\r\nb")).as_deref(), Some("a  b"));
        assert_eq!((hidden.transaction(Some("")), hidden.transaction(None)), (None, None));
        for nothing in [None, Some(""), Some(" ")] {
            assert_eq!(hidden.reason(nothing), "no reason given");
        }
    }

    proptest! {
        #[test]
        fn no_text_shows_the_number(before in ".{0,300}", after in ".{0,20}", separator in "[ -]?") {
            let card = card(NUMBER);
            let payment = payment(&card);
            let written = ["4242", "4242", "4242", "1234"].join(&separator);
            for hidden in [Redactor::of(&payment), Redactor::with_card(&payment, &card)] {
                let text = format!("{before} {written} {after}");
                for kept in [hidden.reason(Some(&text)), hidden.transaction(Some(&text)).unwrap()] {
                    prop_assert!(!kept.contains(&written), "{}", kept);
                }
            }
        }
    }
}
