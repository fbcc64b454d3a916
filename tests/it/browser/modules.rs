//! What the pages' modules do with input that a store gives seldom: an event that arrives in pieces, a facade that counts
//! anew, a clock that is set back.

use serde_json::{Value, json};

use super::driver::{Browser, LAPTOP};
use super::turn;
use crate::harness::Setup;

/// Runs a script with a module of the pages as `module`, and returns what it returns.
fn with_module(browser: &mut Browser, module: &str, script: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         import('/assets/{module}').then(async (module) => {{ {script} }}).then(done, (error) => done(`${{error}}`));"
    );
    browser.run_until_done(&script)
}

#[test]
fn events_arrive_whole_however_they_are_cut() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(1).start();
    let mut browser = Browser::open(LAPTOP);
    browser.visit(store.facade.http[0], "/shop");
    let found = with_module(
        &mut browser,
        "event-stream.js",
        r#"const sent = new TextEncoder().encode(
             ': hello\n\nevent: status\nid: 7\ndata: {"a":"Zoë"}\n\ndata: one\ndata: two\n\nevent: status\ndata: cut off');
           const wrong = [];
           for (let cut = 0; cut <= sent.length; cut += 1) {
             const body = new ReadableStream({ start(stream) {
               [sent.slice(0, cut), sent.slice(cut)].filter((part) => part.length > 0).forEach((part) => stream.enqueue(part));
               stream.close();
             } });
             const events = [];
             for await (const { event, data } of module.events(new Response(body))) {
               events.push(`${event}=${data}`);
             }
             if (events.join() !== 'status={"a":"Zoë"},message=one\ntwo') {
               wrong.push([cut, events]);
             }
           }
           return wrong;"#,
    );
    assert_eq!(found, json!([]));
}

#[test]
fn samples_have_their_place_by_time() {
    let Some(_turn) = turn() else { return };
    let store = Setup::new(1).start();
    let mut browser = Browser::open(LAPTOP);
    browser.visit(store.facade.http[0], "/shop");
    let found = with_module(
        &mut browser,
        "history.js",
        r#"const history = new module.History();
           const metrics = ['requests_per_s', 'errors_per_s', 'p50_ms', 'p99_ms', 'commit_p99_ms', 'batch_size', 'queue',
               'open_orders', 'memory_bytes', 'records', 'idempotency_keys'];
           const add = (snapshot, second, queue, known) => history.add({
               snapshot, interval_s: 1, at: new Date(1e12 + second * 1000).toISOString(),
               shards: [{ queue, requests_per_s: null, records_total: null }],
               ...(known && { history: { shards: [Object.fromEntries(metrics.map((metric) => [metric, known]))] } }),
           });
           const last = (count) => [...history.samples(0, 'queue').slice(-count)].map((value) => Number.isNaN(value) ? null : value);
           const seen = [history.missing()];
           add(5, 5, 15, [12, null, 14, 15]);
           seen.push(last(5));
           add(6, 6, 16);
           seen.push(last(3));
           // The facade was restarted: it counts anew, and knows nothing of what was before.
           add(1, 9, 19, [19]);
           seen.push(last(6));
           seen.push(history.missing(1e12 + 12_000));
           // The same second again, and a clock that was set back.
           add(1, 9, 29);
           seen.push(last(2));
           add(2, 4, 24);
           seen.push(last(3));
           return seen;"#,
    );
    let expected = json!([
        900,
        [null, 12, null, 14, 15],
        [14, 15, 16],
        [14, 15, 16, null, null, 19],
        5,
        [null, 29],
        [null, null, 24]
    ]);
    assert_eq!(found, expected);
}
