//! The rules of the protocol: what a request does to a payment, and the answer. A repeated request changes nothing and
//! has the answer of the first one.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cards::{Behaviour, behaviour};
use crate::payment::{Answer, State};

/// A request about a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Set the money aside.
    Authorise {
        /// The amount, as it was written.
        amount: String,
        /// The last four characters of the card's number; nothing else of a card is kept.
        last_four: String,
        /// True when a tester wants new payments to be refused.
        refuse: bool,
    },
    /// Say what became of it.
    Lookup,
    /// Take the money that was set aside.
    Capture,
    /// Give the money back that was taken.
    Refund,
    /// Give up what was set aside, and refuse it from now on.
    Void,
}

/// A payment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// What became of it.
    pub state: State,
    /// The amount; empty when it was voided before it was authorised.
    amount: String,
    /// The last four characters of the card's number; empty when it was voided before it was authorised.
    last_four: String,
}

/// What a request leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The payment as it is from now on; `None` when the request changes nothing.
    pub changed: Option<Payment>,
    /// The status and the body; `None` when the gateway stays silent.
    pub answer: Option<(StatusCode, Answer)>,
}

impl Outcome {
    fn unchanged(status: StatusCode, answer: Answer) -> Self {
        Outcome { changed: None, answer: Some((status, answer)) }
    }
}

/// Decides what a request about an order does to its payment, which is `None` when it is not known.
pub fn apply(order: Uuid, payment: Option<&Payment>, request: &Request) -> Outcome {
    match request {
        Request::Authorise { amount, last_four, refuse } => authorise(order, payment, amount, last_four, *refuse),
        Request::Lookup => match payment {
            None => unknown(),
            Some(payment) => Outcome::unchanged(StatusCode::OK, answer(order, payment)),
        },
        Request::Capture => capture(order, payment),
        Request::Refund => refund(order, payment),
        Request::Void => void(order, payment),
    }
}

fn authorise(order: Uuid, payment: Option<&Payment>, amount: &str, last_four: &str, refuse: bool) -> Outcome {
    let card = behaviour(last_four);
    if payment.is_none() && card == Behaviour::GetsLost {
        return Outcome { changed: None, answer: None };
    }
    let changed = payment.is_none().then(|| Payment {
        state: if refuse || card == Behaviour::Refuses { State::Refused } else { State::Authorised },
        amount: amount.to_owned(),
        last_four: last_four.to_owned(),
    });
    let is_paid = |payment: &Payment| matches!(payment.state, State::Authorised | State::Captured);
    let answered = changed.as_ref().or(payment).map(|payment| {
        let status = if is_paid(payment) { StatusCode::OK } else { StatusCode::PAYMENT_REQUIRED };
        (status, answer(order, payment))
    });
    let is_silent = card == Behaviour::LosesAnswers && changed.as_ref().or(payment).is_some_and(is_paid);
    Outcome { changed, answer: answered.filter(|_| !is_silent) }
}

fn capture(order: Uuid, payment: Option<&Payment>) -> Outcome {
    let Some(payment) = payment else { return unknown() };
    match payment.state {
        State::Authorised if behaviour(&payment.last_four) == Behaviour::RefusesCapture => account_closed(),
        State::Authorised => change(order, Payment { state: State::Captured, ..payment.clone() }),
        State::Captured => Outcome::unchanged(StatusCode::OK, answer(order, payment)),
        State::Refused | State::Voided | State::Refunded => {
            Outcome::unchanged(StatusCode::CONFLICT, answer(order, payment))
        }
    }
}

fn refund(order: Uuid, payment: Option<&Payment>) -> Outcome {
    let Some(payment) = payment else { return unknown() };
    match payment.state {
        State::Captured if behaviour(&payment.last_four) == Behaviour::RefusesRefund => account_closed(),
        State::Captured => change(order, Payment { state: State::Refunded, ..payment.clone() }),
        State::Refunded => Outcome::unchanged(StatusCode::OK, answer(order, payment)),
        State::Authorised | State::Refused | State::Voided => {
            Outcome::unchanged(StatusCode::CONFLICT, answer(order, payment))
        }
    }
}

fn account_closed() -> Outcome {
    let reason = Some("the account was closed".to_owned());
    Outcome::unchanged(StatusCode::CONFLICT, Answer { status: Some(State::Refused), transaction_id: None, reason })
}

fn void(order: Uuid, payment: Option<&Payment>) -> Outcome {
    match payment {
        None => {
            let (amount, last_four) = (String::new(), String::new());
            change(order, Payment { state: State::Voided, amount, last_four })
        }
        Some(payment) => match payment.state {
            State::Authorised | State::Refused => change(order, Payment { state: State::Voided, ..payment.clone() }),
            State::Voided => Outcome::unchanged(StatusCode::OK, answer(order, payment)),
            State::Captured | State::Refunded => Outcome::unchanged(StatusCode::CONFLICT, answer(order, payment)),
        },
    }
}

fn change(order: Uuid, payment: Payment) -> Outcome {
    let answer = answer(order, &payment);
    Outcome { changed: Some(payment), answer: Some((StatusCode::OK, answer)) }
}

fn unknown() -> Outcome {
    let reason = Some("this order is not known".to_owned());
    Outcome::unchanged(StatusCode::NOT_FOUND, Answer { status: None, transaction_id: None, reason })
}

fn answer(order: Uuid, payment: &Payment) -> Answer {
    let reason = match payment.state {
        State::Authorised | State::Captured | State::Refunded => None,
        State::Refused => Some("the card was declined".to_owned()),
        State::Voided => Some("the payment was voided".to_owned()),
    };
    let transaction_id = reason.is_none().then(|| format!("sim-{order}"));
    Answer { status: Some(payment.state), transaction_id, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payment at the gateway, to which requests are made one after the other.
    #[derive(Default)]
    struct Account(Option<Payment>);

    impl Account {
        fn ask(&mut self, request: &Request) -> Option<(u16, Option<State>)> {
            let outcome = apply(Uuid::from_u128(1), self.0.as_ref(), request);
            self.0 = outcome.changed.or(self.0.take());
            outcome.answer.map(|(status, answer)| (status.as_u16(), answer.status))
        }

        fn authorise(&mut self, last_four: &str) -> Option<(u16, Option<State>)> {
            self.ask(&Request::Authorise { amount: "12.10".into(), last_four: last_four.into(), refuse: false })
        }
    }

    #[test]
    fn each_card_has_its_behaviour_and_a_repeated_request_its_first_answer() {
        let lookup = Request::Lookup;
        let mut pays = Account::default();
        for _ in 0..2 {
            assert_eq!(pays.authorise("4242"), Some((200, Some(State::Authorised))));
        }
        for _ in 0..2 {
            assert_eq!(pays.ask(&Request::Capture), Some((200, Some(State::Captured))));
        }
        assert_eq!(pays.authorise("4242"), Some((200, Some(State::Captured))));
        assert_eq!(pays.ask(&Request::Void), Some((409, Some(State::Captured))));

        let mut refused = Account::default();
        for _ in 0..2 {
            assert_eq!(refused.authorise("0002"), Some((402, Some(State::Refused))));
        }
        assert_eq!(refused.ask(&lookup), Some((200, Some(State::Refused))));
        assert_eq!(refused.ask(&Request::Capture), Some((409, Some(State::Refused))));

        let mut lost = Account::default();
        assert_eq!((lost.authorise("0069"), lost.ask(&lookup)), (None, Some((404, None))));

        let mut silent = Account::default();
        for _ in 0..2 {
            assert_eq!((silent.authorise("0119"), silent.ask(&lookup)), (None, Some((200, Some(State::Authorised)))));
        }

        let mut closed = Account::default();
        assert_eq!(closed.authorise("0259"), Some((200, Some(State::Authorised))));
        for _ in 0..2 {
            assert_eq!(closed.ask(&Request::Capture), Some((409, Some(State::Refused))));
        }
    }

    #[test]
    fn what_was_never_authorised_is_neither_found_nor_captured_and_a_void_wins() {
        let mut account = Account::default();
        assert_eq!(account.ask(&Request::Lookup), Some((404, None)));
        assert_eq!(account.ask(&Request::Capture), Some((404, None)));
        assert_eq!(account.0, None);
        for _ in 0..2 {
            assert_eq!(account.ask(&Request::Void), Some((200, Some(State::Voided))));
        }
        assert_eq!(account.authorise("4242"), Some((402, Some(State::Voided))));
        assert_eq!(account.ask(&Request::Capture), Some((409, Some(State::Voided))));
    }

    #[test]
    fn only_what_was_taken_is_given_back_and_once() {
        let mut account = Account::default();
        assert_eq!(account.ask(&Request::Refund), Some((404, None)));
        account.authorise("4242");
        assert_eq!(account.ask(&Request::Refund), Some((409, Some(State::Authorised))));
        account.ask(&Request::Capture);
        for _ in 0..2 {
            assert_eq!(account.ask(&Request::Refund), Some((200, Some(State::Refunded))));
        }
        assert_eq!(account.ask(&Request::Lookup), Some((200, Some(State::Refunded))));
        for late in [Request::Capture, Request::Void] {
            assert_eq!(account.ask(&late), Some((409, Some(State::Refunded))));
        }
        let mut closed = Account::default();
        closed.authorise("0341");
        assert_eq!(closed.ask(&Request::Capture), Some((200, Some(State::Captured))));
        for _ in 0..2 {
            assert_eq!(closed.ask(&Request::Refund), Some((409, Some(State::Refused))));
        }
    }

    #[test]
    fn a_tester_can_have_new_payments_refused() {
        let mut account = Account::default();
        let refuse = Request::Authorise { amount: "1.00".into(), last_four: "4242".into(), refuse: true };
        assert_eq!(account.ask(&refuse), Some((402, Some(State::Refused))));
        let mut paid = Account::default();
        paid.authorise("4242");
        assert_eq!(paid.ask(&refuse), Some((200, Some(State::Authorised))));
    }
}
