//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110, section 13) on carts and keys.

use crate::harness::{Answer, Client, Setup, offer};

/// Tags that match no record.
const FOREIGN_TAGS: [&str; 6] =
    ["\"none\"", "\"\"", "\"18446744073709551615\"", "\"-1\"", "\"none\", \"other\"", "W/\"none\""];
/// Texts that are neither `*` nor a list of tags.
const MALFORMED: [&str; 5] = ["none", "\"open", "\"a\" \"b\"", "'a'", "w/\"a\""];

fn read(client: &mut Client, path: &str, if_none_match: &str) -> Answer {
    client.call("GET", path).header("If-None-Match", if_none_match).send()
}

/// Every kind of change: method, path, body. Each succeeds without a condition on a cart with one line, or on a key.
const CHANGES: [(&str, &str, &str); 6] = [
    ("POST", "/item/alice/tea", r#"{"offeredPrice":2,"itemCount":1}"#),
    ("POST", "/item/alice/jam", r#"{"offeredPrice":2,"itemCount":1}"#),
    ("PUT", "/item/alice/tea", r#"{"newCount":7}"#),
    ("PUT", "/item/alice/tea", r#"{"newCount":0}"#),
    ("DELETE", "/item/alice/tea", ""),
    ("DELETE", "/items/alice", ""),
];

/// A cart with the one line that [`CHANGES`] are about.
fn fresh_cart(client: &mut Client) -> Answer {
    client.delete("/items/alice");
    client.post("/item/alice/tea", &offer("1.50", 2)).expect(201)
}

fn change(client: &mut Client, (method, path, body): (&str, &str, &str), if_match: &[&str]) -> Answer {
    let call = client.call(method, path).json(body);
    if_match.iter().fold(call, |call, value| call.header("If-Match", value)).send()
}

#[test]
fn a_current_representation_is_not_sent_again() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.call("PUT", "/kv/key").body("value").send().expect(201);
    fresh_cart(&mut client);
    for path in ["/items/alice", "/items/nobody", "/kv/key"] {
        let tag = client.get(path).expect(200).etag();
        for matching in
            [tag.clone(), format!("W/{tag}"), "*".into(), format!("\"none\", {tag}"), format!("W/\"a\",{tag},\"b\"")]
        {
            let answer = read(&mut client, path, &matching).expect(304);
            assert_eq!((answer.etag(), answer.body.len()), (tag.clone(), 0), "{matching}");
        }
        let two_fields =
            client.call("GET", path).header("If-None-Match", "\"none\"").header("If-None-Match", &tag).send();
        two_fields.expect(304);
        let head = client.call("HEAD", path).header("If-None-Match", &tag).send().expect(304);
        assert_eq!(head.etag(), tag);
        for foreign in FOREIGN_TAGS {
            assert_eq!(read(&mut client, path, foreign).expect(200).etag(), tag, "{foreign}");
        }
        for malformed in MALFORMED {
            read(&mut client, path, malformed).expect_problem(400, "if-none-match");
        }
    }
    read(&mut client, "/kv/none", "*").expect_problem(404, "");
}

#[test]
fn a_conditional_change_needs_the_current_tag() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for asked in CHANGES {
        let tag = fresh_cart(&mut client).etag();
        let before = client.get("/items/alice").text();
        let weak = format!("W/{tag}");
        let weak_in_list = format!("\"none\", W/{tag}");
        for other in FOREIGN_TAGS.into_iter().chain([weak.as_str(), weak_in_list.as_str()]) {
            change(&mut client, asked, &[other]).expect_problem(412, "If-Match");
        }
        for malformed in MALFORMED {
            change(&mut client, asked, &[malformed]).expect_problem(400, "if-match");
        }
        assert_eq!(client.get("/items/alice").text(), before, "{asked:?}");
        let matching = change(&mut client, asked, &[&tag]);
        assert!([200, 201].contains(&matching.status), "{asked:?}: {}", matching.text());
        assert_ne!(client.get("/items/alice").text(), before, "{asked:?}");
        change(&mut client, asked, &[&tag]).expect_problem(412, "If-Match");
    }
}

#[test]
fn a_list_matches_when_one_of_its_tags_does() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    for asked in CHANGES {
        for form in [&["*"][..], &["\"none\", TAG"], &["TAG,\"none\""], &["W/\"none\" , TAG"], &["\"none\"", "TAG"]] {
            let tag = fresh_cart(&mut client).etag();
            let values: Vec<_> = form.iter().map(|value| value.replace("TAG", &tag)).collect();
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            let answer = change(&mut client, asked, &values);
            assert!([200, 201].contains(&answer.status), "{asked:?} {values:?}: {}", answer.text());
        }
    }
}

#[test]
fn a_star_that_must_not_match_makes_only_what_is_absent() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let absent = |client: &mut Client, method: &str, path: &str, body: &str| {
        client.call(method, path).header("If-None-Match", "*").json(body).send()
    };
    let book = r#"{"id":"b","title":"T","price":1,"stock":1}"#;
    for (method, path, body) in [
        ("POST", "/item/bob/tea", r#"{"offeredPrice":2,"itemCount":1}"#),
        ("PUT", "/kv/one", "x"),
        ("POST", "/catalog/books", book),
    ] {
        absent(&mut client, method, path, body).expect(201);
        absent(&mut client, method, path, body).expect_problem(412, "If-None-Match");
    }
    absent(&mut client, "PUT", "/catalog/books/b", book).expect_problem(412, "If-None-Match");
    for asked in CHANGES {
        fresh_cart(&mut client);
        let before = client.get("/items/alice").text();
        absent(&mut client, asked.0, asked.1, asked.2).expect_problem(412, "If-None-Match");
        let tagged = client.call(asked.0, asked.1).header("If-None-Match", "\"1\"").json(asked.2).send();
        tagged.expect_problem(400, "If-None-Match");
        let both =
            client.call(asked.0, asked.1).header("If-None-Match", "*").header("If-Match", "*").json(asked.2).send();
        both.expect_problem(400, "If-None-Match");
        assert_eq!(client.get("/items/alice").text(), before, "{asked:?}");
    }
    client.delete("/items/alice");
    absent(&mut client, "POST", CHANGES[0].1, CHANGES[0].2).expect(201);
}

#[test]
fn a_sale_needs_the_current_tag_of_its_product() {
    let store = Setup::new(2).start();
    let mut client = store.client();
    let buy = r#"{"id":"1","quantity":1,"card":"4242424242424242"}"#;
    let bought = |client: &mut Client, tag: &str| client.call("PUT", "/buy").header("If-Match", tag).json(buy).send();
    let stock = |client: &mut Client| client.get("/info/1").expect(200).json()["stock"].clone();
    let before = stock(&mut client);
    let tag = client.get("/info/1").etag();
    for other in FOREIGN_TAGS {
        bought(&mut client, other).expect_executed_problem(412, "If-Match");
    }
    assert_eq!(stock(&mut client), before);
    bought(&mut client, &tag).expect(200);
    bought(&mut client, &tag).expect_executed_problem(412, "If-Match");
    let order = r#"{"customer_id":"alice","items":[{"isbn":"9780143127550","quantity":1}],"payment":{"card_number":"4242424242424242"}}"#;
    let call = client.call("POST", "/api/orders").header("X-API-Key", "secret123").header("If-Match", "\"1\"");
    call.json(order).send().expect_problem(400, "If-Match");
}

#[test]
fn a_tag_is_never_reused() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    let empty = client.get("/items/alice").expect(200).etag();
    let first = change(&mut client, CHANGES[0], &[&empty]).expect(201).etag();
    change(&mut client, CHANGES[0], &[&empty]).expect_problem(412, "If-Match");
    client.delete("/items/alice").expect(200);
    let again = change(&mut client, CHANGES[0], &[]).expect(201);
    assert_ne!(again.etag(), first, "the same cart, but made anew");
    change(&mut client, CHANGES[0], &[&first]).expect_problem(412, "If-Match");
}

#[test]
fn keys_have_the_same_rules() {
    let store = Setup::new(1).start();
    for (mut client, path) in [(store.client(), "/kv/one"), (store.kv_client(), "/two")] {
        let put = |client: &mut Client, if_match: &str| {
            client.call("PUT", path).header("If-Match", if_match).body("new").send()
        };
        put(&mut client, "*").expect_problem(412, "If-Match");
        put(&mut client, "\"1\"").expect_problem(412, "If-Match");
        client.get(path).expect_problem(404, "");
        let tag = client.call("PUT", path).body("old").send().expect(201).etag();
        assert_eq!(client.get(path).expect(200).etag(), tag);
        for other in FOREIGN_TAGS.into_iter().chain([format!("W/{tag}").as_str()]) {
            put(&mut client, other).expect_problem(412, "If-Match");
            client.call("DELETE", path).header("If-Match", other).send().expect_problem(412, "If-Match");
        }
        for malformed in MALFORMED {
            put(&mut client, malformed).expect_problem(400, "if-match");
        }
        assert_eq!(client.get(path).expect(200).text(), "old");
        let newer = put(&mut client, &format!("\"none\", {tag}")).expect(200).etag();
        put(&mut client, &tag).expect_problem(412, "If-Match");
        client.call("DELETE", path).header("If-Match", &tag).send().expect_problem(412, "If-Match");
        client.call("DELETE", path).header("If-Match", &newer).send().expect(200);
        put(&mut client, &newer).expect_problem(412, "If-Match");
    }
}
