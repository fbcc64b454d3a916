//! Metrics, logs, request ids and probes, for those who operate a store; and that they show no ids or values.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;

use crate::harness::{Facade, Setup, Store, eventually, fresh_metrics, offer};

/// Ids and values that metrics and logs must not show.
const SECRETS: [&str; 4] = ["SecretCustomer", "SecretItem", "SecretKey", "SecretValue"];

/// One sample of the text format: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Parses the text format of Prometheus and OpenMetrics, and fails on anything else.
fn parse(text: &str) -> Vec<Sample> {
    let (mut samples, mut types) = (Vec::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some(family) = comment.strip_prefix("TYPE ") {
                assert!(types.insert(family.split(' ').next()), "{line}: there twice");
            }
            let known = ["HELP ", "TYPE ", "UNIT "].iter().any(|kind| comment.starts_with(kind)) || comment == "EOF";
            assert!(known, "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("no end of the labels: {line}"));
        let name_is_legal = name.chars().all(|char| char.is_ascii_alphanumeric() || "_:".contains(char));
        assert!(name_is_legal && !name.is_empty(), "{line}");
        let labels = labels.split_terminator("\",").map(|label| {
            let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        samples.push((
            name.to_owned(),
            labels.collect(),
            value.parse().unwrap_or_else(|error| panic!("{line}: {error}")),
        ));
    }
    samples
}

fn scrape(store: &Store) -> Vec<Sample> {
    let text = fresh_metrics(&mut store.client());
    let answer = store.client().get("/metrics").expect(200);
    let content_type = answer.header("content-type").expect("a content type");
    assert!(
        content_type.starts_with("text/plain") || content_type.starts_with("application/openmetrics-text"),
        "{content_type}"
    );
    parse(&text)
}

/// The value of the sample with this name and these labels.
fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |sample: &&Sample| {
        sample.0 == name && labels.iter().all(|(name, value)| sample.1.get(*name).is_some_and(|other| other == value))
    };
    let found: Vec<_> = samples.iter().filter(fits).collect();
    assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
    found.first().map(|sample| sample.2)
}

/// Checks that buckets are cumulative and end with the count. Returns the count.
fn histogram(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let bucket = format!("{name}_bucket");
    let fits = |sample: &&Sample| {
        sample.0 == bucket && labels.iter().all(|(name, value)| sample.1.get(*name).is_some_and(|other| other == value))
    };
    let buckets: Vec<_> =
        samples.iter().filter(fits).map(|sample| (sample.1["le"].parse::<f64>().expect("a bound"), sample.2)).collect();
    assert!(buckets.len() > 5, "{name} {labels:?}: {buckets:?}");
    assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{name}: {buckets:?}");
    let count = value(samples, &format!("{name}_count"), labels).expect("a count");
    let sum = value(samples, &format!("{name}_sum"), labels).expect("a sum");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{name}");
    assert!(sum > 0.0 || count == 0.0);
    count
}

#[test]
fn metrics_count_requests_and_commits() {
    let mut store = Setup::new(2).durable().start();
    let (first, second) = (store.customer_on(0, "a"), store.customer_on(1, "b"));
    let mut client = store.client();
    for customer in [&first, &first, &second] {
        client.post(&format!("/item/{customer}/tea"), &offer("1", 1));
        client.get(&format!("/items/{customer}")).expect(200);
    }
    client.get("/items/%00").expect(400);
    client.get("/none").expect(404);
    let samples = scrape(&store);
    let requests = |route: &str, method: &str, status: &str| {
        value(&samples, "shardcart_http_requests_total", &[("route", route), ("method", method), ("status", status)])
    };
    assert_eq!(requests("/item/{customerId}/{itemId}", "POST", "2xx"), Some(3.0));
    assert_eq!(requests("/items/{customerId}", "GET", "2xx"), Some(3.0));
    assert_eq!(requests("/items/{customerId}", "GET", "4xx"), Some(1.0));
    let duration = "shardcart_http_request_duration_seconds";
    assert_eq!(histogram(&samples, duration, &[("route", "/items/{customerId}")]), 4.0);
    for shard in ["0", "1"] {
        assert_eq!(value(&samples, "shardcart_shard_up", &[("shard", shard)]), Some(1.0));
        assert!(histogram(&samples, "shardcart_shard_commit_duration_seconds", &[("shard", shard)]) >= 1.0);
        assert_eq!(value(&samples, "shardcart_shard_records", &[("shard", shard), ("kind", "cart")]), Some(1.0));
    }
    store.shards[1].kill();
    eventually("the shard is shown to be down", || {
        (value(&scrape(&store), "shardcart_shard_up", &[("shard", "1")]) == Some(0.0)).then_some(())
    });
    assert_eq!(value(&scrape(&store), "shardcart_shard_up", &[("shard", "0")]), Some(1.0));
}

#[test]
fn every_answer_has_a_request_id() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let mut seen = BTreeSet::new();
    for path in ["/items/alice", "/items/alice", "/livez", "/none", "/items/%00", "/metrics"] {
        let answer = client.get(path);
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert!(seen.insert(id), "{path}: an id came twice");
    }
    let answer = client.call("GET", "/items/alice").header("X-Request-Id", "mine-7").send().expect(200);
    assert_eq!(answer.header("x-request-id"), Some("mine-7"));
    let too_long = "x".repeat(1_000);
    let answer = client.call("GET", "/items/alice").header("X-Request-Id", &too_long).send().expect(200);
    assert_ne!(answer.header("x-request-id"), Some(too_long.as_str()));
}

/// Sends requests of every kind and outcome, with ids and values of [`SECRETS`].
fn do_everything(store: &mut Store) {
    let customer = store.customer_on(0, SECRETS[0]);
    let (cart, line) = (format!("/items/{customer}"), format!("/item/{customer}/{}", SECRETS[1]));
    let value = format!("/kv/{}", SECRETS[2]);
    let all = |store: &Store| {
        let mut client = store.client();
        client.post(&line, &offer("1", 1));
        client.call("POST", &line).header("Idempotency-Key", SECRETS[3]).json(&offer("1", 1)).send();
        client.call("POST", &line).header("Idempotency-Key", SECRETS[3]).json(&offer("2", 1)).send();
        client.call("POST", &line).header("If-Match", &format!("\"{}\"", SECRETS[3])).json(&offer("1", 1)).send();
        client.post(&line, &format!(r#"{{"offeredPrice":"{}"}}"#, SECRETS[3]));
        client.put(&line, r#"{"newCount":2000000}"#);
        client.call("PUT", &value).body(SECRETS[3]).send();
        client.call("PUT", &value).body([SECRETS[3].as_bytes(), b"\xff"].concat()).send();
        client.get(&value);
        client.get(&format!("/{}/{}", SECRETS[0], SECRETS[1]));
        client.get(&format!("/kv/{}-", SECRETS[2]));
        store.kv_client().get(&format!("/{}", SECRETS[2]));
        client.get(&cart);
        client.delete(&cart);
    };
    all(store);
    store.shards[0].kill();
    all(store);
    eventually("a request fails", || (store.client().get(&cart).status == 503).then_some(()));
    all(store);
    store.start_shard(0);
    all(store);
}

#[test]
fn metrics_and_logs_show_no_ids_or_values() {
    let mut store = Setup::new(2).durable().facade_options(&["--access-log", "human"]).start();
    do_everything(&mut store);
    let mut seen = vec![("metrics".to_owned(), fresh_metrics(&mut store.client()))];
    seen.push(("status".into(), store.client().get("/status?history=900").expect(200).text()));
    // What a process has logged is whole once it has ended.
    store.facade.process.terminate();
    seen.push(("the facade's log".into(), store.facade.process.log()));
    for shard in &mut store.shards {
        shard.process().signal(Signal::TERM);
        eventually("it ends", || shard.has_ended().then_some(()));
        seen.push(("a shard's log".into(), shard.process().log()));
    }
    seen.push(("error.log".into(), store.facade.error_log()));
    seen.push(("access.log".into(), store.facade.access_log()));
    for (name, text) in seen {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{name} has {secret}:\n{text}");
        }
    }
}

#[test]
fn faults_of_the_server_go_to_error_log() {
    let mut store = Setup::new(1).start();
    store.client().get("/none").expect(404);
    store.client().get("/items/%00").expect(400);
    let before = store.facade.error_log();
    assert_eq!(before, "", "mistakes of clients are no faults of the server");
    store.shards[0].kill();
    let id = eventually("a request fails", || {
        let answer = store.kv_client().get("/key");
        (answer.status == 503).then(|| answer.header("x-request-id").expect("an id").to_owned())
    });
    eventually("the fault is written down", || store.facade.error_log().contains(&id).then_some(()));
    eventually("and on stderr", || store.facade.process.log().contains(&id).then_some(()));
}

#[test]
fn logs_may_be_json() {
    let mut store = Setup::new(1).facade_options(&["--log-format", "json"]).start();
    store.shards[0].kill();
    eventually("a request fails", || (store.client().get("/items/alice").status == 503).then_some(()));
    type Log = fn(&Facade) -> String;
    let logs: [Log; 2] = [|facade| facade.process.log(), Facade::error_log];
    for read in logs {
        // Lines are written soon, not at once.
        let log = eventually("the log has lines", || Some(read(&store.facade)).filter(|log| log.ends_with('\n')));
        for line in log.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
        }
    }
}

#[test]
fn the_root_of_the_shop_has_links() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let index = client.get("/").expect(200).json();
    assert_eq!(index["name"], "shardcart");
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
    let links = index["links"].as_object().expect("links");
    assert!(links.len() >= 4);
    for link in links.values() {
        client.get(link.as_str().expect("a path")).expect(200);
    }
    let samples = scrape(&store);
    let labels = [("route", "/"), ("method", "GET"), ("status", "2xx")];
    assert_eq!(value(&samples, "shardcart_http_requests_total", &labels), Some(1.0));
}

#[test]
fn a_facade_says_which_shards_it_is_ready_without() {
    let mut store = Setup::new(2).start();
    store.shards[1].kill();
    store.replace_facade();
    store.facade.process.expect_logged("ready without this shard", 1);
    assert!(store.facade.process.log().contains("shard-1"));
    store.client().get("/readyz").expect_problem(503, "1 of 2 shards");
    store.client().get(&format!("/items/{}", store.customer_on(0, "a"))).expect(200);
}
