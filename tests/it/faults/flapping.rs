//! Shards whose Hello is answered late, and shards that break their sessions again and again.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::watch;

use crate::harness::scripted_shard::ScriptedShard;
use crate::harness::{Facade, eventually, offer};

/// The sessions of a facade with a shard: one for each of its workers.
const SESSIONS: usize = 2;

fn facade_of(shard: &ScriptedShard) -> (Facade, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let facade = Facade::start(directory.path(), "facade", &[shard.address()], &[], &[]);
    (facade, directory)
}

#[test]
fn the_time_for_the_answer_to_the_hello_is_not_lost_to_commands() {
    const HELD: Duration = Duration::from_millis(500);
    let (seen, batches) = mpsc::channel();
    let shard = ScriptedShard::start(move |mut session| {
        let seen = seen.clone();
        async move {
            let Some(hello) = session.receive().await.and_then(|batch| batch.hello) else { return };
            let received = Instant::now();
            tokio::time::sleep(HELD).await;
            let held = received.elapsed();
            session.greet(hello).await;
            while let Some(batch) = session.receive().await {
                session.refuse(&batch).await;
                let _ = seen.send((held, batch));
            }
        }
    });
    let (facade, _directory) = facade_of(&shard);
    eventually("the shard answers", || (facade.client().get("/items/alice").status == 507).then_some(()));
    let (held, batch) = batches.recv().expect("the shard got a command");
    let sent = Duration::from_micros(batch.sent_us);
    assert!(sent >= held, "a client's time counts from its Hello: {sent:?} after {held:?}");
    let deadline = Duration::from_millis(batch.requests[0].deadline_ms);
    assert!(deadline > sent, "the command was late when it was sent: {deadline:?}, sent at {sent:?}");
}

#[test]
fn a_session_whose_hello_was_answered_too_late_is_opened_again() {
    /// More than a client waits for the answer to its Hello.
    const LATE: Duration = Duration::from_millis(2_500);
    let (greeted, greetings) = mpsc::channel();
    let (phase, phases) = watch::channel(0);
    let shard = ScriptedShard::start(move |mut session| {
        let (greeted, mut phases) = (greeted.clone(), phases.clone());
        async move {
            if session.number < SESSIONS {
                session.open().await;
                let _ = phases.wait_for(|phase| *phase >= 1).await;
                return;
            }
            let Some(hello) = session.receive().await.and_then(|batch| batch.hello) else { return };
            let _ = greeted.send(());
            let _ = phases.wait_for(|phase| *phase >= 2).await;
            session.greet(hello).await;
            while let Some(batch) = session.receive().await {
                session.refuse(&batch).await;
            }
        }
    });
    let (facade, _directory) = facade_of(&shard);
    eventually("both sessions are open", || (shard.sessions() >= SESSIONS).then_some(()));
    phase.send_replace(1);
    (0..SESSIONS).for_each(|_| greetings.recv().expect("the facade greets again"));
    facade.process.pause();
    phase.send_replace(2);
    thread::sleep(LATE);
    facade.process.resume();
    eventually("the sessions are opened again", || (shard.sessions() >= 3 * SESSIONS).then_some(()));
    eventually("commands run", || (facade.client().get("/items/alice").status == 507).then_some(()));
}

#[test]
fn a_request_is_not_sent_again_past_its_time() {
    /// The time past a deadline after which the shard answers: by then a client has its error.
    const MUCH_LATER: Duration = Duration::from_secs(3);
    let shard = ScriptedShard::start(|mut session| async move {
        session.open().await;
        let Some(batch) = session.receive().await else { return };
        let deadline = Duration::from_millis(batch.requests[0].deadline_ms);
        if Duration::from_micros(batch.sent_us) >= deadline + MUCH_LATER {
            session.refuse(&batch).await;
            while session.receive().await.is_some() {}
        }
    });
    let (facade, _directory) = facade_of(&shard);
    thread::scope(|scope| {
        let reading = scope.spawn(|| facade.client().get("/items/alice"));
        let writing = scope.spawn(|| {
            let mut client = facade.client();
            let call = client.call("POST", "/item/alice/tea").header("Idempotency-Key", "key");
            call.json(&offer("1", 1)).send()
        });
        for answer in [reading, writing] {
            let status = answer.join().expect("the client failed").status;
            assert!([503, 504].contains(&status), "it was sent again until the shard answered: {status}");
        }
    });
}

/// Waits until at least one worker has opened more than so many sessions.
fn wait_for_sessions(shard: &ScriptedShard, of_a_worker: usize) {
    eventually("the facade tries again", || (shard.sessions() > SESSIONS * of_a_worker).then_some(()));
}

#[test]
fn pauses_between_sessions_that_break_at_once_grow() {
    /// Each pause is random: from 0 to 50 ms, to 100 ms, and so on to 1 s. Without growth twelve have 600 ms at most; with it
    /// they have 4 s on average, and less than this once in millions of runs.
    const AT_LEAST: Duration = Duration::from_millis(700);
    let started = Instant::now();
    let shard = ScriptedShard::start(|mut session| async move { session.open().await });
    let _facade = facade_of(&shard);
    wait_for_sessions(&shard, 12);
    assert!(started.elapsed() > AT_LEAST, "the facade hammers the shard: {:?}", started.elapsed());
}

#[test]
fn a_shard_that_does_not_answer_the_hello_is_not_hammered() {
    /// The least pause after a failed attempt.
    const PAUSE: Duration = Duration::from_millis(25);
    let started = Instant::now();
    let shard = ScriptedShard::start(|_session| async {});
    let _facade = facade_of(&shard);
    wait_for_sessions(&shard, 20);
    assert!(started.elapsed() >= 20 * PAUSE, "the facade hammers the shard: {:?}", started.elapsed());
}
