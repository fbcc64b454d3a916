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

/// A connection whose streams do not fill up each other's window.
async fn connect(store: &Store) -> Channel {
    let endpoint = Endpoint::from_shared(store.addresses()[0].clone()).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(1 << 30);
    endpoint.connect().await.unwrap()
}

fn with_channel<T>(store: &Store, conversation: impl AsyncFnOnce(Channel) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { conversation(connect(store).await).await })
}

/// Opens a session and sends messages.
async fn send_all(channel: &Channel, batches: Vec<proto::RequestBatch>) -> Streaming<proto::ReplyBatch> {
    let mut client = ShardClient::new(channel.clone());
    let status = client.status(proto::StatusRequest { slots: false }).await.unwrap().into_inner();
    let hello = proto::RequestBatch { hello: status.identity, ..proto::RequestBatch::default() };
    client.session(tokio_stream::iter(std::iter::once(hello).chain(batches))).await.unwrap().into_inner()
}

/// Opens a session and sends one message.
async fn send(channel: &Channel, batch: proto::RequestBatch) -> Streaming<proto::ReplyBatch> {
    send_all(channel, vec![batch]).await
}

/// Receives the first replies of a session, which then has run what it will until more of them are received.
async fn receive_first(replies: &mut Streaming<proto::ReplyBatch>) -> usize {
    loop {
        let batch = replies.message().await.unwrap().unwrap();
        if !batch.replies.is_empty() {
            return batch.replies.len();
        }
    }
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
fn a_message_of_very_many_empty_parts_takes_no_memory() {
    let store = Setup::new(1).start();
    let before = most_memory(&store);
    let hold = proto::Hold { lines: vec![proto::Line::default(); 600_000], ..proto::Hold::default() };
    let hold = of_alice(1, request::Command::Hold(hold));
    for requests in [vec![proto::Request::default(); 600_000], vec![hold]] {
        let refused = with_channel(&store, async |channel| receive(send(&channel, batch(requests)).await).await);
        assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    }
    let grown = most_memory(&store).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
}

fn batch(requests: Vec<proto::Request>) -> proto::RequestBatch {
    proto::RequestBatch { requests, ..proto::RequestBatch::default() }
}

/// Adds the `line`th line to Alice's cart.
fn add_line(line: u64) -> proto::Request {
    let item = format!("{line:0128}");
    let add = proto::AddLine { customer: "alice".into(), item, price: 1, count: 1, ..proto::AddLine::default() };
    of_alice(line, request::Command::AddLine(add))
}

fn get_cart(id: u64) -> proto::Request {
    of_alice(id, request::Command::GetCart(proto::GetCart { customer: "alice".into() }))
}

/// Fills Alice's cart, which has 150 KB then.
async fn fill_cart(channel: &Channel) {
    for first in (0..1_000).step_by(250) {
        let adds = (first..first + 250).map(add_line).collect();
        assert_eq!(receive(send(channel, batch(adds)).await).await.unwrap(), 250);
    }
}

#[test]
fn many_reads_of_a_large_cart_take_little_memory_at_a_time() {
    let store = Setup::new(1).start();
    with_channel(&store, async |channel| {
        fill_cart(&channel).await;
        let before = most_memory(&store);
        let read = async || receive(send(&channel, batch((0..256).map(get_cart).collect())).await).await;
        for received in join_all((0..8).map(|_| read())).await {
            assert_eq!(received.unwrap(), 256);
        }
        // All replies together have 300 MB.
        let grown = most_memory(&store).saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes");
    });
}

#[test]
fn lists_that_nobody_takes_wait_and_delay_nobody() {
    // An order over several shards is kept when it is refused.
    let store = Setup::new(2).start();
    assert_eq!(store.shard_of("alice"), 0);
    let mut client = store.client();
    let card = r#"{"payment": {"card_number": "4242424242424242"}}"#;
    with_channel(&store, async |channel| {
        fill_cart(&channel).await;
        for _ in 0..4 {
            client.post("/checkout/alice", card).expect_problem(409, "0000");
        }
        let before = most_memory(&store);
        let list = |id| {
            let list = proto::ListOrders { limit: 100, ..proto::ListOrders::default() };
            proto::Request { hash: 0, ..of_alice(id, request::Command::ListOrders(list)) }
        };
        let mut hostile = send(&channel, batch((0..256).map(list).collect())).await;
        let received = receive_first(&mut hostile).await;
        // A list of the neighbour waits for those that were begun before it.
        let path = "/api/orders?limit=2";
        let orders = client.call("GET", path).header("X-API-Key", "secret123").send().expect(200);
        assert_eq!(orders.json()["items"].as_array().unwrap().len(), 2);
        client.post("/item/bob/tea", &offer("1", 1)).expect(201);
        client.post("/purchase/1", "").expect(201);
        // All lists together have 250 MB.
        let grown = most_memory(&store).saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes");
        assert_eq!(received + receive(hostile).await.unwrap(), 256, "it goes on");
    });
}

#[test]
fn stored_answers_that_nobody_takes_wait_and_delay_nobody() {
    let store = Setup::new(1).start();
    let keyed = |id| {
        let key = proto::Idempotency { key: "first".into(), fingerprint: vec![0; 32] };
        proto::Request { id, idempotency: Some(key), ..add_line(7) }
    };
    with_channel(&store, async |channel| {
        fill_cart(&channel).await;
        assert_eq!(receive(send(&channel, batch(vec![keyed(1)])).await).await.unwrap(), 1);
        let before = most_memory(&store);
        let messages = (0..4).map(|_| batch((0..250).map(keyed).collect())).collect();
        let mut hostile = send_all(&channel, messages).await;
        let received = receive_first(&mut hostile).await;
        let repeated = receive(send(&connect(&store).await, batch(vec![keyed(1)])).await).await;
        assert_eq!(repeated.unwrap(), 1, "a neighbour has its answer");
        // All of them together have 150 MB.
        let grown = most_memory(&store).saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes");
        assert_eq!(received + receive(hostile).await.unwrap(), 1_000, "it goes on");
    });
}

#[test]
fn sessions_that_take_no_replies_share_what_the_shard_holds_for_them() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    with_channel(&store, async |channel| {
        fill_cart(&channel).await;
        let before = most_memory(&store);
        let mut hostile = Vec::new();
        for _ in 0..20 {
            let channel = connect(&store).await;
            for _ in 0..8 {
                let mut replies = send(&channel, batch((0..256).map(get_cart).collect())).await;
                receive_first(&mut replies).await;
                hostile.push(replies);
            }
        }
        for customer in 0..50 {
            client.post(&format!("/item/c{customer}/tea"), &offer("1", 1)).expect(201);
            assert_eq!(client.get("/items/alice").expect(200).json()["itemTotal"], 1_000);
        }
        client.post("/purchase/1", "").expect(201);
        // Each would hold 2 MB, which makes 320 MB.
        let grown = most_memory(&store).saturating_sub(before);
        assert!(grown < 192 << 20, "{grown} bytes");
        let last = hostile.pop().unwrap();
        drop(hostile);
        assert!(receive(last).await.unwrap() > 200, "it goes on");
    });
}

#[test]
fn a_customer_can_use_up_only_a_share_of_the_bytes_of_answers_and_a_restart_frees_none() {
    let mut store = Setup::new(1).durable().start();
    let keyed = |id: u64| {
        let key = proto::Idempotency { key: id.to_string(), fingerprint: vec![0; 32] };
        proto::Request { idempotency: Some(key), ..of_alice(id, add_line(7).command.unwrap()) }
    };
    with_channel(&store, async |channel| {
        fill_cart(&channel).await;
        // The answers have 134 KB each, and a customer's share 64 MiB. More at a time would not fit into a commit.
        for first in (0..600).step_by(8) {
            let requests = (first..first + 8).map(keyed).collect();
            assert_eq!(receive(send(&channel, batch(requests)).await).await.unwrap(), 8);
        }
    });
    for restart in [false, true] {
        if restart {
            store.restart_shard(0);
        }
        let mut client = store.client();
        let mut add = |customer: &str| {
            let call = client.call("POST", &format!("/item/{customer}/tea"));
            call.header("Idempotency-Key", &format!("more-{restart}")).json(&offer("1", 1)).send()
        };
        add("alice").expect_problem(429, "their answers are too large");
        add("bob").expect(if restart { 200 } else { 201 });
    }
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
