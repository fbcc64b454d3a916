//! The API keys of a facade: one from the environment, those of a file, or the development key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::file_watch::FileWatch;
use super::follow::{self, Look, MAX_UNCONFIRMED, POLL_INTERVAL};
use super::key_file::KeyFile;
use super::key_set::{KeySet, KnownKey};
use super::secret::Secret;
use crate::error::{Invalid, Result};

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
    /// Whether keys that do not work keep the facade from starting.
    pub start: Start,
}

/// The start of a facade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Its keys are checked, and have to work.
    #[default]
    First,
    /// Its keys were checked before. It goes on without those that do not work now, as it would if it had not ended.
    Again,
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
    /// True when other machines can send requests.
    is_reachable: bool,
}

impl ApiKeys {
    /// Reads the keys for a facade that listens on these addresses.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) when other machines can connect and no key is configured,
    /// [`Error::Internal`](crate::error::Error::Internal) when the file cannot be read. A restart has neither.
    pub fn open(settings: &Settings, listeners: impl IntoIterator<Item = SocketAddr>) -> Result<ApiKeys> {
        let exposed = exposed(listeners);
        let (watch, listed) = settings.file.clone().map(FileWatch::new).unzip();
        let listed = match listed.transpose() {
            Err(error) if settings.start == Start::Again => {
                unreadable(&error);
                None
            }
            listed => listed?,
        };
        let is_development = settings.key.is_none() && settings.file.is_none();
        let development = || (is_development && exposed.is_none()).then(|| (development_key(), DEVELOPMENT_ID));
        let own = settings.key.clone().map(|key| (key, ENVIRONMENT_ID)).or_else(development);
        let keys = KeySet::new(own, listed.as_ref());
        let reachable = reachable(settings, exposed);
        if let Some(reachable) = &reachable {
            check_strength(settings, reachable, &keys)?;
        }
        let is_reachable = reachable.is_some();
        let keys = ApiKeys { keys: RwLock::new(keys), watch, is_development, is_reachable };
        keys.remove_well_known(&mut keys.write());
        Ok(keys)
    }

    /// Warns of the development key, and follows the file of keys until the process ends.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when no thread can be started.
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
            follow::start(
                (POLL_INTERVAL, MAX_UNCONFIRMED),
                move || watch.changed(),
                move |look| match look {
                    Look::Done(changed) => keys.update(changed),
                    Look::Overdue => keys.suspend(),
                },
            )?;
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

    /// Replaces the keys of the file if a look at it found a change. The keys of a file that is gone or cannot be read do
    /// not work any more: one that was revoked meanwhile would.
    fn update(&self, changed: Option<Result<KeyFile>>) {
        let mut keys = self.write();
        if keys.suspend_listed(false) {
            tracing::warn!("the file of the API keys can be looked at again: its keys work");
        }
        match changed {
            None => {}
            Some(Ok(file)) => {
                keys.replace_listed(&file);
                self.remove_well_known(&mut keys);
                tracing::info!(keys = file.entries().len(), "the API keys have changed");
            }
            Some(Err(error)) => {
                keys.remove_listed();
                unreadable(&error);
            }
        }
    }

    /// Lets no key of the file work until the next look at it, since it may have been revoked.
    fn suspend(&self) {
        if !self.write().suspend_listed(true) {
            tracing::error!("the file of the API keys does not answer: none of its keys works until it does");
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, KeySet> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what is no secret from the keys of the file, where other machines can send requests.
    fn remove_well_known(&self, keys: &mut KeySet) {
        if self.is_reachable {
            for id in keys.remove_known(&WELL_KNOWN_KEYS) {
                tracing::error!(%id, "an API key is a well-known one and does not work: make another with `shardcart keys new`");
            }
        }
    }
}

fn unreadable(error: &crate::error::Error) {
    tracing::error!(%error, "cannot read the API keys: none of the file's works until they can be read");
}

/// Why other machines can send requests: to the address `exposed`, or through a proxy. `None` when they cannot.
fn reachable(settings: &Settings, exposed: Option<SocketAddr>) -> Option<String> {
    match exposed {
        Some(address) => Some(format!("{address} can be reached from other machines")),
        None => settings.guard_writes.then(|| "--guard-writes says that a proxy stands in front".to_owned()),
    }
}

/// Checks that there are keys, and that none is easily guessed, where other machines can send requests.
fn check_strength(settings: &Settings, reachable: &str, keys: &KeySet) -> Result<()> {
    let [variable, _] = KEY_VARIABLES;
    let refuse = |reason: String| Err(Invalid::general(format!("{reachable} and {reason}")).into());
    let is_missing = keys.is_empty() && settings.start == Start::First;
    if is_missing || settings.key.is_none() && settings.file.is_none() {
        return refuse(format!(
            "there is no API key: set {variable}, or make a file with `shardcart keys new` and give it as --api-keys"
        ));
    }
    if settings.key.as_ref().is_some_and(|key| key.reveal().len() < MIN_KEY_BYTES) {
        return refuse(format!("the API key in the environment is shorter than {MIN_KEY_BYTES} characters"));
    }
    if settings.start == Start::First && WELL_KNOWN_KEYS.iter().any(|known| keys.find(known.as_bytes()).is_some()) {
        return refuse("an API key is a well-known one: make another with `shardcart keys new`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::access::role::Role;

    #[test]
    fn added_and_revoked_keys_are_noticed_and_those_of_a_bad_file_do_not_work() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (first, key) = KeyFile::add(&path, "first", Role::Read).unwrap();
        let settings = Settings { file: Some(path.clone()), ..Settings::default() };
        let keys = ApiKeys::open(&settings, []).unwrap();
        let (mut watch, _) = FileWatch::new(path.clone());
        let works = |key: &Secret| keys.find(key.reveal().as_bytes()).is_some();
        assert_eq!(
            keys.find(key.reveal().as_bytes()),
            Some(KnownKey { id: first.id.as_str().into(), role: Role::Read })
        );
        let (_, other) = KeyFile::add(&path, "other", Role::Read).unwrap();
        assert!(!works(&other));
        keys.update(watch.changed());
        assert!(works(&other));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        keys.update(watch.changed());
        assert_eq!((works(&key), works(&other)), (false, false));
        fs::write(&path, &whole).unwrap();
        keys.update(watch.changed());
        assert_eq!((works(&key), works(&other)), (true, true));
        fs::remove_file(&path).unwrap();
        keys.update(watch.changed());
        assert_eq!((works(&key), works(&other)), (false, false));
        assert_eq!(keys.find(DEVELOPMENT_KEY.as_bytes()), None, "it is not revived");
        fs::write(&path, whole).unwrap();
        KeyFile::revoke(&path, &first.id).unwrap();
        keys.update(watch.changed());
        assert_eq!((works(&key), works(&other)), (false, true));
    }

    /// Writes a file whose only key is a well-known one.
    fn write_weak(path: &Path) -> Secret {
        let (entry, key) = KeyFile::add(path, "weak", Role::Admin).unwrap();
        let text = fs::read_to_string(path).unwrap();
        let weak = Secret::of_text("password");
        fs::write(path, text.replace(&String::from(key.digest()), &String::from(weak.digest()))).unwrap();
        assert_eq!(KeyFile::read(path).unwrap().entries()[0].id, entry.id);
        weak
    }

    #[test]
    fn a_well_known_key_does_not_work_where_others_can_send_requests() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (_, good) = KeyFile::add(&path, "good", Role::Read).unwrap();
        let exposed: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let settings = Settings { file: Some(path.clone()), ..Settings::default() };
        let (open, closed) = (ApiKeys::open(&settings, []).unwrap(), ApiKeys::open(&settings, [exposed]).unwrap());
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let weak = write_weak(&path);
        let works = |keys: &ApiKeys, key: &Secret| keys.find(key.reveal().as_bytes()).is_some();
        for (keys, is_taken) in [(&open, true), (&closed, false)] {
            keys.update(Some(KeyFile::read(&path)));
            assert_eq!((works(keys, &weak), works(keys, &good)), (is_taken, false));
        }
        assert!(ApiKeys::open(&settings, [exposed]).is_err());
        let restarted = ApiKeys::open(&Settings { start: Start::Again, ..settings }, [exposed]).unwrap();
        assert!(!works(&restarted, &weak));
        fs::write(&path, whole).unwrap();
        restarted.update(Some(KeyFile::read(&path)));
        assert!(works(&restarted, &good));
    }

    #[test]
    fn a_restart_goes_on_without_the_file_and_takes_it_when_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let exposed: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let settings = Settings { file: Some(path.clone()), ..Settings::default() };
        assert!(ApiKeys::open(&settings, [exposed]).is_err());
        let mut keys = ApiKeys::open(&Settings { start: Start::Again, ..settings }, [exposed]).unwrap();
        let mut watch = keys.watch.take().unwrap();
        assert!(watch.changed().is_none());
        let (_, key) = KeyFile::add(&path, "", Role::Read).unwrap();
        keys.update(watch.changed());
        assert!(keys.find(key.reveal().as_bytes()).is_some());
    }

    #[test]
    fn keys_of_a_file_that_does_not_answer_do_not_work_until_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let (_, key) = KeyFile::add(&path, "", Role::Read).unwrap();
        let own = Secret::random().unwrap();
        let settings = Settings { key: Some(own.clone()), file: Some(path), ..Settings::default() };
        let keys = ApiKeys::open(&settings, []).unwrap();
        let works = |key: &Secret| keys.find(key.reveal().as_bytes()).is_some();
        keys.suspend();
        assert_eq!((works(&key), works(&own)), (false, true));
        keys.update(None);
        assert_eq!((works(&key), works(&own)), (true, true));
    }
}
