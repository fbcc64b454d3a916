//! A reader that hashes what it reads, to notice that a file has changed.

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

/// A reader that hashes what passes through it.
pub struct HashingReader<R> {
    inner: R,
    sum: Sha256,
}

impl<R> HashingReader<R> {
    /// Wraps a reader that is at its beginning.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, sum: Sha256::new() }
    }

    /// The hash of all bytes so far.
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
