//! The state that the handlers of one worker share, and their calls to the shards.

use std::sync::Arc;

use super::execution::Executions;
use super::metrics::Metrics;
use super::problem::Problem;
use super::request::HttpRequest;
use crate::client::Client;
use crate::protocol::{Answer, Command, FromReply, Request};

/// The state that the handlers of one worker share.
pub struct Shop {
    /// The shards.
    pub client: Client,
    /// The counters of requests.
    pub metrics: Metrics,
    /// The source of execution ids.
    pub executions: Arc<Executions>,
}

impl Shop {
    /// Runs a command that changes nothing. `T` is the type of the answer's body.
    ///
    /// # Errors
    /// The shard's error.
    pub async fn read<T: FromReply>(&self, command: Command) -> Result<Answer<T>, Problem> {
        Ok(self.client.call(&Request::new(command)).await.result?)
    }

    /// Runs a command that writes, with the conditions of the request's headers. Returns true with an answer that was
    /// stored and is sent again for the same `Idempotency-Key`.
    ///
    /// # Errors
    /// 400 for a malformed header, else the shard's error.
    pub async fn write<T: FromReply>(
        &self,
        request: &HttpRequest,
        command: Command,
    ) -> Result<(Answer<T>, bool), Problem> {
        let reply = self.client.call(&request.command(command)?).await;
        match reply.result {
            Ok(answer) => Ok((answer, reply.replayed)),
            Err(error) if reply.replayed => Err(Problem::replayed(&error)),
            Err(error) => Err(Problem::from(error)),
        }
    }
}
