//! Points at which a test can kill the process, as `kill -9` would, stall a thread, as a disk that hangs would, or fail a
//! call, as a disk that is full would. They exist in debug builds only. The environment variable `SHARDCART_FAIL_POINT`
//! names one to die at: `held`, or `held:3` for the third time it is reached; `SHARDCART_STALL_POINT` names one to stall at
//! while a file exists: `log_write:FILE`; `SHARDCART_ERROR_POINT` one that fails meanwhile: `probe:FILE`.

use std::io;

#[cfg(debug_assertions)]
mod armed {
    use std::io;
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    const VARIABLE: &str = "SHARDCART_FAIL_POINT";
    const STALL_VARIABLE: &str = "SHARDCART_STALL_POINT";
    const ERROR_VARIABLE: &str = "SHARDCART_ERROR_POINT";
    const STALL_CHECK: Duration = Duration::from_millis(5);

    struct Armed {
        name: String,
        left: AtomicU64,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    fn armed() -> Option<Armed> {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Armed { name: name.to_owned(), left: AtomicU64::new(times.parse().ok()?) })
    }

    pub fn hit(name: &str) {
        let Some(armed) = ARMED.get_or_init(armed).as_ref().filter(|armed| armed.name == name) else { return };
        if armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // An exit would flush buffers and run destructors; a kill does not.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            thread::sleep(Duration::from_secs(60));
        }
    }

    /// A point, and the file while which exists something happens there.
    type FilePoint = OnceLock<Option<(String, PathBuf)>>;

    static STALL: FilePoint = OnceLock::new();
    static ERROR: FilePoint = OnceLock::new();

    fn file_of(point: &'static FilePoint, variable: &str, name: &str) -> Option<&'static PathBuf> {
        let armed = point.get_or_init(|| {
            let text = std::env::var(variable).ok()?;
            text.split_once(':').map(|(name, file)| (name.to_owned(), file.into()))
        });
        armed.as_ref().filter(|(armed, _)| armed == name).map(|(_, file)| file)
    }

    pub fn stall(name: &str) {
        let Some(file) = file_of(&STALL, STALL_VARIABLE, name) else { return };
        if file.exists() {
            tracing::info!(name, "a test stalls this thread");
        }
        while file.exists() {
            thread::sleep(STALL_CHECK);
        }
    }

    pub fn fail(name: &str) -> io::Result<()> {
        match file_of(&ERROR, ERROR_VARIABLE, name) {
            Some(file) if file.exists() => Err(io::ErrorKind::QuotaExceeded.into()),
            _ => Ok(()),
        }
    }
}

/// Kills the process if a test chose this point. Does nothing in a release build.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    armed::hit(name);
}

/// Kills the process if a test chose this point. Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn hit(_: &str) {}

/// Stalls the thread while the file of a test exists. Does nothing in a release build.
#[cfg(debug_assertions)]
pub fn stall(name: &str) {
    armed::stall(name);
}

/// Stalls the thread while the file of a test exists. Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn stall(_: &str) {}

/// Fails while the file of a test exists. Does nothing in a release build.
///
/// # Errors
/// That of a quota that is used up.
#[cfg(debug_assertions)]
pub fn fail(name: &str) -> io::Result<()> {
    armed::fail(name)
}

/// Fails while the file of a test exists. Does nothing in a release build.
///
/// # Errors
/// None.
#[cfg(not(debug_assertions))]
pub fn fail(_: &str) -> io::Result<()> {
    Ok(())
}
