//! `shardcart bench`: figures of a running store, which is afterwards as it was.

use serde_json::Value;

use crate::harness::command::Program;
use crate::harness::{Setup, fresh_metrics};

#[test]
fn it_loads_a_store_and_leaves_nothing_behind() {
    let mut store = Setup::new(2).start();
    let url = format!("http://{}", store.facade.http[0]);
    let bench = |options: &[&str]| {
        let arguments = [&["bench", "--seconds", "1", "--connections", "4", "--timeout", "1s"], options].concat();
        Program::new(store.directory(), &arguments).store(&url).run()
    };
    let report: Value = serde_json::from_str(&bench(&["--json", "--writes", "50"]).expect(0).out).unwrap();
    for kind in ["reads", "writes"] {
        let figure = |name: &str| report[kind][name].as_f64().unwrap();
        assert!(figure("requests") > 0.0 && figure("p50_ms") <= figure("p999_ms"), "{report}");
    }
    assert_eq!(report["errors"], serde_json::json!({}));
    let text = bench(&["--writes", "0"]).expect(0).out;
    assert!(text.contains("P99.9 MS") && text.contains('█') && text.contains("errors  0"), "{text}");
    let metrics = fresh_metrics(&mut store.client());
    let carts =
        metrics.lines().filter(|line| line.starts_with("shardcart_shard_records{") && line.contains("\"cart\""));
    let carts: Vec<_> = carts.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(carts, ["0", "0"], "{metrics}");
    let directory = store.directory().to_owned();
    store.facade.process.kill();
    let arguments = ["bench", "--seconds", "1", "--connections", "1"];
    Program::new(&directory, &arguments).store(&url).run().expect(6);
}
