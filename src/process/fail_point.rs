//! Points at which a test can kill the process, as `kill -9` would. They exist in debug builds only. The
//! environment variable `SHARDCART_FAIL_POINT` names one: `held`, or `held:3` for the third time it is reached.

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    const VARIABLE: &str = "SHARDCART_FAIL_POINT";

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
            std::thread::sleep(std::time::Duration::from_secs(60));
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
