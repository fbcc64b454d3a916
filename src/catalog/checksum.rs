//! A reader that sums up what passes through it, so that a file that was changed is noticed.

use std::fmt;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// SHA-256 of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Passes on what the reader has.
pub struct HashingReader<R> {
    inner: R,
    sum: Sha256,
}

impl<R> HashingReader<R> {
    /// Over a reader that is at its beginning.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, sum: Sha256::new() }
    }

    /// The sum of all that has passed.
    pub fn digest(&self) -> Digest {
        Digest(self.sum.clone().finalize().into())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.sum.update(&buffer[..length]);
        Ok(length)
    }
}
