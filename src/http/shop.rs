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
    /// True to note on each request which shard it asks.
    pub notes_shards: bool,
}

impl Shop {
    /// Runs a command that changes nothing. `T` is the type of the answer's body.
    ///
    /// # Errors
    /// The shard's error.
    pub fn read<T: FromReply>(
        &self,
        request: &HttpRequest,
        command: Command,
    ) -> impl Future<Output = Result<Answer<T>, Problem>> {
        let command = Request::new(command);
        self.note_shard(request, &command);
        async move { Ok(self.client.call(&command).await.result?) }
    }

    /// Runs a command that writes, with the conditions of the request's headers. Returns true with an answer that was
    /// stored and is sent again for the same `Idempotency-Key`.
    ///
    /// # Errors
    /// 400 for a malformed header, else the shard's error.
    pub fn write<T: FromReply>(
        &self,
        request: &HttpRequest,
        command: Command,
    ) -> impl Future<Output = Result<(Answer<T>, bool), Problem>> {
        let command = request.command(command);
        if let Ok(command) = &command {
            self.note_shard(request, command);
        }
        async move {
            let reply = match &command {
                Ok(command) => self.client.call(command).await,
                Err(invalid) => return Err(Problem::from(invalid.clone())),
            };
            match reply.result {
                Ok(answer) => Ok((answer, reply.replayed)),
                Err(error) if reply.replayed => Err(Problem::replayed(&error)),
                Err(error) => Err(Problem::from(error)),
            }
        }
    }

    fn note_shard(&self, request: &HttpRequest, command: &Request) {
        if self.notes_shards {
            request.asks(self.client.owner(command.hash));
        }
    }
}
