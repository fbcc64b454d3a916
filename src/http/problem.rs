//! Errors as clients see them: `application/problem+json` (RFC 9457), translated from [`Error`] in one table.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use super::problem_type::ProblemType;
use crate::domain::money::Money;
use crate::error::{Error, Invalid, LineProblem, RejectedLine};
use crate::json::faults::Faults;

/// The `Retry-After` of a request that was not applied, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// The `Retry-After` of a limit that needs time to clear, in seconds.
const RETRY_AFTER_LIMIT_SECONDS: HeaderValue = HeaderValue::from_static("60");

/// The code of a refused payment, whose detail has the words of the gateway.
const CARD_DECLINED: &str = ProblemType::PAYMENT_REQUIRED.codes[0];

/// The result of a handler.
pub type HttpResult = Result<Response<Bytes>, Problem>;

/// A problem document: the response to a request that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    kind: &'static ProblemType,
    code: &'static str,
    detail: String,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    replayed: bool,
    lines: Box<[RejectedLine]>,
    faults: Box<[Invalid]>,
}

/// Why a request was not served, noted in the extensions of a response whose status is 500 or more.
#[derive(Debug, Clone)]
pub struct FaultNote {
    /// The problem's code.
    pub code: &'static str,
    /// The problem's detail, which has no ids of customers.
    pub detail: String,
}

/// A line of an order that cannot be sold.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    item_id: &'a str,
    code: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_price: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_price: Option<Box<RawValue>>,
}

impl<'a> From<&'a RejectedLine> for Line<'a> {
    fn from(line: &'a RejectedLine) -> Self {
        let price = |hundredths| {
            let text = Money::from_hundredths(hundredths).unwrap_or_default().to_string();
            RawValue::from_string(text).ok()
        };
        let (available, old_price, new_price) = match line.problem {
            LineProblem::UnknownProduct => (None, None, None),
            LineProblem::StockHeld { available } | LineProblem::OutOfStock { available } => {
                (Some(available), None, None)
            }
            LineProblem::SaleExpired { old_price, new_price } => (None, price(old_price), price(new_price)),
        };
        Line {
            item_id: &line.item,
            code: line.problem.code(),
            reason: line.problem.name(),
            available,
            old_price,
            new_price,
        }
    }
}

/// One of several fields at fault.
#[derive(Serialize)]
struct Fault<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    code: &'static str,
    detail: String,
}

impl<'a> From<&'a Invalid> for Fault<'a> {
    fn from(invalid: &'a Invalid) -> Self {
        Fault { field: invalid.field(), code: invalid.code(), detail: invalid.to_string() }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    /// The same text as `detail`, for older clients.
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Line<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<&'a str>,
    request_id: &'a str,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static ProblemType, detail: impl Into<String>) -> Self {
        Problem {
            status,
            kind,
            code: kind.code(),
            detail: detail.into(),
            header: None,
            replayed: false,
            lines: Box::default(),
            faults: Box::default(),
        }
    }

    fn coded(self, code: &'static str) -> Self {
        Problem { code, ..self }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// 401: the key is missing or unknown, as `detail` says.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ProblemType::UNAUTHORIZED, detail)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"))
    }

    /// 403: the key is known, but its role does not allow this.
    pub fn forbidden(detail: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, ProblemType::FORBIDDEN, detail)
    }

    /// 403: the store has no configured keys, and `Host` is not on loopback.
    pub fn host_not_allowed() -> Self {
        Self::forbidden("Host: without configured API keys only localhost and loopback addresses are served".into())
            .coded("host_not_allowed")
    }

    /// 403: a web page of another site sends a write.
    pub fn cross_site() -> Self {
        Self::forbidden("Origin: a page of another origin may not write; --cors-origin can allow it".into())
            .coded("cross_site")
    }

    /// 403: a web page of another origin presses a button of the playground.
    pub fn not_same_origin() -> Self {
        Self::forbidden("Origin: only the store's own page may do this".into()).coded("cross_site")
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, ProblemType::NOT_FOUND, "there is no such path").coded("no_such_path")
    }

    /// A request that is not HTTP, or whose head is too long.
    pub fn unreadable(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::URI_TOO_LONG => "the request's target is too long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the request's head is too long",
            _ => "the request is no valid HTTP/1.1",
        };
        Self::new(status, ProblemType::UNREADABLE, detail)
    }

    /// 405: `allow` lists the path's methods.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path has only {allow}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ProblemType::METHOD_NOT_ALLOWED, detail)
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// 408: the body did not come in time.
    pub fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, ProblemType::TIMEOUT, "the request's body did not arrive in time")
    }

    /// 413: more than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemType::TOO_LARGE, format!("body: longer than {limit} bytes"))
    }

    /// 415: the body is not JSON.
    pub fn not_json() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemType::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type: must be application/json",
        )
    }

    /// 415: the body is compressed or encoded otherwise.
    pub fn encoded() -> Self {
        let detail = "Content-Encoding: the body must be sent as it is";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ProblemType::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 501: the body comes in an encoding that is not understood.
    pub fn unknown_transfer_encoding() -> Self {
        let detail = "Transfer-Encoding: only chunked is understood";
        Self::new(StatusCode::NOT_IMPLEMENTED, ProblemType::NOT_IMPLEMENTED, detail)
    }

    /// A stored error, sent again for the same `Idempotency-Key`.
    pub fn replayed(error: &Error) -> Self {
        Problem { replayed: true, ..Problem::from(error) }
    }

    /// The single field at fault. A detail about one begins with its name, also the detail of an error that a shard stored.
    fn field(&self) -> Option<&str> {
        let is_about_request = self.status.is_client_error() && self.code != CARD_DECLINED && self.lines.is_empty();
        match &*self.faults {
            [only] => only.field(),
            [] if is_about_request => {
                self.detail.split_once(": ").map(|(field, _)| field).filter(|field| !field.contains(' '))
            }
            _ => None,
        }
    }

    /// The response. Its body has the request's id and, if there is one, the execution id.
    pub fn into_response(self, request_id: &HeaderValue, execution_id: Option<&str>) -> Response<Bytes> {
        let body = Body {
            r#type: format!("/problems/{}", self.kind.name),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            message: &self.detail,
            field: self.field(),
            errors: if self.faults.len() > 1 { self.faults.iter().map(Fault::from).collect() } else { Vec::new() },
            lines: self.lines.iter().map(Line::from).collect(),
            request_id: request_id.to_str().unwrap_or_default(),
            execution_id,
        };
        let json = serde_json::to_vec(&body).expect("a struct of strings and a number is always JSON");
        let mut response = Response::new(Bytes::from(json));
        *response.status_mut() = self.status;
        if self.status.is_server_error() {
            response.extensions_mut().insert(FaultNote { code: self.code, detail: self.detail });
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header.map(|header| *header) {
            headers.insert(name, value);
        }
        if self.replayed {
            headers.insert(super::response::REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, kind) = match error {
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, ProblemType::INVALID),
            Error::NotFound(_) => (StatusCode::NOT_FOUND, ProblemType::NOT_FOUND),
            Error::CardMissing(_) | Error::PaymentRefused(_) => {
                (StatusCode::PAYMENT_REQUIRED, ProblemType::PAYMENT_REQUIRED)
            }
            Error::LinesRejected(rejected) if rejected.may_pass() => (StatusCode::CONFLICT, ProblemType::STOCK_HELD),
            Error::Conflict(_) | Error::LinesRejected(_) => (StatusCode::CONFLICT, ProblemType::CONFLICT),
            Error::InFlight(_) => (StatusCode::CONFLICT, ProblemType::IN_FLIGHT),
            Error::PreconditionFailed(_) => (StatusCode::PRECONDITION_FAILED, ProblemType::PRECONDITION_FAILED),
            Error::KeyReused(_) => (StatusCode::UNPROCESSABLE_ENTITY, ProblemType::KEY_REUSED),
            Error::Exhausted(_) => (StatusCode::TOO_MANY_REQUESTS, ProblemType::TOO_MANY),
            Error::OutOfMemory(_) => (StatusCode::INSUFFICIENT_STORAGE, ProblemType::OUT_OF_MEMORY),
            Error::Unavailable(_) | Error::WrongSlot(_) => (StatusCode::SERVICE_UNAVAILABLE, ProblemType::UNAVAILABLE),
            Error::Indeterminate(_) => (StatusCode::GATEWAY_TIMEOUT, ProblemType::OUTCOME_UNKNOWN),
            Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, ProblemType::INTERNAL),
        };
        let detail = match error {
            // The cause of an internal error is in the log and not for clients.
            Error::Internal(_) => "the server failed; the fault is in its log".into(),
            other => other.detail(),
        };
        let problem = Problem::new(status, kind, detail);
        match error {
            Error::Unavailable(_) | Error::WrongSlot(_) | Error::InFlight(_) => {
                problem.with(RETRY_AFTER, RETRY_AFTER_SECONDS)
            }
            Error::Exhausted(exhausted) => {
                let seconds = exhausted.retry_after.map_or(RETRY_AFTER_LIMIT_SECONDS, HeaderValue::from);
                problem.with(RETRY_AFTER, seconds)
            }
            Error::Invalid(invalid) => Problem { faults: [invalid.clone()].into(), ..problem }.coded(invalid.code()),
            Error::CardMissing(_) => problem.coded("card_missing"),
            Error::Conflict(conflict) => problem.coded(conflict.code.name()),
            Error::LinesRejected(rejected) => {
                let may_pass = rejected.may_pass();
                let problem = if may_pass { problem.with(RETRY_AFTER, RETRY_AFTER_SECONDS) } else { problem };
                Problem { lines: rejected.lines.as_slice().into(), ..problem }.coded(rejected.code())
            }
            _ => problem,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Error::Internal(detail) = &error {
            tracing::error!(%detail, "a request failed");
        }
        Problem::from(&error)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Problem::from(&Error::Invalid(invalid))
    }
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        let faults = faults.into_vec();
        if let [only] = &*faults {
            return Problem::from(only.clone());
        }
        let details: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let detail = format!("several fields are at fault: {}", details.join("; "));
        let problem = Problem::new(StatusCode::BAD_REQUEST, ProblemType::INVALID, detail);
        Problem { faults: faults.into(), ..problem }
    }
}
