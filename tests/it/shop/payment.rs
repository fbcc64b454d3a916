//! The client of payment gateways against a gateway that loses, repeats and delays messages.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shardcart::domain::card::Card;
use shardcart::domain::money::{Money, Total};
use shardcart::payment::{
    Authorisation, Capture, GatewayAddress, GatewayUnavailable, HttpGateway, Payment, PaymentState,
};
use shardcart::routing::{OrderId, Slot};
use socket2::{Domain, Socket, Type};
use tokio::task::JoinSet;

use crate::harness::{Action, DEADLINE, Fault, Gateway, eventually};

const CARD: &str = "4242424242421234";
/// The time limit of a call: enough for several attempts, and the duration of a call without an answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A time limit with room for an attempt without an answer and a second one, on a busy machine.
const PATIENT_TIMEOUT: Duration = Duration::from_secs(6);
/// The time that a connection takes at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most calls at a time.
const MAX_CALLS: usize = 256;

fn payment(number: u64) -> (Payment, Card) {
    let card = Card::new(CARD, Some("12/31".into())).expect("a card");
    let price = Money::from_hundredths(1_210).expect("a price");
    let order = OrderId::new(Slot(1), number, 7);
    (Payment { order, amount: Total::default().add(price, 2), last_four: card.number.last_four() }, card)
}

fn address(gateway: &Gateway) -> GatewayAddress {
    gateway.url().parse().expect("it is a URL")
}

fn client(gateway: &Gateway) -> HttpGateway {
    HttpGateway::new(&address(gateway)).expect("a client")
}

fn plan(gateway: &Gateway, times: u32, action: Action, fault: Fault) {
    (0..times).for_each(|_| gateway.plan(action, fault));
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("it ends in time") })
}

#[test]
fn an_amount_is_authorised_and_captured_once_whatever_is_lost() {
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
            assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Authorised { transaction }));
            assert_eq!(client.capture(&payment, TIMEOUT).await, Ok(Capture::Captured));
            assert_eq!(client.capture(&payment, TIMEOUT).await, Ok(Capture::Captured));
        });
        let paid = gateway.paid(&payment.order.to_string());
        assert_eq!((paid.authorised, paid.captured, paid.amount.as_str()), (1, 1, "24.20"), "{fault:?}");
    }
}

#[test]
fn a_void_of_an_unknown_order_refuses_a_later_authorisation() {
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(2);
    gateway.plan(Action::Void, Fault::Lose);
    run(async {
        assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Nothing));
        assert_eq!(client.void(&payment, TIMEOUT).await, Ok(()));
        assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Voided));
        let late = client.authorise(&payment, &card, TIMEOUT).await.expect("an answer");
        assert!(matches!(late, Authorisation::Refused { .. }), "{late:?}");
    });
    let paid = gateway.paid(&payment.order.to_string());
    assert_eq!((paid.authorised, paid.voided), (0, 1));
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
        assert!(matches!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Refused { .. })));
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
    plan(&gateway, 50, Action::Authorise, Fault::Fail);
    let Err(GatewayUnavailable { reason: failed, .. }) = run(silent.authorise(&payment, &card, TIMEOUT)) else {
        panic!("it answered")
    };
    assert!(failed.contains("500"), "{failed}");
    let address = address(&gateway);
    drop(gateway);
    let dead = HttpGateway::new(&address).expect("a client");
    let Err(GatewayUnavailable { reason: dead, .. }) = run(dead.authorise(&payment, &card, TIMEOUT)) else {
        panic!("it answered")
    };
    for text in [failed, dead, format!("{payment:?} {card:?}")] {
        assert!(!text.contains(CARD), "{text}");
    }
}

/// A redirect would take the card to wherever it points.
#[test]
fn a_redirect_is_not_followed() {
    let gateway = Gateway::start();
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("a socket");
    let to = elsewhere.local_addr().expect("an address");
    let client = client(&gateway);
    for status in ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = format!("HTTP/1.1 {status}\r\nlocation: http://{to}/payments/x\r\ncontent-length: 0\r\n\r\n");
        plan(&gateway, 50, Action::Authorise, Fault::Say(answer.leak()));
        let (payment, card) = payment(7);
        assert!(run(client.authorise(&payment, &card, TIMEOUT)).is_err(), "{status}");
    }
    assert!(elsewhere.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was followed");
}

#[test]
fn an_answer_that_is_late_or_comes_twice_charges_once() {
    for fault in [Fault::Hold, Fault::Late] {
        let gateway = Gateway::start();
        let client = client(&gateway);
        let (payment, card) = payment(6);
        let order = payment.order.to_string();
        gateway.plan(Action::Authorise, fault);
        gateway.plan(Action::Capture, fault);
        run(async {
            // The first attempt of each call waits. There is time for a second one, which is answered.
            let authorised = client.authorise(&payment, &card, PATIENT_TIMEOUT).await;
            assert!(matches!(authorised, Ok(Authorisation::Authorised { .. })), "{fault:?}: {authorised:?}");
            assert_eq!(client.capture(&payment, PATIENT_TIMEOUT).await, Ok(Capture::Captured), "{fault:?}");
        });
        // The first attempts continue only now, after everything is done.
        gateway.release();
        let paid =
            eventually("every request was served", || Some(gateway.paid(&order)).filter(|paid| paid.requests >= 4));
        assert_eq!((paid.authorised, paid.captured, paid.state), (1, 1, "captured"), "{fault:?}");
    }
}

#[test]
fn an_outcome_without_an_answer_is_looked_up_later() {
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(7);
    plan(&gateway, 50, Action::Authorise, Fault::Late);
    run(async {
        assert!(client.authorise(&payment, &card, TIMEOUT).await.is_err());
        assert!(matches!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Authorised { .. })));
        assert_eq!(client.void(&payment, TIMEOUT).await, Ok(()));
        assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Voided));
    });
    assert_eq!(gateway.paid(&payment.order.to_string()).authorised, 1);
}

#[test]
fn a_gateway_that_comes_back_is_asked_again_within_the_time() {
    let mut gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(8);
    gateway.stop();
    run(async {
        let (asked, ()) = tokio::join!(client.authorise(&payment, &card, DEADLINE), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            gateway.start_again();
        });
        assert!(matches!(asked, Ok(Authorisation::Authorised { .. })), "{asked:?}");
    });
    assert_eq!(gateway.paid(&payment.order.to_string()).authorised, 1);
}

async fn until_all_calls_are_held(gateway: &Gateway) {
    while gateway.seen().len() < MAX_CALLS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Moves money of a payment, whatever comes of it.
async fn move_money(client: &HttpGateway, action: Action, number: u64, timeout: Duration) {
    let (payment, _) = payment(number);
    let ended = match action {
        Action::Capture => client.capture(&payment, timeout).await.map(drop),
        Action::Refund => client.refund(&payment, timeout).await.map(drop),
        Action::Authorise | Action::Lookup | Action::Void => unreachable!("it moves no money"),
    };
    ended.expect("an answer");
}

/// Nobody waits for a capture, so captures that hang keep no customer waiting; nor do refunds, or one kind the other.
#[test]
fn captures_or_refunds_that_hang_delay_nothing_else() {
    for (hanging, other) in [(Action::Capture, Action::Refund), (Action::Refund, Action::Capture)] {
        let gateway = Gateway::start();
        let client = Arc::new(client(&gateway));
        plan(&gateway, 10_000, hanging, Fault::Hold);
        run(async {
            let mut held = JoinSet::new();
            for number in 0..MAX_CALLS as u64 {
                let client = client.clone();
                held.spawn(async move { move_money(&client, hanging, number, DEADLINE).await });
            }
            until_all_calls_are_held(&gateway).await;
            let (payment, card) = payment(1_000);
            let authorised = client.authorise(&payment, &card, PATIENT_TIMEOUT).await;
            assert!(matches!(authorised, Ok(Authorisation::Authorised { .. })), "{hanging:?}: {authorised:?}");
            let found = client.lookup(&payment, PATIENT_TIMEOUT).await;
            assert!(matches!(found, Ok(PaymentState::Authorised { .. })), "{hanging:?}: {found:?}");
            move_money(&client, other, 1_001, PATIENT_TIMEOUT).await;
        });
    }
}

#[test]
fn what_never_reached_the_gateway_is_told_from_what_may_have() {
    let mut gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(14);
    let arrived = |fault| {
        plan(&gateway, 50, Action::Authorise, fault);
        run(client.authorise(&payment, &card, TIMEOUT)).expect_err("no answer").may_have_arrived
    };
    assert!(arrived(Fault::Ignore), "it broke off");
    gateway.stop();
    let refused = run(client.authorise(&payment, &card, TIMEOUT)).expect_err("nobody listens");
    assert!(!refused.may_have_arrived && refused.reason.contains("cannot connect"), "{refused:?}");
}

/// An attempt that is cut off while it connects might have arrived: the last one begins with time to fail by itself.
#[test]
fn a_gateway_that_takes_no_connections_is_known_to_know_nothing() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    socket.listen(0).expect("it listens");
    let address = socket.local_addr().expect("an address").as_socket().expect("an address with a port");
    // Nobody accepts this one, so that there is no room for another.
    let _only = TcpStream::connect(address).expect("there is room for one");
    let client = HttpGateway::new(&format!("http://{address}/").parse().expect("a URL")).expect("a client");
    let (payment, card) = payment(15);
    let refused = run(client.authorise(&payment, &card, 4 * CONNECT_TIMEOUT)).expect_err("nobody accepts");
    assert!(!refused.may_have_arrived && refused.reason.contains("cannot connect"), "{refused:?}");
}

/// One more call than may be under way waits for its turn, no longer than its own time.
#[test]
fn calls_past_the_limit_wait_within_their_time() {
    let gateway = Gateway::start();
    let client = Arc::new(client(&gateway));
    plan(&gateway, 10_000, Action::Lookup, Fault::Hold);
    run(async {
        let lookup = |number, timeout| {
            let client = client.clone();
            async move { client.lookup(&payment(number).0, timeout).await }
        };
        let mut held = JoinSet::new();
        (0..MAX_CALLS as u64).for_each(|number| _ = held.spawn(lookup(number, DEADLINE)));
        until_all_calls_are_held(&gateway).await;
        let GatewayUnavailable { reason, .. } = lookup(1_000, TIMEOUT).await.expect_err("it had a turn");
        assert!(reason.contains("busy"), "{reason}");
        gateway.release();
        while let Some(answered) = held.join_next().await {
            assert_eq!(answered.expect("no panic"), Ok(PaymentState::Nothing));
        }
        assert_eq!(lookup(1_001, TIMEOUT).await, Ok(PaymentState::Nothing));
    });
}

#[test]
fn a_gateway_that_asks_for_time_gets_it() {
    const PATIENCE: &str = "HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 20\r\n\r\n{\"status\":\"refused\"}";
    const TOO_LONG: &str = "HTTP/1.1 503 X\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(9);
    gateway.plan(Action::Authorise, Fault::Say(PATIENCE));
    gateway.plan(Action::Lookup, Fault::Say(TOO_LONG));
    run(async {
        let since = Instant::now();
        // A 429 is not a refusal, regardless of its body.
        let authorised = client.authorise(&payment, &card, DEADLINE).await;
        assert!(matches!(authorised, Ok(Authorisation::Authorised { .. })), "{authorised:?}");
        assert!(since.elapsed() >= Duration::from_secs(1), "it was asked again too early");
        // The client neither waits for an hour nor asks earlier.
        assert!(client.lookup(&payment, DEADLINE / 2).await.is_err());
    });
}

#[test]
fn an_unreadable_answer_decides_nothing() {
    const UNREADABLE: &str = "HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\n<html>";
    const MOVED: &str = "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    const BROKEN_OFF: &str = "HTTP/1.1 200 X\r\nContent-Length: 600\r\n\r\n{\"status\":\"refused\"}";
    let endless = format!("HTTP/1.1 402 X\r\n\r\n{{\"status\":\"refused\",\"reason\":\"{}\"}}", "x".repeat(1 << 20));
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(10);
    for text in [UNREADABLE, MOVED, BROKEN_OFF, endless.leak()] {
        gateway.plan(Action::Authorise, Fault::Say(text));
    }
    run(async {
        let authorised = client.authorise(&payment, &card, DEADLINE).await;
        assert!(matches!(authorised, Ok(Authorisation::Authorised { .. })), "{authorised:?}");
    });
    assert_eq!(gateway.paid(&payment.order.to_string()).authorised, 1);
}

#[test]
fn other_errors_end_the_call_at_once() {
    const FORBIDDEN: &str = "HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n";
    const NOT_REFUSED: &str = "HTTP/1.1 401 X\r\nContent-Length: 20\r\n\r\n{\"status\":\"refused\"}";
    const MALFORMED: &str = "HTTP/1.1 422 X\r\nContent-Length: 20\r\n\r\n{\"status\":\"refused\"}";
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(11);
    for action in [Action::Authorise, Action::Lookup, Action::Void, Action::Capture] {
        gateway.plan(action, Fault::Say(FORBIDDEN));
    }
    gateway.plan(Action::Capture, Fault::Say(NOT_REFUSED));
    gateway.plan(Action::Authorise, Fault::Say(MALFORMED));
    run(async {
        // Half the deadline of the test: a repeated request would be answered.
        assert!(client.authorise(&payment, &card, DEADLINE / 2).await.is_err());
        assert!(client.lookup(&payment, DEADLINE / 2).await.is_err());
        assert!(client.void(&payment, DEADLINE / 2).await.is_err());
        assert!(client.capture(&payment, DEADLINE / 2).await.is_err());
        assert!(client.capture(&payment, DEADLINE / 2).await.is_err());
        let refused = client.authorise(&payment, &card, TIMEOUT).await;
        assert_eq!(refused, Ok(Authorisation::Refused { reason: "no reason given".into() }));
    });
    assert_eq!(gateway.seen().len(), 6);
}

#[test]
fn an_echoed_card_number_is_redacted() {
    const REFUSED: &str = "HTTP/1.1 402 X\r\n\r\n{\"status\":\"refused\",\"reason\":\"no 4242-4242-4242-1234 here\"}";
    const AS_ID: &str = "HTTP/1.1 200 X\r\n\r\n{\"status\":\"authorised\",\"transaction_id\":\"tx-4242424242421234\"}";
    let gateway = Gateway::start();
    let client = client(&gateway);
    let (payment, card) = payment(12);
    gateway.plan(Action::Authorise, Fault::Say(REFUSED));
    gateway.plan(Action::Authorise, Fault::Say(AS_ID));
    gateway.plan(Action::Lookup, Fault::Say(AS_ID));
    run(async {
        let refused = client.authorise(&payment, &card, TIMEOUT).await;
        assert_eq!(refused, Ok(Authorisation::Refused { reason: "no …1234 here".into() }));
        let transaction = "tx-…1234".to_owned();
        let authorised = client.authorise(&payment, &card, TIMEOUT).await;
        assert_eq!(authorised, Ok(Authorisation::Authorised { transaction: transaction.clone() }));
        assert_eq!(client.lookup(&payment, TIMEOUT).await, Ok(PaymentState::Authorised { transaction }));
    });
}

#[test]
fn the_token_is_sent() {
    let gateway = Gateway::start();
    let client = HttpGateway::with_token(&address(&gateway), Some("secret")).expect("a client");
    run(client.void(&payment(13).0, TIMEOUT)).expect("an answer");
    assert_eq!(gateway.authorizations(), ["Bearer secret"]);
}
