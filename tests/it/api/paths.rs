//! Rules for every path: encoded ids, trailing slashes, HEAD, unknown paths and methods.

use crate::harness::{Setup, offer};

#[test]
fn ids_are_percent_decoded_once() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let longest = "x".repeat(128);
    let longest_in_bytes = "%C3%A9".repeat(64);
    let ids = [
        ("a%2Fb", "a/b"),
        ("a%2fb%20c", "a/b c"),
        ("a+b", "a+b"),
        ("a%2Bc", "a+c"),
        ("a%252Fb", "a%2Fb"),
        ("Zo%C3%AB", "Zoë"),
        ("%F0%9F%9B%92", "🛒"),
        ("%22%5C", "\"\\"),
        ("..%2F..", "../.."),
        ("~!$&'()*,;=:@", "~!$&'()*,;=:@"),
        (longest.as_str(), longest.as_str()),
        (longest_in_bytes.as_str(), &"é".repeat(64)),
    ];
    for (encoded, id) in &ids {
        let added = client.post(&format!("/item/{encoded}/{encoded}"), &offer("1", 1)).expect(201).json();
        assert_eq!(added["customerId"], **id);
        assert_eq!(added["items"][0]["itemId"], **id);
    }
    for (encoded, id) in &ids {
        let cart = client.get(&format!("/items/{encoded}")).expect(200).json();
        assert_eq!((&cart["customerId"], cart["itemTotal"].as_u64()), (&serde_json::json!(id), Some(1)));
        client.put(&format!("/item/{encoded}/{encoded}"), r#"{"newCount":2}"#).expect(200);
        client.delete(&format!("/item/{encoded}/{encoded}")).expect(200);
    }
    client.post("/item/%61lice/te%61", &offer("1", 1)).expect(201);
    client.post("/item/alice/tea", &offer("1", 1)).expect(200);
}

#[test]
fn a_trailing_slash_is_accepted() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.post("/item/alice/tea/", &offer("1", 1)).expect(201);
    client.put("/item/alice/tea/", r#"{"newCount":2}"#).expect(200);
    let cart = client.get("/items/alice/").expect(200);
    assert_eq!(cart.text(), client.get("/items/alice").text());
    client.delete("/item/alice/tea/").expect(200);
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    client.delete("/items/alice/").expect(200);
    client.call("PUT", "/kv/key/").body("value").send().expect(201);
    client.get("/kv/key/").expect(200);
    store.kv_client().get("/key/").expect(200);
    for path in ["/livez/", "/readyz/", "/metrics/"] {
        client.get(path).expect(200);
    }
}

#[test]
fn head_answers_like_get_without_a_body() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    client.call("PUT", "/kv/key").body("value").send().expect(201);
    for (path, status) in [("/items/alice", 200), ("/kv/key", 200), ("/kv/none", 404), ("/livez", 200), ("/none", 404)]
    {
        let get = client.get(path).expect(status);
        let head = client.call("HEAD", path).send().expect(status);
        for name in ["content-type", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        if let Some(length) = head.header("content-length") {
            assert_eq!(length, get.body.len().to_string(), "{path}");
        }
    }
    assert_eq!(client.get("/items/alice").expect(200).json()["itemTotal"], 1, "the connection is still in step");
}

#[test]
fn other_paths_are_404() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for path in
        ["/none", "/item", "/item/alice", "/items", "/items/a/b", "/item/a/b/c", "/Items/alice", "/kv", "/kv/a/b"]
    {
        for method in ["GET", "POST", "DELETE"] {
            client.call(method, path).send().expect_problem(404, "");
        }
    }
    for path in ["/", "/a/b", "/kv/a"] {
        store.kv_client().get(path).expect_problem(404, "");
    }
}

#[test]
fn other_methods_are_405_with_allow() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let shop = [
        ("/items/alice", &["POST", "PUT", "PATCH", "OPTIONS"][..], &["GET", "DELETE"][..]),
        ("/item/alice/tea", &["GET", "HEAD", "PATCH", "OPTIONS"], &["POST", "PUT", "DELETE"]),
        ("/kv/key", &["POST", "PATCH", "OPTIONS"], &["GET", "PUT", "DELETE"]),
        ("/livez", &["POST", "PUT", "DELETE"], &["GET"]),
        ("/readyz", &["POST", "PUT", "DELETE"], &["GET"]),
        ("/metrics", &["POST", "PUT", "DELETE"], &["GET"]),
        ("/status", &["POST", "PUT", "DELETE"], &["GET"]),
        ("/status/stream", &["POST", "PUT", "DELETE"], &["GET"]),
        ("/where/alice", &["POST", "PUT", "DELETE"], &["GET"]),
    ];
    for (path, refused, allowed) in shop {
        for method in refused.iter().chain(&["BREW"]) {
            let answer = client.call(method, path).send().expect(405);
            let allow: Vec<_> =
                answer.header("allow").expect("Allow").split(", ").filter(|name| *name != "HEAD").collect();
            assert_eq!(allow, allowed, "{method} {path}");
            if *method != "HEAD" {
                answer.expect_problem(405, "");
            }
        }
    }
    let answer = store.kv_client().post("/key", "1").expect_problem(405, "");
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("PUT")));
    assert_eq!(client.get("/items/alice").expect(200).version(), 0);
}

#[test]
fn both_ports_of_the_shop_serve_the_same() {
    let store = Setup::new(2).start();
    let [first, second] = [0, 1].map(|port| crate::harness::Client::new(store.facade.http[port]));
    let (mut first, mut second) = (first, second);
    first.post("/item/alice/tea", &offer("1", 1)).expect(201);
    second.post("/item/alice/tea", &offer("1", 1)).expect(200);
    assert_eq!(first.get("/items/alice").text(), second.get("/items/alice").text());
}
