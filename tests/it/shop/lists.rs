//! Lists over all shards: ordered by id, page by page, and complete or refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::shop::KEY;
use crate::harness::{Answer, Client, Document, Setup, eventually};

fn make(client: &mut Client, id: &str, topic: &str, is_book: bool) {
    let name = if is_book { "isbn" } else { "id" };
    let body = json!({name: id, "title": "T", "price": 1, "stock": 1, "topic": topic});
    client.post("/catalog/books", &body.to_string()).expect(201);
}

fn get(client: &mut Client, path: &str) -> Answer {
    client.call("GET", path).header("X-API-Key", KEY).send()
}

fn ids(list: &Value, name: &str) -> Vec<String> {
    let entries = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    entries.iter().map(|entry| entry[name].as_str().expect("an id").to_owned()).collect()
}

/// The path of the next page, from `Link`.
fn next_of(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let path = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
    Some(path.unwrap_or_else(|| panic!("{link}")).to_owned())
}

/// Reads all pages.
fn walk(client: &mut Client, first: &str, ids_of: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let page = get(client, &path).expect(200);
        found.extend(ids_of(&page.json()));
        next = next_of(&page);
    }
    found
}

#[test]
fn search_is_exact_ignores_case_and_is_ordered() {
    let store = Setup::new(4).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    for id in ["b", "a", "é", "B", "a/b", "10", "9"] {
        make(&mut client, id, "Größe & Maß", false);
    }
    make(&mut client, "other", "größe", false);
    for topic in ["Gr%C3%B6%C3%9Fe%20%26%20Ma%C3%9F", "GR%C3%96%C3%9FE%20%26%20MA%C3%9F/"] {
        let found = client.call("GET", &format!("/search/{topic}")).send_as_documented(&document).expect(200).json();
        assert_eq!(ids(&found, "id"), ["10", "9", "B", "a", "a/b", "b", "é"]);
        let mut members: Vec<_> = found[0].as_object().unwrap().keys().cloned().collect();
        members.sort();
        assert_eq!(members, ["id", "price", "stock", "title"]);
    }
    assert_eq!(client.get("/search/unknown").expect(200).json(), json!([]));
    client.post("/search/x", "{}").expect_problem(405, "GET");
    client.get("/search/%FF").expect_problem(400, "topic");
    // A book with a new topic moves to that topic's list, and a deleted book is in none.
    client.call("PATCH", "/catalog/books/b").json(r#"{"topic": "other"}"#).send().expect(200);
    client.delete("/catalog/books/a").expect(200);
    let path = "/search/gr%C3%B6%C3%9Fe%20%26%20ma%C3%9F?limit=2";
    assert_eq!(walk(&mut client, path, |page| ids(page, "id")), ["10", "9", "B", "a/b", "é"]);
}

#[test]
fn every_list_is_paged() {
    let store = Setup::new(4).start();
    let mut client = store.client();
    let document = Document::of(&mut client);
    let mut all: Vec<String> = (0..23).map(|number| format!("pg-{number}")).collect();
    all.iter().for_each(|id| make(&mut client, id, "paging", true));
    all.sort();
    let topic = |page: &Value| ids(&page["items"], "id");
    for limit in [1, 5, 23, 24, 1_000] {
        assert_eq!(walk(&mut client, &format!("/catalog/books?topic=Paging&limit={limit}"), topic), all);
        assert_eq!(walk(&mut client, &format!("/search/paging?limit={limit}"), |page| ids(page, "id")), all);
        let books = walk(&mut client, &format!("/api/books?limit={limit}"), |page| ids(page, "isbn"));
        assert!(books.is_sorted() && books.len() == all.len() + 3, "{books:?}");
    }
    let page = client.call("GET", "/catalog/books?limit=2").send_as_documented(&document).expect(200);
    let cursor = page.json()["next_cursor"].as_str().expect("there is more").to_owned();
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{cursor}");
    let last = client.get("/catalog/books?limit=1000").expect(200);
    assert_eq!((last.json()["next_cursor"].clone(), last.header("link")), (Value::Null, None));
    for query in ["limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "cursor=!", "cursor=_w", "topic="] {
        client.get(&format!("/catalog/books?{query}")).expect_problem(400, query.split('=').next().unwrap());
    }
    client.get("/catalog/books?unknown=1").expect(200);
    let book = get(&mut client, "/api/books/pg-1").expect(200);
    assert_eq!((&book.json()["isbn"], &book.json()["author"]), (&"pg-1".into(), &Value::Null));
    get(&mut client, "/api/books/1").expect_problem(404, "no such book");
    client.get("/api/books").expect_problem(401, "X-API-Key");
}

#[test]
fn a_product_that_exists_throughout_is_listed_exactly_once() {
    let store = Setup::new(3).start();
    let mut client = store.client();
    let steady: Vec<String> = (0..60).map(|number| format!("s{number:02}")).collect();
    steady.iter().for_each(|id| make(&mut client, id, "busy", false));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = store.client();
            let mut number = 0;
            while !done.load(Ordering::SeqCst) {
                let id = format!("s{:02}x", number % 60);
                make(&mut client, &id, "busy", false);
                client.put("/replenish", &json!({"id": steady[number % 60], "quantity": 1}).to_string()).expect(200);
                client.delete(&format!("/catalog/books/{id}")).expect(200);
                number += 1;
            }
        });
        for _ in 0..30 {
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            let walked = walk(&mut client, "/catalog/books?topic=busy&limit=7", |page| ids(&page["items"], "id"));
            walked.into_iter().for_each(|id| *seen.entry(id).or_default() += 1);
            assert!(steady.iter().all(|id| seen.get(id) == Some(&1)), "{seen:?}");
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_shard_that_is_down_fails_every_list() {
    let mut store = Setup::new(2).start();
    let mut client = store.client();
    store.shards[1].kill();
    for path in ["/search/fiction", "/catalog/books", "/api/books"] {
        eventually("the facade has noticed", || (get(&mut client, path).status == 503).then_some(()));
        get(&mut client, path).expect_problem(503, "shard 1");
    }
    store.start_shard(1);
    for path in ["/search/fiction", "/catalog/books", "/api/books"] {
        get(&mut client, path).expect(200);
    }
}
