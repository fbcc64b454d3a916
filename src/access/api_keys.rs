//! The API keys of a facade: one from the environment, those of a file, or the development key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use super::file_watch::FileWatch;
use super::key_file::KeyFile;
use super::key_set::{KeySet, KnownKey};
use super::secret::Secret;
use crate::error::{Error, Invalid, Result};

/// The environment variables that may hold a key of the role `admin`. Both may be set, but not to different keys.
pub const KEY_VARIABLES: [&str; 2] = ["BOOKSTORE_API_KEY", "SHARDCART_API_KEY"];
/// The key that works when none is configured and no other machine can connect.
const DEVELOPMENT_KEY: &str = "secret123";
/// The ids of the development key and of the key from the environment, in logs.
const DEVELOPMENT_ID: &str = "development";
const ENVIRONMENT_ID: &str = "environment";
/// Keys that are in documents and lists, and so no secrets.
const WELL_KNOWN_KEYS: [&str; 6] =
    [DEVELOPMENT_KEY, "changeme", "changeit", "password", "your-api-key", "0123456789abcdef"];
/// The shortest key that a person may choose where others can connect, in bytes.
const MIN_KEY_BYTES: usize = 16;
/// The interval at which the file of keys is checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The key that works while none is configured and no other machine can connect. It is no secret.
pub fn development_key() -> Secret {
    Secret::of_text(DEVELOPMENT_KEY)
}

/// The options that concern API keys.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// One key of the role `admin`, from the environment.
    pub key: Option<Secret>,
    /// A file of further keys.
    pub file: Option<PathBuf>,
    /// True when every path needs a key.
    pub require_key: bool,
    /// True when writes need no key although other machines can connect.
    pub open_writes: bool,
    /// True when writes need a key although no other machine can connect, since a proxy stands in front.
    pub guard_writes: bool,
}

impl Settings {
    /// A key that whoever has these settings can use: that of the environment, or the development key while none is
    /// configured. `None` when all keys are in the file, which has only their digests.
    pub fn known_key(&self) -> Option<Secret> {
        let development = || self.file.is_none().then(|| Secret::of_text(DEVELOPMENT_KEY));
        self.key.clone().or_else(development)
    }
}

/// The first address that other machines can reach.
pub fn exposed(listeners: impl IntoIterator<Item = SocketAddr>) -> Option<SocketAddr> {
    listeners.into_iter().find(|address| !address.ip().to_canonical().is_loopback())
}

/// The valid keys.
#[derive(Debug)]
pub struct ApiKeys {
    keys: RwLock<KeySet>,
    watch: Option<FileWatch>,
    is_development: bool,
}

impl ApiKeys {
    /// Reads the keys for a facade that listens on these addresses.
    ///
    /// # Errors
    /// [`Error::Invalid`] when other machines can connect and no key is configured, [`Error::Internal`] when the
    /// file cannot be read.
    pub fn open(settings: &Settings, listeners: impl IntoIterator<Item = SocketAddr>) -> Result<ApiKeys> {
        let exposed = exposed(listeners);
        let watch = settings.file.clone().map(FileWatch::new);
        let listed = settings.file.as_deref().map(KeyFile::read).transpose()?;
        let is_development = settings.key.is_none() && settings.file.is_none();
        let development = || (is_development && exposed.is_none()).then(|| (development_key(), DEVELOPMENT_ID));
        let own = settings.key.clone().map(|key| (key, ENVIRONMENT_ID)).or_else(development);
        let keys = KeySet::new(own, listed.as_ref());
        check_strength(settings, exposed, &keys)?;
        Ok(ApiKeys { keys: RwLock::new(keys), watch, is_development })
    }

    /// Warns of the development key, and follows the file of keys until the process ends.
    ///
    /// # Errors
    /// [`Error::Internal`] when no thread can be started.
    pub fn follow(mut self) -> Result<Arc<ApiKeys>> {
        let watch = self.watch.take();
        let keys = Arc::new(self);
        if keys.is_development {
            let [variable, _] = KEY_VARIABLES;
            tracing::warn!(
                "no API key is configured: the development key `{DEVELOPMENT_KEY}` works; set {variable} or --api-keys"
            );
        }
        if let Some(mut watch) = watch {
            let keys = keys.clone();
            // A thread of its own, since a file on a network mount may block a worker for long.
            thread::Builder::new()
                .name("api-keys".into())
                .spawn(move || {
                    loop {
                        thread::sleep(POLL_INTERVAL);
                        keys.poll(&mut watch);
                    }
                })
                .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        }
        Ok(keys)
    }

    /// True when no key is configured, so that the development key works.
    pub fn is_development(&self) -> bool {
        self.is_development
    }

    /// Finds a key as it was received; `None` when it is unknown.
    pub fn find(&self, key: &[u8]) -> Option<KnownKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).find(key).cloned()
    }

    /// Replaces the keys of the file if it has changed. The keys of a file that is gone or cannot be read do not work any
    /// more: one that was revoked meanwhile would.
    fn poll(&self, watch: &mut FileWatch) {
        match watch.changed() {
            None => {}
            Some(Ok(file)) => {
                self.keys.write().unwrap_or_else(PoisonError::into_inner).replace_listed(&file);
                tracing::info!(keys = file.entries().len(), "the API keys have changed");
            }
            Some(Err(error)) => {
                self.keys.write().unwrap_or_else(PoisonError::into_inner).remove_listed();
                tracing::error!(%error, "cannot read the API keys: none of the file's works until they can be read");
            }
        }
    }
}

/// Checks that there are keys, and that none is easily guessed, where other machines can send requests: to the address
/// `exposed`, or through a proxy.
fn check_strength(settings: &Settings, exposed: Option<SocketAddr>, keys: &KeySet) -> Result<()> {
    let reachable = match exposed {
        Some(address) => format!("{address} can be reached from other machines"),
        None if settings.guard_writes => "--guard-writes says that a proxy stands in front".to_owned(),
        None => return Ok(()),
    };
    let [variable, _] = KEY_VARIABLES;
    let refuse = |reason: String| Err(Invalid::general(format!("{reachable} and {reason}")).into());
    if keys.is_empty() || settings.key.is_none() && settings.file.is_none() {
        return refuse(format!(
            "there is no API key: set {variable}, or make a file with `shardcart keys new` and give it as --api-keys"
        ));
    }
    if settings.key.as_ref().is_some_and(|key| key.reveal().len() < MIN_KEY_BYTES) {
        return refuse(format!("the API key in the environment is shorter than {MIN_KEY_BYTES} characters"));
    }
    if WELL_KNOWN_KEYS.iter().any(|known| keys.find(known.as_bytes()).is_some()) {
        return refuse("an API key is a well-known one: make another with `shardcart keys new`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::access::role::Role;

    #[test]
    fn added_and_revoked_keys_are_noticed_and_those_of_a_bad_file_do_not_work() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (first, key) = KeyFile::add(&path, "first", Role::Read).unwrap();
        let settings = Settings { file: Some(path.clone()), ..Settings::default() };
        let keys = ApiKeys::open(&settings, []).unwrap();
        let mut watch = FileWatch::new(path.clone());
        let works = |key: &Secret| keys.find(key.reveal().as_bytes()).is_some();
        assert_eq!(
            keys.find(key.reveal().as_bytes()),
            Some(KnownKey { id: first.id.as_str().into(), role: Role::Read })
        );
        let (_, other) = KeyFile::add(&path, "other", Role::Read).unwrap();
        assert!(!works(&other));
        keys.poll(&mut watch);
        assert!(works(&other));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        keys.poll(&mut watch);
        assert_eq!((works(&key), works(&other)), (false, false));
        fs::write(&path, &whole).unwrap();
        keys.poll(&mut watch);
        assert_eq!((works(&key), works(&other)), (true, true));
        fs::remove_file(&path).unwrap();
        keys.poll(&mut watch);
        assert_eq!((works(&key), works(&other)), (false, false));
        assert_eq!(keys.find(DEVELOPMENT_KEY.as_bytes()), None, "it is not revived");
        fs::write(&path, whole).unwrap();
        KeyFile::revoke(&path, &first.id).unwrap();
        keys.poll(&mut watch);
        assert_eq!((works(&key), works(&other)), (false, true));
    }
}
