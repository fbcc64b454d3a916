//! A reader of the log that stalls: nobody waits for it.

use std::io;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM};
use crate::harness::{Client, eventually, offer};

#[test]
fn a_log_that_nobody_reads_stops_neither_requests_nor_the_end() {
    let directory = tempfile::tempdir().unwrap();
    // A pipe has room for 64 KiB.
    let (reader, stderr) = io::pipe().unwrap();
    let options = ["--shards", "1", "--http", ANY_PORT, "--kv", ANY_PORT];
    let filter = [("SHARDCART_LOG", "trace,h2=trace,hyper=trace")];
    let mut launcher =
        Launcher::spawn_logging(Path::new(PROGRAM), directory.path(), &options, stderr, &filter).until_ready();
    let mut client = Client::new(launcher.shop());
    let dropped = |text: &str| {
        let count = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
            line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
        };
        count("shardcart_log_dropped_total") > 0 && count("shardcart_shard_log_dropped_total") > 0
    };
    eventually("facade and shard drop lines", || {
        for _ in 0..50 {
            assert!(matches!(client.post("/item/alice/tea", &offer("1", 1)).status, 200 | 201));
        }
        dropped(&client.get("/metrics").expect(200).text()).then_some(())
    });
    client.get("/livez").expect(200);
    launcher.signal(Signal::TERM);
    assert!(launcher.wait().success());
    drop(reader);
}
