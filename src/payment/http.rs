//! A payment gateway over HTTP. The protocol, below the configured URL; `ORDER` is the order's id, a UUID,
//! and the idempotency key of everything about it:
//!
//! | request | answers |
//! |---|---|
//! | `PUT payments/ORDER` `{"amount":"12.10","card_number":"…","expiry":"…"}` | 200 `{"status":"authorised","transaction_id":"…"}`; 402 `{"status":"refused","reason":"…"}` |
//! | `GET payments/ORDER` | 200 `{"status":"authorised"\|"captured"\|"refused"\|"voided", …}`; 404 when it is not known |
//! | `POST payments/ORDER/capture` | 200 `{"status":"captured"}`; 409 `{"status":"refused","reason":"…"}` |
//! | `POST payments/ORDER/void` | 200 `{"status":"voided"}`, also for an order that is not known: a later PUT is refused then |
//!
//! A request that is repeated has the effect and the answer of the first one. Every request carries
//! `Idempotency-Key: ORDER`, and `Authorization: Bearer …` when `SHARDCART_PAYMENT_TOKEN` is set. No answer,
//! or any other one, is tried again with full jitter (AWS Architecture Blog, "Exponential Backoff And
//! Jitter", 2015) until the call's time is over.

use std::sync::Once;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Authorisation, Capture, Known, NoAnswer, Payment, PaymentGateway};
use crate::domain::card::Card;
use crate::error::{Error, Result};

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of all.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Calls at a time; more wait, within their time.
const MAX_CALLS: usize = 256;
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 10;
/// How much of a reason is kept, in characters.
const MAX_REASON_CHARS: usize = 200;
/// The longest transaction id that is taken, in bytes.
const MAX_TRANSACTION_BYTES: usize = 128;
/// The environment variable with a bearer token.
const TOKEN_VARIABLE: &str = "SHARDCART_PAYMENT_TOKEN";

/// A gateway that is asked over HTTP.
pub struct HttpGateway {
    client: Client,
    base: Url,
    token: Option<String>,
    calls: Semaphore,
}

#[derive(Serialize)]
struct Authorise<'a> {
    amount: String,
    card_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    status: State,
    transaction_id: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Authorised,
    Captured,
    Refused,
    Voided,
}

impl HttpGateway {
    /// A gateway below a URL. Certificates are checked against the operating system's roots.
    ///
    /// # Errors
    /// [`Error::Fault`] when the client cannot be made.
    pub fn new(mut base: Url) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Somebody else in this process may have chosen one already; that does as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .build()
            .map_err(|error| Error::Fault(format!("the payment gateway's client: {error}")))?;
        let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
        Ok(HttpGateway { client, base, token, calls: Semaphore::new(MAX_CALLS) })
    }

    fn request(
        &self,
        method: Method,
        payment: &Payment,
        action: &str,
    ) -> std::result::Result<RequestBuilder, NoAnswer> {
        let path = format!("payments/{}{action}", payment.order);
        let url = self.base.join(&path).map_err(|_| NoAnswer("the gateway's URL cannot be extended".into()))?;
        let request = self.client.request(method, url).header("Idempotency-Key", payment.order.to_string());
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// Sends a request until `read` understands an answer to it.
    async fn ask<T>(
        &self,
        request: RequestBuilder,
        timeout: Duration,
        read: impl Fn(StatusCode, Option<Answer>) -> Option<T>,
    ) -> std::result::Result<T, NoAnswer> {
        let deadline = Instant::now() + timeout;
        let late = |last: &str| NoAnswer(format!("the payment gateway did not answer in time ({last})"));
        let Ok(Ok(_permit)) = timeout_at(deadline, self.calls.acquire()).await else { return Err(late("busy")) };
        let mut longest = FIRST_PAUSE;
        let mut last = "no attempt".to_owned();
        loop {
            let Some(attempt) = request.try_clone() else { return Err(late("it cannot be repeated")) };
            match timeout_at(deadline, exchange(attempt)).await {
                Err(_) => return Err(late(&last)),
                Ok(Ok((status, answer))) => match read(status, answer) {
                    Some(understood) => return Ok(understood),
                    None => last = format!("status {}", status.as_u16()),
                },
                Ok(Err(error)) => last = error,
            }
            let pause = longest.mul_f64(jitter());
            if Instant::now() + pause >= deadline {
                return Err(late(&last));
            }
            sleep(pause).await;
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
    }
}

/// A number from 0 to 1, random enough to keep clients apart.
fn jitter() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

/// One attempt: the status, and the body where it is an answer of the protocol. The error's text names
/// what failed, never what was sent.
async fn exchange(request: RequestBuilder) -> std::result::Result<(StatusCode, Option<Answer>), String> {
    let explain = |error: reqwest::Error| {
        let error = error.without_url();
        let kind = match () {
            () if error.is_timeout() => "timed out",
            () if error.is_connect() => "cannot connect",
            () => "broke off",
        };
        kind.to_owned()
    };
    let mut response = request.send().await.map_err(explain)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err("its answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, serde_json::from_slice(&body).ok()))
}

/// The gateway's words, cut short and made printable. A gateway that echoes what it was sent must not
/// bring a card's number into our records, so runs of characters that could be one are masked.
fn reason(answer: &Answer) -> String {
    let text = answer.reason.as_deref().unwrap_or("no reason given");
    let mut words = String::new();
    for word in text.split_inclusive(|char: char| !char.is_ascii_alphanumeric()) {
        let letters = word.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
        let has_digits = letters.bytes().any(|byte| byte.is_ascii_digit());
        let could_be_a_card = letters.len() >= 16 || (letters.len() >= 12 && has_digits);
        words.push_str(if could_be_a_card { "…" } else { letters });
        words.push_str(&word[letters.len()..]);
    }
    words.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_REASON_CHARS).collect()
}

/// A transaction's id, where it is one that can be kept.
fn transaction(answer: &Answer) -> Option<String> {
    let id = answer.transaction_id.clone()?;
    let fits = (1..=MAX_TRANSACTION_BYTES).contains(&id.len()) && !id.chars().any(char::is_control);
    fits.then_some(id)
}

#[async_trait]
impl PaymentGateway for HttpGateway {
    async fn authorise(
        &self,
        payment: &Payment,
        card: &Card,
        timeout: Duration,
    ) -> std::result::Result<Authorisation, NoAnswer> {
        let body = Authorise {
            amount: payment.amount.to_string(),
            card_number: card.number.reveal(),
            expiry: card.expiry.as_deref(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| NoAnswer("the request cannot be written".into()))?;
        let request = self.request(Method::PUT, payment, "")?.header("Content-Type", "application/json").body(body);
        let hidden = card.number.reveal();
        self.ask(request, timeout, |status, answer| match (status.as_u16(), answer?) {
            (200 | 201, answer) if matches!(answer.status, State::Authorised | State::Captured) => {
                let transaction = transaction(&answer).filter(|id| !id.contains(hidden))?;
                Some(Authorisation::Authorised { transaction })
            }
            (400..500, answer) if matches!(answer.status, State::Refused | State::Voided) => {
                Some(Authorisation::Refused { reason: reason(&answer).replace(hidden, "…") })
            }
            _ => None,
        })
        .await
    }

    async fn lookup(&self, payment: &Payment, timeout: Duration) -> std::result::Result<Known, NoAnswer> {
        let request = self.request(Method::GET, payment, "")?;
        self.ask(request, timeout, |status, answer| match (status.as_u16(), answer) {
            (404, _) => Some(Known::Nothing),
            (200, Some(answer)) => Some(match answer.status {
                State::Authorised | State::Captured => Known::Authorised { transaction: transaction(&answer)? },
                State::Refused => Known::Refused { reason: reason(&answer) },
                State::Voided => Known::Voided,
            }),
            _ => None,
        })
        .await
    }

    async fn void(&self, payment: &Payment, timeout: Duration) -> std::result::Result<(), NoAnswer> {
        let request = self.request(Method::POST, payment, "/void")?;
        self.ask(request, timeout, |status, answer| {
            (status == StatusCode::OK && answer?.status == State::Voided).then_some(())
        })
        .await
    }

    async fn capture(&self, payment: &Payment, timeout: Duration) -> std::result::Result<Capture, NoAnswer> {
        let request = self.request(Method::POST, payment, "/capture")?;
        self.ask(request, timeout, |status, answer| match (status.as_u16(), answer?) {
            (200, answer) if answer.status == State::Captured => Some(Capture::Captured),
            (400..500, answer) if answer.status == State::Refused => Some(Capture::Refused { reason: reason(&answer) }),
            _ => None,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_gateway_hide_what_could_be_a_card() {
        let answer =
            |reason: &str| Answer { status: State::Refused, transaction_id: None, reason: Some(reason.into()) };
        assert_eq!(reason(&answer("card 4242424242424242 was declined\n")), "card … was declined ");
        assert_eq!(reason(&answer("abcd1234efgh5678")), "…");
        assert_eq!(reason(&answer("insufficient funds")), "insufficient funds");
        assert_eq!(reason(&answer(&"é".repeat(500))).chars().count(), MAX_REASON_CHARS);
    }

    #[test]
    fn jitter_is_between_nothing_and_all() {
        assert!((0..1_000).map(|_| jitter()).all(|part| (0.0..=1.0).contains(&part)));
    }
}
