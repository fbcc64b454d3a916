//! Writes lines to something that may be slow or hang, such as a pipe that nobody reads, from a thread of its own. Whoever
//! has a line never waits: lines past a limit are dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most bytes that wait to be written.
const MAX_PENDING_BYTES: usize = 1 << 20;

/// A queue of lines with a thread that writes them.
#[derive(Clone)]
pub struct LineWriter(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// True while the thread writes a line, which is not in the queue any more.
    is_writing: bool,
}

impl LineWriter {
    /// Starts a thread that calls `write` with each line.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, mut write: impl FnMut(&[u8]) + Send + 'static) -> io::Result<Self> {
        let (queue, changed, dropped) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        let shared = Arc::new(Shared { queue, changed, dropped });
        let writer = shared.clone();
        thread::Builder::new().name(name.into()).spawn(move || {
            loop {
                let line = writer.take();
                write(&line);
                writer.lock().is_writing = false;
                writer.changed.notify_all();
            }
        })?;
        Ok(LineWriter(shared))
    }

    /// Queues a line, or drops it when too much waits.
    pub fn push(&self, line: Vec<u8>) {
        let mut queue = self.0.lock();
        if queue.bytes + line.len() > MAX_PENDING_BYTES {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        drop(queue);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, but not longer than that.
    pub fn flush(&self, timeout: Duration) {
        let is_busy = |queue: &mut Queue| !queue.lines.is_empty() || queue.is_writing;
        let _ = self.0.changed.wait_timeout_while(self.0.lock(), timeout, is_busy);
    }

    /// The number of lines that were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next line, and waits for it.
    fn take(&self) -> Vec<u8> {
        let mut queue = self.lock();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.len();
                queue.is_writing = true;
                return line;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Each call is one line.
impl Write for &LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_reader_that_stalls_delays_nobody_and_what_does_not_fit_is_counted() {
        let (release, gate) = mpsc::channel::<()>();
        let (written, lines) = mpsc::channel();
        let writer = LineWriter::start("stalled", move |line| {
            // An error means that the gate is open for good.
            let _ = gate.recv();
            let _ = written.send(line.len());
        })
        .unwrap();
        let line = vec![b'x'; 1 << 16];
        for _ in 0..100 {
            writer.push(line.clone());
        }
        // One may be in the hands of the thread.
        assert!((83..=84).contains(&writer.dropped()), "{}", writer.dropped());
        writer.flush(Duration::from_millis(1));
        drop(release);
        writer.flush(Duration::from_secs(30));
        assert_eq!(lines.try_iter().count() as u64 + writer.dropped(), 100);
        writer.push(b"again".to_vec());
        writer.flush(Duration::from_secs(30));
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [5]);
    }
}
