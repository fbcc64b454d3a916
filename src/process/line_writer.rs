//! Writes lines to something that may be slow or hang, such as a pipe that nobody reads, from a thread of its own. Whoever
//! has a line never waits: lines past a limit are dropped and counted.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A queue of lines with a thread that writes them.
#[derive(Clone)]
pub struct LineWriter(Arc<Shared>);

struct Shared {
    /// The most bytes of lines that are not written yet.
    max_pending: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    lines: Vec<Vec<u8>>,
    /// The bytes of lines that are not written yet: of those in the queue, and of those that the thread has.
    bytes: usize,
    /// True while the thread writes lines, which are not in the queue any more.
    is_writing: bool,
}

impl LineWriter {
    /// Starts a thread that calls `write` with the lines that have gathered, of at most `max_pending` bytes. When it
    /// fails, they count as dropped. `resumed` is told how many were dropped, once lines can be written again.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        name: &str,
        max_pending: usize,
        mut write: impl FnMut(&[Vec<u8>]) -> io::Result<()> + Send + 'static,
        resumed: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, changed, dropped) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        let shared = Arc::new(Shared { max_pending, queue, changed, dropped });
        let writer = shared.clone();
        thread::Builder::new().name(name.into()).spawn(move || {
            let mut told = 0;
            loop {
                let lines = writer.take();
                let is_written = write(&lines).is_ok();
                if !is_written {
                    writer.dropped.fetch_add(lines.len() as u64, Ordering::Relaxed);
                }
                writer.written(lines);
                let dropped = writer.dropped.load(Ordering::Relaxed);
                if is_written && dropped > told {
                    resumed(dropped - told);
                    told = dropped;
                }
            }
        })?;
        Ok(LineWriter(shared))
    }

    /// Queues a line, or drops it when too much waits.
    pub fn push(&self, line: Vec<u8>) {
        let mut queue = self.0.lock();
        if queue.bytes + line.len() > self.0.max_pending {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push(line);
        // The thread waits only while there is no line: for others it needs no call of the system.
        let is_first = queue.lines.len() == 1;
        drop(queue);
        if is_first {
            self.0.changed.notify_all();
        }
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

    /// Takes all lines, and waits for the first.
    fn take(&self) -> Vec<Vec<u8>> {
        let is_empty = |queue: &mut Queue| queue.lines.is_empty();
        let mut queue = self.changed.wait_while(self.lock(), is_empty).unwrap_or_else(PoisonError::into_inner);
        queue.is_writing = true;
        mem::take(&mut queue.lines)
    }

    fn written(&self, lines: Vec<Vec<u8>>) {
        let mut queue = self.lock();
        queue.bytes -= lines.iter().map(Vec::len).sum::<usize>();
        queue.is_writing = false;
        drop(queue);
        self.changed.notify_all();
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
        let (told, notices) = mpsc::channel();
        let write = move |batch: &[Vec<u8>]| {
            // An error means that the gate is open for good.
            let _ = gate.recv();
            batch.iter().for_each(|line| _ = written.send(line.len()));
            Ok(())
        };
        let writer = LineWriter::start("stalled", 1 << 20, write, move |dropped| _ = told.send(dropped)).unwrap();
        let line = vec![b'x'; 1 << 16];
        for _ in 0..100 {
            writer.push(line.clone());
        }
        assert_eq!(writer.dropped(), 84, "what the thread has counts too");
        writer.flush(Duration::from_millis(1));
        drop(release);
        writer.flush(Duration::from_secs(30));
        assert_eq!(lines.try_iter().count() as u64 + writer.dropped(), 100);
        writer.push(b"again".to_vec());
        writer.flush(Duration::from_secs(30));
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [5]);
        assert_eq!(notices.try_iter().collect::<Vec<_>>(), [84], "those that were dropped are told of once");
    }

    #[test]
    fn lines_that_cannot_be_written_count_as_dropped() {
        let write = |_: &[Vec<u8>]| Err(io::ErrorKind::StorageFull.into());
        let writer = LineWriter::start("broken", 1 << 20, write, |_| panic!("none can be written again")).unwrap();
        for _ in 0..3 {
            writer.push(b"line".to_vec());
        }
        writer.flush(Duration::from_secs(30));
        assert_eq!(writer.dropped(), 3);
    }
}
