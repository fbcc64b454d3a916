//! The limits of a session on what waits for a commit, filled while nothing is committed: the session reads no more, its
//! neighbour has room, and once commits go on each command has its reply.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _};
use http_body_util::Full;
use prost::Message as _;
use tonic::Streaming;
use tonic::codec::Codec as _;

use super::connection::Greeted;
use super::session::{MAX_OUTSTANDING, MAX_WAITING_BYTES, Session};
use crate::domain::cart::Offer;
use crate::domain::money::Money;
use crate::protocol::{BoundedCodec, CartCommand, Command, MAX_BATCH, Request, encode_request, is_failure, proto};
use crate::routing::{CustomerId, ItemId};
use crate::shard::clock;
use crate::shard::context::ShardContext;
use crate::shard::context::tests::{TestStorage, context};
use crate::shard::dispatch;
use crate::shard::options::DEFAULT_COMMIT_TIMEOUT;

const DEADLINE_MS: u64 = 60_000;

fn of_cart(customer: &str, command: CartCommand) -> Request {
    Request::new(Command::Cart { customer: CustomerId::new(customer).unwrap(), command })
}

fn add(customer: &str, item: usize) -> Request {
    let offer = Offer { price: Money::default(), special_sale: false, sale_expiration: None };
    of_cart(customer, CartCommand::AddLine { item: ItemId::new(format!("{item:0128}")).unwrap(), offer, count: 1 })
}

/// A session whose Hello is answered, and which has these requests to read.
fn open(context: &Arc<ShardContext>, requests: &[Request]) -> Session {
    let hello = proto::Hello::from(&context.identity.hello());
    let hello = proto::RequestBatch { hello: Some(hello), ..proto::RequestBatch::default() };
    let message = |request| proto::Request { deadline_ms: DEADLINE_MS, ..encode_request(request) };
    let batches = requests.chunks(MAX_BATCH).map(|requests| proto::RequestBatch {
        requests: requests.iter().map(message).collect(),
        ..proto::RequestBatch::default()
    });
    let mut body = BytesMut::new();
    for batch in std::iter::once(hello).chain(batches) {
        body.put_u8(0);
        body.put_u32(u32::try_from(batch.encoded_len()).unwrap());
        batch.encode(&mut body).unwrap();
    }
    let decoder = BoundedCodec::<proto::ReplyBatch, proto::RequestBatch>::default().decoder();
    let inbound = Streaming::new_request(decoder, Full::<Bytes>::new(body.into()), None, None);
    let mut session = Session::new(context.clone(), inbound, Greeted::default());
    let answer = session.next().now_or_never().flatten().expect("an answer").expect("a session");
    assert!(answer.hello.is_some());
    session
}

/// Runs what a session will while nothing is committed. Returns how many replies wait then, of all sessions.
fn run(context: &ShardContext, session: &mut Session) -> usize {
    assert!(session.next().now_or_never().is_none(), "no reply leaves before its commit");
    context.writer.lock().queue()
}

/// The number of replies of a session up to its end, none of which says that the shard had no room.
async fn count_replies(session: &mut Session) -> usize {
    let mut count = 0;
    while let Some(batch) = tokio::time::timeout(Duration::from_secs(60), session.next()).await.expect("it goes on") {
        let replies = batch.unwrap().replies;
        assert!(!replies.iter().any(is_failure));
        count += replies.len();
    }
    count
}

#[tokio::test]
async fn a_session_has_a_limited_number_of_commands_that_wait_for_their_commit() {
    let context = context(Arc::new(TestStorage::default()));
    let most = 2 * MAX_OUTSTANDING;
    let mut greedy = open(&context, &vec![add("greedy", 1); most]);
    let mut neighbour = open(&context, &[add("neighbour", 1)]);
    assert_eq!(run(&context, &mut greedy), MAX_OUTSTANDING);
    assert_eq!(run(&context, &mut neighbour), MAX_OUTSTANDING + 1);
    context.writer.start(DEFAULT_COMMIT_TIMEOUT).unwrap();
    assert_eq!(count_replies(&mut neighbour).await, 1);
    assert_eq!(count_replies(&mut greedy).await, most);
}

#[tokio::test]
async fn the_replies_of_a_session_that_wait_for_their_commit_have_a_limited_size() {
    const LINES: usize = 100;
    let context = context(Arc::new(TestStorage::default()));
    let get = of_cart("greedy", CartCommand::Get);
    let most = 2 * MAX_WAITING_BYTES / (LINES * 128);
    let mut greedy = open(&context, &vec![get.clone(); most]);
    let mut neighbour = open(&context, &[add("neighbour", 1)]);
    let size = {
        let mut writer = context.writer.lock();
        let mut run = |request: &Request| match dispatch::execute(&mut writer, request, clock::moment(), &[]) {
            dispatch::Execution::Replied(reply, _) => reply.encoded_len(),
            other => panic!("{other:?}"),
        };
        (0..LINES).for_each(|line| _ = run(&add("greedy", line)));
        run(&get)
    };
    let waiting = run(&context, &mut greedy);
    assert_eq!(waiting, MAX_WAITING_BYTES.div_ceil(size), "replies of {size} bytes");
    assert_eq!(run(&context, &mut neighbour), waiting + 1);
    context.writer.start(DEFAULT_COMMIT_TIMEOUT).unwrap();
    assert_eq!(count_replies(&mut neighbour).await, 1);
    assert_eq!(count_replies(&mut greedy).await, most);
}
