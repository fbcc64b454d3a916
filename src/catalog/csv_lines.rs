//! The line on which a row of a CSV file begins. The csv crate counts lines too, but wrongly after blank lines
//! and with CR LF (rust-csv issues 208 and 395). Once that is fixed, this file can be deleted.

use std::collections::VecDeque;
use std::io::{self, Read};

/// A reader that counts lines on the way to the parser.
pub struct LineNumbers<R> {
    inner: R,
    /// The number of bytes read so far.
    offset: u64,
    line: u64,
    previous: u8,
    /// True when only line ends have passed since the last line began.
    at_start: bool,
    /// Offset and number of each line that is not blank, from the offset of the last call of `line_from` on.
    starts: VecDeque<(u64, u64)>,
}

impl<R> LineNumbers<R> {
    /// Wraps a reader that is at the beginning of its first line.
    pub fn new(inner: R) -> Self {
        LineNumbers { inner, offset: 0, line: 1, previous: 0, at_start: true, starts: VecDeque::new() }
    }

    /// The line of the first row at or after an offset. Each call's offset must not be less than the last one's.
    pub fn line_from(&mut self, offset: u64) -> u64 {
        while self.starts.front().is_some_and(|(start, _)| *start < offset) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |(_, line)| *line)
    }

    fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // A CR ends a line by itself unless an LF follows.
            if self.previous == b'\n' || (self.previous == b'\r' && *byte != b'\n') {
                self.line += 1;
                self.at_start = true;
            }
            if self.at_start && !matches!(byte, b'\n' | b'\r') {
                self.at_start = false;
                self.starts.push_back((self.offset, self.line));
            }
            self.previous = *byte;
            self.offset += 1;
        }
    }
}

impl<R: Read> Read for LineNumbers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.note(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_where_an_editor_shows_them() {
        for (text, starts) in [
            ("a\nb\n\n\nc", &[(0, 1), (2, 2), (6, 5)][..]),
            ("a\r\nb\r\n\r\nc", &[(0, 1), (3, 2), (8, 4)]),
            ("\ra\rb\r\rc", &[(1, 2), (3, 3), (6, 5)]),
            ("", &[]),
        ] {
            let mut lines = LineNumbers::new(text.as_bytes());
            lines.read_to_end(&mut Vec::new()).unwrap();
            assert_eq!(lines.starts, starts, "{text:?}");
        }
    }
}
