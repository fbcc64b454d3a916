//! The simulated gateway, for trials and tests. It takes no money. It derives every answer from the order and the
//! card's last four characters, so it stores nothing and gives the same answers after a restart.

use std::time::Duration;

use async_trait::async_trait;

use super::gateway::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentGateway, PaymentState};
use crate::domain::card::{Card, LastFour};

/// The behaviour that the last four characters of a card's number select.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// It authorises and captures.
    Pays,
    /// It refuses.
    Refuses,
    /// It gives no answer, and does not know the payment later.
    TimesOut,
    /// It authorises, but the answer comes too late.
    AnswersLate,
    /// It authorises, and refuses to capture.
    RefusesCapture,
}

/// The behaviour of cards by their last four characters; all others pay.
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

/// A gateway whose behaviour the card selects. Cards that end in `0002` are refused; in `0069` time out; in `0119` are
/// authorised, but the answer is late; in `0259` are authorised, but the capture is refused. All others pay.
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
    async fn authorise(
        &self,
        payment: &Payment,
        _: &Card,
        timeout: Duration,
    ) -> Result<Authorisation, GatewayUnavailable> {
        match behaviour(&payment.last_four) {
            Behaviour::Pays | Behaviour::RefusesCapture => {
                Ok(Authorisation::Authorised { transaction: transaction(payment) })
            }
            Behaviour::Refuses => Ok(Authorisation::Refused { reason: refused() }),
            Behaviour::TimesOut | Behaviour::AnswersLate => {
                tokio::time::sleep(timeout).await;
                Err(GatewayUnavailable::new("the simulated gateway did not answer in time"))
            }
        }
    }

    async fn lookup(&self, payment: &Payment, _: Duration) -> Result<PaymentState, GatewayUnavailable> {
        Ok(match behaviour(&payment.last_four) {
            Behaviour::Pays | Behaviour::AnswersLate | Behaviour::RefusesCapture => {
                PaymentState::Authorised { transaction: transaction(payment) }
            }
            Behaviour::Refuses => PaymentState::Refused { reason: refused() },
            Behaviour::TimesOut => PaymentState::Nothing,
        })
    }

    async fn void(&self, _: &Payment, _: Duration) -> Result<(), GatewayUnavailable> {
        Ok(())
    }

    async fn capture(&self, payment: &Payment, _: Duration) -> Result<Capture, GatewayUnavailable> {
        Ok(match behaviour(&payment.last_four) {
            Behaviour::RefusesCapture => Capture::Refused { reason: "the account was closed".into() },
            _ => Capture::Captured,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Total;
    use crate::routing::{OrderId, Slot};

    /// The delay of a card that times out.
    const TIMEOUT: Duration = Duration::from_millis(1);

    struct Asked {
        authorised: Result<Authorisation, GatewayUnavailable>,
        known: Result<PaymentState, GatewayUnavailable>,
        captured: Result<Capture, GatewayUnavailable>,
    }

    fn ask(ending: &str) -> Asked {
        let card = Card::new(format!("424242424242{ending}"), None).unwrap();
        let order = OrderId::new(Slot(1), 1, 1);
        let payment = Payment { order, amount: Total::default(), last_four: card.number.last_four() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            assert_eq!(SimulatedGateway.void(&payment, TIMEOUT).await, Ok(()));
            Asked {
                authorised: SimulatedGateway.authorise(&payment, &card, TIMEOUT).await,
                known: SimulatedGateway.lookup(&payment, TIMEOUT).await,
                captured: SimulatedGateway.capture(&payment, TIMEOUT).await,
            }
        })
    }

    #[test]
    fn each_card_has_its_behaviour() {
        let asked = ask("4242");
        let (Ok(Authorisation::Authorised { transaction }), Ok(PaymentState::Authorised { transaction: known })) =
            (asked.authorised, asked.known)
        else {
            panic!("it is paid")
        };
        assert_eq!((transaction, asked.captured), (known, Ok(Capture::Captured)));

        let asked = ask("0002");
        assert!(matches!(asked.authorised, Ok(Authorisation::Refused { .. })));
        assert!(matches!(asked.known, Ok(PaymentState::Refused { .. })));

        let asked = ask("0069");
        assert!(asked.authorised.is_err());
        assert_eq!(asked.known, Ok(PaymentState::Nothing));

        let asked = ask("0119");
        assert!(asked.authorised.is_err());
        assert!(matches!(asked.known, Ok(PaymentState::Authorised { .. })));

        let asked = ask("0259");
        assert!(matches!(asked.authorised, Ok(Authorisation::Authorised { .. })));
        assert!(matches!(asked.captured, Ok(Capture::Refused { .. })));
    }
}
