//! The gateway for trying things out: it takes no money, derives every answer from the order and the
//! card's last four characters, and so needs no memory and answers alike after a restart.

use std::time::Duration;

use async_trait::async_trait;

use super::{Authorisation, Capture, Known, NoAnswer, Payment, PaymentGateway};
use crate::domain::card::{Card, LastFour};

/// What the gateway does with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// It authorises and captures.
    Pays,
    /// It refuses.
    Refuses,
    /// It never hears of the payment: no answer, and nothing known later.
    TimesOut,
    /// It authorises, but the answer comes too late.
    AnswersLate,
    /// It authorises, and refuses to capture.
    RefusesCapture,
}

/// Endings of cards that are not simply paid with.
const CARDS: [(&str, Behaviour); 4] = [
    ("0002", Behaviour::Refuses),
    ("0069", Behaviour::TimesOut),
    ("0119", Behaviour::AnswersLate),
    ("0259", Behaviour::RefusesCapture),
];

fn behaviour(last_four: &LastFour) -> Behaviour {
    let found = CARDS.iter().find(|(ending, _)| *ending == last_four.as_str());
    found.map_or(Behaviour::Pays, |(_, behaviour)| *behaviour)
}

/// Cards that end in `0002` are refused, in `0069` time out, in `0119` are authorised but answered for too
/// late, in `0259` are authorised and then refused when the money is taken. All others pay.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedGateway;

fn transaction(payment: &Payment) -> String {
    format!("sim-{}", payment.order)
}

fn refused() -> String {
    "the card was declined".to_owned()
}

#[async_trait]
impl PaymentGateway for SimulatedGateway {
    async fn authorise(&self, payment: &Payment, _: &Card, timeout: Duration) -> Result<Authorisation, NoAnswer> {
        match behaviour(&payment.last_four) {
            Behaviour::Pays | Behaviour::RefusesCapture => {
                Ok(Authorisation::Authorised { transaction: transaction(payment) })
            }
            Behaviour::Refuses => Ok(Authorisation::Refused { reason: refused() }),
            Behaviour::TimesOut | Behaviour::AnswersLate => {
                tokio::time::sleep(timeout).await;
                Err(NoAnswer("the simulated gateway did not answer in time".into()))
            }
        }
    }

    async fn lookup(&self, payment: &Payment, _: Duration) -> Result<Known, NoAnswer> {
        Ok(match behaviour(&payment.last_four) {
            Behaviour::Pays | Behaviour::AnswersLate | Behaviour::RefusesCapture => {
                Known::Authorised { transaction: transaction(payment) }
            }
            Behaviour::Refuses => Known::Refused { reason: refused() },
            Behaviour::TimesOut => Known::Nothing,
        })
    }

    async fn void(&self, _: &Payment, _: Duration) -> Result<(), NoAnswer> {
        Ok(())
    }

    async fn capture(&self, payment: &Payment, _: Duration) -> Result<Capture, NoAnswer> {
        Ok(match behaviour(&payment.last_four) {
            Behaviour::RefusesCapture => Capture::Refused { reason: "the account was closed".into() },
            _ => Capture::Captured,
        })
    }
}
