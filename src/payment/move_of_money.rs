//! What an answer means to a request that moves money, a capture or a refund: done, finally refused, or neither. What its
//! body says counts before its status, since a gateway answers a repeated request in many ways.

use reqwest::StatusCode;

use super::messages::{Answer, State};
use super::redact::Redactor;

/// The end of a move.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The money was moved, now or before.
    Done,
    /// It will never be.
    Refused {
        /// The reason, for people.
        reason: String,
    },
}

/// The end of a move that leads to the state `wanted`; `None` when the request is to be repeated.
pub fn end(status: StatusCode, answer: Option<Answer>, wanted: State, redactor: Redactor<'_>) -> Option<End> {
    let (state, reason) = answer.map_or((None, None), |answer| (answer.status, answer.reason));
    if may_be_done(status) && state == Some(wanted) {
        return Some(End::Done);
    }
    let said = state.filter(|_| may_say_the_end(status)).and_then(name_of_final);
    if said.is_none() && !is_final(status) {
        return None;
    }
    let reason = match (reason, said) {
        (Some(reason), _) => redactor.reason(Some(&reason)),
        (None, Some(said)) => format!("the payment is {said}"),
        (None, None) => format!("status {}", status.as_u16()),
    };
    Some(End::Refused { reason })
}

/// True for a status under which the state in the body is that of a request that is done.
pub fn may_be_done(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::CONFLICT
}

/// True for a status under which the body speaks about the payment. 401 is about our token.
fn may_say_the_end(status: StatusCode) -> bool {
    status.is_success() || status.is_client_error() && status != StatusCode::UNAUTHORIZED
}

/// True for a status that ends the move whatever the body says. After 401 and 403 it may succeed with another token.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status)
}

/// The name of a state from which no money moves any more.
fn name_of_final(state: State) -> Option<&'static str> {
    match state {
        State::Refused => Some("refused"),
        State::Voided => Some("voided"),
        State::Refunded => Some("refunded"),
        State::Authorised | State::Captured => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::Card;
    use crate::domain::money::Total;
    use crate::payment::Payment;
    use crate::routing::{OrderId, Slot};

    fn read(status: u16, body: &str, wanted: State) -> Option<End> {
        let card = Card::new("4242424242424242", None).unwrap();
        let order = OrderId::new(Slot(1), 1, 7);
        let payment = Payment { order, amount: Total::default(), last_four: card.number.last_four() };
        let answer = serde_json::from_str(body).ok();
        end(StatusCode::from_u16(status).unwrap(), answer, wanted, Redactor::of(&payment))
    }

    fn refused(reason: &str) -> End {
        End::Refused { reason: reason.into() }
    }

    #[test]
    fn the_body_says_that_it_is_done() {
        for status in [200, 201, 202, 409] {
            assert_eq!(read(status, r#"{"status":"captured"}"#, State::Captured), Some(End::Done), "{status}");
            assert_eq!(read(status, r#"{"status":"refunded"}"#, State::Refunded), Some(End::Done), "{status}");
        }
    }

    #[test]
    fn the_body_says_that_it_is_refused() {
        for status in [200, 202, 400, 402, 403, 409] {
            for state in ["refused", "voided", "refunded"] {
                let body = format!(r#"{{"status":"{state}"}}"#);
                let expected = Some(refused(&format!("the payment is {state}")));
                assert_eq!(read(status, &body, State::Captured), expected, "{status}");
            }
        }
        let body = r#"{"status":"refused","reason":"closed"}"#;
        assert_eq!(read(409, body, State::Refunded), Some(refused("closed")));
    }

    #[test]
    fn the_status_says_that_it_is_refused() {
        for status in [400, 402, 404, 405, 409, 410, 422] {
            assert_eq!(read(status, "", State::Captured), Some(refused(&format!("status {status}"))));
        }
    }

    #[test]
    fn other_answers_end_nothing() {
        for (status, body) in [
            (200, "{}"),
            (200, r#"{"status":"authorised"}"#),
            (202, ""),
            (301, ""),
            (301, r#"{"status":"refused"}"#),
            (302, r#"{"status":"captured"}"#),
            (401, r#"{"status":"refused"}"#),
            (401, r#"{"status":"captured"}"#),
            (403, ""),
        ] {
            assert_eq!(read(status, body, State::Captured), None, "{status} {body}");
        }
    }
}
