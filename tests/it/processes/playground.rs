//! A playground: simulated shoppers, the buttons that make its processes crash, and a store that is gone at the end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM, refusal, wait_until_gone};
use crate::harness::{Answer, Client, DEADLINE, Setup, eventually, offer};

const OPTIONS: [&str; 9] = ["--playground", "--data", "play", "--shards", "2", "--http", ANY_PORT, "--kv", ANY_PORT];

fn start(directory: &Path) -> Launcher {
    Launcher::spawn(Path::new(PROGRAM), directory, &OPTIONS).until_ready()
}

/// The counts; `None` while the facade is being restarted.
fn counts(launcher: &Launcher) -> Option<Value> {
    let answer = Client::new(launcher.shop()).call("GET", "/playground").try_send().ok()?;
    (answer.status == 200).then(|| answer.json())
}

fn count(launcher: &Launcher, name: &str) -> u64 {
    eventually("there are counts", || counts(launcher)?[name].as_u64())
}

/// Waits until the shoppers have got so many more changes acknowledged, and asserts that the store kept its word.
fn wait_for_changes(launcher: &Launcher, more: u64) {
    let before = count(launcher, "acknowledged");
    eventually("shoppers go on", || (count(launcher, "acknowledged") >= before + more).then_some(()));
    for name in ["lost", "applied_twice", "stock_drift"] {
        assert_eq!(count(launcher, name), 0, "{name}: {:?}", counts(launcher));
    }
}

fn press(launcher: &Launcher, button: &str, body: &str) -> Answer {
    Client::new(launcher.shop()).post(&format!("/playground/{button}"), body)
}

#[test]
fn shoppers_lose_nothing_in_crashes_and_the_store_is_gone_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("play");
    let mut launcher = start(directory.path());
    assert_eq!(fs::metadata(data.join("playground")).unwrap().permissions().mode() & 0o777, 0o600);
    wait_for_changes(&launcher, 20);
    let status = eventually("there is a snapshot", || {
        let answer = Client::new(launcher.shop()).get("/status");
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(status["playground"], true);
    for (target, argument) in [("shard-1", "--index=1"), ("gateway", " gateway "), ("facade", " facade ")] {
        let dead = launcher.child(argument);
        press(&launcher, "crash", &format!(r#"{{"target":"{target}"}}"#)).expect(202);
        eventually(&format!("{target} is another process"), || (launcher.child(argument) != dead).then_some(()));
        wait_for_changes(&launcher, 20);
    }
    assert_eq!(count(&launcher, "kills"), 3);
    let children = launcher.children();
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.wait().code(), Some(0), "{}", launcher.log());
    wait_until_gone(&children);
    assert!(!data.exists());
}

#[test]
fn the_rate_and_the_gateway_are_changed_from_the_page() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = start(directory.path());
    wait_for_changes(&launcher, 5);
    for mode in ["slow", "refusing", "away", "ok"] {
        press(&launcher, "gateway", &format!(r#"{{"mode":"{mode}"}}"#)).expect(202);
        assert_eq!(counts(&launcher).unwrap()["gateway"], mode);
    }
    press(&launcher, "gateway", r#"{"mode":"away"}"#).expect(202);
    eventually("an order waits for the gateway", || (count(&launcher, "unknown") > 0).then_some(()));
    // Carts go on meanwhile.
    wait_for_changes(&launcher, 100);
    press(&launcher, "gateway", r#"{"mode":"ok"}"#).expect(202);
    press(&launcher, "rate", r#"{"per_s":0}"#).expect(202);
    eventually("every outcome is known", || (count(&launcher, "unknown") == 0).then_some(()));
    assert_eq!(count(&launcher, "rate_per_s"), 0);
    press(&launcher, "rate", r#"{"per_s":1000}"#).expect(202);
    wait_for_changes(&launcher, 100);
}

#[test]
fn only_the_stores_own_page_and_programs_may_press_its_buttons() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::spawn(
        Path::new(PROGRAM),
        directory.path(),
        &[&OPTIONS[..], &["--cors-origin", "https://shop.example"]].concat(),
    )
    .until_ready();
    let body = r#"{"target":"shard-0"}"#;
    let post = |name: &str, value: &str| {
        Client::new(launcher.shop()).call("POST", "/playground/crash").header(name, value).json(body).send()
    };
    let before = launcher.child("--index=0");
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "https://shop.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        post(name, value).expect_problem(403, "Origin");
    }
    for (button, body, field) in [
        ("crash", r#"{"target":"shard-2"}"#, "target"),
        ("crash", r#"{"target":"launcher"}"#, "target"),
        ("crash", r#"{"target":1}"#, "target"),
        ("crash", "{}", "target"),
        ("rate", r#"{"per_s":1001}"#, "per_s"),
        ("rate", r#"{"per_s":-1}"#, "per_s"),
        ("gateway", r#"{"mode":"dead"}"#, "mode"),
        ("gateway", "[]", "body"),
    ] {
        press(&launcher, button, body).expect_problem(400, field);
    }
    Client::new(launcher.shop()).call("POST", "/playground/crash").body(body).send().expect_problem(415, "");
    assert_eq!((launcher.child("--index=0"), count(&launcher, "kills")), (before, 0));
    post("Origin", "http://localhost").expect(202);
    eventually("the shard is another process", || (launcher.child("--index=0") != before).then_some(()));
}

#[test]
fn whoever_talks_nonsense_to_the_launcher_keeps_nobody_else_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = start(directory.path());
    let connect = || {
        let socket = directory.path().join("play/playground");
        let stream = eventually("the launcher listens", || UnixStream::connect(&socket).ok());
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    // An error means that the launcher has closed the connection already, as it should.
    for nonsense in [&b"\n"[..], b"{\"crash\":\n", &[b'x'; 100_000]] {
        let mut stream = connect();
        let _ = stream.write_all(nonsense);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
    let silent: Vec<_> = (0..40).map(|_| connect()).collect();
    eventually("the silent ones are cut off", || counts(&launcher));
    drop(silent);
    wait_for_changes(&launcher, 5);
}

#[test]
fn a_kept_store_is_an_ordinary_one() {
    let directory = tempfile::tempdir().unwrap();
    let options = [&OPTIONS[..], &["--keep"]].concat();
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    Client::new(launcher.shop()).post("/item/alice/apple", &offer("12.10", 2)).expect(201);
    wait_for_changes(&launcher, 5);
    launcher.signal(Signal::INT);
    assert_eq!(launcher.wait().code(), Some(0));
    let said = refusal(directory.path(), &OPTIONS, 2);
    assert!(said.contains("play: exists already"), "{said}");
    let options = ["--data", "play", "--shards", "2", "--http", ANY_PORT, "--kv", ANY_PORT];
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    let mut client = Client::new(launcher.shop());
    assert_eq!(client.get("/items/alice").expect(200).json()["itemTotal"], 2);
    client.get("/playground").expect_problem(404, "no such path");
}

#[test]
fn a_playground_is_refused_where_it_could_do_harm() {
    let directory = tempfile::tempdir().unwrap();
    let untouched = directory.path().join("play");
    fs::create_dir(&untouched).unwrap();
    fs::write(untouched.join("file"), "mine").unwrap();
    for (options, says) in [
        (&["--http", "0.0.0.0:0", "--kv", ANY_PORT][..], "--http 0.0.0.0:0: a playground"),
        (&["--http", ANY_PORT, "--kv", "0.0.0.0:0"], "--kv 0.0.0.0:0: a playground"),
        (&["--http", ANY_PORT, "--kv", ANY_PORT, "--storage", "memory"], "--storage memory: a playground"),
        (
            &["--http", ANY_PORT, "--kv", ANY_PORT, "--payment", "http://127.0.0.1:1/"],
            "--payment http://127.0.0.1:1/: ",
        ),
        (&["--http", ANY_PORT, "--kv", ANY_PORT, "--api-keys", "keys.json"], "--api-keys: the shoppers"),
        (&["--http", ANY_PORT, "--kv", ANY_PORT, "--data", "play"], "play: exists already"),
    ] {
        let said = refusal(directory.path(), &[&["--playground"], options].concat(), 2);
        assert!(said.contains(says), "{says}: {said}");
    }
    assert!(refusal(directory.path(), &["--keep"], 2).contains("--playground"));
    assert_eq!(fs::read(untouched.join("file")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(&untouched).unwrap().count(), 1);
}

#[test]
fn other_stores_have_no_such_paths() {
    let store = Setup::new(1).start();
    let mut client = store.client();
    client.get("/playground").expect_problem(404, "no such path");
    for (button, body) in
        [("rate", r#"{"per_s":1}"#), ("crash", r#"{"target":"facade"}"#), ("gateway", r#"{"mode":"ok"}"#)]
    {
        client.post(&format!("/playground/{button}"), body).expect_problem(404, "no such path");
    }
    // A facade whose launcher is gone.
    let nobody = format!("--playground=unix:{}", tempfile::tempdir().unwrap().path().join("nobody").display());
    let store = Setup::new(1).facade_options(&[&nobody]).start();
    store.client().get("/playground").expect_problem(503, "the launcher");
}
