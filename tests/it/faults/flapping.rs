//! Shards whose Hello is answered late, and shards that break their sessions again and again.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::watch;

use crate::harness::scripted_shard::{ScriptedShard, Session};
use crate::harness::{DEADLINE, Facade, eventually};

/// The sessions of a facade with a shard: one for each of its workers.
const SESSIONS: usize = 2;

fn facade_of(shard: &ScriptedShard) -> (Facade, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let facade = Facade::start(directory.path(), "facade", &[shard.address()], &[], &[]);
    (facade, directory)
}

#[test]
fn times_count_from_the_hello_and_not_from_its_answer() {
    const HELD: Duration = Duration::from_millis(500);
    let (seen, batches) = mpsc::channel();
    let shard = ScriptedShard::start(move |mut session| {
        let seen = seen.clone();
        async move {
            let Some(hello) = session.receive().await.and_then(|batch| batch.hello) else { return };
            tokio::time::sleep(HELD).await;
            let answered = Instant::now();
            session.greet(hello).await;
            while let Some(batch) = session.receive().await {
                let _ = seen.send((batch.sent_us, answered.elapsed()));
                session.refuse(&batch).await;
            }
        }
    });
    let (facade, _directory) = facade_of(&shard);
    // No message that counts from the answer is older than the answer, and any that is not long under way shows it.
    eventually("a message counts from the Hello", || {
        facade.client().get("/items/alice");
        batches.try_iter().any(|(sent, since)| Duration::from_micros(sent) > since).then_some(())
    });
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
    (0..SESSIONS).for_each(|_| greetings.recv_timeout(DEADLINE).expect("the facade greets again"));
    facade.process.pause();
    phase.send_replace(2);
    thread::sleep(LATE);
    facade.process.resume();
    eventually("the sessions are opened again", || (shard.sessions() >= 3 * SESSIONS).then_some(()));
    eventually("commands run", || (facade.client().get("/items/alice").status == 507).then_some(()));
}

/// The time in which a worker of a facade opens more than so many sessions, with a shard that treats each as the script
/// says.
fn time_of_sessions<F>(of_a_worker: usize, script: fn(Session) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let (opened, openings) = mpsc::channel();
    let shard = ScriptedShard::start(move |session| {
        let _ = opened.send(Instant::now());
        script(session)
    });
    let _facade = facade_of(&shard);
    let opening = |_| openings.recv_timeout(DEADLINE).expect("the facade tries again");
    let times: Vec<_> = (0..=SESSIONS * of_a_worker).map(opening).collect();
    times[SESSIONS * of_a_worker] - times[0]
}

#[test]
fn a_shard_that_breaks_each_session_is_not_hammered() {
    /// Twelve pauses, random ones of at most 50 ms, 100 ms and so on to 500 ms, have 2.4 s on average; once in ten million
    /// runs they have less than this.
    const AT_LEAST: Duration = Duration::from_millis(450);
    let time = time_of_sessions(12, |mut session| async move { session.open().await });
    assert!(time > AT_LEAST, "{time:?}");
}

#[test]
fn a_shard_that_does_not_answer_the_hello_is_not_hammered() {
    /// The least pause after a failed attempt.
    const PAUSE: Duration = Duration::from_millis(25);
    let time = time_of_sessions(20, |_session| async {});
    assert!(time >= 20 * PAUSE, "{time:?}");
}
