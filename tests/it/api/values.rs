//! The key-value API as section 2 of the HTTP contract describes it, at the root of its own port and below `/kv` on the
//! shop's ports.

use crate::harness::{Answer, Client, Setup, Store, fresh_metrics};

const MAX_VALUE_BYTES: usize = 1_024;

/// Both paths to the keys: a client, and the prefix of a key's path.
fn ways(store: &Store) -> [(Client, &'static str); 2] {
    [(store.kv_client(), "/"), (store.client(), "/kv/")]
}

fn put(client: &mut Client, path: &str, value: impl Into<Vec<u8>>) -> Answer {
    client.call("PUT", path).body(value).send()
}

#[test]
fn a_value_is_put_read_replaced_and_deleted() {
    let store = Setup::new(2).start();
    for (mut client, root) in ways(&store) {
        let path = format!("{root}Key1");
        client.get(&path).expect_problem(404, "");
        client.delete(&path).expect_problem(404, "");
        let first = put(&mut client, &path, "one").expect(201);
        let second = put(&mut client, &path, "two").expect(200);
        assert_ne!(first.etag(), second.etag());
        let read = client.get(&path).expect(200);
        assert_eq!((read.text(), read.etag()), ("two".into(), second.etag()));
        assert_eq!(read.header("content-type"), Some("application/octet-stream"));
        assert_eq!(read.header("content-length"), Some("3"));
        client.delete(&path).expect(200);
        client.get(&path).expect_problem(404, "");
        client.delete(&path).expect_problem(404, "");
        let back = put(&mut client, &path, "one").expect(201);
        assert!(![first.etag(), second.etag()].contains(&back.etag()));
        client.delete(&path).expect(200);
    }
}

#[test]
fn both_ways_lead_to_the_same_keys_and_carts_are_not_among_them() {
    let store = Setup::new(2).start();
    let [(mut root, _), (mut shop, _)] = ways(&store);
    put(&mut root, "/alice", "root").expect(201);
    put(&mut shop, "/kv/alice", "shop").expect(200);
    assert_eq!(root.get("/alice").expect(200).text(), "shop");
    assert_eq!(shop.get("/items/alice").expect(200).version(), 0);
    put(&mut root, "/livez", "a key like any other").expect(201);
    assert_eq!(shop.get("/kv/livez").expect(200).text(), "a key like any other");
}

#[test]
fn no_key_is_in_the_metrics() {
    let store = Setup::new(1).start();
    let mut root = store.kv_client();
    for key in ["/livez", "/secret", "/items"] {
        put(&mut root, key, "a key like any other").expect(201);
    }
    let metrics = fresh_metrics(&mut store.client());
    let puts = metrics.lines().filter(|line| line.starts_with("shardcart_http_requests_total") && line.contains("PUT"));
    let counted = r#"shardcart_http_requests_total{route="other",method="PUT",status="2xx"} 3"#;
    assert_eq!(puts.collect::<Vec<_>>(), [counted]);
    assert!(!metrics.contains("secret"), "{metrics}");
}

#[test]
fn values_are_kept_byte_for_byte() {
    let store = Setup::new(1).start();
    let all_of_ascii: String = (0..=127_u8).map(char::from).collect();
    let longest_in_bytes = "é".repeat(MAX_VALUE_BYTES / 2);
    for (mut client, root) in ways(&store) {
        for (number, value) in
            ["", "x", "\0", "\r\n", " {\"json\": 1} ", "\u{feff}bom", "Zoë 🛒", &all_of_ascii, &longest_in_bytes]
                .iter()
                .enumerate()
        {
            let path = format!("{root}key{number}");
            put(&mut client, &path, *value);
            let read = client.get(&path).expect(200);
            assert_eq!(read.body, value.as_bytes());
            assert_eq!(read.header("content-length"), Some(value.len().to_string().as_str()));
            let chunked = client.call("PUT", &path).body(*value).chunked().send().expect(200);
            assert!(!chunked.body.is_empty());
            assert_eq!(client.get(&path).expect(200).body, value.as_bytes(), "sent in chunks");
        }
        let typed = client.call("PUT", &format!("{root}typed")).header("Content-Type", "text/plain").body("x").send();
        assert_eq!(typed.status / 100, 2);
    }
}

#[test]
fn a_malformed_value_is_refused_and_changes_nothing() {
    let store = Setup::new(1).start();
    for (mut client, root) in ways(&store) {
        let path = format!("{root}key");
        put(&mut client, &path, "before");
        let before = client.get(&path).expect(200);
        put(&mut client, &path, "x".repeat(MAX_VALUE_BYTES + 1)).expect_problem(413, "");
        put(&mut client, &path, "é".repeat(MAX_VALUE_BYTES / 2) + "x").expect_problem(413, "");
        client.call("PUT", &path).body("x".repeat(MAX_VALUE_BYTES + 1)).chunked().send().expect_problem(413, "");
        for bytes in [&b"\xff"[..], b"ab\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"] {
            put(&mut client, &path, bytes).expect_problem(400, "UTF-8");
        }
        let after = client.get(&path).expect(200);
        assert_eq!(
            (after.body, after.headers.iter().find(|(name, _)| name == "etag")),
            (before.body.clone(), before.headers.iter().find(|(name, _)| name == "etag"))
        );
    }
}

#[test]
fn keys_are_ascii_letters_and_digits() {
    let store = Setup::new(2).start();
    let longest = "aZ9".repeat(85);
    for (mut client, root) in ways(&store) {
        for key in ["a", "Z", "0", "00", "aB3", longest.as_str()] {
            let status = put(&mut client, &format!("{root}{key}"), key).status;
            assert!([200, 201].contains(&status), "{key}: {status}");
            assert_eq!(client.get(&format!("{root}{key}")).expect(200).text(), key);
        }
        let too_long = "x".repeat(256);
        for key in
            ["a-b", "a_b", "a.b", "a+b", "a%20b", "%C3%A9", "a%2Fb", "%00", "%0A", "%ff", "%", "%zz", too_long.as_str()]
        {
            let path = format!("{root}{key}");
            put(&mut client, &path, "x").expect_problem(400, "key");
            client.get(&path).expect_problem(400, "key");
            client.delete(&path).expect_problem(400, "key");
        }
    }
    let mut client = store.kv_client();
    put(&mut client, "/case", "lower").expect(201);
    put(&mut client, "/CASE", "upper").expect(201);
    assert_eq!(client.get("/case").text(), "lower");
}

#[test]
fn a_value_survives_kill_9() {
    let mut store = Setup::new(2).durable().start();
    let keys: Vec<_> = (0..2).map(|shard| store.customer_on(shard, "key")).collect();
    let mut client = store.kv_client();
    let tags: Vec<_> =
        keys.iter().map(|key| put(&mut client, &format!("/{key}"), format!("of {key}")).expect(201).etag()).collect();
    client.call("PUT", "/gone").body("x").send().expect(201);
    client.delete("/gone").expect(200);
    for shard in 0..2 {
        store.restart_shard(shard);
    }
    for (key, tag) in keys.iter().zip(&tags) {
        let read = client.get(&format!("/{key}")).expect(200);
        assert_eq!((read.text(), read.etag()), (format!("of {key}"), tag.clone()));
        let next = put(&mut client, &format!("/{key}"), "next").expect(200);
        assert_ne!(next.etag(), *tag);
    }
    client.get("/gone").expect_problem(404, "");
}

#[test]
fn an_idempotency_key_makes_a_write_happen_once() {
    let mut store = Setup::new(2).durable().start();
    let keyed = |client: &mut Client, method: &str, path: &str, key: &str, body: &str| {
        client.call(method, path).header("Idempotency-Key", key).body(body).send()
    };
    let mut first = Vec::new();
    for (mut client, root) in ways(&store) {
        let path = format!("{root}Key{}", root.len());
        let made = keyed(&mut client, "PUT", &path, "make", "one").expect(201);
        assert!(!made.is_replayed());
        put(&mut client, &path, "two").expect(200);
        let again = keyed(&mut client, "PUT", &path, "make", "one").expect(201);
        assert!(again.is_replayed());
        assert_eq!((again.text(), again.etag()), (made.text(), made.etag()));
        assert_eq!(client.get(&path).expect(200).text(), "two", "nothing was written again");
        keyed(&mut client, "PUT", &path, "make", "other").expect_problem(422, "Idempotency-Key");
        let other = format!("{root}Other{}", root.len());
        assert!(!keyed(&mut client, "PUT", &other, "make", "one").expect(201).is_replayed(), "a key is its scope");
        let deleted = keyed(&mut client, "DELETE", &path, "delete", "").expect(200);
        put(&mut client, &path, "three").expect(201);
        first.push((path, deleted.text()));
    }
    for shard in 0..2 {
        store.restart_shard(shard);
    }
    for ((mut client, _), (path, deleted)) in ways(&store).into_iter().zip(first) {
        let again = keyed(&mut client, "DELETE", &path, "delete", "").expect(200);
        assert!(again.is_replayed());
        assert_eq!(again.text(), deleted);
        assert_eq!(client.get(&path).expect(200).text(), "three");
    }
}
