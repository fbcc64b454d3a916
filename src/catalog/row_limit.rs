//! A reader that counts bytes and lines, and refuses a row that is too long.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// The most bytes that a parser may have read past its present row.
const READ_AHEAD_BYTES: u64 = 64 << 10;

/// Counts bytes and lines, and fails once too many bytes were read since the last row.
pub struct RowLimit<R> {
    inner: R,
    most: u64,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    bytes: Cell<u64>,
    lines: Cell<u64>,
    row_began: Cell<u64>,
}

/// The position of a [`RowLimit`].
#[derive(Clone)]
pub struct Progress(Rc<State>);

impl Progress {
    /// The number of bytes read.
    pub fn get(&self) -> u64 {
        self.0.bytes.get()
    }

    /// The number of line ends read.
    pub fn lines(&self) -> u64 {
        self.0.lines.get()
    }

    /// Notes that the parser has taken a row, so that the next one begins.
    pub fn next_row(&self) {
        self.0.row_began.set(self.0.bytes.get());
    }
}

impl<R: BufRead> RowLimit<R> {
    /// Wraps a reader; rows may have `most` bytes.
    pub fn new(inner: R, most: u64) -> Self {
        RowLimit { inner, most, state: Rc::default() }
    }
}

impl<R> RowLimit<R> {
    /// A handle to the position.
    pub fn bytes_read(&self) -> Progress {
        Progress(self.state.clone())
    }

    fn took(&self, bytes: &[u8]) -> io::Result<()> {
        let state = &self.state;
        state.bytes.set(state.bytes.get() + bytes.len() as u64);
        state.lines.set(state.lines.get() + bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
        if state.bytes.get() - state.row_began.get() > self.most + READ_AHEAD_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {} bytes", self.most),
            ));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.took(&buffer[..length])?;
        Ok(length)
    }
}

impl<R: BufRead> RowLimit<R> {
    /// The next line with its end; none at the end of the file.
    pub fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let most = self.most + 1;
        (&mut self.inner).take(most).read_until(b'\n', &mut line)?;
        if line.len() as u64 == most && line.last() != Some(&b'\n') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {} bytes", self.most),
            ));
        }
        self.took(&line)?;
        self.bytes_read().next_row();
        Ok((!line.is_empty()).then_some(line))
    }
}
