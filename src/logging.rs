//! Logs: to stderr for people or as JSON, and errors also to a rotated `error.log`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::error::Error;

/// The size past which `error.log` becomes `error.log.1`, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most lines written to `error.log` in one second.
const MAX_LINES_PER_SECOND: u32 = 100;

const FILE: &str = "error.log";
const ROTATED_FILE: &str = "error.log.1";
/// The environment variable with a filter for stderr, as `info` or `shardcart=debug`.
const FILTER_VARIABLE: &str = "SHARDCART_LOG";
const DEFAULT_FILTER: &str = "info,fjall=warn,lsm_tree=warn,h2=warn,hyper=warn,tonic=warn,warp=warn";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "human" => Ok(LogFormat::Human),
            "json" => Ok(LogFormat::Json),
            other => Err(Error::Invalid(format!("`{other}` is neither human nor json"))),
        }
    }
}

/// Starts logging; with a directory, errors also go to `error.log` there.
///
/// # Errors
/// When the file cannot be opened or logging was started before.
pub fn init(format: LogFormat, error_log: Option<&Path>) -> io::Result<()> {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let stderr = fmt::layer().with_writer(io::stderr);
    let file = error_log.map(ErrorLog::open).transpose()?;
    let file = file.map(|file| fmt::layer().with_ansi(false).with_writer(file));
    let (stderr, file): (Box<dyn Layer<Registry> + Send + Sync>, _) = match format {
        LogFormat::Human => (stderr.with_ansi(false).boxed(), file.map(Layer::boxed)),
        LogFormat::Json => (stderr.json().boxed(), file.map(|file| file.json().boxed())),
    };
    tracing_subscriber::registry()
        .with(stderr.with_filter(filter))
        .with(file.with_filter(LevelFilter::ERROR))
        .try_init()
        .map_err(io::Error::other)
}

/// `error.log`, bounded in size and in lines a second.
#[derive(Clone)]
struct ErrorLog(Arc<Mutex<Inner>>);

struct Inner {
    directory: PathBuf,
    file: File,
    bytes: u64,
    window: Instant,
    lines: u32,
    suppressed: u64,
}

impl ErrorLog {
    fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = append(directory)?;
        let bytes = file.metadata()?.len();
        let directory = directory.to_owned();
        let inner = Inner { directory, file, bytes, window: Instant::now(), lines: 0, suppressed: 0 };
        Ok(ErrorLog(Arc::new(Mutex::new(inner))))
    }
}

fn append(directory: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(directory.join(FILE))
}

impl Inner {
    /// Writes a whole line as far as it goes: a full disk must not stop whoever has an error to tell.
    fn write_line(&mut self, line: &[u8]) {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.lines = 0;
            let suppressed = std::mem::take(&mut self.suppressed);
            if suppressed > 0 {
                self.append(format!("{suppressed} more errors were not written\n").as_bytes());
            }
        }
        if self.lines >= MAX_LINES_PER_SECOND {
            self.suppressed += 1;
            return;
        }
        self.lines += 1;
        self.append(line);
    }

    fn append(&mut self, line: &[u8]) {
        if self.bytes + line.len() as u64 > MAX_FILE_BYTES && self.rotate().is_err() {
            return;
        }
        if self.file.write_all(line).is_ok() {
            self.bytes += line.len() as u64;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(self.directory.join(FILE), self.directory.join(ROTATED_FILE))?;
        self.file = append(&self.directory)?;
        self.bytes = 0;
        Ok(())
    }
}

impl Write for &ErrorLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for ErrorLog {
    type Writer = &'a ErrorLog;

    fn make_writer(&'a self) -> &'a ErrorLog {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_rotated_at_its_size_and_kept_once() {
        let directory = tempfile::tempdir().unwrap();
        let log = ErrorLog::open(directory.path()).unwrap();
        let line = [b'x'; 1 << 14];
        for _ in 0..90 {
            log.0.lock().unwrap().append(&line);
        }
        let size = |name| fs::metadata(directory.path().join(name)).unwrap().len();
        assert_eq!(size(ROTATED_FILE), MAX_FILE_BYTES);
        assert_eq!(size(FILE), 90 * line.len() as u64 - MAX_FILE_BYTES);
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let log = ErrorLog::open(directory.path()).unwrap();
        let mut inner = log.0.lock().unwrap();
        for _ in 0..MAX_LINES_PER_SECOND + 5 {
            inner.window = Instant::now();
            inner.write_line(b"error\n");
        }
        inner.window = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        inner.write_line(b"error\n");
        let text = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(text.ends_with("5 more errors were not written\nerror\n"), "{text}");
    }
}
