//! The status of a store: one snapshot in three views, its stream, the load of slots, and what it says when things go wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::http::Connection;
use crate::harness::shop::{CARD, KEY, order_of, place};
use crate::harness::status::snapshot_of;
use crate::harness::{Action, Answer, Client, DEADLINE, Document, Fault, Gateway, Setup, Store, eventually, offer};

/// The most streams at a time.
const MAX_VIEWERS: usize = 64;
const ANSWERS: usize = 20;

/// A reader of the status' stream.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    fn open(store: &Store) -> Self {
        let mut stream = TcpStream::connect(store.facade.http[0]).expect("the facade listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
        stream.write_all(b"GET /status/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is sent");
        Watcher(BufReader::new(stream))
    }

    /// The next line; `None` at the end of the stream.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).expect("the stream goes on");
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// The status, headers of the answer.
    fn head(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).take_while(|line| !line.is_empty()).collect()
    }

    /// The next event's id and data; `None` at the end of the stream.
    fn event(&mut self) -> Option<(u64, Value)> {
        let mut id = None;
        loop {
            let line = self.line()?;
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().expect("a number"));
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some((id.expect("the id comes first"), serde_json::from_str(data).expect("JSON")));
            }
        }
    }
}

fn status(client: &mut Client) -> Value {
    client.get("/status").expect(200).json()
}

/// Waits for a snapshot of which something is so.
fn status_with(client: &mut Client, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || Some(status(client)).filter(&is_so))
}

fn metric(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

#[test]
fn one_snapshot_has_three_views() {
    let store = Setup::new(2).durable().start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    let mut watcher = Watcher::open(&store);
    let head = watcher.head();
    assert!(head[0].contains("200") && head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    for number in 0..ANSWERS {
        client.post(&format!("/item/customer{number}/tea"), &offer("1", 1)).expect(201);
    }
    client.post("/purchase/1", "").expect(201);
    // The three are asked one after the other, so a snapshot may come between.
    let (json, metrics) = eventually("the three are of one snapshot", || {
        let (id, shown) = watcher.event().expect("the stream goes on");
        let json = client.call("GET", "/status").send_as_documented(&document).expect(200).json();
        let metrics = client.get("/metrics").expect(200).text();
        let carts: u64 = json["shards"].as_array()?.iter().filter_map(|shard| shard["records"]["cart"].as_u64()).sum();
        let is_one = json["snapshot"] == id && snapshot_of(&metrics) == id && carts == ANSWERS as u64;
        is_one.then(|| {
            assert_eq!(shown, json);
            (json, metrics)
        })
    });
    for shard in 0..2 {
        let figures = &json["shards"][shard];
        let labelled = |name: &str| metric(&metrics, &format!("shardcart_shard_{name}{{shard=\"{shard}\"}}"));
        for name in
            ["resident_bytes", "memory_bytes", "idempotency_keys", "free_disk_bytes", "queue", "undecided_orders"]
        {
            assert_eq!(labelled(name), figures[name].as_f64(), "{name}");
        }
        assert_eq!(labelled("up"), Some(1.0));
        for (kind, count) in figures["records"].as_object().expect("records") {
            let name = format!("shardcart_shard_records{{shard=\"{shard}\",kind=\"{kind}\"}}");
            assert_eq!(metric(&metrics, &name), count.as_f64(), "{name}");
        }
    }
    assert_eq!(metric(&metrics, "shardcart_http_connections"), json["facade"]["connections"].as_f64());
    assert_eq!(metric(&metrics, "shardcart_status_viewers"), Some(1.0));
    assert_eq!(json["facade"]["viewers"], 1);
}

#[test]
fn rates_are_of_the_last_second_and_history_goes_back() {
    let store = Setup::new(1).durable().start();
    let mut client = store.client();
    let before = client.get("/metrics").expect(200).text();
    for _ in 0..ANSWERS {
        client.post("/item/alice/tea", &offer("1", 1));
        client.get("/items/alice").expect(200);
    }
    client.post("/purchase/1", "").expect(201);
    let counted = |metrics: &str, name: &str| metric(metrics, &format!("shardcart_shard_{name}_total{{shard=\"0\"}}"));
    let after = eventually("all are counted", || {
        let metrics = client.get("/metrics").expect(200).text();
        (counted(&metrics, "order_requests") == Some(1.0)).then_some(metrics)
    });
    let grown = |name: &str| counted(&after, name).unwrap() - counted(&before, name).unwrap();
    assert_eq!((grown("writes"), grown("reads"), grown("failures")), (ANSWERS as f64, ANSWERS as f64, 0.0));
    let answer = client.get("/status?history=900").expect(200).json();
    let series = &answer["history"]["shards"][0];
    let sum = |name: &str| series[name].as_array().expect(name).iter().filter_map(Value::as_f64).sum::<f64>();
    for name in ["writes_per_s", "reads_per_s", "orders_per_s", "requests_per_s"] {
        assert!(sum(name) > 0.0, "{name}: {series}");
    }
    assert_eq!(sum("errors_per_s"), 0.0);
    assert!(sum("p50_ms") > 0.0 && sum("commit_p99_ms") > 0.0 && sum("batch_size") > 0.0);
    let lengths: BTreeMap<_, _> =
        series.as_object().unwrap().iter().map(|(name, values)| (name, values.as_array().unwrap().len())).collect();
    let length = answer["snapshot"].as_u64().unwrap() as usize;
    assert!(lengths.values().all(|found| (length..length + 60).contains(found)), "{lengths:?} of {length}");
    let two = client.get("/status?history=2").expect(200).json();
    assert_eq!(two["history"]["shards"][0]["records"].as_array().unwrap().len(), 2);
    for wrong in ["0", "901", "-1", "x", "", "1&history=2"] {
        client.get(&format!("/status?history={wrong}")).expect_problem(400, "history");
    }
}

#[test]
fn a_shard_that_dies_is_down_at_once_and_the_others_go_on() {
    let mut store = Setup::new(2).durable().start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    let well = status_with(&mut client, "all is well", |status| status["verdict"]["ok"] == true);
    assert_eq!(well["verdict"]["code"], "all_well");
    store.shards[1].kill();
    let down = status_with(&mut client, "it is down", |status| status["shards"][1]["state"] == "down");
    client.call("GET", "/status").send_as_documented(&document).expect(200);
    assert_eq!(down["shards"][0]["state"], "up");
    assert_eq!(down["shards"][1]["records"], Value::Null);
    assert_eq!(down["shards"][1]["slots"], well["shards"][1]["slots"]);
    assert_eq!(down["verdict"]["code"], "shard_down");
    assert!(down["verdict"]["text"].as_str().unwrap().starts_with("Shard 1 is down"), "{}", down["verdict"]);
    let customer = store.customer_on(1, "SecretCustomer");
    let failed = client.get(&format!("/items/{customer}")).expect_problem(503, "");
    let id = failed.header("x-request-id").expect("an id").to_owned();
    let told = status_with(&mut client, "the fault is told", |status| status["faults"][0]["request_id"] == *id);
    let fault = &told["faults"][0];
    assert_eq!((&fault["status"], &fault["code"]), (&503.into(), &"unavailable".into()));
    assert_eq!((&fault["route"], &fault["shard"]), (&"/items/{customerId}".into(), &1.into()));
    assert!(!told.to_string().contains(&customer), "no customer is named");
    let place = client.get(&format!("/where/{customer}")).expect(200).json();
    assert_eq!((place["shard"].as_u64(), place["customer_id"].as_str()), (Some(1), Some(customer.as_str())));
    store.start_shard(1);
    status_with(&mut client, "it is up again", |status| status["verdict"]["ok"] == true);
}

#[test]
fn a_shard_that_begins_anew_is_seen_down_once() {
    let mut store = Setup::new(1).durable().start();
    let mut watcher = Watcher::open(&store);
    watcher.head();
    // Its time since the start has to be longer than the next one's will be.
    let long_up = |(_, status): &(u64, Value)| status["shards"][0]["uptime_s"].as_u64() >= Some(2);
    std::iter::from_fn(|| watcher.event()).find(long_up).expect("the stream goes on");
    store.restart_shard(0);
    let is = |state: &'static str| move |(_, status): &(u64, Value)| status["shards"][0]["state"] == state;
    std::iter::from_fn(|| watcher.event()).find(is("down")).expect("the stream goes on");
    std::iter::from_fn(|| watcher.event()).find(is("up")).expect("the stream goes on");
}

#[test]
fn viewers_are_limited_and_do_not_delay_the_end() {
    let mut store = Setup::new(1).start();
    let mut watchers: Vec<_> = (0..MAX_VIEWERS)
        .map(|_| {
            let mut watcher = Watcher::open(&store);
            assert!(watcher.head()[0].contains("200"));
            watcher
        })
        .collect();
    let refused = store.client().get("/status/stream").expect_problem(503, "64 viewers");
    assert_eq!(refused.header("retry-after"), Some("1"));
    store.client().call("HEAD", "/status/stream").send().expect(200);
    drop(watchers.pop());
    eventually("a place is free again", || {
        let mut watcher = Watcher::open(&store);
        watcher.head()[0].contains("200").then(|| watchers.push(watcher))
    });
    assert!(store.facade.process.terminate().success());
    assert!(!store.facade.process.log().contains("cut off"), "{}", store.facade.process.log());
    for watcher in &mut watchers {
        while watcher.event().is_some() {}
    }
}

#[test]
fn a_viewer_that_reads_nothing_is_cut_off() {
    let store = Setup::new(8).facade_options(&["--write-timeout-ms", "300"]).start();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&store.facade.http[0].into()).unwrap();
    let mut connection = Connection::of(socket.into()).unwrap();
    connection.send(b"GET /status/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut client = store.client();
    status_with(&mut client, "it is a viewer", |status| status["facade"]["viewers"] == 1);
    status_with(&mut client, "it is one no more", |status| status["facade"]["viewers"] == 0);
}

#[test]
fn slots_have_the_load_of_the_last_minute() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let place = client.get("/where/alice").expect(200).json();
    assert_eq!(place["hash"], "22cd43e141ecc9e8");
    let slot = place["slot"].as_u64().unwrap() as usize;
    for _ in 0..ANSWERS {
        client.post("/item/alice/tea", &offer("1", 1));
    }
    let loads = eventually("they are counted", || {
        let loads = client.get("/status/slots").expect(200).json();
        (loads["requests"][slot] == ANSWERS as u64).then_some(loads)
    });
    assert_eq!((&loads["slots"], &loads["interval_s"]), (&16_384.into(), &60.into()));
    let sum = |name: &str| loads[name].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!((loads["records"][slot].as_u64(), sum("requests")), (Some(1), ANSWERS as u64));
    let records = |answer: Answer| -> u64 {
        let json = answer.json();
        json["shards"].as_array().unwrap().iter().filter_map(|shard| shard["records_total"].as_u64()).sum()
    };
    assert_eq!(sum("records"), records(client.get("/status").expect(200)));
}

#[test]
fn orders_and_stock_are_told() {
    let store = Setup::new(2).durable().start();
    let mut client = store.client();
    let before = status(&mut client);
    assert_eq!(before["stock"]["adds_up"], true);
    client.post("/purchase/1", "").expect(201);
    let after = status_with(&mut client, "it is sold", |status| status["stock"]["sold"] == 1);
    assert_eq!(after["stock"]["received"], before["stock"]["received"]);
    assert_eq!(after["stock"]["products"], 11);
    client.delete("/catalog/books/1").expect(200);
    status_with(&mut client, "it is gone", |status| status["stock"]["products"] == 10 && status["stock"]["sold"] == 0);
}

/// The numbers of pending, created and refused orders.
fn orders(status: &Value) -> [u64; 3] {
    ["pending", "created", "refused"].map(|state| status["orders"][state].as_u64().expect("a count"))
}

#[test]
fn orders_are_counted_by_state_and_the_counts_outlive_the_shard() {
    let gateway = Gateway::start();
    let mut store =
        Setup::new(1).durable().shard_options(&["--payment", &gateway.url(), "--keep-refused-orders", "1000d"]).start();
    let mut client = store.client();
    client.post("/purchase/1", "").expect(201);
    let book = "9780143127550";
    let created = place(&mut client, "k1", &order_of("alice", &[book], CARD)).expect(201).json();
    gateway.plan(Action::Authorise, Fault::Refuse);
    place(&mut client, "k2", &order_of("alice", &[book], CARD)).expect(402);
    status_with(&mut client, "all are counted", |status| orders(status) == [0, 2, 1]);
    store.restart_shard(0);
    let is_back =
        |status: &Value| status["verdict"]["ok"] == true && status["shards"][0]["uptime_s"].as_u64() <= Some(60);
    let after = status_with(&mut client, "it is back", is_back);
    assert_eq!(orders(&after), [0, 2, 1]);
    client.post("/purchase/1", "").expect(201);
    status_with(&mut client, "one more is counted", |status| orders(status) == [0, 3, 1]);
    let cancel = format!("/api/orders/{}/cancel", created["order_id"].as_str().expect("an id"));
    for _ in 0..2 {
        client.call("POST", &cancel).header("X-API-Key", KEY).send().expect(200);
    }
    let is_cancelled = |status: &Value| orders(status) == [0, 2, 1] && status["orders"]["cancelled"] == 1;
    status_with(&mut client, "one is cancelled, once", is_cancelled);
}
