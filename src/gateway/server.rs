//! The gateway's HTTP: payments by order, and the controls of a tester.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::control::Control;
use super::ledger::Ledger;
use super::rules;
use crate::domain::card::CardNumber;
use crate::payment::{Answer, Authorise};
use crate::process::overwrite::overwrite;

/// The longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 4 << 10;
/// The time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest amount, in bytes.
const MAX_AMOUNT_BYTES: usize = 40;
/// The time for which a request is held that gets no answer: longer than any client of the protocol waits.
const SILENCE: Duration = Duration::from_secs(20);

/// Everything that a request needs.
pub struct Gateway {
    ledger: Ledger,
    control: Mutex<Control>,
}

/// The wish to close the connection without an answer.
#[derive(Debug)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request gets no answer")
    }
}

impl std::error::Error for NoAnswer {}

type Reply = Response<Full<Bytes>>;

impl Gateway {
    /// Makes a gateway that behaves well.
    pub fn new(ledger: Ledger) -> Self {
        Gateway { ledger, control: Mutex::default() }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`NoAnswer`] when it gets none, because a tester or its card wants that.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, NoAnswer> {
        let (head, body) = request.into_parts();
        let body = match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body cannot be read, or is too long")),
            Err(_) => return Ok(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
        };
        let reply = self.route(&head, &body).await;
        // The head may be in the same buffer.
        drop(head);
        overwrite(body);
        reply
    }

    async fn route(&self, head: &Parts, body: &[u8]) -> Result<Reply, NoAnswer> {
        let path = head.uri.path().trim_matches('/');
        let segments: Vec<_> = path.split('/').collect();
        match segments.as_slice() {
            ["control"] => Ok(self.control(&head.method, body)),
            ["payments"] if head.method == Method::GET => match self.ledger.counts().await {
                Some(counts) => Ok(json(StatusCode::OK, &counts)),
                None => Err(NoAnswer),
            },
            ["payments", order, action @ ..] => self.payment(&head.method, order, action, body).await,
            _ => Ok(refusal(StatusCode::NOT_FOUND, "there is no such path")),
        }
    }

    fn control(&self, method: &Method, body: &[u8]) -> Reply {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if *method == Method::PUT {
            match Control::parse(body) {
                Ok(wanted) => *control = wanted,
                Err(invalid) => return refusal(StatusCode::BAD_REQUEST, &invalid.to_string()),
            }
        } else if *method != Method::GET {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "the control takes GET and PUT");
        }
        json(StatusCode::OK, &*control)
    }

    async fn payment(&self, method: &Method, order: &str, action: &[&str], body: &[u8]) -> Result<Reply, NoAnswer> {
        let control = *self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if control.away {
            return Err(NoAnswer);
        }
        let Ok(order) = order.parse::<Uuid>() else {
            return Ok(refusal(StatusCode::BAD_REQUEST, "an order is a UUID"));
        };
        let request = match (method.as_str(), action) {
            ("PUT", []) => match authorisation(body, control.refuse) {
                Some(request) => request,
                None => return Ok(refusal(StatusCode::BAD_REQUEST, "it needs an amount and a card_number")),
            },
            ("GET", []) => rules::Request::Lookup,
            ("POST", ["capture"]) => rules::Request::Capture,
            ("POST", ["refund"]) => rules::Request::Refund,
            ("POST", ["void"]) => rules::Request::Void,
            (_, [] | ["capture" | "refund" | "void"]) => {
                return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method"));
            }
            _ => return Ok(refusal(StatusCode::NOT_FOUND, "there is no such path")),
        };
        let said = self.ledger.ask(order, request).await.ok_or(NoAnswer)?;
        let Some((status, answer)) = said else {
            tokio::time::sleep(SILENCE).await;
            return Err(NoAnswer);
        };
        if control.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(control.delay_ms)).await;
        }
        Ok(json(status, &answer))
    }
}

/// Reads the body of an authorisation; `None` when it is malformed.
fn authorisation(body: &[u8], refuse: bool) -> Option<rules::Request> {
    let Authorise { amount, card_number, .. } = serde_json::from_slice(body).ok()?;
    let is_amount = |text: &str| {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = text.split_once('.');
        text.len() <= MAX_AMOUNT_BYTES
            && parts.is_some_and(|(whole, cents)| digits(whole) && digits(cents) && cents.len() == 2)
    };
    let last_four = CardNumber::new(card_number).ok()?.last_four().as_str().to_owned();
    is_amount(&amount).then(|| rules::Request::Authorise { amount: amount.into_owned(), last_four, refuse })
}

fn refusal(status: StatusCode, reason: &str) -> Reply {
    json(status, &Answer { status: None, transaction_id: None, reason: Some(reason.to_owned()) })
}

fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorisation_has_an_amount_and_a_card_of_which_four_characters_are_kept() {
        let body = |amount: &str, card: &str| format!(r#"{{"amount":"{amount}","card_number":"{card}"}}"#);
        let read = |body: &str| authorisation(body.as_bytes(), false);
        let request = read(&body("12.10", "4242424242421234"));
        let expected = rules::Request::Authorise { amount: "12.10".into(), last_four: "1234".into(), refuse: false };
        assert_eq!(request, Some(expected));
        for amount in ["", "12", "12.1", "12.100", "-1.00", "1e2.00", ".00", &format!("{}.00", "1".repeat(40))] {
            assert_eq!(read(&body(amount, "4242424242421234")), None, "{amount}");
        }
        for malformed in ["", "{}", &body("1.00", "4242"), r#"{"amount":1.00,"card_number":"4242424242421234"}"#] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }
}
