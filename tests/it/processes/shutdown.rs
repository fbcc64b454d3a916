//! SIGTERM and SIGHUP: accepted requests are finished, no more are accepted, and the process exits with 0.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::http::Connection;
use crate::harness::launcher::PROGRAM;
use crate::harness::{Client, Setup, Store, eventually, offer};

const CLIENTS: usize = 8;

/// Runs clients that add while a process is ended in the middle. Returns the number of additions that were
/// acknowledged, and the number that may have been applied.
fn add_until_ended(store: &mut Store, end: impl FnOnce(&mut Store)) -> (u64, u64) {
    let (acknowledged, unknown, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let address = store.facade.http[0];
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::new(address);
                while !stop.load(Ordering::SeqCst) {
                    match client.call("POST", "/item/alice/tea").json(&offer("1", 1)).try_send() {
                        Ok(answer) if [200, 201].contains(&answer.status) => {
                            acknowledged.fetch_add(1, Ordering::SeqCst)
                        }
                        Ok(answer) if answer.status == 503 => 0,
                        _ => unknown.fetch_add(1, Ordering::SeqCst),
                    };
                }
            });
        }
        eventually("the clients get on", || (acknowledged.load(Ordering::SeqCst) >= 100).then_some(()));
        end(store);
        stop.store(true, Ordering::SeqCst);
    });
    (acknowledged.into_inner(), unknown.into_inner())
}

fn count(store: &Store) -> u64 {
    store.client().get("/items/alice").expect(200).json()["itemTotal"].as_u64().expect("a count")
}

#[test]
fn a_shard_finishes_accepted_commands() {
    let mut store = Setup::new(1).durable().start();
    let (acknowledged, _) = add_until_ended(&mut store, |store| {
        assert_eq!(store.shards[0].terminate().code(), Some(0));
    });
    store.start_shard(0);
    assert_eq!(count(&store), acknowledged, "what was applied was answered, and what was not answered was not applied");
}

#[test]
fn a_shard_without_clients_ends_as_well() {
    let mut store = Setup::new(1).durable().tcp().start();
    store.facade.process.kill();
    assert_eq!(store.shards[0].terminate().code(), Some(0));
}

#[test]
fn a_facade_answers_requests_in_progress() {
    let mut store = Setup::new(2).durable().start();
    let address = store.facade.http[0];
    let mut begun = Connection::open(address).expect("the facade listens");
    let body = offer("1", 1);
    let head =
        "POST /item/bob/tea HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n";
    begun.send(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes()).expect("the head is taken");
    assert_eq!(begun.read_interim().expect("it was begun"), 100);
    let code = thread::scope(|scope| {
        let ended = scope.spawn(|| store.facade.process.terminate().code());
        let refused = || Connection::open(address).is_err();
        eventually("no more connections are taken", || refused().then_some(()));
        let answered = begun.send(body.as_bytes()).and_then(|()| begun.receive("POST"));
        assert!(answered.is_ok_and(|answer| answer.status == 201), "a request that was begun is answered");
        ended.join().expect("it was waited for")
    });
    assert_eq!(code, Some(0));
    store.replace_facade_after_end();
    assert_eq!(store.client().get("/items/bob").expect(200).json()["itemTotal"], 1);
}

#[test]
fn a_facade_under_load_loses_nothing() {
    let mut store = Setup::new(1).durable().start();
    let (acknowledged, unknown) = add_until_ended(&mut store, |store| {
        assert_eq!(store.facade.process.terminate().code(), Some(0));
    });
    store.replace_facade_after_end();
    let count = count(&store);
    assert!((acknowledged..=acknowledged + unknown).contains(&count), "{count}, {acknowledged} acknowledged");
}

#[test]
fn an_idle_connection_does_not_hold_a_facade_up() {
    let mut store = Setup::new(1).start();
    let mut client = store.client();
    client.get("/livez").expect(200);
    let _silent = Connection::open(store.facade.http[0]).expect("the facade listens");
    assert_eq!(store.facade.process.terminate().code(), Some(0));
}

#[test]
fn a_terminal_that_closes_ends_the_processes_in_order() {
    let mut store = Setup::new(1).durable().start();
    let (acknowledged, _) = add_until_ended(&mut store, |store| {
        assert_eq!(store.shards[0].end_with(Signal::HUP).code(), Some(0));
    });
    store.start_shard(0);
    assert_eq!(count(&store), acknowledged);
    assert_eq!(store.gateway.take().expect("a gateway").end_with(Signal::HUP).code(), Some(0));
    assert_eq!(store.facade.process.end_with(Signal::HUP).code(), Some(0));
}

#[test]
fn a_store_under_nohup_outlives_its_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh")
        .args([
            "-c",
            r#"trap "" HUP; exec "$0" launch --shards 1 --http 127.0.0.1:0 --kv 127.0.0.1:0 --data data"#,
            PROGRAM,
        ])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines().map_while(Result::ok);
    let shop = lines.find_map(|line| line.strip_prefix("shop")?.trim().strip_prefix("http://")?.parse().ok()).unwrap();
    kill_process(Pid::from_child(&shell), Signal::HUP).unwrap();
    for _ in 0..20 {
        Client::new(shop).get("/livez").expect(200);
    }
    kill_process(Pid::from_child(&shell), Signal::TERM).unwrap();
    // What it prints until then must not fill the pipe.
    lines.for_each(drop);
    assert!(shell.wait().unwrap().success());
}
