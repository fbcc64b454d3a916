//! Writing to standard output and standard error. A reader that goes away, as `head` does, ends nothing badly.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// True once the reader of standard output has gone away.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes text for people.
pub fn text(text: &str) -> io::Result<()> {
    write(text.as_bytes())
}

/// Writes an answer as one line.
pub fn bytes_as_line(bytes: &[u8]) -> io::Result<()> {
    let mut line = bytes.to_vec();
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    write(&line)
}

/// Writes a value as it is; on a terminal the line is ended, so that the prompt has its own.
pub fn value(bytes: &[u8]) -> io::Result<()> {
    match io::stdout().is_terminal() {
        true => bytes_as_line(bytes),
        false => write(bytes),
    }
}

/// Writes a line beside the data, on standard error.
pub fn note(text: &str) {
    // What cannot be written cannot be told either.
    let _ = writeln!(io::stderr(), "{text}");
}

/// True when nobody reads standard output any more.
pub fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            IS_CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        result => result,
    }
}
