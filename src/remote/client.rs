//! The client of a store: sends a request, and sends it again while that is safe and may help.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::attempt::{Lost, MAX_ANSWER_BYTES, Received, send_once};
use super::outcome::{Failure, Outcome};
use super::request::{BodyType, Effect, Request};
use super::store_url::StoreUrl;
use super::verdict::{Verdict, judge, settles};
use crate::access::Secret;
use crate::error::{Error, Result};
use crate::process::backoff::Backoff;
use crate::process::tls;

/// The time for a request with all its attempts, unless a caller says another one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit of one attempt. A store answers an order within 10 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);
/// An attempt with less time than this is not begun, unless a request has no more than twice as much: cut short, it would
/// leave open what the one before has settled.
const LEAST_ATTEMPT: Duration = Duration::from_millis(500);
/// The time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest pause before the second attempt; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, unless the store asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The connections that are kept for later requests.
const MAX_IDLE_CONNECTIONS: usize = 64;
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A client of one store. Copies share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: StoreUrl,
}

/// The state of a request that is sent until its outcome is known.
struct Attempts<'a> {
    request: &'a Request,
    count: u32,
    /// True once an attempt of a write may have been applied.
    may_be_applied: bool,
}

/// The end of one attempt.
enum Step {
    End(std::result::Result<Answer, Failure>),
    /// Another attempt may follow; without one, this is the failure.
    Again(Failure),
}

impl Client {
    /// Makes a client. The key goes to this store only: redirects are not followed, and proxies of the environment are not
    /// used. For https, certificates are checked against the operating system's roots, or those that `SSL_CERT_FILE` or
    /// `SSL_CERT_DIR` names.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be made.
    pub fn new(url: StoreUrl, key: Option<&Secret>) -> Result<Self> {
        tls::choose_provider();
        let mut client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(key)?);
        if !url.is_encrypted() {
            // Plain http needs no roots, so a machine without any must not fail here.
            client = client.tls_certs_only([]);
        }
        let http = client.build().map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Error::Internal(format!("cannot make an HTTP client: {cause}"))
        })?;
        Ok(Client { http, url })
    }

    /// The address of the store.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Sends a request until its outcome is known, or the time is over. It is repeated when nothing was applied, and also
    /// when something may have been, provided that a second time does no more than the first one. Pauses grow, are random,
    /// and as long as the store asks for at least; a longer one than is left ends the attempts.
    ///
    /// # Errors
    /// [`Failure`], which says whether the request was applied.
    pub async fn send(&self, request: &Request, timeout: Duration) -> std::result::Result<Answer, Failure> {
        let deadline = Instant::now() + timeout;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut attempts = Attempts { request, count: 0, may_be_applied: false };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let failure = match self.attempt(&mut attempts, left.min(ATTEMPT_TIMEOUT)).await {
                Step::End(result) => return result,
                Step::Again(failure) => failure,
            };
            let pause = backoff.next(failure.retry_after.unwrap_or_default());
            // The pause may be longer than the clock can count to.
            let next = Instant::now().checked_add(pause.saturating_add(LEAST_ATTEMPT.min(timeout / 2)));
            if next.is_none_or(|next| next >= deadline) {
                return Err(failure);
            }
            sleep(pause).await;
        }
    }

    /// Sends a request once, whatever comes of it.
    ///
    /// # Errors
    /// [`Failure`], which says whether the request was applied.
    pub async fn send_once(&self, request: &Request, timeout: Duration) -> std::result::Result<Answer, Failure> {
        let mut attempts = Attempts { request, count: 0, may_be_applied: false };
        match self.attempt(&mut attempts, timeout).await {
            Step::End(result) => result,
            Step::Again(failure) => Err(failure),
        }
    }

    async fn attempt(&self, attempts: &mut Attempts<'_>, timeout: Duration) -> Step {
        let built = match self.build(attempts.request) {
            Ok(built) => built.timeout(timeout),
            Err(error) => return Step::End(Err(attempts.failure(Outcome::Refused, error.to_string()))),
        };
        attempts.count += 1;
        let result = send_once(built).await.map_err(|lost| match lost {
            Lost::NotSent(cause) => Lost::NotSent(format!("cannot connect to {}: {cause}", self.url)),
            lost => lost,
        });
        attempts.judge(result)
    }

    fn build(&self, request: &Request) -> Result<RequestBuilder> {
        let mut builder = self.http.request(request.method.clone(), self.url.join(request.path.as_str())?);
        if let Effect::Keyed(key) = &request.effect {
            builder = builder.header(IDEMPOTENCY_KEY, key.header());
        }
        if let Some((kind, body)) = &request.body {
            let kind = match kind {
                BodyType::Json => "application/json",
                BodyType::Bytes => "application/octet-stream",
            };
            builder = builder.header(CONTENT_TYPE, kind).body(body.clone());
        }
        Ok(builder)
    }
}

impl Attempts<'_> {
    fn judge(&mut self, result: std::result::Result<Received, Lost>) -> Step {
        match result {
            Ok(received) => self.judge_answer(received),
            Err(Lost::NotSent(detail)) => Step::Again(self.failure(self.if_not_applied(), detail)),
            Err(Lost::NoAnswer(detail)) => self.judge_silence(Outcome::NotApplied, None, detail),
            Err(Lost::TooLong) => {
                let outcome = if self.request.is_read() { Outcome::Refused } else { Outcome::Unknown };
                let detail = format!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
                Step::End(Err(self.failure(outcome, detail)))
            }
        }
    }

    fn judge_answer(&mut self, received: Received) -> Step {
        let code = received.problem.as_ref().map(|problem| problem.code.as_str());
        let verdict = judge(received.status, code);
        match verdict {
            Verdict::Done => {
                let Received { status, headers, body, .. } = received;
                Step::End(Ok(Answer { status, headers, body, attempts: self.count }))
            }
            Verdict::Final(_) if self.may_be_applied && !self.is_settled_by(received.status) => {
                Step::End(Err(self.failure_of(Outcome::Unknown, received)))
            }
            Verdict::Final(outcome) => Step::End(Err(self.failure_of(outcome, received))),
            Verdict::NotApplied => Step::Again(self.failure_of(self.if_not_applied(), received)),
            Verdict::Broken => Step::End(Err(self.failure_of(Outcome::Unknown, received))),
            Verdict::Unknown => {
                let detail = received.detail();
                self.judge_silence(Outcome::Unknown, Some(received), detail)
            }
        }
    }

    /// Judges an attempt that may have been applied. `of_read` is its outcome when it only reads.
    fn judge_silence(&mut self, of_read: Outcome, received: Option<Received>, detail: String) -> Step {
        self.may_be_applied |= !self.request.is_read();
        let outcome = if self.may_be_applied { Outcome::Unknown } else { of_read };
        let failure = match received {
            Some(received) => self.failure_of(outcome, received),
            None => self.failure(outcome, detail),
        };
        if self.request.is_repeatable() { Step::Again(failure) } else { Step::End(Err(failure)) }
    }

    /// The outcome when this attempt was not applied.
    fn if_not_applied(&self) -> Outcome {
        if self.may_be_applied { Outcome::Unknown } else { Outcome::NotApplied }
    }

    /// True when a final answer to this attempt says what became of the earlier ones too.
    fn is_settled_by(&self, status: StatusCode) -> bool {
        matches!(self.request.effect, Effect::Keyed(_)) && settles(status)
    }

    fn failure(&self, outcome: Outcome, detail: String) -> Failure {
        let attempts = self.count;
        Failure { outcome, status: None, code: None, detail, body: Bytes::new(), retry_after: None, attempts }
    }

    fn failure_of(&self, outcome: Outcome, received: Received) -> Failure {
        Failure {
            status: Some(received.status),
            retry_after: received.retry_after(),
            detail: received.detail(),
            code: received.problem.map(|problem| problem.code),
            body: received.body,
            ..self.failure(outcome, String::new())
        }
    }
}

/// The headers of every request.
fn headers(key: Option<&Secret>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"))]);
    if let Some(key) = key {
        let value = HeaderValue::try_from(key.reveal());
        let mut value = value.map_err(|_| Error::Internal("an API key cannot be sent as a header".into()))?;
        value.set_sensitive(true);
        headers.insert(API_KEY, value);
    }
    Ok(headers)
}
