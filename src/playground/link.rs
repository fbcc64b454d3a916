//! The facade's side of the socket: asks the launcher, which has the shoppers and can kill processes.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::messages::{Count, Granted, MAX_LINE_BYTES, Wish};
use super::mode::GatewayMode;
use crate::error::{Error, Result};

/// The time limit of an exchange.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The way to the launcher of a playground.
#[derive(Debug, Clone)]
pub struct Link(PathBuf);

impl Link {
    /// The launcher that listens on this socket.
    pub fn to(socket: PathBuf) -> Self {
        Link(socket)
    }

    /// The counts of the shoppers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the launcher does not answer.
    pub async fn count(&self) -> Result<Box<Count>> {
        let count = self.ask(&Wish::Count).await?;
        count.ok_or_else(|| Error::Internal("the launcher's answer has no counts".into()))
    }

    /// Changes how many changes a second the shoppers make, at most [`MAX_RATE`](super::MAX_RATE).
    ///
    /// # Errors
    /// As [`Link::count`].
    pub async fn set_rate(&self, per_second: u32) -> Result<()> {
        self.ask(&Wish::Rate(per_second)).await.map(drop)
    }

    /// Kills a process with SIGKILL: `facade`, `gateway` or `shard-N`. The facade itself is killed a moment later, so that
    /// its answer can leave.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such process; [`Error::Unavailable`] when it is just being started, and as
    /// [`Link::count`].
    pub async fn crash(&self, target: String) -> Result<()> {
        self.ask(&Wish::Crash(target)).await.map(drop)
    }

    /// Changes how the payment gateway behaves.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the gateway is just being started, and as [`Link::count`].
    pub async fn set_gateway(&self, mode: GatewayMode) -> Result<()> {
        self.ask(&Wish::Gateway(mode)).await.map(drop)
    }

    async fn ask(&self, wish: &Wish) -> Result<Option<Box<Count>>> {
        let silent = || Error::Unavailable("the launcher of the playground does not answer".into());
        let granted = timeout(TIMEOUT, self.exchange(wish)).await.ok().flatten();
        granted.ok_or_else(silent)?.into_result()
    }

    async fn exchange(&self, wish: &Wish) -> Option<Granted> {
        let mut line = serde_json::to_vec(wish).ok()?;
        line.push(b'\n');
        let mut stream = UnixStream::connect(&self.0).await.ok()?;
        stream.write_all(&line).await.ok()?;
        let mut answer = Vec::new();
        BufReader::new(stream).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut answer).await.ok()?;
        serde_json::from_slice(&answer).ok()
    }
}
