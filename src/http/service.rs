//! The step between hyper and warp: authenticates a request, reads its whole body under limits, gives it an id, passes
//! it to warp, and counts and logs its response.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, EXPECT, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use tower_service::Service;
use warp::Reply;

use super::access_log::{AccessLog, Entry, RequestEntry};
use super::auth::{Auth, Authenticated, Port};
use super::body::{BodyError, MAX_BODY_BYTES, read_within};
use super::browsers::Browsers;
use super::card_reads::CardReads;
use super::error_body::DueResponses;
use super::execution::Executions;
use super::framing::Framing;
use super::head;
use super::log_limit::LogLimit;
use super::metrics::Metrics;
use super::problem::{FaultNote, Problem};
use super::raw_targets::RawTargets;
use super::request::{Arrival, HttpRequest};
use super::request_id::{REQUEST_ID, RequestIds};
use super::routes;
use super::status::{Board, Viewer};
use crate::error::Invalid;
use crate::process::overwrite::overwrite;

/// The path of every request to the key-value port, in the access log.
const KEY_TEMPLATE: &str = "/{key}";

type WarpResponse = warp::reply::Response;

/// The state that the listeners of one worker share.
pub struct WorkerContext {
    /// The counters of requests.
    pub metrics: Metrics,
    /// The time limit for a request's body.
    pub body_timeout: Duration,
    /// Authentication.
    pub auth: Arc<Auth>,
    /// The rules for web pages.
    pub browsers: Arc<Browsers>,
    /// The source of execution ids.
    pub executions: Arc<Executions>,
    /// The source of request ids.
    pub ids: RequestIds,
    /// The limit on log lines about failed requests.
    pub log_limit: LogLimit,
    /// The access log, if there is one.
    pub access_log: Option<AccessLog>,
    /// Where faults are noted, and viewers find the snapshots.
    pub board: Arc<Board>,
}

impl WorkerContext {
    /// The response to what is no request, which hyper refuses with this status. It is counted and logged.
    pub fn refuse_unreadable(&self, peer: SocketAddr, status: StatusCode) -> Response<Bytes> {
        self.metrics.observe_unreadable(status);
        let id = self.ids.make();
        let mut response = Problem::unreadable(status).into_response(&id, None);
        if let Some(log) = &self.access_log {
            let bytes = Some(response.body().len() as u64);
            log.write(&Entry { request_id: &id, peer, key_id: None, request: None, status, bytes });
        }
        response.headers_mut().insert(REQUEST_ID, id);
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// The service of a listener, which makes that of each connection; `S` are warp's routes.
pub struct ListenerService<S> {
    routes: S,
    port: Port,
    worker: Arc<WorkerContext>,
}

impl<S: Clone> ListenerService<S> {
    /// Makes a service that calls `routes` after its own checks.
    pub fn new(routes: S, port: Port, worker: Arc<WorkerContext>) -> Self {
        ListenerService { routes, port, worker }
    }

    /// The state of the worker.
    pub fn worker(&self) -> &Arc<WorkerContext> {
        &self.worker
    }

    /// The service of one connection, which notes its responses in `due` and its requests with cards in `cards`, and shows
    /// its requests to `targets`.
    pub fn on_connection(
        &self,
        peer: SocketAddr,
        due: DueResponses,
        targets: RawTargets,
        cards: CardReads,
    ) -> FacadeService<S> {
        let ListenerService { routes, port, worker } = self;
        let (routes, worker, host) = (routes.clone(), worker.clone(), OnceLock::new());
        FacadeService(Arc::new(Connection { routes, port: *port, worker, peer, due, targets, cards, host }))
    }
}

/// The service of one connection.
pub struct FacadeService<S>(Arc<Connection<S>>);

/// What the requests of one connection share.
struct Connection<S> {
    routes: S,
    port: Port,
    worker: Arc<WorkerContext>,
    peer: SocketAddr,
    due: DueResponses,
    targets: RawTargets,
    cards: CardReads,
    /// The first host that passed its checks. Nearly every later request has the same.
    host: OnceLock<Box<[u8]>>,
}

impl<S> hyper::service::Service<Request<Incoming>> for FacadeService<S>
where
    S: Service<Request<Empty<Bytes>>, Response = WarpResponse, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Response = WarpResponse;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<WarpResponse, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let FacadeService(connection) = self;
        let (mut parts, body) = request.into_parts();
        let has_hash = connection.targets.next_has_hash(&parts.method, Framing::of(&body));
        let worker = &connection.worker;
        let wanted = worker.auth.wanted(connection.port, &parts);
        let is_plain = head::is_plain(&parts.headers);
        let id = if is_plain { worker.ids.make() } else { worker.ids.of(&parts.headers) };
        let (time, port, is_guarded) = (Instant::now(), connection.port, wanted.is_some());
        let arrival = Arrival { time, port, is_guarded, is_plain, id, key: None };
        if let Some(preflight) = worker.browsers.preflight(&parts) {
            let request = HttpRequest::new(arrival, parts, Bytes::new());
            let mut response = preflight.into_response();
            connection.finish(&request, &mut response);
            return Box::pin(std::future::ready(Ok(response)));
        }
        let Authenticated { key, refusal: denied } = match wanted {
            None if is_plain => Authenticated::default(),
            _ => worker.auth.authenticate(wanted, &mut parts),
        };
        let arrival = Arrival { key, ..arrival };
        let refusal = connection.check(&parts, is_plain, has_hash).err().or(denied);
        let service = connection.clone();
        if body.is_end_stream() {
            let request = HttpRequest::new(arrival, parts, Bytes::new());
            return Box::pin(service.answer(request, refusal.map(Rejection::from)));
        }
        if port == Port::Shop && CardReads::may_have_card(&parts.method, parts.uri.path()) {
            service.cards.begin();
        }
        if !is_plain && parts.headers.contains_key(EXPECT) {
            return Box::pin(service.answer_expectant(arrival, parts, body, refusal));
        }
        Box::pin(service.read_and_answer(arrival, parts, body, refusal))
    }
}

impl<S> Connection<S>
where
    S: Service<Request<Empty<Bytes>>, Response = WarpResponse, Error = Infallible> + Clone,
{
    /// Checks the head of a request, of which it is known whether it is plain, and whether its target has a `#`.
    fn check(&self, parts: &Parts, is_plain: bool, has_hash: bool) -> Result<(), Problem> {
        if has_hash {
            return Err(Invalid::new("target", "has a #; percent-encode it as %23").into());
        }
        self.check_host(parts)?;
        if is_plain {
            return Ok(());
        }
        head::check(parts)?;
        self.worker.browsers.check(parts)
    }

    fn check_host(&self, parts: &Parts) -> Result<(), Problem> {
        let Some(host) = head::host(parts)? else { return Ok(()) };
        if self.host.get().is_some_and(|known| **known == *host.as_bytes()) {
            return Ok(());
        }
        head::check_host(host)?;
        self.worker.browsers.check_host(host)?;
        // An error means that there is one already.
        let _ = self.host.set(host.as_bytes().into());
        Ok(())
    }

    /// Answers a request whose client waits for `100 Continue` before it sends the body. Where the head decides, the
    /// client need not send it.
    async fn answer_expectant(
        self: Arc<Self>,
        arrival: Arrival,
        parts: Parts,
        body: Incoming,
        refusal: Option<Problem>,
    ) -> Result<WarpResponse, Infallible> {
        let request = Arc::new(HttpRequest::without_body(arrival.clone(), parts.clone()));
        let is_too_large = body.size_hint().lower() > MAX_BODY_BYTES as u64;
        let problem = refusal.or_else(|| is_too_large.then(|| Problem::too_large(MAX_BODY_BYTES)));
        let problem = problem.or_else(|| refused_path(&request));
        let mut response = match problem {
            Some(problem) => self.refuse(&request, problem.into()),
            // A read is answered whatever its body is.
            None if matches!(request.method, Method::GET | Method::HEAD) => {
                return self.read_and_answer(arrival, parts, body, None).await;
            }
            None => self.routes.clone().call(for_warp(&request)).await?,
        };
        if request.is_body_wanted() {
            return self.read_and_answer(arrival, parts, body, None).await;
        }
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        self.finish(&request, &mut response);
        Ok(response)
    }

    /// Reads a request's body and answers it. A refused request's body is read too: its client could not read the response
    /// while it still sends.
    async fn read_and_answer(
        self: Arc<Self>,
        arrival: Arrival,
        parts: Parts,
        body: Incoming,
        refusal: Option<Problem>,
    ) -> Result<WarpResponse, Infallible> {
        let mut copies = self.cards.are_left().then(Vec::new);
        let body = read_within(self.worker.body_timeout, body, copies.as_mut()).await.map_err(Rejection::from);
        let (body, rejection) = match (refusal, body) {
            (None, Ok(body)) => (body, None),
            (None, Err(rejection)) => (Bytes::new(), Some(rejection)),
            (Some(problem), body) => {
                let is_last = body.is_err_and(|rejection| rejection.is_last);
                (Bytes::new(), Some(Rejection { problem, is_last }))
            }
        };
        let request = HttpRequest::new(arrival, parts, body);
        let response = self.answer(request, rejection).await;
        copies.into_iter().flatten().for_each(overwrite);
        response
    }

    fn answer(
        self: Arc<Self>,
        request: HttpRequest,
        rejection: Option<Rejection>,
    ) -> impl Future<Output = Result<WarpResponse, Infallible>> {
        // The request is shared before the future begins, which would have room for the whole of it otherwise.
        let request = Arc::new(request);
        async move {
            let mut response = match rejection.or_else(|| refused_path(&request).map(Rejection::from)) {
                None => self.routes.clone().call(for_warp(&request)).await?,
                Some(rejection) => self.refuse(&request, rejection),
            };
            if let Some(viewer) = response.extensions_mut().remove::<Viewer>() {
                let (parts, _) = response.into_parts();
                let stream = warp::reply::stream(self.worker.board.frames(viewer)).into_response();
                response = WarpResponse::from_parts(parts, stream.into_body());
            }
            self.finish(&request, &mut response);
            Ok(response)
        }
    }

    /// The response to a request that does not reach an endpoint.
    fn refuse(&self, request: &HttpRequest, rejection: Rejection) -> WarpResponse {
        let execution_id = request.execution_id(&self.worker.executions);
        rejection.into_response(request.id(), execution_id.as_deref())
    }

    /// Completes a response, which hyper has next.
    fn finish(&self, request: &HttpRequest, response: &mut WarpResponse) {
        let length = length_on_wire(&request.method, response);
        self.note(request, response, length);
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, request.id().clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if request.arrival.is_guarded {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.append(VARY, HeaderValue::from_static("x-api-key"));
        }
        self.worker.browsers.share(&request.headers, headers);
        self.due.add(length);
        self.cards.end();
    }

    /// Counts and logs a response.
    fn note(&self, request: &HttpRequest, response: &mut WarpResponse, length: Option<u64>) {
        let status = response.status();
        let metrics = &self.worker.metrics;
        let label = request.label().unwrap_or_else(|| {
            // No endpoint has matched. On the key-value port a path is a key and has no template.
            let template = Some(request.uri.path()).filter(|_| self.port == Port::Shop).and_then(routes::find);
            template.map_or_else(|| metrics.other(), |template| metrics.label(template))
        });
        let (method, route, id) = (&request.method, metrics.name(label), request.id());
        let has_failed = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
        let request_id = || id.to_str().unwrap_or_default();
        if has_failed && let Some(note) = response.extensions_mut().remove::<FaultNote>() {
            self.worker.board.note_fault(request_id(), route, status, request.shard(), note);
        }
        if has_failed && self.worker.log_limit.allows_line() {
            let request_id = request_id();
            tracing::error!(status = status.as_u16(), %method, route, request_id, "a request was not served");
        }
        tracing::debug!(status = status.as_u16(), %method, route, "answered");
        let latency = request.arrival.time.elapsed();
        if let Some(log) = &self.worker.access_log {
            let target = request.uri.path_and_query().map_or("", PathAndQuery::as_str);
            let path = if self.port == Port::KeyValue { KEY_TEMPLATE } else { route };
            let (method, shard) = (method.as_str(), request.shard());
            let seen = RequestEntry { method, path, target, latency, shard };
            let key_id = request.arrival.key.as_ref().map(|key| &*key.id);
            let (peer, request) = (self.peer, Some(seen));
            log.write(&Entry { request_id: id, peer, key_id, request, status, bytes: length });
        }
        metrics.observe(label, &request.method, status, latency);
    }
}

/// The number of bytes that hyper writes of a response's body; `None` when the body does not say it.
fn length_on_wire(method: &Method, response: &WarpResponse) -> Option<u64> {
    let is_bodiless = matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    let is_without_body = *method == Method::HEAD || is_bodiless;
    if is_without_body { Some(0) } else { response.body().size_hint().exact() }
}

/// The refusal of a target without a path, such as `CONNECT host:port` and `OPTIONS *` have: warp assumes one.
fn refused_path(request: &HttpRequest) -> Option<Problem> {
    (!request.uri.path().starts_with('/')).then(Problem::no_such_path)
}

/// The request as warp's filters see it: its target, and all of it as an extension.
fn for_warp(request: &Arc<HttpRequest>) -> Request<Empty<Bytes>> {
    let mut seen = Request::new(Empty::new());
    *seen.uri_mut() = request.uri.clone();
    seen.extensions_mut().insert(request.clone());
    seen
}

/// A request that is answered before it reaches an endpoint.
struct Rejection {
    problem: Problem,
    /// True when the connection cannot be used for another request.
    is_last: bool,
}

impl Rejection {
    fn into_response(self, request_id: &HeaderValue, execution_id: Option<&str>) -> WarpResponse {
        let mut response = self.problem.into_response(request_id, execution_id);
        if self.is_last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.into_response()
    }
}

impl From<Problem> for Rejection {
    fn from(problem: Problem) -> Self {
        Rejection { problem, is_last: false }
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { drained } => {
                Rejection { problem: Problem::too_large(MAX_BODY_BYTES), is_last: !drained }
            }
            BodyError::Broken => Rejection {
                problem: Problem::from(Invalid::new("body", "could not be read to its end")),
                is_last: true,
            },
            BodyError::TimedOut => Rejection { problem: Problem::timeout(), is_last: true },
        }
    }
}
