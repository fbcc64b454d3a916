//! A payment gateway over HTTP. The protocol below the configured URL or on the Unix socket, in which `ORDER` is the
//! order's id, a UUID, and the idempotency key of its requests:
//!
//! | request | answers |
//! |---|---|
//! | `PUT payments/ORDER` `{"amount":"12.10","card_number":"…","expiry":"…"}` | 200 `{"status":"authorised","transaction_id":"…"}`; 402 `{"status":"refused","reason":"…"}` |
//! | `GET payments/ORDER` | 200 `{"status":"authorised"\|"captured"\|"refunded"\|"refused"\|"voided", …}`; 404 when it is not known |
//! | `POST payments/ORDER/capture` | 200 `{"status":"captured"}`; 402, 404, 409, 410 or 422, in which `{"reason":"…"}` may say why: it will never be captured |
//! | `POST payments/ORDER/refund` | 200 `{"status":"refunded"}`; 402, 404, 409, 410 or 422, in which `{"reason":"…"}` may say why: it will never be refunded |
//! | `POST payments/ORDER/void` | 200 `{"status":"voided"}`, also for an order that is not known: a later PUT is refused then |
//!
//! A repeated request has the effect and the answer of the first one. Every request carries `Idempotency-Key: ORDER`,
//! and `Authorization: Bearer …` when `SHARDCART_PAYMENT_TOKEN` is set.
//!
//! After no answer, 408, 429, 5xx or an unreadable answer the request is repeated until the call's time is over, with
//! pauses of a [`Backoff`] that are never shorter than the answer's `Retry-After`. Any other 4xx ends the call at once
//! as [`GatewayUnavailable`], except for a PUT whose answer's body says `refused` or `voided`: that is a refusal.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::address::GatewayAddress;
use super::gateway::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentState, Refund};
use super::messages::{Answer, Authorise, State};
use super::redact::Redactor;
use crate::domain::card::Card;
use crate::error::{Error, Invalid, Result};
use crate::process::backoff::Backoff;
use crate::process::retry_after::retry_after;
use crate::process::tls;

/// The time limit of one attempt. It is shorter in a call without time for [`MIN_ATTEMPTS`].
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The number of attempts that a call has time for at least.
const MIN_ATTEMPTS: u32 = 2;
/// The longest pause before the second attempt; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, unless the gateway asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most calls at a time. More wait, within their time limits.
const MAX_CALLS: usize = 256;
/// The longest body of a request, in bytes. A buffer that grew would leave a copy of the card behind.
const MAX_REQUEST_BYTES: usize = 256;
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 << 10;
/// The answers that end a capture or a refund: the gateway does not have the money any more, or never had it.
const FINAL_REFUSALS: [StatusCode; 5] = [
    StatusCode::PAYMENT_REQUIRED,
    StatusCode::NOT_FOUND,
    StatusCode::CONFLICT,
    StatusCode::GONE,
    StatusCode::UNPROCESSABLE_ENTITY,
];
/// The environment variable with the bearer token.
const TOKEN_VARIABLE: &str = "SHARDCART_PAYMENT_TOKEN";
/// The base of the URLs on a Unix socket. No host is looked up.
const UNIX_BASE: &str = "http://gateway/";

/// The client of a payment gateway over HTTP. Every call names the order, which is its idempotency key: a repeated call
/// has the effect of one. A call ends within about its `timeout`, retries included.
pub struct HttpGateway {
    client: Client,
    base: Url,
    calls: Semaphore,
}

/// The gateway's reply to one attempt.
struct GatewayReply {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The body, if it is an answer of the protocol.
    answer: Option<Answer>,
}

impl HttpGateway {
    /// Makes the client of a gateway, with the token from the environment. For https, certificates are checked against
    /// the operating system's roots, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` names.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the token cannot be sent; [`Error::Internal`] when the client cannot be made.
    pub fn new(address: &GatewayAddress) -> Result<Self> {
        let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
        Self::with_token(address, token.as_deref())
    }

    /// Makes a client with a given bearer token, or none.
    ///
    /// # Errors
    /// Those of [`HttpGateway::new`].
    pub fn with_token(address: &GatewayAddress, token: Option<&str>) -> Result<Self> {
        tls::choose_provider();
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(token.map(authorization).transpose()?.unwrap_or_default());
        let mut base = match address {
            GatewayAddress::Http(url) => url.clone(),
            GatewayAddress::Unix(path) => {
                client = client.unix_socket(path.as_path());
                Url::parse(UNIX_BASE).map_err(|error| Error::Internal(format!("{UNIX_BASE}: {error}")))?
            }
        };
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        if base.scheme() == "http" {
            // Plain http needs no roots, so a machine without any must not fail here.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Error::Internal(format!("the payment gateway's client: {cause}"))
        })?;
        Ok(HttpGateway { client, base, calls: Semaphore::new(MAX_CALLS) })
    }

    fn request(
        &self,
        method: Method,
        payment: &Payment,
        action: &str,
    ) -> std::result::Result<RequestBuilder, GatewayUnavailable> {
        let path = format!("payments/{}{action}", payment.order);
        let url = self.base.join(&path).map_err(|_| GatewayUnavailable::new("the gateway's URL cannot be extended"))?;
        Ok(self.client.request(method, url).header("Idempotency-Key", payment.order.to_string()))
    }

    /// Sends a request, and repeats it until `read` understands an answer.
    async fn ask<T>(
        &self,
        request: RequestBuilder,
        timeout: Duration,
        read: impl Fn(StatusCode, Option<Answer>) -> Option<T>,
    ) -> std::result::Result<T, GatewayUnavailable> {
        let deadline = Instant::now() + timeout;
        let request = request.timeout(ATTEMPT_TIMEOUT.min(timeout / MIN_ATTEMPTS));
        let late = |last: &str| GatewayUnavailable::new(format!("the payment gateway did not answer in time ({last})"));
        let Ok(Ok(_permit)) = timeout_at(deadline, self.calls.acquire()).await else { return Err(late("busy")) };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut last = "no attempt".to_owned();
        loop {
            let Some(attempt) = request.try_clone() else { return Err(late("it cannot be repeated")) };
            let mut wanted = Duration::ZERO;
            match timeout_at(deadline, send_once(attempt)).await {
                Err(_) => return Err(late(&last)),
                Ok(Ok(GatewayReply { status, retry_after, .. })) if is_passing(status) => {
                    wanted = retry_after.unwrap_or_default();
                    last = format!("status {}", status.as_u16());
                }
                Ok(Ok(GatewayReply { status, answer, .. })) => match read(status, answer) {
                    Some(understood) => return Ok(understood),
                    None if status.is_client_error() => {
                        return Err(GatewayUnavailable::new(format!(
                            "the payment gateway answered with status {}",
                            status.as_u16()
                        )));
                    }
                    None => last = format!("status {}, not understood", status.as_u16()),
                },
                Ok(Err(error)) => last = error.to_owned(),
            }
            let pause = backoff.next(wanted);
            if Instant::now().checked_add(pause).is_none_or(|next| next >= deadline) {
                return Err(GatewayUnavailable { retry_after: wanted, ..late(&last) });
            }
            sleep(pause).await;
        }
    }
}

/// The token as a header that is marked as sensitive, so that it is not printed.
fn authorization(token: &str) -> Result<HeaderMap> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Error::Invalid(Invalid::general(format!("{TOKEN_VARIABLE} must be printable ASCII on one line")))
    })?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

/// True for a status after which the same request may succeed later, regardless of the body.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// Makes one attempt. The error names the failure, never the request's content.
async fn send_once(request: RequestBuilder) -> std::result::Result<GatewayReply, &'static str> {
    let explain = |error: reqwest::Error| match () {
        () if error.is_timeout() => "timed out",
        () if error.is_connect() => "cannot connect",
        () => "broke off",
    };
    let mut response = request.send().await.map_err(explain)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err("its answer is too long");
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after = retry_after(response.headers(), Timestamp::now());
    Ok(GatewayReply { status: response.status(), retry_after, answer: serde_json::from_slice(&body).ok() })
}

impl HttpGateway {
    /// Authorises the amount. The gateway refuses after a void of the order.
    ///
    /// # Errors
    /// [`GatewayUnavailable`]: the payment may be authorised or not; call [`HttpGateway::lookup`].
    pub async fn authorise(
        &self,
        payment: &Payment,
        card: &Card,
        timeout: Duration,
    ) -> std::result::Result<Authorisation, GatewayUnavailable> {
        let body = Authorise {
            amount: payment.amount.to_string().into(),
            card_number: card.number.reveal().into(),
            expiry: card.expiry.as_deref().map(Into::into),
        };
        let text = write(&body).ok_or_else(|| GatewayUnavailable::new("the request cannot be written"))?;
        // It is overwritten when the last attempt has ended.
        let body = Bytes::from_owner(text);
        let request = self.request(Method::PUT, payment, "")?.header(CONTENT_TYPE, "application/json").body(body);
        let redactor = Redactor::with_card(payment, card);
        self.ask(request, timeout, |status, answer| match (status.as_u16(), answer?) {
            (200 | 201, answer) if is_paid(answer.status) => {
                let transaction = redactor.transaction(answer.transaction_id.as_deref())?;
                Some(Authorisation::Authorised { transaction })
            }
            (400..500, answer) if matches!(answer.status, Some(State::Refused | State::Voided)) => {
                Some(Authorisation::Refused { reason: redactor.reason(answer.reason.as_deref()) })
            }
            _ => None,
        })
        .await
    }

    /// Looks up the state of an order's payment.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    pub async fn lookup(
        &self,
        payment: &Payment,
        timeout: Duration,
    ) -> std::result::Result<PaymentState, GatewayUnavailable> {
        let request = self.request(Method::GET, payment, "")?;
        let redactor = Redactor::of(payment);
        self.ask(request, timeout, |status, answer| match (status.as_u16(), answer) {
            (404, _) => Some(PaymentState::Nothing),
            (200, Some(answer)) => Some(match answer.status? {
                State::Authorised => {
                    PaymentState::Authorised { transaction: redactor.transaction(answer.transaction_id.as_deref())? }
                }
                State::Captured => {
                    PaymentState::Captured { transaction: redactor.transaction(answer.transaction_id.as_deref())? }
                }
                State::Refunded => PaymentState::Refunded,
                State::Refused => PaymentState::Refused { reason: redactor.reason(answer.reason.as_deref()) },
                State::Voided => PaymentState::Voided,
            }),
            _ => None,
        })
        .await
    }

    /// Voids an authorisation, so that a later one is refused. That holds also for an order that the gateway does not
    /// know.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    pub async fn void(&self, payment: &Payment, timeout: Duration) -> std::result::Result<(), GatewayUnavailable> {
        let request = self.request(Method::POST, payment, "/void")?;
        self.ask(request, timeout, |status, answer| {
            (status == StatusCode::OK && answer?.status == Some(State::Voided)).then_some(())
        })
        .await
    }

    /// Captures an authorised amount.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    pub async fn capture(
        &self,
        payment: &Payment,
        timeout: Duration,
    ) -> std::result::Result<Capture, GatewayUnavailable> {
        let request = self.request(Method::POST, payment, "/capture")?;
        self.ask(request, timeout, |status, answer| {
            let refused = |reason| Capture::Refused { reason };
            move_of_money(payment, (status, answer), State::Captured, Capture::Captured, refused)
        })
        .await
    }

    /// Refunds a captured amount.
    ///
    /// # Errors
    /// [`GatewayUnavailable`].
    pub async fn refund(
        &self,
        payment: &Payment,
        timeout: Duration,
    ) -> std::result::Result<Refund, GatewayUnavailable> {
        let request = self.request(Method::POST, payment, "/refund")?;
        self.ask(request, timeout, |status, answer| {
            let refused = |reason| Refund::Refused { reason };
            move_of_money(payment, (status, answer), State::Refunded, Refund::Refunded, refused)
        })
        .await
    }
}

/// Reads the answer to a capture or a refund: done with the status `wanted`, or finally refused.
/// The body of an authorisation, in a buffer that never grows; `None` when it is too long.
fn write(body: &Authorise<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(vec![0; MAX_REQUEST_BYTES]);
    let mut rest = &mut text[..];
    serde_json::to_writer(&mut rest, body).ok()?;
    let unused = rest.len();
    text.truncate(MAX_REQUEST_BYTES - unused);
    Some(text)
}

fn move_of_money<T>(
    payment: &Payment,
    (status, answer): (StatusCode, Option<Answer>),
    wanted: State,
    done: T,
    refused: impl Fn(String) -> T,
) -> Option<T> {
    let answer = answer.as_ref();
    if status == StatusCode::OK && answer.is_some_and(|answer| answer.status == Some(wanted)) {
        return Some(done);
    }
    let reason = answer.and_then(|answer| answer.reason.as_deref());
    let shown =
        || reason.map_or_else(|| format!("status {}", status.as_u16()), |_| Redactor::of(payment).reason(reason));
    FINAL_REFUSALS.contains(&status).then(|| refused(shown()))
}

fn is_paid(status: Option<State>) -> bool {
    matches!(status, Some(State::Authorised | State::Captured))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::{CARD_NUMBER_CHARS, MAX_EXPIRY_BYTES};
    use crate::domain::cart::{MAX_COUNT, MAX_LINES};
    use crate::domain::money::{MAX_HUNDREDTHS, Money, Total};

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        let address = "http://127.0.0.1:1/".parse().unwrap();
        let Err(Error::Invalid(invalid)) = HttpGateway::with_token(&address, Some("secret\n")) else {
            panic!("it is taken")
        };
        assert!(invalid.reason().contains(TOKEN_VARIABLE) && !invalid.reason().contains("secret"), "{invalid}");
        let headers = authorization("secret").unwrap();
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
    }

    #[test]
    fn the_longest_card_and_amount_fit_into_a_buffer_that_never_grows() {
        let highest = Money::from_hundredths(MAX_HUNDREDTHS).unwrap();
        let most = (0..MAX_LINES).fold(Total::default(), |total, _| total.add(highest, MAX_COUNT));
        let expiry = "\"".repeat(MAX_EXPIRY_BYTES);
        let body = |amount: String| {
            let card_number = "4".repeat(CARD_NUMBER_CHARS).into();
            write(&Authorise { amount: amount.into(), card_number, expiry: Some(expiry.as_str().into()) })
        };
        let text = body(most.to_string()).unwrap();
        assert_eq!(serde_json::from_slice::<Authorise<'_>>(&text).unwrap().expiry.as_deref(), Some(&*expiry));
        assert_eq!(text.capacity(), MAX_REQUEST_BYTES);
        assert!(body("1".repeat(MAX_REQUEST_BYTES)).is_none());
    }

    #[test]
    fn only_passing_failures_are_retried() {
        for (status, passing) in [
            (200, false),
            (302, false),
            (400, false),
            (404, false),
            (408, true),
            (409, false),
            (429, true),
            (503, true),
        ] {
            assert_eq!(is_passing(StatusCode::from_u16(status).unwrap()), passing, "{status}");
        }
    }
}
