//! Connections to a shard that say nothing, and messages that would take much memory. Each session here has the right
//! Hello: the store's id is no secret, so it opens no door.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shardcart::protocol::proto::shard_client::ShardClient;
use shardcart::protocol::proto::{self, request};
use shardcart::routing::KeyHash;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::harness::{Setup, Store, offer};

/// More than the shard gives a connection to say what it wants.
const PATIENCE: Duration = Duration::from_secs(20);
const DEADLINE_MS: u64 = 60_000;

fn with_channel<T>(store: &Store, conversation: impl AsyncFnOnce(Channel) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = Endpoint::from_shared(store.addresses()[0].clone()).unwrap().connect().await.unwrap();
        conversation(channel).await
    })
}

/// Opens a session and sends one message.
async fn send(channel: &Channel, batch: proto::RequestBatch) -> Streaming<proto::ReplyBatch> {
    let mut client = ShardClient::new(channel.clone());
    let status = client.status(proto::StatusRequest { slots: false }).await.unwrap().into_inner();
    let hello = proto::RequestBatch { hello: status.identity, ..proto::RequestBatch::default() };
    client.session(tokio_stream::iter([hello, batch])).await.unwrap().into_inner()
}

/// Receives replies to the end of a session.
async fn receive(mut replies: Streaming<proto::ReplyBatch>) -> Result<usize, Status> {
    let mut count = 0;
    while let Some(batch) = replies.message().await? {
        count += batch.replies.len();
    }
    Ok(count)
}

fn of_alice(id: u64, command: request::Command) -> proto::Request {
    let hash = KeyHash::of("alice").bits();
    proto::Request { id, hash, deadline_ms: DEADLINE_MS, command: Some(command), ..proto::Request::default() }
}

/// Resident bytes of the first shard, at most so far.
fn most_memory(store: &Store) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", store.shards[0].process().id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let store = Setup::new(1).start();
    let socket = store.addresses()[0].strip_prefix("unix:").unwrap().to_owned();
    let started = Instant::now();
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let connections = [b"", preface].map(|said| {
        let mut connection = UnixStream::connect(&socket).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(said).unwrap();
        connection
    });
    for mut connection in connections {
        // What the shard says of itself, then the end.
        let _ = connection.read_to_end(&mut Vec::new());
        assert!(started.elapsed() < PATIENCE, "it is held open");
    }
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
}

#[test]
fn a_session_without_a_hello_is_closed() {
    let store = Setup::new(1).start();
    let refused = with_channel(&store, async |channel| {
        let mut client = ShardClient::new(channel);
        // A connection that is used outlives the session.
        client.status(proto::StatusRequest { slots: false }).await.unwrap();
        let opened = client.session(tokio_stream::pending()).await;
        let ended = async { opened?.into_inner().message().await.map(|_| ()) };
        tokio::time::timeout(PATIENCE, ended).await.expect("it is held open")
    });
    assert_eq!(refused.unwrap_err().code(), Code::DeadlineExceeded);
}

#[test]
fn a_message_of_very_many_empty_requests_takes_no_memory() {
    let store = Setup::new(1).start();
    let before = most_memory(&store);
    let requests = vec![proto::Request::default(); 600_000];
    let refused = with_channel(&store, async |channel| {
        receive(send(&channel, proto::RequestBatch { requests, ..proto::RequestBatch::default() }).await).await
    });
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    let grown = most_memory(&store) - before;
    assert!(grown < 32 << 20, "{grown} bytes");
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
}

#[test]
fn many_reads_of_a_large_cart_take_little_memory_at_a_time() {
    let store = Setup::new(1).start();
    let add = |line: u64| {
        let item = format!("{line:0128}");
        let add = proto::AddLine { customer: "alice".into(), item, price: 1, count: 1, ..proto::AddLine::default() };
        of_alice(line, request::Command::AddLine(add))
    };
    let get = |id: u64| of_alice(id, request::Command::GetCart(proto::GetCart { customer: "alice".into() }));
    let batch = |requests: Vec<_>| proto::RequestBatch { requests, ..proto::RequestBatch::default() };
    with_channel(&store, async |channel| {
        for first in (0..1_000).step_by(250) {
            let adds = (first..first + 250).map(add).collect();
            assert_eq!(receive(send(&channel, batch(adds)).await).await.unwrap(), 250);
        }
        let before = most_memory(&store);
        let read = async || receive(send(&channel, batch((0..256).map(get).collect())).await).await;
        for received in join_all((0..8).map(|_| read())).await {
            assert_eq!(received.unwrap(), 256);
        }
        // All replies together have 300 MB.
        let grown = most_memory(&store) - before;
        assert!(grown < 64 << 20, "{grown} bytes");
    });
}

#[test]
fn a_customer_can_use_up_only_a_share_of_the_idempotency_keys() {
    let store = Setup::new(1).start();
    let add = |number: u64| {
        let (customer, item) = ("alice".into(), "tea".into());
        let add = proto::AddLine { customer, item, price: 1, count: 1, ..proto::AddLine::default() };
        let key = proto::Idempotency { key: number.to_string(), fingerprint: vec![0; 32] };
        proto::Request { idempotency: Some(key), ..of_alice(number, request::Command::AddLine(add)) }
    };
    with_channel(&store, async |channel| {
        for first in (0..10_000).step_by(250) {
            let requests = (first..first + 250).map(add).collect();
            let batch = proto::RequestBatch { requests, ..proto::RequestBatch::default() };
            assert_eq!(receive(send(&channel, batch).await).await.unwrap(), 250);
        }
    });
    let mut client = store.client();
    let mut add = |customer: &str| {
        let call = client.call("POST", &format!("/item/{customer}/tea"));
        call.header("Idempotency-Key", "one-more").json(&offer("1", 1)).send()
    };
    let refused = add("alice").expect(429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((86_000..=86_401).contains(&seconds), "the first of the keys is live for a day: {seconds}");
    add("bob").expect(201);
    client.post("/item/alice/tea", &offer("1", 1)).expect(200);
    assert_eq!(client.get("/items/alice").expect(200).json()["itemTotal"], 10_001);
}
