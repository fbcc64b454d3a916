//! Asks one shard for its status again and again, on a connection of its own: what watches a store must not wait for its
//! requests, nor they for it.

use std::sync::Arc;

use tonic::transport::Channel;

use super::connect::connect;
use super::shared::Shared;
use crate::protocol::{ShardStatus, proto};
use crate::routing::Address;
use proto::shard_client::ShardClient;

/// What the shard says of itself, with the counts of each slot if they are asked for; `None` when it does not answer, or
/// when the answer cannot be read, which is logged.
pub async fn read_status(client: &mut ShardClient<Channel>, shard: u32, slots: bool) -> Option<ShardStatus> {
    let reply = client.status(proto::StatusRequest { slots }).await.ok()?.into_inner();
    let status = ShardStatus::try_from(reply);
    status.inspect_err(|error| tracing::warn!(shard, %error, "the shard's status cannot be read")).ok()
}

/// The connection to one shard, opened when it is first used and again after a failure.
pub struct StatusProbe {
    shard: u32,
    shards: u32,
    address: Address,
    shared: Arc<Shared>,
    client: Option<ShardClient<Channel>>,
}

impl StatusProbe {
    /// Makes a probe of each shard, in the order of their numbers.
    pub fn of_each(shards: &[Address], shared: &Arc<Shared>) -> Vec<StatusProbe> {
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        let probe = |(shard, address): (u32, &Address)| StatusProbe {
            shard,
            shards: count,
            address: address.clone(),
            shared: shared.clone(),
            client: None,
        };
        (0..).zip(shards).map(probe).collect()
    }

    /// The shard's status, with the counts of each slot if they are asked for; `None` when it does not answer, or when what
    /// answers is another shard or belongs to another store. There is no time limit.
    pub async fn ask(&mut self, slots: bool) -> Option<ShardStatus> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => connect(&self.address).await.ok()?,
        };
        let status = read_status(&mut client, self.shard, slots).await;
        let status = status.filter(|status| self.is_of_the_store(status))?;
        self.client = Some(client);
        Some(status)
    }

    fn is_of_the_store(&self, status: &ShardStatus) -> bool {
        let identity = &status.identity;
        let is_store = self.shared.store().is_none_or(|store| identity.store == Some(store));
        is_store && (identity.shard, identity.shards) == (self.shard, self.shards)
    }
}
