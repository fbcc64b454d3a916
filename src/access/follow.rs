//! Looks at something again and again that may hang, as a file on a network mount does: one thread looks, another one notices
//! when the first one does not come back.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// The interval at which the file of keys is looked at.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time without a look after which the keys of the file do not work.
pub const MAX_UNCONFIRMED: Duration = Duration::from_secs(15);

/// What became of a look.
#[derive(Debug)]
pub enum Look<T> {
    /// It ended.
    Done(T),
    /// It has not ended for too long. It may end later.
    Overdue,
}

/// Looks until the process ends, and notes each look, and each time that passes without one.
///
/// # Errors
/// [`Error::Internal`] when no thread can be started.
pub fn start<T: Send + 'static>(
    (interval, longest): (Duration, Duration),
    mut look: impl FnMut() -> T + Send + 'static,
    mut note: impl FnMut(Look<T>) + Send + 'static,
) -> Result<()> {
    let (looks, looked) = mpsc::sync_channel(1);
    spawn("api-keys-look", move || {
        while looks.send(look()).is_ok() {
            thread::sleep(interval);
        }
    })?;
    spawn("api-keys", move || {
        loop {
            match looked.recv_timeout(longest) {
                Ok(found) => note(Look::Done(found)),
                Err(RecvTimeoutError::Timeout) => note(Look::Overdue),
                Err(RecvTimeoutError::Disconnected) => return note(Look::Overdue),
            }
        }
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.into()).spawn(body);
    spawned.map(drop).map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_hangs_is_noticed_and_so_is_its_end() {
        let (release, hung) = mpsc::channel::<u32>();
        let (noted, notes) = mpsc::channel();
        let look = move || hung.recv().unwrap_or_default();
        start((Duration::ZERO, Duration::from_millis(5)), look, move |look| _ = noted.send(look)).unwrap();
        assert!(notes.iter().any(|look| matches!(look, Look::Overdue)));
        release.send(7).unwrap();
        assert!(notes.iter().any(|look| matches!(look, Look::Done(7))));
        assert!(notes.iter().any(|look| matches!(look, Look::Overdue)));
    }
}
