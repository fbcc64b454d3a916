//! `shardcart doctor`: finds what is wrong, says what to do, and leaves nothing behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::harness::Setup;
use crate::harness::command::Program;

/// What a doctor found in an area.
fn findings(program: Program, area: &str) -> Vec<Value> {
    let said = program.run();
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let findings = report["findings"].as_array().unwrap();
    let is_well = findings.iter().all(|finding| finding["level"] != "wrong");
    assert_eq!((report["ok"].as_bool(), said.status), (Some(is_well), i32::from(!is_well)), "{said:?}");
    findings.iter().filter(|finding| finding["area"] == area).cloned().collect()
}

/// A doctor of a directory, who finds no store.
fn doctor(directory: &Path, launch: &[&str]) -> Program {
    let arguments = ["doctor", "--json", "--url", "http://127.0.0.1:1", "--timeout", "100ms", "--data", "data", "--"];
    Program::new(directory, &[&arguments, launch].concat())
}

#[test]
fn a_port_in_use_is_told_with_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let found = findings(doctor(directory.path(), &["--http", &address, "--kv", "127.0.0.1:0"]), "port");
    let text = found[0]["text"].as_str().unwrap();
    assert!(found[0]["level"] == "wrong" && text.contains(&std::process::id().to_string()), "{found:?}");
    assert!(found[0]["remedy"].as_str().unwrap().contains("--http"), "{found:?}");
    assert_eq!(found[1]["level"], "good", "{found:?}");
}

#[test]
fn the_disk_is_measured_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let sync = |directory: &Path| findings(doctor(directory, &[]), "sync");
    let text = sync(directory.path())[0]["text"].to_string();
    assert!(text.contains("a synced write of 4 KiB takes") && text.contains("p99"), "{text}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    fs::create_dir(directory.path().join("data")).unwrap();
    assert_ne!(sync(directory.path())[0]["level"], "wrong");
    assert_eq!(fs::read_dir(directory.path().join("data")).unwrap().count(), 0);
    let room = findings(doctor(directory.path(), &["--min-free", "1000TiB"]), "room");
    assert_eq!(room[0]["level"], "wrong", "{room:?}");
}

#[test]
fn keys_and_variables_that_cannot_work_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let keys = |launch: &[&str]| findings(doctor(directory.path(), launch), "keys")[0]["level"].clone();
    assert_eq!(keys(&[]), "good");
    assert_eq!(keys(&["--api-keys", "absent.json"]), "wrong");
    assert_eq!(keys(&["--http", "0.0.0.0:0"]), "wrong");
    fs::write(directory.path().join("key"), "a-key").unwrap();
    let client = |mode| {
        fs::set_permissions(directory.path().join("key"), fs::Permissions::from_mode(mode)).unwrap();
        findings(doctor(directory.path(), &[]).env("SHARDCART_API_KEY_FILE", "key"), "client key")[0]["level"].clone()
    };
    assert_eq!((client(0o600), client(0o644)), ("good".into(), "warning".into()));
    let found = findings(doctor(directory.path(), &[]).env("SHARDCART_SHARD", "3"), "environment");
    assert_eq!((&found[0]["level"], &found[0]["remedy"]), (&"warning".into(), &"is SHARDCART_SHARDS meant?".into()));
    let said = doctor(directory.path(), &["--shards", "65"]).run().expect(2);
    assert!(said.err.contains("--shards 65"), "{said:?}");
}

#[test]
fn a_running_store_is_found_and_its_ports_are_no_fault() {
    let store = Setup::new(1).start();
    let [shop, other] = [store.facade.http[0], store.facade.http[1]].map(|address| address.to_string());
    let url = format!("http://{shop}");
    let run = || {
        let launch = ["doctor", "--json", "--data", "data", "--", "--http", &shop, "--http", &other];
        Program::new(store.directory(), &[&launch[..], &["--kv", "127.0.0.1:0"]].concat()).store(&url)
    };
    let levels = |area: &str| findings(run(), area).iter().map(|finding| finding["level"].clone()).collect::<Vec<_>>();
    assert_eq!(levels("store"), ["good", "good"]);
    assert_eq!(levels("port"), ["good", "good", "good"]);
}
