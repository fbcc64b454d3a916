//! The HTTP side: axum over one multiplexed connection to Redis. Pools of two and four were measured
//! to take more processor time a request, and not to be faster beyond the noise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Script};
use shardcart::domain::cart::{Cart, MAX_COUNT, MAX_LINES};
use shardcart::domain::time::Timestamp;
use shardcart::routing::{CustomerId, ItemId};
use tokio::net::TcpListener;

use super::cart::{self, Addition};
use crate::harness::{Failure, Result};

/// How long Redis may take for one answer. The client's own 500 ms are too little for a disk that is
/// busy, and one failed request makes a run worthless.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A hash as Redis returns it.
type Fields = Vec<(String, String)>;

/// What every request needs.
struct Service {
    connection: MultiplexedConnection,
    add: Script,
}

/// A cart, or why there is none.
type Answered = std::result::Result<Response, Problem>;

/// An answer that is not a cart.
enum Problem {
    /// The request is wrong.
    Invalid(String),
    /// The cart does not allow it.
    Conflict(String),
    /// Redis failed, or has what this service did not write.
    Failed(Failure),
}

/// Listens on a free port, says so through `ready`, and answers until it is dropped.
///
/// # Errors
/// When it cannot listen or Redis does not answer.
pub async fn serve(socket: &std::path::Path, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let client = redis::Client::open(format!("unix://{}", socket.display()))?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let service = Service { connection, add: Script::new(include_str!("add.lua")) };
    let routes = Router::new()
        .route("/items/{customer}", get(show))
        .route("/item/{customer}/{item}", post(add))
        .with_state(Arc::new(service));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // A connection that is gone already fails at its first read.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, routes).await?)
}

async fn show(State(service): State<Arc<Service>>, Path(customer): Path<String>) -> Answered {
    let customer = CustomerId::new(customer).map_err(Problem::invalid)?;
    let fields: Fields = service.connection.clone().hgetall(key(&customer)).await.map_err(Problem::failed)?;
    answer(StatusCode::OK, &customer, &cart::read(fields).map_err(Problem::Failed)?)
}

async fn add(
    State(service): State<Arc<Service>>,
    Path((customer, item)): Path<(String, String)>,
    body: Bytes,
) -> Answered {
    let customer = CustomerId::new(customer).map_err(Problem::invalid)?;
    let item = ItemId::new(item).map_err(Problem::invalid)?;
    let addition = Addition::parse(&body).map_err(Problem::invalid)?;
    let mut call = service.add.key(key(&customer));
    call.arg(item.as_str()).arg(addition.count).arg(addition.terms()).arg(now().micros());
    let called = call.invoke_async(&mut service.connection.clone()).await;
    let (outcome, fields): (u8, Fields) = called.map_err(Problem::failed)?;
    let status = match outcome {
        0 => StatusCode::OK,
        1 => StatusCode::CREATED,
        2 => return Err(Problem::Conflict(format!("the cart is full: it has {MAX_LINES} lines"))),
        _ => return Err(Problem::Conflict(format!("itemCount would be more than {MAX_COUNT}"))),
    };
    answer(status, &customer, &cart::read(fields).map_err(Problem::Failed)?)
}

fn key(customer: &CustomerId) -> String {
    format!("cart:{}", customer.as_str())
}

fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    // A clock outside of the years that can be written counts as 1970.
    Timestamp::from_micros(micros as i64).unwrap_or_default()
}

fn answer(status: StatusCode, customer: &CustomerId, cart: &Cart) -> Answered {
    let now = now();
    let headers: [(HeaderName, String); 2] =
        [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, cart.tag(now).quoted())];
    Ok((status, headers, cart::json(customer.as_str(), cart, now)).into_response())
}

impl Problem {
    fn invalid(error: impl std::fmt::Display) -> Self {
        Problem::Invalid(error.to_string())
    }

    fn failed(error: redis::RedisError) -> Self {
        Problem::Failed(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Problem::Invalid(detail) => (StatusCode::BAD_REQUEST, detail),
            Problem::Conflict(detail) => (StatusCode::CONFLICT, detail),
            Problem::Failed(failure) => (StatusCode::SERVICE_UNAVAILABLE, failure.to_string()),
        };
        let body = serde_json::json!({ "status": status.as_u16(), "detail": detail }).to_string();
        (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
