//! The figures of a store, which are sampled once a second.

use super::{Client, eventually};

/// The number of the snapshot that metrics are of.
pub fn snapshot_of(metrics: &str) -> u64 {
    let number = metrics.lines().find_map(|line| line.strip_prefix("shardcart_snapshot "));
    number.expect("metrics are of a snapshot").parse().expect("a number")
}

/// The metrics of a snapshot that was begun after this call.
pub fn fresh_metrics(client: &mut Client) -> String {
    let mut metrics = || client.get("/metrics").expect(200).text();
    // The next one may be under way.
    let wanted = snapshot_of(&metrics()) + 2;
    eventually("a snapshot is taken", || Some(metrics()).filter(|text| snapshot_of(text) >= wanted))
}
