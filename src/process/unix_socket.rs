//! Listeners on Unix sockets. One whose file is gone could not be reached by anybody new, so it is bound again.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::logging;
use super::same_file::{Found, SameFile};

/// The time between two looks at the socket's file.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A listener on a Unix socket.
pub struct UnixSocket {
    listener: UnixListener,
    file: SameFile,
    looks: Interval,
}

impl UnixSocket {
    /// Binds a path, in place of a socket that a dead process left behind; anything else that is there stays. The caller
    /// makes sure, with a lock, that no other process listens on it.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind(path: &Path) -> io::Result<Self> {
        remove_stale_socket(path)?;
        let (listener, file) = listen(path)?;
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(UnixSocket { listener, file, looks })
    }

    /// Accepts the next connection. Meanwhile the socket is bound again when its file is gone. The process ends when
    /// that fails, or when another file has taken its place: whoever started it sees that, and does not see a process
    /// that runs but cannot be reached.
    ///
    /// # Errors
    /// When a connection cannot be accepted.
    pub async fn accept(&mut self) -> io::Result<UnixStream> {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => return accepted.map(|(stream, _)| stream),
                _ = self.looks.tick() => {}
            }
            if let Err(error) = self.restore() {
                tracing::error!(%error, socket = %self.file.path().display(), "the socket was taken away: ending");
                logging::abort();
            }
        }
    }

    fn restore(&mut self) -> io::Result<()> {
        match self.file.look() {
            Found::Same => {}
            Found::Nothing => {
                (self.listener, self.file) = listen(self.file.path())?;
                tracing::warn!(socket = %self.file.path().display(), "the socket was removed: it is bound again");
            }
            Found::Other => return Err(io::Error::other("another file has taken its place")),
        }
        Ok(())
    }
}

fn listen(path: &Path) -> io::Result<(UnixListener, SameFile)> {
    Ok((UnixListener::bind(path)?, SameFile::at(path)?))
}

fn remove_stale_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}
