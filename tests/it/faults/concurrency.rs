//! Many clients change one cart at once: every change takes effect and none is lost.

use serde_json::Value;

use crate::harness::{Answer, Client, Setup, all_at_once, offer};

const CLIENTS: u32 = 64;
const ADDITIONS: u32 = 8;

fn count_of(cart: &Value, item: &str) -> u64 {
    let lines = cart["items"].as_array().expect("items is an array");
    lines.iter().filter(|line| line["itemId"] == item).map(|line| line["itemCount"].as_u64().expect("a count")).sum()
}

/// Reads and writes until the write meets the state that was read.
fn add_if_unchanged(client: &mut Client, path: &str) -> Answer {
    loop {
        let tag = client.get("/items/alice").expect(200).etag();
        let answer = client.call("POST", path).header("If-Match", &tag).json(&offer("1", 1)).send();
        if answer.status != 412 {
            return answer;
        }
    }
}

/// Asserts that each version belongs to one change, and that counts never decrease.
fn assert_one_after_another(answers: Vec<(u64, u64)>) {
    let mut answers = answers;
    answers.sort_unstable();
    for pair in answers.windows(2) {
        assert!(pair[0].0 < pair[1].0, "two changes made version {}", pair[1].0);
        assert_eq!(pair[0].1 + 1, pair[1].1, "the count at version {}", pair[1].0);
    }
}

#[test]
fn additions_to_one_line_all_count() {
    for setup in [Setup::new(2), Setup::new(2).durable()] {
        let store = setup.start();
        let answers = all_at_once(&store, CLIENTS, |_, mut client| {
            let add = |_| {
                let answer = client.post("/item/alice/tea", &offer("1", 1));
                assert!([200, 201].contains(&answer.status), "{}", answer.text());
                (answer.status, (answer.version(), count_of(&answer.json(), "tea")))
            };
            (0..ADDITIONS).map(add).collect::<Vec<_>>()
        });
        let cart = store.client().get("/items/alice").expect(200).json();
        assert_eq!(count_of(&cart, "tea"), u64::from(CLIENTS * ADDITIONS));
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1, "the line was new once");
        assert_one_after_another(answers.into_iter().map(|(_, state)| state).collect());
    }
}

#[test]
fn conditional_additions_count_just_as_well() {
    let store = Setup::new(1).start();
    let answers = all_at_once(&store, CLIENTS, |number, mut client| {
        let add = |_| {
            let answer = match number % 2 {
                0 => client.post("/item/alice/tea", &offer("1", 1)),
                _ => add_if_unchanged(&mut client, "/item/alice/tea"),
            };
            assert!([200, 201].contains(&answer.status), "{}", answer.text());
            (answer.version(), count_of(&answer.json(), "tea"))
        };
        (0..ADDITIONS / 2).map(add).collect::<Vec<_>>()
    });
    let cart = store.client().get("/items/alice").expect(200).json();
    assert_eq!(count_of(&cart, "tea"), u64::from(CLIENTS * ADDITIONS / 2));
    assert_one_after_another(answers.into_iter().flatten().collect());
}

#[test]
fn of_many_with_one_tag_exactly_one_wins() {
    let store = Setup::new(1).start();
    let tag = store.client().post("/item/alice/tea", &offer("1", 1)).expect(201).etag();
    let statuses = all_at_once(&store, CLIENTS, |_, mut client| {
        client.call("POST", "/item/alice/tea").header("If-Match", &tag).json(&offer("1", 1)).send().status
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), CLIENTS as usize - 1);
    assert_eq!(store.client().get("/items/alice").json()["itemTotal"], 2);
}

#[test]
fn additions_to_different_lines_all_count() {
    let store = Setup::new(1).start();
    all_at_once(&store, CLIENTS, |number, mut client| {
        client.post(&format!("/item/alice/own-{number}"), &offer("0.01", number + 1)).expect(201);
        let shared = client.post("/item/alice/shared", &offer("0.01", 1));
        assert!([200, 201].contains(&shared.status));
    });
    let cart = store.client().get("/items/alice").expect(200);
    for number in 0..CLIENTS {
        assert_eq!(count_of(&cart.json(), &format!("own-{number}")), u64::from(number + 1));
    }
    assert_eq!(count_of(&cart.json(), "shared"), u64::from(CLIENTS));
    let total = CLIENTS * (CLIENTS + 1) / 2 + CLIENTS;
    assert_eq!(cart.number("total"), format!("{}.{:02}", total / 100, total % 100));
}

#[test]
fn every_addition_is_on_one_receipt_or_still_in_the_cart() {
    let store = Setup::new(1).start();
    let taken = all_at_once(&store, CLIENTS, |number, mut client| {
        let mut taken = 0;
        for _ in 0..ADDITIONS {
            if number % 4 == 0 {
                let receipt = client.delete("/items/alice");
                match receipt.status {
                    200 => taken += count_of(&receipt.json(), "tea"),
                    status => assert_eq!(status, 404),
                }
            } else {
                assert_eq!(client.post("/item/alice/tea", &offer("1", 1)).status / 100, 2);
            }
        }
        taken
    });
    let left = count_of(&store.client().get("/items/alice").expect(200).json(), "tea");
    assert_eq!(taken.iter().sum::<u64>() + left, u64::from(CLIENTS * ADDITIONS * 3 / 4));
}
