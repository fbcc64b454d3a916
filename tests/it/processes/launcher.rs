//! The launcher: it starts a store, keeps it running, and leaves no process behind.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shardcart::access::{self, KEY_VARIABLES, KeyFile};

use crate::harness::http::Connection;
use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM, SHARDS, children_of, refusal, wait_until_gone};
use crate::harness::{Client, eventually, offer};

/// A time longer than a child outlives a dead launcher.
const LONGER_THAN_AN_ORPHAN: Duration = Duration::from_secs(1);

/// Waits until every shard serves its customers and the cart has this many items.
fn wait_for_cart(shop: SocketAddr, items: u64) {
    eventually("the cart can be read", || {
        let answer = Client::new(shop).call("GET", "/items/alice").try_send().ok()?;
        (answer.status == 200).then(|| assert_eq!(answer.json()["itemTotal"], items, "{}", answer.text()))
    });
}

fn add(shop: SocketAddr, item: &str) {
    Client::new(shop).post(&format!("/item/alice/{item}"), &offer("12.10", 2)).expect(201);
}

#[test]
fn each_signal_stops_everything_and_the_cart_is_there_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    for (round, signal) in [(1, Signal::TERM), (2, Signal::INT), (3, Signal::HUP)] {
        let mut launcher = Launcher::start(directory.path());
        for child in ["gateway: ready", "shard 0 of 2: ready", "shard 1 of 2: ready", "facade: ready"] {
            assert!(launcher.printed(child), "{child} in {:?}", launcher.lines());
        }
        let children = launcher.children();
        assert_eq!(children.len(), 4);
        add(launcher.shop(), &format!("item-{round}"));
        wait_for_cart(launcher.shop(), 2 * round);
        launcher.signal(signal);
        assert_eq!(launcher.wait().code(), Some(0));
        wait_until_gone(&children);
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_store_stops() {
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = Launcher::start(directory.path());
    let body = offer("12.10", 2);
    let head = format!(
        "POST /item/alice/apple HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = Connection::open(launcher.shop()).unwrap();
    connection.send(format!("{head}{}", &body[..1]).as_bytes()).unwrap();
    // The first connection was accepted before this one, so its request is in progress when this one is answered.
    Client::new(launcher.shop()).get("/livez").expect(200);
    launcher.signal(Signal::TERM);
    eventually("the launcher stops", || launcher.printed("stopping").then_some(()));
    thread::sleep(LONGER_THAN_AN_ORPHAN);
    connection.send(&body.as_bytes()[1..]).unwrap();
    connection.receive("POST").unwrap().expect(201);
    assert_eq!(launcher.wait().code(), Some(0));
}

#[test]
fn a_killed_launcher_leaves_nothing_and_the_next_one_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Launcher::start(directory.path());
    let (shop, kv, children) = (first.shop(), first.kv(), first.children());
    assert_eq!(children.len(), 4);
    add(shop, "apple");
    first.signal(Signal::KILL);
    first.wait();
    let second = Launcher::start_on(directory.path(), &shop.to_string(), &kv.to_string());
    wait_until_gone(&children);
    assert_eq!((second.shop(), second.kv()), (shop, kv));
    wait_for_cart(shop, 2);
}

#[test]
fn a_second_launcher_is_refused_while_the_first_runs() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let launcher = Launcher::start(ours.path());
    let data = ours.path().join("data");
    let options = ["--shards", SHARDS, "--kv", ANY_PORT, "--http", ANY_PORT, "--data", data.to_str().unwrap()];
    assert!(refusal(others.path(), &options, 1).contains("another store is running on this directory"));
    let port = launcher.shop().to_string();
    let said = refusal(others.path(), &["--kv", ANY_PORT, "--http", &port], 1);
    assert!(said.contains(&format!("cannot listen on {port}")), "{said}");
    assert!(!others.path().join("data").exists(), "a refusal leaves nothing behind");
    add(launcher.shop(), "apple");
}

#[test]
fn the_commands_to_try_work_as_they_are_printed() {
    let directory = tempfile::tempdir().unwrap();
    let try_it = |launcher: &Launcher, key: &str| {
        let lines = launcher.lines();
        let begin = lines.iter().position(|line| line == "try").unwrap() + 1;
        let end = lines.iter().position(|line| line == "Ctrl-C stops it.").unwrap();
        let script = lines[begin..end].join("\n");
        let output = Command::new("bash").args(["-ec", &script]).env(KEY_VARIABLES[0], key).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.matches("apple").count(), 2, "{script}: {said}");
    };
    try_it(&Launcher::start(directory.path()), "");
    let options = ["--shards", SHARDS, "--http", "0.0.0.0:0", "--kv", ANY_PORT, "--api-keys", "keys.json"];
    let (_, key) = KeyFile::add(&directory.path().join("keys.json"), "", access::Role::Write).unwrap();
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    try_it(&launcher, key.reveal());
}

#[test]
fn a_killed_shard_is_logged_once() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    let before = launcher.log().lines().count();
    let dead = launcher.child("--index=1");
    kill_process(dead, Signal::KILL).unwrap();
    let (shop, other) = (launcher.shop(), launcher.child("--index=0"));
    eventually("the shard is ready again", || {
        let ready = launcher.lines().iter().filter(|line| line.starts_with("shard 1 of 2: ready")).count();
        (ready == 2).then_some(())
    });
    eventually("every shard answers", || (Client::new(shop).get("/readyz?shards=2").status == 200).then_some(()));
    assert_ne!(launcher.child("--index=1"), dead);
    assert_eq!(launcher.child("--index=0"), other);
    launcher.expect_logged("child exited; restarting", 1);
    let log = launcher.log();
    // Each request that failed in the outage has its own log line.
    let told: Vec<_> = log.lines().skip(before).filter(|line| !line.contains("a request was not served")).collect();
    assert!(told.len() == 1 && told[0].contains(&format!("pid={}", dead.as_raw_pid())), "{told:?}");
}

#[test]
fn a_dead_child_is_restarted_with_its_address() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    add(launcher.shop(), "apple");
    for name in [" gateway ", "--index=0", "--index=1", " facade "] {
        let dead = launcher.child(name);
        kill_process(dead, Signal::KILL).unwrap();
        eventually(&format!("{name} has been started again"), || {
            (launcher.child(name) != dead && launcher.log().contains(&format!("pid={}", dead.as_raw_pid())))
                .then_some(())
        });
        wait_for_cart(launcher.shop(), 2);
    }
    eventually("each has said twice that it is ready", || {
        let ready = launcher.lines().iter().filter(|line| line.contains(": ready after ")).count();
        (ready == 8).then_some(())
    });
    launcher.expect_logged("child exited; restarting", 4);
    launcher.expect_logged("signal: 9 (SIGKILL)", 4);
}

#[test]
fn after_the_program_was_replaced_children_are_still_of_the_launchers_version() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("shardcart");
    fs::copy(PROGRAM, &program).unwrap();
    let options = ["--shards", SHARDS, "--http", ANY_PORT, "--kv", ANY_PORT];
    let launcher = Launcher::spawn(&program, directory.path(), &options).until_ready();
    add(launcher.shop(), "apple");
    // As an installation does: the old file is removed, and the new one is written a little later.
    fs::remove_file(&program).unwrap();
    let image = |pid: Pid| fs::metadata(format!("/proc/{}/exe", pid.as_raw_pid())).unwrap().ino();
    let ours = image(launcher.pid());
    for name in ["--index=0", "--index=1"] {
        let killed = launcher.child(name);
        kill_process(killed, Signal::KILL).unwrap();
        wait_for_cart(launcher.shop(), 2);
        // The cart may be on the other shard, so that its answer does not say that this one is there again.
        let restarted = eventually("it is restarted", || {
            let mut children = launcher.children().into_iter();
            children.find(|child| child.arguments.contains(name) && child.pid != killed).map(|child| child.pid)
        });
        assert_eq!(image(restarted), ours);
        fs::copy("/bin/true", &program).unwrap();
    }
    // Until it gives itself its name, a child has the name of the link that started it.
    let name = format!("/proc/{}/comm", launcher.child("--index=1").as_raw_pid());
    eventually("it has its name", || (fs::read_to_string(&name).unwrap() == "shardcart\n").then_some(()));
    assert!(!launcher.log().contains("No such file"), "{}", launcher.log());
}

#[test]
fn a_child_that_lives_and_does_not_answer_is_restarted() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--shards", SHARDS, "--http", ANY_PORT, "--kv", ANY_PORT, "--answer-timeout", "3s"];
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    add(launcher.shop(), "apple");
    let hanging = [" gateway ", "--index=0", "--index=1", " facade "].map(|name| (name, launcher.child(name)));
    for (_, pid) in hanging {
        kill_process(pid, Signal::STOP).unwrap();
    }
    for (name, pid) in hanging {
        eventually(&format!("{name} is another process"), || (launcher.child(name) != pid).then_some(()));
    }
    wait_for_cart(launcher.shop(), 2);
    launcher.expect_logged("child lives but does not answer; killing", 4);
    // Those that answer are left alone for longer than the limit.
    let children = ["--index=0", " facade "].map(|name| launcher.child(name));
    let since = Instant::now();
    eventually("the limit is over", || (since.elapsed() > Duration::from_secs(4)).then_some(()));
    assert_eq!(["--index=0", " facade "].map(|name| launcher.child(name)), children);
}

#[test]
fn nothing_is_restarted_when_all_are_asked_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = Launcher::start(directory.path());
    let children = launcher.children();
    launcher.signal(Signal::TERM);
    eventually("the launcher stops", || launcher.printed("stopping").then_some(()));
    for child in &children {
        // An error means that it has already ended.
        let _ = kill_process(child.pid, Signal::TERM);
    }
    assert_eq!(launcher.wait().code(), Some(0));
    wait_until_gone(&children);
    assert!(!launcher.log().contains("restarting"), "{}", launcher.log());
}

#[test]
fn a_child_that_cannot_start_is_named_and_nothing_is_left_running() {
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = Launcher::start(directory.path());
    launcher.signal(Signal::TERM);
    launcher.wait();
    let storage = directory.path().join("data/shard-1/log");
    fs::remove_dir_all(&storage).unwrap();
    fs::write(&storage, "not a directory").unwrap();
    let options = ["--shards", SHARDS, "--http", ANY_PORT, "--kv", ANY_PORT];
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options);
    assert_eq!(launcher.wait().code(), Some(1));
    assert!(launcher.log().contains("shard 1 of 2 could not be started: exit status: 1"), "{}", launcher.log());
    assert!(!launcher.printed("facade: ready"), "{:?}", launcher.lines());
}

#[test]
fn the_launcher_survives_the_end_of_its_reader() {
    let directory = tempfile::tempdir().unwrap();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["launch", "--shards", "1", "--workers", "1", "--kv", ANY_PORT, "--http", ANY_PORT])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    let shop = eventually("there is a facade", || {
        children_of(pid).iter().find_map(|role| role.arguments.split("--http=").nth(1)?.split(' ').next()?.parse().ok())
    });
    wait_for_cart(shop, 0);
    kill_process(pid, Signal::TERM).unwrap();
    let status = eventually("the launcher ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
