//! Between hyper and warp: reads the whole body under its limits, times the request, gives it an
//! id, and hands warp a request that is complete.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use tower_service::Service;
use warp::Reply;

use super::call::Call;
use super::execution::{self, Executions};
use super::gate;
use super::metrics::{Metrics, Route};
use super::problem::Problem;
use crate::access::{Access, Port};

/// The longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// How much of an oversized body is read and thrown away, so that the client can read the answer.
const MAX_DISCARDED_BYTES: usize = 2 << 20;
/// The longest request id that is taken over from a client.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// How many server faults a second are written to the log in full.
const MAX_LOGGED_FAULTS: u64 = 20;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

type WarpResponse = warp::reply::Response;

/// What the listeners of one worker have in common.
pub struct Common {
    /// What is counted.
    pub metrics: Metrics,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Ids of executions.
    pub executions: Arc<Executions>,
    /// Ids of requests.
    pub ids: RequestIds,
}

/// The service of the connections to one port; `S` are warp's routes.
#[derive(Clone)]
pub struct Front<S> {
    routes: S,
    port: Port,
    common: Arc<Common>,
}

impl<S> Front<S> {
    /// Routes behind the limits.
    pub fn new(routes: S, port: Port, common: Arc<Common>) -> Self {
        Front { routes, port, common }
    }
}

impl<S> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Empty<Bytes>>, Response = WarpResponse, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = WarpResponse;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<WarpResponse, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
    }
}

impl<S> Front<S>
where
    S: Service<Request<Empty<Bytes>>, Response = WarpResponse, Error = Infallible>,
{
    async fn answer(mut self, request: Request<Incoming>) -> WarpResponse {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let route = Route::of(parts.uri.path());
        let method = parts.method.clone();
        let id = self.common.ids.of(&parts.headers);
        let is_executed = self.port == Port::Shop && execution::is_executed(parts.uri.path());
        let execution_id = is_executed.then(|| self.common.executions.next());
        let handled = self.handle(parts, body, execution_id.clone()).await;
        let mut response = handled.unwrap_or_else(|refusal| refusal.into_response(execution_id.as_deref()));
        let status = response.status();
        if status.is_server_error() && self.common.ids.may_log_fault() {
            let request_id = id.to_str().unwrap_or_default();
            tracing::error!(status = status.as_u16(), %method, route = route.name(), request_id, "a request was not served");
        }
        tracing::debug!(status = status.as_u16(), %method, route = route.name(), "answered");
        response.headers_mut().insert(REQUEST_ID, id);
        self.common.metrics.observe(route, &method, status, started.elapsed());
        response
    }

    async fn handle(
        &mut self,
        mut parts: Parts,
        body: Incoming,
        execution_id: Option<String>,
    ) -> Result<WarpResponse, Refusal> {
        let admitted = gate::admit(&self.common.access, self.port, &mut parts);
        // Also of who is not let in: the answer could not be read while the body is still being sent.
        let body = read_within(self.common.body_timeout, body).await;
        if let Err(problem) = admitted {
            return Err(Refusal { problem, is_last: body.is_err_and(|unread| unread.is_last) });
        }
        let body = body?;
        // warp takes a path for granted; `CONNECT host:port` and `OPTIONS *` have none.
        if !parts.uri.path().starts_with('/') {
            return Err(Problem::no_such_path().into());
        }
        let (method, uri, headers) = (parts.method, parts.uri.clone(), parts.headers);
        let call = Arc::new(Call { method, uri, headers, body, execution_id });
        let mut inner = Request::new(Empty::new());
        *inner.uri_mut() = parts.uri;
        inner.extensions_mut().insert(call);
        let Ok(mut response) = self.routes.call(inner).await;
        match Problem::take_from(&mut response) {
            None => Ok(response),
            Some(problem) => Err(problem.into()),
        }
    }
}

/// A request that is answered with a problem.
struct Refusal {
    problem: Problem,
    /// Whether the connection is of no more use after it.
    is_last: bool,
}

impl Refusal {
    fn into_response(self, execution_id: Option<&str>) -> WarpResponse {
        let mut response = self.problem.into_response_of(execution_id);
        if self.is_last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal { problem, is_last: false }
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge { drained } => Refusal { problem: Problem::too_large(MAX_BODY_BYTES), is_last: !drained },
            Unread::Broken => {
                Refusal { problem: Problem::invalid("body: could not be read to its end"), is_last: true }
            }
        }
    }
}

/// Why a body was not taken.
enum Unread {
    /// It is too long; whether all of it was read.
    TooLarge { drained: bool },
    /// The client broke off or sent nonsense.
    Broken,
}

/// The whole body, within the time that it may take.
async fn read_within(timeout: Duration, body: Incoming) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(timeout, read(body)).await {
        Ok(read) => read.map_err(Refusal::from),
        Err(_) => Err(Refusal { problem: Problem::timeout(), is_last: true }),
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, Unread> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        length += data.len();
        if length > MAX_DISCARDED_BYTES {
            return Err(Unread::TooLarge { drained: false });
        }
        if length > MAX_BODY_BYTES {
            continue;
        }
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    match length {
        0..=MAX_BODY_BYTES => Ok(if rest.is_empty() { first } else { rest.freeze() }),
        _ => Err(Unread::TooLarge { drained: true }),
    }
}

/// Makes ids that are unique over facades and restarts, and remembers how many faults were logged.
pub struct RequestIds {
    prefix: String,
    next: AtomicU64,
    epoch: Instant,
    /// The second of the last logged fault, and how many there were in it.
    faults: AtomicU64,
    faults_second: AtomicU64,
}

impl RequestIds {
    /// Those of one worker.
    pub fn new() -> Self {
        let mut prefix = uuid::Uuid::new_v4().simple().to_string();
        prefix.truncate(16);
        RequestIds {
            prefix,
            next: AtomicU64::new(0),
            epoch: Instant::now(),
            faults: AtomicU64::new(0),
            faults_second: AtomicU64::new(0),
        }
    }

    /// The client's id, or a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(id) = headers.get(REQUEST_ID).filter(|id| is_request_id(id.as_bytes())) {
            return id.clone();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = [self.prefix.as_str(), "-", itoa::Buffer::new().format(number)].concat();
        HeaderValue::try_from(id).expect("digits and letters fit into a header")
    }

    fn may_log_fault(&self) -> bool {
        let second = self.epoch.elapsed().as_secs();
        if self.faults_second.swap(second, Ordering::Relaxed) != second {
            self.faults.store(0, Ordering::Relaxed);
        }
        self.faults.fetch_add(1, Ordering::Relaxed) < MAX_LOGGED_FAULTS
    }
}

fn is_request_id(bytes: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}
