//! Opens a connection to a shard.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::error::{Error, Result};
use crate::protocol::{MAX_REPLY_MESSAGE_BYTES, proto};
use crate::routing::Address;
use proto::shard_client::ShardClient;

/// The time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The interval of HTTP/2 keepalive pings.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// The time limit of the answer to a ping, after which the connection is closed.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The HTTP/2 flow-control window of a connection, in bytes.
const WINDOW_BYTES: u32 = 1 << 20;

/// Connects to a shard.
///
/// # Errors
/// [`Error::Unavailable`] when the connection cannot be opened.
pub async fn connect(address: &Address) -> Result<ShardClient<Channel>> {
    let unavailable = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Error::Unavailable(format!("cannot connect to {address}: {error}: {cause}"))
    };
    let uri = match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    };
    let endpoint = Endpoint::from_shared(uri)
        .map_err(unavailable)?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .tcp_nodelay(true);
    let channel = endpoint.connect().await.map_err(unavailable)?;
    Ok(ShardClient::new(channel).max_decoding_message_size(MAX_REPLY_MESSAGE_BYTES))
}
