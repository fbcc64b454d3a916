//! The payment gateway's client against a gateway that loses, repeats and delays.

use std::time::Duration;

use shardcart::domain::card::Card;
use shardcart::domain::money::{Money, Total};
use shardcart::key::{OrderId, Slot};
use shardcart::payment::{Authorisation, Capture, HttpGateway, Known, NoAnswer, Payment, PaymentGateway, PaymentKind};

use crate::harness::{Action, DEADLINE, Fault, Gateway};

const CARD: &str = "4242424242421234";
/// Enough for several attempts, and what a call that gets no answer takes.
const TIMEOUT: Duration = Duration::from_secs(2);

fn payment(number: u64) -> (Payment, Card) {
    let card = Card::new(CARD, Some("12/31".into())).expect("a card");
    let price = Money::from_hundredths(1_210).expect("a price");
    let order = OrderId::new(Slot(1), number, 7);
    (Payment { order, amount: Total::default().add(price, 2), last_four: card.number.last_four() }, card)
}

fn client(gateway: &Gateway) -> HttpGateway {
    let Ok(PaymentKind::Http(url)) = gateway.url().parse() else { panic!("it is a URL") };
    HttpGateway::new(url).expect("a client")
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("it ends in time") })
}

#[test]
fn an_amount_is_set_aside_and_taken_once_whatever_is_lost() {
    for fault in [Fault::Lose, Fault::Ignore, Fault::Fail] {
        let gateway = Gateway::start();
        let client = client(&gateway);
        let (payment, card) = payment(1);
        for action in [Action::Authorise, Action::Lookup, Action::Capture] {
            gateway.plan(action, fault);
        }
        run(async {
            let authorised = client.authorise(&payment, &card, TIMEOUT).await.expect("an answer");
            let transaction = format!("tx-{}", payment.order);
            assert_eq!(authorised, Authorisation::Authorised { transaction: transaction.clone() });
            assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(Known::Authorised { transaction }));
            assert_eq!(client.capture(&payment, TIMEOUT).await, Ok(Capture::Captured));
            assert_eq!(client.capture(&payment, TIMEOUT).await, Ok(Capture::Captured));
        });
        let paid = gateway.paid(&payment.order.to_string());
        assert_eq!((paid.authorised, paid.captured, paid.amount.as_str()), (1, 1, "24.20"), "{fault:?}");
    }
}

#[test]
fn a_void_is_remembered_for_an_order_that_was_never_heard_of() {
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(2);
    gateway.plan(Action::Void, Fault::Lose);
    run(async {
        assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(Known::Nothing));
        assert_eq!(client.void(&payment, TIMEOUT).await, Ok(()));
        assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(Known::Voided));
        let late = client.authorise(&payment, &card, TIMEOUT).await.expect("an answer");
        assert!(matches!(late, Authorisation::Refused { .. }), "{late:?}");
    });
    assert_eq!(gateway.paid(&payment.order.to_string()).authorised, 0);
}

#[test]
fn refusals_are_final() {
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(3);
    gateway.plan(Action::Authorise, Fault::Refuse);
    run(async {
        let refused = client.authorise(&payment, &card, TIMEOUT).await;
        assert_eq!(refused, Ok(Authorisation::Refused { reason: "declined".into() }));
        assert!(matches!(client.lookup(&payment, TIMEOUT).await, Ok(Known::Refused { .. })));
        let (paid, card) = self::payment(4);
        client.authorise(&paid, &card, TIMEOUT).await.expect("an answer");
        gateway.plan(Action::Capture, Fault::Refuse);
        assert_eq!(client.capture(&paid, TIMEOUT).await, Ok(Capture::Refused { reason: "closed".into() }));
    });
}

#[test]
fn silence_is_no_answer_and_shows_no_card() {
    let gateway = Gateway::start();
    let silent = client(&gateway);
    let (payment, card) = payment(5);
    for _ in 0..50 {
        gateway.plan(Action::Authorise, Fault::Fail);
    }
    let Err(NoAnswer(failed)) = run(silent.authorise(&payment, &card, TIMEOUT)) else { panic!("it answered") };
    assert!(failed.contains("500"), "{failed}");
    let url = gateway.url();
    drop(gateway);
    let Ok(PaymentKind::Http(url)) = url.parse() else { panic!("it is a URL") };
    let dead = HttpGateway::new(url).expect("a client");
    let Err(NoAnswer(dead)) = run(dead.authorise(&payment, &card, TIMEOUT)) else { panic!("it answered") };
    for text in [failed, dead, format!("{payment:?} {card:?}")] {
        assert!(!text.contains(CARD), "{text}");
    }
}
