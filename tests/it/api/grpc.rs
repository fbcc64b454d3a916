//! A shard's gRPC interface: health, reflection, status, and sessions that it refuses.

use std::time::Duration;

use shardcart::protocol::proto::holding::State;
use shardcart::protocol::proto::shard_client::ShardClient;
use shardcart::protocol::proto::{self, reply, request};
use shardcart::routing::{KeyHash, OrderId, Slot};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::iter;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::shop::{Stock, make_book, settled, stock_of};
use crate::harness::{Setup, Store, offer};

/// Connects to a shard and runs a conversation on the channel.
fn talk<T>(store: &Store, shard: usize, conversation: impl AsyncFnOnce(Channel) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address = store.addresses()[shard].clone();
    let address = if address.starts_with("unix:") { address } else { format!("http://{address}") };
    runtime.block_on(async {
        let channel = Endpoint::from_shared(address).expect("an address").connect().await.expect("the shard listens");
        conversation(channel).await
    })
}

async fn status(channel: &Channel) -> proto::StatusReply {
    let reply = ShardClient::new(channel.clone()).status(proto::StatusRequest { slots: false }).await;
    reply.expect("a status").into_inner()
}

/// Opens a session with a Hello, sends requests, and collects the replies until the session ends.
async fn session(
    channel: &Channel,
    hello: proto::Hello,
    requests: Vec<proto::Request>,
) -> Result<Vec<proto::Reply>, Status> {
    session_at(channel, hello, 0, requests).await
}

/// The same, as of a client's time at which it sends the requests.
async fn session_at(
    channel: &Channel,
    hello: proto::Hello,
    sent_us: u64,
    requests: Vec<proto::Request>,
) -> Result<Vec<proto::Reply>, Status> {
    let hello = proto::RequestBatch { hello: Some(hello), ..proto::RequestBatch::default() };
    let batches = [hello, proto::RequestBatch { requests, sent_us, ..proto::RequestBatch::default() }];
    let mut stream = ShardClient::new(channel.clone()).session(iter(batches)).await?.into_inner();
    let mut replies = Vec::new();
    while let Some(batch) = stream.message().await? {
        replies.extend(batch.replies);
    }
    Ok(replies)
}

/// An addition to a customer's cart under any hash.
fn addition(id: u64, hash: KeyHash, customer: &str, deadline_ms: u64) -> proto::Request {
    let line = proto::AddLine {
        customer: customer.into(),
        item: "tea".into(),
        price: 100,
        count: 1,
        ..proto::AddLine::default()
    };
    let command = Some(request::Command::AddLine(line));
    proto::Request { id, hash: hash.bits(), deadline_ms, command, ..proto::Request::default() }
}

fn reason(reply: &proto::Reply) -> Option<proto::failure::Reason> {
    match &reply.result {
        Some(reply::Result::Failure(failure)) => Some(failure.reason()),
        _ => None,
    }
}

const LONG: u64 = 60_000;

#[test]
fn a_shard_tells_its_health_and_its_services() {
    let store = Setup::new(1).tcp().start();
    talk(&store, 0, async |channel| {
        let mut health = HealthClient::new(channel.clone());
        for service in ["", "shardcart.v1.Shard"] {
            let reply = health.check(HealthCheckRequest { service: service.into() }).await.expect("its health");
            assert_eq!(reply.into_inner().status(), ServingStatus::Serving, "{service}");
        }
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(channel);
        let mut replies = reflection.server_reflection_info(iter([list])).await.expect("reflection").into_inner();
        let reply = replies.message().await.expect("a reply").expect("one reply");
        let Some(MessageResponse::ListServicesResponse(services)) = reply.message_response else { panic!("{reply:?}") };
        let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
        for name in ["shardcart.v1.Shard", "grpc.health.v1.Health"] {
            assert!(names.iter().any(|other| other == name), "{names:?}");
        }
    });
}

#[test]
fn a_message_that_is_too_long_ends_its_session_alone() {
    let store = Setup::new(1).tcp().start();
    let long = request::Command::PutValue(proto::PutValue { key: "a".into(), value: "x".repeat(2 << 20) });
    talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        let long = proto::Request { command: Some(long), ..addition(1, KeyHash::of("a"), "a", LONG) };
        let closed = session(&channel, hello.clone(), vec![long]).await;
        assert_eq!(closed.expect_err("it is refused").code(), Code::OutOfRange);
        let replies = session(&channel, hello, vec![addition(1, KeyHash::of("alice"), "alice", LONG)]).await;
        assert_eq!(replies.expect("another session").iter().map(reason).collect::<Vec<_>>(), [None]);
    });
}

#[test]
fn streams_of_a_connection_past_the_limit_wait_for_another_to_end() {
    const STREAMS: usize = 16;
    let store = Setup::new(1).tcp().start();
    talk(&store, 0, async |channel| {
        let health = HealthClient::new(channel);
        let watch = || {
            let mut health = health.clone();
            async move { health.watch(HealthCheckRequest { service: String::new() }).await.expect("a stream") }
        };
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            streams.push(watch().await);
        }
        assert!(timeout(Duration::from_millis(200), watch()).await.is_err(), "there is no room for one more");
        streams.pop();
        watch().await;
    });
}

/// A connection on which nothing was asked is cut after a time; one that watches its health was asked something.
#[test]
fn who_watches_the_health_of_a_shard_is_not_taken_for_silent() {
    let store = Setup::new(1).tcp().start();
    talk(&store, 0, async |channel| {
        let watched = HealthCheckRequest { service: String::new() };
        let mut health = HealthClient::new(channel).watch(watched).await.expect("a stream").into_inner();
        assert!(health.message().await.expect("its health").is_some());
        let mut silent = TcpStream::connect(&store.addresses()[0]).await.expect("the shard listens");
        let mut sent = Vec::new();
        // It was opened later, so it is cut later.
        let _ = silent.read_to_end(&mut sent).await;
        let next = timeout(Duration::from_millis(200), health.message()).await;
        assert!(next.is_err(), "nothing changes, and the stream goes on: {next:?}");
    });
}

#[test]
fn a_shard_tells_its_status() {
    let store = Setup::new(2).tcp().durable().start();
    let customer = store.customer_on(1, "customer");
    store.client().post(&format!("/item/{customer}/tea"), &offer("1", 1)).expect(201);
    let statuses = [0, 1].map(|shard| talk(&store, shard, async |channel| status(&channel).await));
    for (shard, status) in (0..).zip(&statuses) {
        let identity = status.identity.as_ref().expect("an identity");
        assert_eq!((identity.shard, identity.shards), (shard, 2));
        assert!(status.accepts_writes && status.free_disk_bytes > 0);
        assert_eq!(status.slots, [proto::SlotRange { first: 8_192 * shard, last: 8_192 * shard + 8_191 }]);
    }
    let carts =
        |status: &proto::StatusReply| status.records.iter().find(|kind| kind.kind == "cart").map(|kind| kind.count);
    assert_eq!((carts(&statuses[0]), carts(&statuses[1])), (Some(0), Some(1)));
    assert!(statuses[1].commits >= 1 && statuses[1].operations >= 1 && statuses[1].resident_bytes > 0);
    let histogram = statuses[1].commit_seconds.as_ref().expect("a histogram");
    assert_eq!(histogram.counts.len(), histogram.bounds.len() + 1);
    assert_eq!(histogram.counts.iter().sum::<u64>(), statuses[1].commits);
    assert_eq!(statuses[0].identity.as_ref().map(|i| &i.store_id), statuses[1].identity.as_ref().map(|i| &i.store_id));
}

#[test]
fn a_command_for_another_slot_is_not_run() {
    let store = Setup::new(2).tcp().durable().start();
    let (ours, theirs) = (store.customer_on(0, "customer"), store.customer_on(1, "customer"));
    let requests = vec![addition(1, KeyHash::of(&theirs), &theirs, LONG), addition(2, KeyHash::of(&ours), &ours, LONG)];
    let replies = talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        session(&channel, hello, requests).await.expect("a session")
    });
    let of = |id: u64| {
        replies.iter().find(|reply| reply.id == id).unwrap_or_else(|| panic!("no reply to {id}: {replies:?}"))
    };
    assert_eq!(reason(of(1)), Some(proto::failure::Reason::WrongSlot));
    assert_eq!(reason(of(2)), None);
    let count =
        |customer: &str| store.client().get(&format!("/items/{customer}")).expect(200).json()["itemTotal"].as_u64();
    assert_eq!((count(&ours), count(&theirs)), (Some(1), Some(0)));
}

#[test]
fn a_command_under_the_hash_of_another_id_is_refused() {
    let mut store = Setup::new(2).tcp().durable().start();
    let (ours, theirs) = (store.customer_on(0, "customer"), store.customer_on(1, "customer"));
    // The slot is this shard's, the customer is not: stored, the record would keep the shard from starting.
    let replies = talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        session(&channel, hello, vec![addition(1, KeyHash::of(&ours), &theirs, LONG)]).await.expect("a session")
    });
    assert_eq!(reason(&replies[0]), Some(proto::failure::Reason::Invalid));
    store.restart_shard(0);
}

/// A shard that does not own an order says that it is refused, and the asker would release its stock.
#[test]
fn a_question_about_an_order_under_the_hash_of_another_id_is_refused() {
    let store = Setup::new(2).start();
    let ours = store.customer_on(0, "customer");
    let order = OrderId::new(Slot(16_383), 1, 2).as_bytes().to_vec();
    let rule = request::Command::Rule(proto::Rule { order: order.clone() });
    let get = request::Command::GetOrder(proto::GetOrder { order });
    let ask = |command| proto::Request { command: Some(command), ..addition(1, KeyHash::of(&ours), &ours, LONG) };
    for command in [rule, get] {
        let replies = talk(&store, 0, async |channel| {
            let hello = status(&channel).await.identity.expect("an identity");
            session(&channel, hello, vec![ask(command)]).await.expect("a session")
        });
        assert_eq!(reason(&replies[0]), Some(proto::failure::Reason::Invalid));
    }
}

#[test]
fn a_deadline_counts_on_the_clients_clock() {
    const CLIENTS_TIME: u64 = 1_000_000;
    let store = Setup::new(1).start();
    let hash = KeyHash::of("alice");
    let late = addition(1, hash, "alice", CLIENTS_TIME - 1_000);
    let punctual = addition(2, hash, "alice", CLIENTS_TIME + LONG);
    let mut replies = talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        session_at(&channel, hello, 1_000 * CLIENTS_TIME, vec![late, punctual]).await.expect("a session")
    });
    replies.sort_by_key(|reply| reply.id);
    let reasons: Vec<_> = replies.iter().map(reason).collect();
    assert_eq!(reasons, [Some(proto::failure::Reason::Unavailable), None]);
}

#[test]
fn a_command_past_its_deadline_is_not_run() {
    let store = Setup::new(1).tcp().start();
    let replies = talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        session(&channel, hello, vec![addition(7, KeyHash::of("alice"), "alice", 0)]).await.expect("a session")
    });
    assert_eq!(
        replies.iter().map(|reply| (reply.id, reason(reply))).collect::<Vec<_>>(),
        [(7, Some(proto::failure::Reason::Unavailable))]
    );
    assert_eq!(store.client().get("/items/alice").expect(200).version(), 0);
}

#[test]
fn a_session_that_expects_another_shard_is_closed() {
    let store = Setup::new(2).tcp().start();
    talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        let customer = store.customer_on(0, "customer");
        for wrong in [
            proto::Hello { shard: 1, ..hello.clone() },
            proto::Hello { shards: 3, ..hello.clone() },
            proto::Hello { table_version: hello.table_version + 1, ..hello.clone() },
            proto::Hello { store_id: "01234567-89ab-4cde-8f01-23456789abcd".into(), ..hello.clone() },
            proto::Hello { store_id: "no id".into(), ..hello.clone() },
        ] {
            let requests = vec![addition(1, KeyHash::of(&customer), &customer, LONG)];
            let closed = session(&channel, wrong.clone(), requests).await;
            assert!(closed.is_err_and(|status| status.code() != Code::Internal), "{wrong:?}");
        }
        let requests = vec![addition(1, KeyHash::of(&customer), &customer, LONG)];
        let rude = proto::RequestBatch { requests, ..proto::RequestBatch::default() };
        let mut client = ShardClient::new(channel);
        let refused = match client.session(iter([rude])).await {
            Ok(stream) => stream.into_inner().message().await.is_err(),
            Err(_) => true,
        };
        assert!(refused, "a session begins with a Hello");
        assert_eq!(store.client().get(&format!("/items/{customer}")).expect(200).version(), 0);
    });
}

#[test]
fn malformed_requests_are_refused_and_the_shard_continues() {
    let store = Setup::new(1).tcp().start();
    let hash = KeyHash::of("alice");
    let with = |id: u64, command: request::Command| proto::Request {
        command: Some(command),
        ..addition(id, hash, "alice", LONG)
    };
    let line = |customer: &str, item: &str, price: u64, count: u32| {
        let line =
            proto::AddLine { customer: customer.into(), item: item.into(), price, count, ..proto::AddLine::default() };
        request::Command::AddLine(line)
    };
    let requests = vec![
        proto::Request { command: None, ..addition(1, hash, "alice", LONG) },
        with(2, line("", "tea", 1, 1)),
        with(3, line("alice", "a\0", 1, 1)),
        with(4, line("alice", "tea", u64::MAX, 1)),
        with(5, line("alice", "tea", 1, u32::MAX)),
        with(6, line("alice", "tea", 1, 0)),
        with(7, request::Command::PutValue(proto::PutValue { key: "a-b".into(), value: String::new() })),
        with(8, request::Command::PutValue(proto::PutValue { key: "alice".into(), value: "x".repeat(5_000) })),
    ];
    let asked = requests.len();
    let replies = talk(&store, 0, async |channel| {
        let hello = status(&channel).await.identity.expect("an identity");
        session(&channel, hello, requests).await.expect("a session")
    });
    assert_eq!(replies.len(), asked);
    let taken: Vec<_> = replies.iter().filter(|reply| reason(reply).is_none()).collect();
    assert!(taken.is_empty(), "{taken:?}");
    assert_eq!(store.client().get("/items/alice").expect(200).version(), 0);
    store.client().post("/item/alice/tea", &offer("1", 1)).expect(201);
}

/// Holds one copy of a product for an order.
fn hold(product: &str, order: OrderId) -> proto::Request {
    let lines = vec![proto::Line { product: product.into(), count: 1 }];
    let hold = proto::Hold { order: order.as_bytes().to_vec(), lines, only_look: false };
    let command = Some(request::Command::Hold(hold));
    proto::Request { id: 1, hash: KeyHash::of(product).bits(), deadline_ms: LONG, command, ..proto::Request::default() }
}

/// The home does not know the order and tells nobody anything: only the inquiry of the product's shard ends the hold.
#[test]
fn stock_held_while_the_home_is_away_is_released_once_it_is_back() {
    let mut store = Setup::new(2).tcp().durable().start();
    let book = store.customer_on(1, "978-");
    make_book(&mut store.client(), &book, 3);
    store.shards[0].kill();
    talk(&store, 1, async |channel| {
        let hello = status(&channel).await.identity.expect("its identity");
        session(&channel, hello, vec![hold(&book, OrderId::new(Slot(0), 1, 2))]).await.expect("a session");
    });
    let held = Stock { stock: 2, held: 1, sold: 0, received: 3 };
    assert_eq!(stock_of(&mut store.client(), &book), held);
    // The hold is found again by the shard that has it.
    store.restart_shard(1);
    assert_eq!(stock_of(&mut store.client(), &book), held);
    store.start_shard(0);
    let untouched = Stock { stock: 3, held: 0, sold: 0, received: 3 };
    assert_eq!(settled(&store, &[&book]), [untouched]);
    // The end of the hold is remembered through a restart: a late one is rejected.
    store.restart_shard(1);
    let late = talk(&store, 1, async |channel| {
        let hello = status(&channel).await.identity.expect("its identity");
        session(&channel, hello, vec![hold(&book, OrderId::new(Slot(0), 1, 2))]).await.expect("a session")
    });
    let Some(Some(reply::Result::Holdings(found))) = late.into_iter().next().map(|reply| reply.result) else {
        panic!("no holdings")
    };
    assert_eq!(found.holdings[0].state(), State::Settled);
}

#[test]
fn stock_held_for_an_unknown_order_is_released() {
    let store = Setup::new(2).start();
    let book = store.customer_on(1, "978-");
    make_book(&mut store.client(), &book, 3);
    let order = OrderId::new(Slot(0), 1, 2);
    let held = || {
        talk(&store, 1, async |channel| {
            let hello = status(&channel).await.identity.expect("its identity");
            let replies = session(&channel, hello, vec![hold(&book, order)]).await.expect("a session");
            match replies.into_iter().next().and_then(|reply| reply.result) {
                Some(reply::Result::Holdings(found)) => found.holdings[0].state(),
                other => panic!("{other:?}"),
            }
        })
    };
    assert_eq!(held(), State::Enough);
    assert_eq!(stock_of(&mut store.client(), &book), Stock { stock: 2, held: 1, sold: 0, received: 3 });
    let untouched = Stock { stock: 3, held: 0, sold: 0, received: 3 };
    assert_eq!(settled(&store, &[&book]), [untouched]);
    assert_eq!(held(), State::Settled);
    assert_eq!(stock_of(&mut store.client(), &book), untouched);
}
