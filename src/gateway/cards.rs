//! The test cards: the last four characters of a card's number select what becomes of its payment, so that every
//! outcome can be tried from outside.

/// The behaviour of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It is authorised and captured.
    Pays,
    /// It is refused.
    Refuses,
    /// Its authorisations get lost: the gateway gives no answer, and does not know the payment later.
    GetsLost,
    /// It is authorised, but the answer never comes.
    LosesAnswers,
    /// It is authorised, and its capture is refused.
    RefusesCapture,
    /// It is authorised and captured, and its refund is refused.
    RefusesRefund,
}

/// The behaviour of cards by their last four characters; all others pay.
const CARDS: [(&str, Behaviour); 5] = [
    ("0002", Behaviour::Refuses),
    ("0069", Behaviour::GetsLost),
    ("0119", Behaviour::LosesAnswers),
    ("0259", Behaviour::RefusesCapture),
    ("0341", Behaviour::RefusesRefund),
];

/// The behaviour of the card with these last four characters.
pub fn behaviour(last_four: &str) -> Behaviour {
    CARDS.iter().find(|(ending, _)| *ending == last_four).map_or(Behaviour::Pays, |(_, behaviour)| *behaviour)
}
