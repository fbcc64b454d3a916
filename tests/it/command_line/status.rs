//! `shardcart status`: what the store says of itself, and whether all is well.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::command::Program;
use crate::harness::{Setup, eventually};

#[test]
fn it_shows_the_snapshot_and_tells_a_shard_that_is_down() {
    let mut store = Setup::new(2).durable().start();
    let url = format!("http://{}", store.facade.http[0]);
    let status = |json: bool| {
        let arguments: &[&str] = if json { &["status", "--json"] } else { &["status"] };
        Program::new(store.directory(), arguments).store(&url).run()
    };
    let said = eventually("all is well", || Some(status(false)).filter(|said| said.status == 0));
    for part in ["SHARD", "up", "received", "snapshot"] {
        assert!(said.out.contains(part), "no {part} in {}", said.out);
    }
    let json: Value = serde_json::from_str(&status(true).out).unwrap();
    assert_eq!((&json["verdict"]["ok"], json["shards"].as_array().map(Vec::len)), (&true.into(), Some(2)));
    let directory = store.directory().to_owned();
    store.shards[1].kill();
    let said = eventually("the dead shard is told", || {
        let said = Program::new(&directory, &["status"]).store(&url).run();
        (said.status == 1).then_some(said)
    });
    assert!(said.out.contains("down"), "{}", said.out);
}

#[test]
fn it_goes_on_until_nobody_reads() {
    let store = Setup::new(1).start();
    let arguments = ["status", "--watch", "--json", "--url", &format!("http://{}", store.facade.http[0])];
    let mut program = Program::new(store.directory(), &arguments);
    let mut child = program.command().stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["snapshot"].as_u64().unwrap()
    };
    let (first, second) = (next(), next());
    assert!(second >= first);
    drop(lines);
    assert!(eventually("it ends", || child.try_wait().unwrap()).success());
}
