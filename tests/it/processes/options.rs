//! Options: their effect, and the refusal of bad ones before anything starts.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, kill_process};
use shardcart::access::{self, KEY_VARIABLES, KeyFile};
use shardcart::process::memory;

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM, SHARDS, failed_start, refusal};
use crate::harness::{Client, DEADLINE, eventually, fresh_metrics};

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
fn a_facade_that_is_started_again_does_not_need_the_key_file() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    let (_, key) = KeyFile::add(&keys, "", access::Role::Read).unwrap();
    let whole = fs::read(&keys).unwrap();
    let options = ["--shards", "1", "--http", "0.0.0.0:0", "--kv", ANY_PORT, "--api-keys", "keys.json"];
    let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
    fs::remove_file(&keys).unwrap();
    kill_process(launcher.child("facade "), Signal::KILL).unwrap();
    let ask = |path: &str| Client::new(launcher.shop()).call("GET", path).header("X-API-Key", key.reveal()).try_send();
    eventually("another facade serves carts without a key", || {
        let is_restarted = launcher.children().iter().any(|child| child.arguments.contains("--restarted"));
        (is_restarted && ask("/items/alice").is_ok_and(|answer| answer.status == 200)).then_some(())
    });
    assert_eq!(ask("/api/books").unwrap().status, 401);
    fs::write(&keys, &whole).unwrap();
    eventually("the key works again", || (ask("/api/books").unwrap().status == 200).then_some(()));
    eventually("it is told", || launcher.log().contains("cannot read the API keys").then_some(()));
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

/// The files and directories below a path that group or others have rights to.
fn open_to_others(path: &Path) -> Vec<String> {
    let metadata = fs::symlink_metadata(path).unwrap();
    let is_open = metadata.permissions().mode() & 0o077 != 0;
    let mut found: Vec<_> = is_open.then(|| path.display().to_string()).into_iter().collect();
    if metadata.is_dir() {
        found.extend(fs::read_dir(path).unwrap().flat_map(|entry| open_to_others(&entry.unwrap().path())));
    }
    found
}

#[test]
fn what_a_store_writes_is_its_users_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut launcher = Launcher::start(directory.path());
    Client::new(launcher.shop()).put("/kv/a", "value").expect(201);
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    launcher.signal(Signal::TERM);
    launcher.wait();
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert!(!launcher.log().contains("other users"), "{}", launcher.log());
    for name in ["shard-0", "gateway", ""] {
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o750)).unwrap();
    }
    Launcher::start(directory.path()).expect_logged("other users may read this data directory", 3);
}

/// Commands that show their help.
const ROLES: [&[&str]; 6] =
    [&["--help"], &["launch", "--help"], &["facade", "--help"], &["shard", "-h"], &["gateway", "-h"], &["keys", "-h"]];

/// Runs a command that must refuse its options. Returns the only line that it prints, on stderr.
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
    Client::new(launcher.shop()).get("/items/alice").expect(200);
    let shard = launcher.children().into_iter().find(|role| role.arguments.contains(" shard ")).unwrap();
    assert!(shard.arguments.contains("--min-free=1MiB"), "{}", shard.arguments);
}

#[test]
fn shards_share_three_quarters_of_the_memory_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = Launcher::start(directory.path());
    let metrics = fresh_metrics(&mut Client::new(launcher.shop()));
    let limits = metrics.lines().filter(|line| line.starts_with("shardcart_shard_max_memory_bytes{"));
    let limits: Vec<u64> = limits.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!((limits.len().to_string().as_str(), limits[0]), (SHARDS, limits[1]));
    let percent = limits.iter().sum::<u64>() as f64 / memory::limit().unwrap() as f64 * 100.0;
    assert!((74.9..75.1).contains(&percent), "{percent}%");
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
        (&["launch", "--write-timeout-ms", "3600001"], "--write-timeout-ms 3600001: is not in 1..=3600000"),
        (&["launch", "--workers", "18446744073709551615"], "--workers 18446744073709551615: is not in 1..=1024"),
        (&["launch", "--shards", "65"], "--shards 65: is not in 1..=64"),
        (
            &["launch", "--workers", "2", "--max-connections", "1"],
            "--max-connections 1: must be at least 2, one for each of the --workers",
        ),
        (
            &["facade", "--data", "facade", "--shards", "127.0.0.1:1", "--http", port, "--kv", port],
            "--kv 127.0.0.1:5999: the port is taken by --http 127.0.0.1:5999",
        ),
        (
            &["launch", "--payment", "http://10.0.0.1/"],
            "--payment http://10.0.0.1/: plain http would send card numbers in clear text to another machine; use https, \
             or --payment-insecure on a network that you trust",
        ),
        (
            &["shard", "--index", "0", "--shards", "1", "--listen", port, "--data", "facade"],
            "the following required arguments were not provided: --payment <URL|unix:PATH>; see --help",
        ),
        (
            &["gateway", "--listen", "0.0.0.0:0", "--data", "facade"],
            "--listen 0.0.0.0:0: the simulated gateway has no keys, so it listens on loopback or a Unix socket only",
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
    for arguments in ROLES {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("\nExamples"), "{arguments:?}: {help}");
        assert!(help.contains("Documentation: README.md and docs/"), "{arguments:?}: {help}");
    }
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
    assert!(said.contains("its storage is log, --storage asks for memory"), "{said}");
    with(&["--shards", "0"], 2);
    fs::remove_dir_all(directory.path().join("data/shard-1/log")).unwrap();
    fs::remove_dir_all(directory.path().join("data/shard-1/tables")).unwrap();
    let said = failed_start(directory.path(), &["--kv", ANY_PORT, "--http", ANY_PORT, "--shards", SHARDS]);
    assert!(said.contains("data/shard-1: the data of this shard is missing"), "{said}");
    assert!(said.contains("shard 1 of 2 could not be started"), "{said}");
    fs::rename(directory.path().join("data/shard-1"), directory.path().join("elsewhere")).unwrap();
    assert!(with(&["--shards", SHARDS], 1).contains("the data of shard 1 is missing"));
}
