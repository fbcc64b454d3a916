//! The launcher: one command that starts a store, keeps it running and leaves nothing behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shardcart::access::{self, KEY_VARIABLES, KeyFile};

use crate::harness::http::Connection;
use crate::harness::{Client, DEADLINE, eventually, offer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shardcart");
const ANY_PORT: &str = "127.0.0.1:0";
const SHARDS: &str = "2";
/// Longer than a child outlives a launcher that has died.
const LONGER_THAN_AN_ORPHAN: Duration = Duration::from_secs(1);

/// A running launcher; it is killed when this is dropped, and its children end with it.
pub struct Launcher {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
}

/// What `/proc` says of a child.
pub struct Role {
    pid: Pid,
    arguments: String,
}

impl Launcher {
    pub fn spawn(program: &Path, directory: &Path, options: &[&str]) -> Self {
        let log = directory.join("launcher.log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = Command::new(program)
            .args(["launch", "--workers", "2"])
            .args(options)
            .current_dir(directory)
            .env_remove(KEY_VARIABLES[0])
            .env_remove(KEY_VARIABLES[1])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, printed) = (child.stdout.take().unwrap(), lines.clone());
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| printed.lock().unwrap().push(line));
        });
        Launcher { child, lines, log }
    }

    /// Starts two shards and a facade on these ports, with the data in `directory/data`, and waits
    /// until all are ready.
    pub fn start_on(directory: &Path, http: &str, kv: &str) -> Self {
        Self::spawn(Path::new(PROGRAM), directory, &["--shards", SHARDS, "--http", http, "--kv", kv]).until_ready()
    }

    pub fn start(directory: &Path) -> Self {
        Self::start_on(directory, ANY_PORT, ANY_PORT)
    }

    pub fn until_ready(mut self) -> Self {
        eventually("the store is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the launcher ended with {ended:?}: {}", self.log());
            self.printed("Ctrl-C stops it.").then_some(())
        });
        self
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn printed(&self, beginning: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(beginning))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn address(&self, what: &str) -> SocketAddr {
        let lines = self.lines();
        let address = lines.iter().find_map(|line| line.strip_prefix(what)?.trim().strip_prefix("http://"));
        address.unwrap_or_else(|| panic!("no {what} in {lines:?}")).parse().unwrap()
    }

    pub fn shop(&self) -> SocketAddr {
        self.address("shop")
    }

    pub fn kv(&self) -> SocketAddr {
        self.address("key-value")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Shards and facade, as far as they run at the moment.
    pub fn children(&self) -> Vec<Role> {
        children_of(self.pid())
    }

    /// The process whose arguments mention something.
    pub fn child(&self, argument: &str) -> Pid {
        eventually(&format!("there is a child with {argument}"), || {
            self.children().iter().find(|role| role.arguments.contains(argument)).map(|role| role.pid)
        })
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        eventually("the launcher ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the launcher printed ---\n{}\n--- its log ---\n{}", self.lines().join("\n"), self.log());
        }
    }
}

fn children_of(parent: Pid) -> Vec<Role> {
    let parent = parent.as_raw_pid().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let ours = processes.filter(|pid: &i32| stat(*pid).is_some_and(|(_, of)| of == parent));
    ours.filter_map(|pid| {
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
        Some(Role { pid: Pid::from_raw(pid)?, arguments })
    })
    .collect()
}

/// The state of a process and its parent's id.
fn stat(pid: i32) -> Option<(char, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.to_owned()))
}

/// A zombie has ended too, whenever whoever inherited it gets to know.
fn wait_until_gone(children: &[Role]) {
    for Role { pid, arguments } in children {
        eventually(&format!("no longer there: {arguments}"), || match stat(pid.as_raw_pid()) {
            None | Some(('Z', _)) => Some(()),
            Some(_) => None,
        });
    }
}

/// Waits until a customer of each shard can be served, and the cart has so many items.
fn wait_for_cart(shop: SocketAddr, items: u64) {
    eventually("the cart can be read", || {
        let answer = Client::new(shop).call("GET", "/items/alice").try_send().ok()?;
        (answer.status == 200).then(|| assert_eq!(answer.json()["itemTotal"], items, "{}", answer.text()))
    });
}

fn add(shop: SocketAddr, item: &str) {
    Client::new(shop).post(&format!("/item/alice/{item}"), &offer("12.10", 2)).expect(201);
}

/// A launcher that must refuse: what it says, after it has ended with this status.
fn refusal(directory: &Path, options: &[&str], status: i32) -> String {
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory, options);
    assert_eq!(launcher.wait().code(), Some(status), "{}", launcher.log());
    assert!(launcher.lines().is_empty(), "{:?}", launcher.lines());
    launcher.log()
}

#[test]
fn either_signal_stops_everything_and_the_cart_is_there_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    for (round, signal) in [(1, Signal::TERM), (2, Signal::INT)] {
        let mut launcher = Launcher::start(directory.path());
        for child in ["shard 0 of 2: ready", "shard 1 of 2: ready", "facade: ready"] {
            assert!(launcher.printed(child), "{child} in {:?}", launcher.lines());
        }
        let children = launcher.children();
        assert_eq!(children.len(), 3);
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
        "POST /item/alice/apple HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = Connection::open(launcher.shop()).unwrap();
    connection.send(format!("{head}{}", &body[..1]).as_bytes()).unwrap();
    // The connection was accepted before this one, so its request is under way when this is answered.
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
    assert_eq!(children.len(), 3);
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
fn a_store_that_others_can_reach_is_refused_without_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    let empty = r#"{"format":1,"keys":[]}"#;
    fs::write(&keys, empty).unwrap();
    let with_file = ["--kv", ANY_PORT, "--http", "0.0.0.0:0", "--api-keys", "keys.json", "--open-writes"];
    for options in
        [&with_file[..], &["--kv", ANY_PORT, "--http", "0.0.0.0:0"], &["--kv", "0.0.0.0:0", "--http", ANY_PORT]]
    {
        let said = refusal(directory.path(), options, 2);
        assert!(said.contains("0.0.0.0:0 can be reached from other machines and there is no API key"), "{said}");
        assert!(!directory.path().join("data").exists(), "a refusal leaves nothing behind");
    }
    fs::write(&keys, "{").unwrap();
    assert!(refusal(directory.path(), &with_file, 1).contains("keys.json is no file of API keys"));
}

#[test]
fn keys_are_passed_on_to_the_facade() {
    let directory = tempfile::tempdir().unwrap();
    let (_, key) = KeyFile::add(&directory.path().join("keys.json"), "", access::Role::Read).unwrap();
    let options = ["--shards", "1", "--http", "0.0.0.0:0", "--kv", ANY_PORT, "--api-keys", "keys.json"];
    let options = [&options[..], &["--require-key", "--open-writes"]].concat();
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    for mut client in [Client::new(launcher.shop()), Client::new(launcher.kv())] {
        client.get("/kv").expect_problem(401, "X-API-Key");
        client.call("GET", "/kv").header("X-API-Key", key.reveal()).send().expect_problem(404, "");
    }
    assert!(!launcher.log().contains("development key"), "{}", launcher.log());
}

#[test]
fn a_time_server_is_passed_on_to_the_facade() {
    let directory = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let server = socket.local_addr().unwrap().to_string();
    let options = ["--shards", "1", "--http", ANY_PORT, "--kv", ANY_PORT, "--ntp-server", &server];
    let _launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options);
    let mut packet = [0; 64];
    assert_eq!(socket.recv(&mut packet).unwrap(), 48);
}

/// A command that must refuse its options: the only line that it prints, on stderr.
fn usage_error(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(directory.path())
        .env_remove(KEY_VARIABLES[0])
        .env_remove(KEY_VARIABLES[1])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    assert!(fs::read_dir(directory.path()).unwrap().all(|entry| entry.unwrap().file_name() == "facade"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().to_owned()
}

#[test]
fn a_name_is_an_address_and_disk_space_has_units() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--shards", "1", "--http", "localhost:0", "--kv", "localhost:0", "--min-free", "1MiB"];
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    assert!(launcher.shop().ip().is_loopback() && launcher.kv().ip().is_loopback());
    wait_for_cart(launcher.shop(), 0);
    let shard = launcher.children().into_iter().find(|role| role.arguments.contains(" shard ")).unwrap();
    assert!(shard.arguments.contains("--min-free=1MiB"), "{}", shard.arguments);
}

#[test]
fn options_that_cannot_be_used_are_refused_in_one_line_before_anything_starts() {
    let port = "127.0.0.1:5999";
    for (arguments, line) in [
        (
            &["launch", "--http", port, "--kv", port][..],
            "--kv 127.0.0.1:5999: the port is taken by --http 127.0.0.1:5999",
        ),
        (
            &["launch", "--http", port, "--http", port],
            "--http 127.0.0.1:5999: the port is taken by --http 127.0.0.1:5999",
        ),
        (&["launch", "--workers", "0"], "--workers 0: is not in 1..=1024"),
        (&["launch", "--shards", "65"], "--shards 65: is not in 1..=64"),
        (
            &["launch", "--workers", "2", "--max-connections", "1"],
            "--max-connections 1: must be at least 2, one for each of the --workers",
        ),
        (
            &["facade", "--data", "facade", "--shards", "127.0.0.1:1", "--http", port, "--kv", port],
            "--kv 127.0.0.1:5999: the port is taken by --http 127.0.0.1:5999",
        ),
        (&["keys", "list", "--file"], "a value is required for '--file <FILE>' but none was supplied; see --help"),
    ] {
        assert_eq!(usage_error(arguments), format!("error: {line}"), "{arguments:?}");
    }
}

#[test]
fn the_error_that_ends_a_process_is_one_line_and_in_error_log() {
    let directory = tempfile::tempdir().unwrap();
    let run = |format: &str| {
        let arguments = ["facade", "--log-format", format, "--data", "data", "--shards", "127.0.0.1:1"];
        let output = Command::new(PROGRAM)
            .args(arguments)
            .args(["--http", ANY_PORT, "--api-keys", "missing.json"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let reason = "cannot read missing.json: No such file or directory (os error 2)";
    assert_eq!(run("human"), format!("error: {reason}\n"));
    let line: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!((&line["level"], &line["fields"]["message"]), (&"ERROR".into(), &reason.into()));
    let log = fs::read_to_string(directory.path().join("data/error.log")).unwrap();
    assert_eq!(log.matches(reason).count(), 2, "{log}");
}

#[test]
fn help_has_examples_and_says_where_the_documentation_is() {
    for arguments in [&["--help"][..], &["launch", "--help"], &["facade", "--help"], &["shard", "-h"], &["keys", "-h"]]
    {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("\nExamples"), "{arguments:?}: {help}");
        assert!(help.contains("Documentation: README.md and docs/"), "{arguments:?}: {help}");
    }
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
    let log = launcher.log();
    // Requests that met the outage are told one by one.
    let told: Vec<_> = log.lines().skip(before).filter(|line| !line.contains("a request was not served")).collect();
    assert!(told.len() == 1 && told[0].contains(&format!("pid={}", dead.as_raw_pid())), "{told:?}");
}

#[test]
fn another_layout_than_the_data_directory_holds_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = Launcher::start(directory.path());
    launcher.signal(Signal::TERM);
    launcher.wait();
    let with = |options: &[&str], status| {
        let ports = ["--kv", ANY_PORT, "--http", ANY_PORT];
        refusal(directory.path(), &[&ports, options].concat(), status)
    };
    let said = with(&["--shards", "3"], 1);
    assert!(said.contains("it holds 2 shards, --shards asks for 3"), "{said}");
    let said = with(&["--shards", SHARDS, "--storage", "memory"], 1);
    assert!(said.contains("its storage is fjall, --storage asks for memory"), "{said}");
    with(&["--shards", "0"], 2);
    fs::rename(directory.path().join("data/shard-1"), directory.path().join("elsewhere")).unwrap();
    assert!(with(&["--shards", SHARDS], 1).contains("the data of shard 1 is missing"));
}

#[test]
fn what_dies_is_started_again_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    add(launcher.shop(), "apple");
    for name in ["--index=0", "--index=1", " facade "] {
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
        (ready == 6).then_some(())
    });
    assert_eq!(launcher.log().matches("child exited; restarting").count(), 3);
    assert!(launcher.log().contains("signal: 9 (SIGKILL)"));
}

#[test]
fn a_program_that_was_replaced_meanwhile_does_not_end_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("shardcart");
    fs::copy(PROGRAM, &program).unwrap();
    let options = ["--shards", SHARDS, "--http", ANY_PORT, "--kv", ANY_PORT];
    let launcher = Launcher::spawn(&program, directory.path(), &options).until_ready();
    add(launcher.shop(), "apple");
    // As an installation does: the old file goes, the new one comes a little later.
    fs::remove_file(&program).unwrap();
    kill_process(launcher.child("--index=0"), Signal::KILL).unwrap();
    kill_process(launcher.child("--index=1"), Signal::KILL).unwrap();
    eventually("a start fails", || launcher.log().contains("No such file").then_some(()));
    fs::copy(PROGRAM, &program).unwrap();
    wait_for_cart(launcher.shop(), 2);
}

#[test]
fn nothing_is_started_again_when_all_are_told_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut launcher = Launcher::start(directory.path());
    let children = launcher.children();
    launcher.signal(Signal::TERM);
    eventually("the launcher stops", || launcher.printed("stopping").then_some(()));
    for child in &children {
        // It may have ended already.
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
    let storage = directory.path().join("data/shard-1/fjall");
    fs::remove_dir_all(&storage).unwrap();
    fs::write(&storage, "not a directory").unwrap();
    let options = ["--shards", SHARDS, "--http", ANY_PORT, "--kv", ANY_PORT];
    let mut launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options);
    assert_eq!(launcher.wait().code(), Some(1));
    assert!(launcher.log().contains("shard 1 of 2 could not be started: exit status: 1"), "{}", launcher.log());
    assert!(!launcher.printed("facade: ready"), "{:?}", launcher.lines());
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_stop() {
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
