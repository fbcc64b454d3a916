//! The state that the handlers of one worker share, and their calls to the shards.

use std::sync::Arc;

use super::execution::Executions;
use super::metrics::Metrics;
use super::problem::Problem;
use super::request::HttpRequest;
use super::status::Board;
use crate::client::Client;
use crate::error::Error;
use crate::playground::Link;
use crate::protocol::{Answer, Command, FromReply, Request};

/// The state that the handlers of one worker share.
pub struct Shop {
    /// The shards.
    pub client: Client,
    /// The counters of requests.
    pub metrics: Metrics,
    /// The source of execution ids.
    pub executions: Arc<Executions>,
    /// True to note on each request which shard it asks, not only on those that fail.
    pub notes_shards: bool,
    /// The newest snapshot of the store.
    pub board: Arc<Board>,
    /// The launcher of a playground, in a store that is one.
    pub playground: Option<Link>,
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
        async move {
            let answer = self.client.call(&command).await.result;
            answer.map_err(|error| self.failed(request, &command, error))
        }
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
            let command = command?;
            request.want_body()?;
            let reply = self.client.call(&command).await;
            match reply.result {
                Ok(answer) => Ok((answer, reply.replayed)),
                Err(error) if reply.replayed => Err(Problem::replayed(&error)),
                Err(error) => Err(self.failed(request, &command, error)),
            }
        }
    }

    /// The problem of a request that failed, whose shard is noted.
    fn failed(&self, request: &HttpRequest, command: &Request, error: Error) -> Problem {
        request.asks(self.client.owner(command.hash));
        Problem::from(error)
    }

    fn note_shard(&self, request: &HttpRequest, command: &Request) {
        if self.notes_shards {
            request.asks(self.client.owner(command.hash));
        }
    }
}
