//! A payment gateway over HTTP. The protocol below the configured URL or on the Unix socket, in which `ORDER` is the
//! order's id, a UUID, and the idempotency key of its requests:
//!
//! | request | answers |
//! |---|---|
//! | `PUT payments/ORDER` `{"amount":"12.10","card_number":"…","expiry":"…"}` | 200 `{"status":"authorised","transaction_id":"…"}`; 402 `{"status":"refused","reason":"…"}` |
//! | `GET payments/ORDER` | 200 `{"status":"authorised"\|"captured"\|"refunded"\|"refused"\|"voided", …}`; 404 when it is not known |
//! | `POST payments/ORDER/capture` | 200 `{"status":"captured"}`; 409 `{"status":"refused","reason":"…"}`: it will never be captured |
//! | `POST payments/ORDER/refund` | 200 `{"status":"refunded"}`; 409 `{"status":"refused","reason":"…"}`: it will never be refunded |
//! | `POST payments/ORDER/void` | 200 `{"status":"voided"}`, also for an order that is not known: a later PUT is refused then |
//!
//! A repeated request has the effect and the answer of the first one. Every request carries `Idempotency-Key: ORDER`,
//! and `Authorization: Bearer …` when `SHARDCART_PAYMENT_TOKEN` is set.
//!
//! After no answer, 408, 425, 429, 5xx or an unreadable answer the request is repeated until the call's time is over, with
//! pauses of a [`Backoff`] that are never shorter than the answer's `Retry-After`. Any other 4xx ends the call at once
//! as [`GatewayUnavailable`], except for a PUT whose answer's body says `refused` or `voided`, which is a refusal, and for
//! what ends a capture or a refund ([`move_of_money`]).

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::address::GatewayAddress;
use super::attempt::{self, GatewayReply, NoAnswer};
use super::gateway::{Authorisation, Capture, GatewayUnavailable, Payment, PaymentState, Refund};
use super::messages::{Answer, Authorise, State};
use super::move_of_money::{self, End};
use super::redact::Redactor;
use crate::domain::card::Card;
use crate::error::{Error, Invalid, Result};
use crate::process::backoff::Backoff;
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
/// The most calls of a kind at a time. More wait, within their time limits. Each kind has its own, so that captures that
/// hang, for which nobody waits, keep no customer waiting.
const MAX_CALLS: usize = 256;
/// The longest body of a request, in bytes. A buffer that grew would leave a copy of the card behind.
const MAX_REQUEST_BYTES: usize = 256;
/// The environment variable with the bearer token.
const TOKEN_VARIABLE: &str = "SHARDCART_PAYMENT_TOKEN";
/// The base of the URLs on a Unix socket. No host is looked up.
const UNIX_BASE: &str = "http://gateway/";

/// The client of a payment gateway over HTTP. Every call names the order, which is its idempotency key: a repeated call
/// has the effect of one. A call ends within about its `timeout`, retries included.
pub struct HttpGateway {
    client: Client,
    base: Url,
    authorisations: Semaphore,
    inquiries: Semaphore,
    captures: Semaphore,
    refunds: Semaphore,
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
        let [authorisations, inquiries, captures, refunds] = [MAX_CALLS; 4].map(Semaphore::new);
        Ok(HttpGateway { client, base, authorisations, inquiries, captures, refunds })
    }

    fn request(
        &self,
        method: Method,
        payment: &Payment,
        action: &str,
    ) -> std::result::Result<RequestBuilder, GatewayUnavailable> {
        let path = format!("payments/{}{action}", payment.order);
        let url =
            self.base.join(&path).map_err(|_| GatewayUnavailable::not_asked("the gateway's URL cannot be extended"))?;
        Ok(self.client.request(method, url).header("Idempotency-Key", payment.order.to_string()))
    }

    /// Sends a request, and repeats it until `read` understands an answer. While no attempt may have reached the gateway,
    /// the last one begins with time to connect: of one that is cut off nobody knows whether it arrived.
    async fn ask<T>(
        calls: &Semaphore,
        request: RequestBuilder,
        timeout: Duration,
        read: impl Fn(StatusCode, Option<Answer>) -> Option<T>,
    ) -> std::result::Result<T, GatewayUnavailable> {
        let deadline = Instant::now() + timeout;
        let request = request.timeout(ATTEMPT_TIMEOUT.min(timeout / MIN_ATTEMPTS));
        let Ok(Ok(_permit)) = timeout_at(deadline, calls.acquire()).await else {
            return Err(GatewayUnavailable::not_asked("busy: too many calls to the payment gateway are under way"));
        };
        let mut may_have_arrived = false;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut last = "no attempt".to_owned();
        loop {
            let Some(request) = request.try_clone() else {
                return Err(GatewayUnavailable { may_have_arrived, ..late(&last) });
            };
            let mut wanted = Duration::ZERO;
            let asked = timeout_at(deadline, attempt::send_once(request)).await;
            may_have_arrived |= !matches!(asked, Ok(Err(NoAnswer::NotConnected)));
            match asked {
                Err(_) => return Err(late(&last)),
                Ok(Ok(GatewayReply { status, retry_after, .. })) if attempt::is_passing(status) => {
                    wanted = retry_after.unwrap_or_default();
                    last = format!("status {}", status.as_u16());
                }
                Ok(Ok(GatewayReply { status, answer, .. })) => match read(status, answer) {
                    Some(understood) => return Ok(understood),
                    None if status.is_client_error() => {
                        return Err(GatewayUnavailable::asked(format!(
                            "the payment gateway answered with status {}",
                            status.as_u16()
                        )));
                    }
                    None => last = format!("status {}, not understood", status.as_u16()),
                },
                Ok(Err(no_answer)) => no_answer.why().clone_into(&mut last),
            }
            let pause = backoff.next(wanted);
            let needed = if may_have_arrived { pause } else { pause + CONNECT_TIMEOUT };
            if Instant::now().checked_add(needed).is_none_or(|next| next >= deadline) {
                return Err(GatewayUnavailable { retry_after: wanted, may_have_arrived, ..late(&last) });
            }
            sleep(pause).await;
        }
    }
}

fn late(last: &str) -> GatewayUnavailable {
    GatewayUnavailable::asked(format!("the payment gateway did not answer in time ({last})"))
}

/// The token as a header that is marked as sensitive, so that it is not printed.
fn authorization(token: &str) -> Result<HeaderMap> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Error::Invalid(Invalid::general(format!("{TOKEN_VARIABLE} must be printable ASCII on one line")))
    })?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

impl HttpGateway {
    /// Authorises the amount. The gateway refuses after a void of the order.
    ///
    /// # Errors
    /// [`GatewayUnavailable`]: the payment may be authorised or not, if it may have arrived; call [`HttpGateway::lookup`].
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
        let text = write(&body).ok_or_else(|| GatewayUnavailable::not_asked("the request cannot be written"))?;
        // It is overwritten when the last attempt has ended.
        let body = Bytes::from_owner(text);
        let request = self.request(Method::PUT, payment, "")?.header(CONTENT_TYPE, "application/json").body(body);
        let redactor = Redactor::with_card(payment, card);
        Self::ask(&self.authorisations, request, timeout, |status, answer| match (status.as_u16(), answer?) {
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
        Self::ask(&self.inquiries, request, timeout, |status, answer| match (status.as_u16(), answer) {
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
        Self::ask(&self.inquiries, request, timeout, |status, answer| {
            (move_of_money::may_be_done(status) && answer?.status == Some(State::Voided)).then_some(())
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
        let redactor = Redactor::of(payment);
        Self::ask(&self.captures, request, timeout, |status, answer| {
            Some(match move_of_money::end(status, answer, State::Captured, redactor)? {
                End::Done => Capture::Captured,
                End::Refused { reason } => Capture::Refused { reason },
            })
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
        let redactor = Redactor::of(payment);
        Self::ask(&self.refunds, request, timeout, |status, answer| {
            Some(match move_of_money::end(status, answer, State::Refunded, redactor)? {
                End::Done => Refund::Refunded,
                End::Refused { reason } => Refund::Refused { reason },
            })
        })
        .await
    }
}

/// The body of an authorisation, in a buffer that never grows; `None` when it is too long.
fn write(body: &Authorise<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(vec![0; MAX_REQUEST_BYTES]);
    let mut rest = &mut text[..];
    serde_json::to_writer(&mut rest, body).ok()?;
    let unused = rest.len();
    text.truncate(MAX_REQUEST_BYTES - unused);
    Some(text)
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
}
