//! A shard's data directory as this release writes it. It stands for those on users' disks: every later release has to open
//! it and find in it what is listed. So these files never change, and a new format gets a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shardcart::routing::SLOTS;
use shardcart::storage::{MIN_LOG_BYTES, RecordKind, Space, Storage, StorageKind, codec, kind_of, record_name};

use crate::harness::shop::{CARD, KEY, order, stock_of};
use crate::harness::{Client, Setup, Store, eventually, fresh_metrics, offer};

/// The files of the directory: sectors that are not only zeros, as hexadecimal digits.
const FILES: &str = "tests/it/golden/directory.txt";
/// What is in them: the answers of the store, then its records.
const CONTENT: &str = "tests/it/golden/content.txt";
const SECTOR: usize = 512;
const SPACE: Space = Space { log_bytes: MIN_LOG_BYTES, min_free: 0 };
const NOT_LOADED: [RecordKind; 2] = [RecordKind::Order, RecordKind::Delivery];

fn in_source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All files below a directory that are not made anew by each start.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap().file_type() {
            kind if kind.is_dir() => found.extend(files(&path)),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Writes a directory as text: `file PATH LENGTH`, then `OFFSET BYTES` for each sector without the zeros at its end.
fn to_text(directory: &Path) -> String {
    let mut text = String::new();
    for path in files(directory) {
        let content = fs::read(&path).unwrap();
        let name = path.strip_prefix(directory).unwrap();
        text.push_str(&format!("file {} {}\n", name.display(), content.len()));
        for (number, sector) in content.chunks(SECTOR).enumerate() {
            if let Some(last) = sector.iter().rposition(|byte| *byte != 0) {
                text.push_str(&format!("{} {}\n", number * SECTOR, hex(&sector[..=last])));
            }
        }
    }
    text
}

fn from_text(text: &str, directory: &Path) {
    let mut file = None;
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("file ") {
            let (name, length) = line.rsplit_once(' ').unwrap();
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let made = fs::File::create(path).unwrap();
            made.set_len(length.parse().unwrap()).unwrap();
            file = Some(made);
        } else {
            let (offset, hex) = line.split_once(' ').unwrap();
            file.as_ref().unwrap().write_all_at(&bytes(hex), offset.parse().unwrap()).unwrap();
        }
    }
}

/// Every record of a storage, with its bytes. All of them decode.
fn records(storage: &dyn Storage) -> Vec<String> {
    let all = 0..=SLOTS - 1;
    let mut found = BTreeMap::new();
    let mut take = |key: &[u8], value: &[u8]| {
        if let Some(kind) = kind_of(key) {
            codec::check(kind, value).unwrap();
        }
        found.insert(key.to_vec(), format!("{} {} {}", record_name(key), hex(key), hex(value)));
        Ok(())
    };
    storage.load(&RecordKind::LOADED, &all, &mut take).unwrap();
    for kind in NOT_LOADED {
        let page = storage.scan(kind, &all, &[], 1_000).unwrap();
        page.records.iter().for_each(|record| take(record.key(), record.value()).unwrap());
    }
    found.into_values().collect()
}

/// What the store answers, one line each.
fn answers(client: &mut Client, order_id: &str) -> Vec<String> {
    let mut lines = vec![order_id.to_owned(), order(client, order_id).to_string()];
    for path in ["/items/alice", "/items/bob", "/info/1"] {
        lines.push(client.get(path).expect(200).text());
    }
    lines
}

/// A line as JSON; a text that is none is a string.
fn json_of(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| line.into())
}

/// True when an answer has everything that another one has. Releases add members, and remove or change none.
fn has_all(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => {
            shown.iter().all(|(name, shown)| answer.get(name).is_some_and(|answer| has_all(answer, shown)))
        }
        (Value::Array(answer), Value::Array(shown)) => {
            answer.len() == shown.len() && answer.iter().zip(shown).all(|(answer, shown)| has_all(answer, shown))
        }
        (answer, shown) => answer == shown,
    }
}

fn open_orders(store: &Store) -> bool {
    let metrics = fresh_metrics(&mut store.client());
    metrics.lines().any(|line| line.contains("kind=\"open_order\"") && !line.ends_with(" 0"))
}

#[test]
fn a_directory_of_the_first_format_is_read() {
    let text = |path| fs::read_to_string(in_source(path)).unwrap();
    let content = text(CONTENT);
    let (answered, stored) = content.split_once("\n\n").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (storage, served) = (directory.path().join("storage"), directory.path().join("served"));
    from_text(&text(FILES), &storage);
    let found = records(&*StorageKind::Log.open(&storage, SPACE).unwrap());
    assert_eq!(found, stored.lines().collect::<Vec<_>>());
    for name in ["the cart of alice", "order ", "delivery ", "the answer under an Idempotency-Key", "product 1"] {
        assert!(found.iter().any(|line| line.starts_with(name)), "{name}");
    }
    from_text(&text(FILES), &served.join("shard-0"));
    let store = Setup::new(1).durable().data(&served).start();
    let order_id = answered.lines().next().unwrap();
    let found = answers(&mut store.client(), order_id);
    assert_eq!(found.len(), answered.lines().count());
    for (found, shown) in found.iter().zip(answered.lines()) {
        assert!(has_all(&json_of(found), &json_of(shown)), "{found} lacks a part of {shown}");
    }
}

#[test]
fn orders_of_a_directory_without_lists_are_listed() {
    let text = |path| fs::read_to_string(in_source(path)).unwrap();
    let content = text(CONTENT);
    let order_id = content.lines().next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    from_text(&text(FILES), &directory.path().join("shard-0"));
    let mut store = Setup::new(1).durable().data(directory.path()).start();
    // Once with the lists just made, once with those of the start before.
    for _ in 0..2 {
        for path in ["/api/orders", "/api/orders?customer_id=dave&status=created&payment_status=captured"] {
            let page = store.client().call("GET", path).header("X-API-Key", KEY).send().expect(200).json();
            let listed: Vec<_> = page["items"].as_array().unwrap().iter().map(|order| &order["order_id"]).collect();
            assert!(listed.contains(&&json!(order_id)), "{path}: {listed:?}");
        }
        let all = store.client().call("GET", "/api/orders").header("X-API-Key", KEY).send().expect(200).json();
        let count = all["items"].as_array().unwrap().len();
        eventually("they are counted", || {
            let status = store.client().get("/status").expect(200).json();
            (count > 0 && status["orders"]["created"] == count).then_some(())
        });
        store.restart_shard(0);
    }
}

/// Its order is of a release that did not keep which products it was for, nor which deliveries it had.
#[test]
fn an_order_of_the_first_format_is_cancelled_with_its_delivery_and_without_its_stock() {
    let text = |path| fs::read_to_string(in_source(path)).unwrap();
    let content = text(CONTENT);
    let order_id = content.lines().next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    from_text(&text(FILES), &directory.path().join("shard-0"));
    let store = Setup::new(1).durable().data(directory.path()).start();
    let mut client = store.client();
    let stock = stock_of(&mut client, "1");
    let path = format!("/api/orders/{order_id}/cancel");
    let cancelled = client.call("POST", &path).header("X-API-Key", KEY).send().expect(200).json();
    // The gateway of this test never heard of the payment.
    assert_eq!((&cancelled["status"], &cancelled["payment_status"]), (&json!("cancelled"), &json!("voided")));
    let delivery = format!("/api/delivery/{}", cancelled["delivery_id"].as_str().unwrap());
    let delivery = client.call("GET", &delivery).header("X-API-Key", KEY).send().expect(200).json();
    assert_eq!(delivery["status"], "cancelled");
    assert_eq!(stock_of(&mut client, "1"), stock);
}

/// Makes the files anew: `cargo test --test it golden_directory::make -- --ignored`, for a new format only.
#[test]
#[ignore = "it writes the files that the other test reads"]
fn make() {
    let mut store = Setup::new(1).durable().start();
    let mut client = store.client();
    client.post("/item/alice/apple", &offer("12.10", 2)).expect(201);
    let keyed = client.call("POST", "/item/bob/tea").header("Idempotency-Key", "golden");
    keyed.json(&offer("3", 1)).send().expect(201);
    client.post("/item/dave/1", &offer("15", 1)).expect(201);
    let body = json!({"address": "1 Main St", "payment": {"card_number": CARD}});
    let placed = client.post("/checkout/dave", &body.to_string()).expect(201).json();
    let order_id = placed["order_id"].as_str().unwrap().to_owned();
    eventually("the order is closed", || (!open_orders(&store)).then_some(()));
    // What was written so far goes to the tables, the rest stays in the log.
    store.restart_shard(0);
    store.client().post("/item/alice/pear", &offer("1", 3)).expect(201);
    store.client().post("/purchase/1", "").expect(201);
    let answered = answers(&mut store.client(), &order_id);
    store.shards[0].kill();
    let data = store.directory().join("shard-0");
    for name in ["error.log", "sock"] {
        let _ = fs::remove_file(data.join(name));
    }
    let text = to_text(&data);
    let stored = records(&*StorageKind::Log.open(&data, SPACE).unwrap());
    fs::create_dir_all(in_source(FILES).parent().unwrap()).unwrap();
    fs::write(in_source(FILES), text).unwrap();
    fs::write(in_source(CONTENT), format!("{}\n\n{}\n", answered.join("\n"), stored.join("\n"))).unwrap();
}
