//! Logs: to stderr for people or as JSON, errors also to a rotated `error.log`, and answered requests to a rotated
//! `access.log`. Whoever logs never waits for any of them.

use std::env;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::line_writer::LineWriter;
use super::rotated_file::RotatedFile;
use crate::error::{Error, Invalid};

/// The size past which `error.log` becomes `error.log.1`, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most bytes that wait to be written to each of stdout, stderr and `error.log`.
const MAX_PENDING_BYTES: usize = 1 << 20;
/// The most bytes that wait to be written to `access.log`: the lines of about a second of full load.
const MAX_PENDING_ACCESS_BYTES: usize = 8 << 20;
/// The most lines written to `error.log` in one window.
const MAX_LINES_PER_WINDOW: u32 = 100;
const WINDOW: Duration = Duration::from_secs(1);

const FILE: &str = "error.log";
const ACCESS_FILE: &str = "access.log";
/// The environment variable with the filter for stderr, such as `info` or `shardcart=debug`.
pub const FILTER_VARIABLE: &str = "SHARDCART_LOG";
const DEFAULT_FILTER: &str = "info";
/// The levels of logs from other crates, unless `SHARDCART_LOG` names them.
const OTHERS: &str = "fjall=warn,lsm_tree=warn,h2=warn,hyper=warn,tonic=warn,warp=warn";

/// The log target of the error that ends the process. In the format for people it is printed without a log prefix.
const FATAL: &str = "fatal";

/// The longest wait for lines to be written when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

static STDOUT: OnceLock<LineWriter> = OnceLock::new();
static STDERR: OnceLock<LineWriter> = OnceLock::new();
static ERROR_LOG: OnceLock<LineWriter> = OnceLock::new();
static ACCESS_LOG: OnceLock<LineWriter> = OnceLock::new();

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object on each line.
    Json,
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "human" => Ok(LogFormat::Human),
            "json" => Ok(LogFormat::Json),
            other => Err(Invalid::general(format!("`{other}` is neither human nor json")).into()),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        })
    }
}

/// Starts logging; with a directory, errors also go to `error.log` there.
///
/// # Errors
/// When `SHARDCART_LOG` is not a filter, `error.log` cannot be created, or logging was started before.
pub fn init(format: LogFormat, error_log: Option<&Path>) -> io::Result<()> {
    init_with_default(format, error_log, DEFAULT_FILTER)
}

/// The same with another filter for stderr, where the environment has none.
///
/// # Errors
/// As [`init`].
pub fn init_with_default(format: LogFormat, error_log: Option<&Path>, default: &str) -> io::Result<()> {
    let asked = env::var(FILTER_VARIABLE).unwrap_or_else(|_| default.into());
    let fatal = if format == LogFormat::Human { "off" } else { "error" };
    let filter: Targets = format!("{OTHERS},{asked},{FATAL}={fatal}")
        .parse()
        .map_err(|error| io::Error::other(format!("{FILTER_VARIABLE}={asked}: {error}")))?;
    let stderr = layer().with_writer(Lines(stderr()));
    let file = error_log.map(|directory| ErrorLog::open(directory, format)).transpose()?;
    let file = file.map(|mut file| {
        let write = move |lines: &[Vec<u8>]| {
            lines.iter().for_each(|line| file.write_line(line));
            Ok(())
        };
        let writer = ERROR_LOG.get_or_init(|| start("error.log", MAX_PENDING_BYTES, write));
        layer().with_ansi(false).with_writer(Lines(writer))
    });
    let (stderr, file): (Box<dyn Layer<Registry> + Send + Sync>, _) = match format {
        LogFormat::Human => (stderr.with_ansi(false).boxed(), file.map(Layer::boxed)),
        LogFormat::Json => (stderr.json().boxed(), file.map(|file| file.json().boxed())),
    };
    tracing_subscriber::registry()
        .with(stderr.with_filter(filter))
        .with(file.map(|file| file.with_filter(LevelFilter::ERROR)))
        .try_init()
        .map_err(io::Error::other)?;
    log_panics();
    Ok(())
}

/// Opens `access.log` in a directory, for a line a request. It becomes `access.log.1` when it is longer than `max_bytes`.
///
/// # Errors
/// When it cannot be made or opened.
pub fn access_log(directory: &Path, max_bytes: u64) -> io::Result<LineWriter> {
    let file = RotatedFile::open(directory, ACCESS_FILE, max_bytes)?;
    let write = move |lines: &[Vec<u8>]| file.append(&lines.concat());
    Ok(ACCESS_LOG.get_or_init(|| start(ACCESS_FILE, MAX_PENDING_ACCESS_BYTES, write)).clone())
}

fn start(
    name: &str,
    max_pending: usize,
    write: impl FnMut(&[Vec<u8>]) -> io::Result<()> + Send + 'static,
) -> LineWriter {
    let of = name.to_owned();
    let resumed =
        move |dropped| tracing::warn!(dropped, of, "lines were dropped, since they could not be written in time");
    LineWriter::start(name, max_pending, write, resumed).expect("a process that starts can have one more thread")
}

fn stderr() -> &'static LineWriter {
    STDERR.get_or_init(|| {
        start("stderr", MAX_PENDING_BYTES, |lines| {
            // A closed stderr is ignored.
            lines.iter().for_each(|line| _ = io::stderr().write_all(line));
            Ok(())
        })
    })
}

/// Prints a line on standard output. Errors are ignored: the process serves although nobody reads its output.
pub fn print(line: impl Display) {
    let stdout = STDOUT.get_or_init(|| {
        start("stdout", MAX_PENDING_BYTES, |lines| {
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(&lines.concat()).and_then(|()| stdout.flush());
            Ok(())
        })
    });
    stdout.push(format!("{line}\n").into_bytes());
}

fn writers() -> impl Iterator<Item = &'static LineWriter> {
    [&STDOUT, &STDERR, &ERROR_LOG, &ACCESS_LOG].into_iter().filter_map(OnceLock::get)
}

/// The number of lines that were dropped because nobody took them in time, or `access.log` could not be written.
pub fn dropped() -> u64 {
    writers().map(LineWriter::dropped).sum()
}

/// Waits for what was logged and printed to be written, but not for long. Called before the process ends.
pub fn finish() {
    writers().for_each(|writer| writer.flush(FLUSH_TIMEOUT));
}

/// Ends the process at once, but for the lines that say why.
pub fn abort() -> ! {
    finish();
    std::process::abort();
}

/// Reports the error that ends the process: on stderr as one line, `error: TEXT` for people or a JSON log
/// line, and in `error.log`.
pub fn report_fatal(format: LogFormat, error: impl Display) {
    tracing::error!(target: FATAL, "{error}");
    if format == LogFormat::Human || !tracing::enabled!(target: FATAL, Level::ERROR) {
        stderr().push(format!("error: {error}\n").into_bytes());
    }
}

/// Logs panics, so that they reach `error.log`, and never wait for stderr.
fn log_panics() {
    panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let text = panic.payload_as_str().unwrap_or("without a text");
        let backtrace = std::backtrace::Backtrace::capture();
        let location = panic.location().map(tracing::field::display);
        tracing::error!(location, %backtrace, "panicked: {text}");
    }));
}

/// The lines of a log layer.
struct Lines(&'static LineWriter);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'static LineWriter;

    fn make_writer(&'a self) -> &'static LineWriter {
        self.0
    }
}

/// The file `error.log`, limited in size and in lines per second.
struct ErrorLog {
    file: RotatedFile,
    format: LogFormat,
    window: Instant,
    lines: u32,
    suppressed: u64,
}

impl ErrorLog {
    fn open(directory: &Path, format: LogFormat) -> io::Result<Self> {
        let file = RotatedFile::open(directory, FILE, MAX_FILE_BYTES)?;
        Ok(ErrorLog { file, format, window: Instant::now(), lines: 0, suppressed: 0 })
    }

    /// Writes a line, and ignores errors: a full disk must not stop the thread that logs.
    fn write_line(&mut self, line: &[u8]) {
        if self.window.elapsed() >= WINDOW {
            self.window = Instant::now();
            self.lines = 0;
            if self.suppressed > 0 {
                let notice = self.notice();
                self.suppressed = 0;
                let _ = self.file.append(notice.as_bytes());
            }
        }
        if self.lines >= MAX_LINES_PER_WINDOW {
            self.suppressed += 1;
            return;
        }
        self.lines += 1;
        let _ = self.file.append(line);
    }

    fn notice(&self) -> String {
        let (now, number) = (jiff::Timestamp::now(), self.suppressed);
        match self.format {
            LogFormat::Human => format!("{now} ERROR {number} more errors were not written\n"),
            LogFormat::Json => format!(
                "{{\"timestamp\":\"{now}\",\"level\":\"ERROR\",\"fields\":{{\"message\":\"{number} more errors were not written\"}}}}\n"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lines_past_the_limit_are_counted_instead() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let directory = tempfile::tempdir().unwrap();
            let mut inner = ErrorLog::open(directory.path(), format).unwrap();
            for _ in 0..MAX_LINES_PER_WINDOW + 5 {
                inner.window = Instant::now();
                inner.write_line(b"{}\n");
            }
            inner.window = Instant::now().checked_sub(WINDOW).unwrap();
            inner.write_line(b"{}\n");
            let text = fs::read_to_string(directory.path().join(FILE)).unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), MAX_LINES_PER_WINDOW as usize + 2);
            let notice = lines[MAX_LINES_PER_WINDOW as usize];
            assert!(notice.contains("5 more errors were not written"), "{notice}");
            assert!(format == LogFormat::Human || serde_json::from_str::<serde_json::Value>(notice).is_ok());
        }
    }
}
