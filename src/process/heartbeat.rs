//! Tells the launcher that the process still answers: a line a second, while each of its threads that serve goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::announce;
use super::shutdown::Shutdown;

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// The threads that serve, and which of them have gone on since the last line.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Mutex<Vec<bool>>>);

impl Heartbeat {
    /// Makes a heartbeat of so many threads.
    pub fn of(threads: usize) -> Self {
        Heartbeat(Arc::new(Mutex::new(vec![false; threads])))
    }

    /// Beats from now on for one of the threads, by its number, on its own runtime. Without a launcher it does nothing.
    pub fn start(&self, thread: usize, shutdown: &Shutdown) {
        if !shutdown.has_parent() {
            return;
        }
        let heartbeat = self.clone();
        tokio::spawn(async move {
            loop {
                if heartbeat.beat(thread) {
                    announce::alive();
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
    }

    /// Notes that a thread goes on. True when all have since the last time.
    fn beat(&self, thread: usize) -> bool {
        let mut gone_on = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = gone_on.get_mut(thread) {
            *one = true;
        }
        let all = gone_on.iter().all(|one| *one);
        if all {
            gone_on.fill(false);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_while_every_thread_goes_on() {
        let heartbeat = Heartbeat::of(2);
        let beats = [0, 0, 1, 1, 1, 0].map(|thread| heartbeat.beat(thread));
        assert_eq!(beats, [false, false, true, false, false, true]);
    }
}
