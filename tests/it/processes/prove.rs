//! `shardcart prove`: it finds everything in a store that keeps its word, and what is missing in one that does not.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shardcart::access::KEY_VARIABLES;

use crate::harness::launcher::{PROGRAM, children_of};
use crate::harness::{Client, eventually};

fn spawn(directory: &Path, options: &[&str]) -> Child {
    Command::new(PROGRAM)
        .args(["prove", "--shards", "2", "--data", "proof"])
        .args(options)
        .current_dir(directory)
        .env_remove(KEY_VARIABLES[0])
        .env_remove(KEY_VARIABLES[1])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end, which must leave nothing but the result.
fn end(directory: &Path, child: Child, status: i32) -> String {
    let Output { status: ended, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(ended.code(), Some(status), "{stdout}{stderr}");
    assert!(stderr.is_empty() || status == 2, "{stderr}");
    assert!(!directory.join("proof").exists());
    stdout
}

fn prove(options: &[&str], status: i32) -> String {
    let directory = tempfile::tempdir().unwrap();
    let child = spawn(directory.path(), options);
    end(directory.path(), child, status)
}

#[test]
fn everything_acknowledged_is_found_although_processes_are_killed() {
    let proof: Value = serde_json::from_str(&prove(&["--seconds", "5", "--kills", "3", "--json"], 0)).unwrap();
    assert_eq!(proof["holds"], true, "{proof}");
    let kills: u64 = proof["kills"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(kills, 3, "{proof}");
    for name in ["lost", "applied_twice", "stock_drift", "contradictions", "unknown", "unchecked"] {
        assert_eq!(proof[name], 0, "{proof}");
    }
    assert!(proof["acknowledged"].as_u64() > Some(50) && proof["orders_created"].as_u64() > Some(0), "{proof}");
}

#[test]
fn a_store_that_loses_what_it_acknowledged_is_found_out() {
    // Of four kills two hit shards at least, and each of them forgets all that it had in memory.
    let options = ["--seconds", "3", "--kills", "4", "--storage", "memory"];
    let proof: Value = serde_json::from_str(&prove(&[&options[..], &["--json"]].concat(), 1)).unwrap();
    assert!(proof["holds"] == false && proof["lost"].as_u64() > Some(0), "{proof}");
    assert!(!proof["findings"].as_array().unwrap().is_empty(), "{proof}");
    let table = prove(&options, 1);
    assert!(table.ends_with("The store did not keep what it acknowledged.\n"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn a_signal_ends_it_early_and_the_result_is_of_what_was_so_far() {
    let directory = tempfile::tempdir().unwrap();
    let child = spawn(directory.path(), &["--seconds", "600", "--kills", "0", "--seed", "17"]);
    let pid = Pid::from_child(&child);
    let shop = eventually("there is a facade", || {
        children_of(pid).iter().find_map(|role| role.arguments.split("--http=").nth(1)?.split(' ').next()?.parse().ok())
    });
    eventually("the last product is made", || {
        let answer = Client::new(shop).call("GET", "/catalog/books/sim-product-47").try_send().ok()?;
        (answer.status == 200).then_some(())
    });
    kill_process(pid, Signal::INT).unwrap();
    let table = end(directory.path(), child, 0);
    assert!(table.contains("s, ended early, 2 shards") && table.contains("--seed 17\n"), "{table}");
    assert!(table.ends_with("Everything acknowledged is there, once, and the stock adds up.\n"), "{table}");
}

#[test]
fn options_have_bounds() {
    for options in
        [&["--seconds", "0"][..], &["--seconds", "3601"], &["--rate", "0"], &["--seconds", "2", "--kills", "5"]]
    {
        prove(options, 2);
    }
}
