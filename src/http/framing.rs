//! Where the requests of a connection begin and end in its bytes, as hyper takes them: followed by position, and not
//! guessed from what looks like a request, since a body may look like one too.

use std::io;

use hyper::body::Body;

/// The most bytes behind a head that are kept until its body is known: more than hyper reads ahead.
const MAX_BEHIND_BYTES: usize = 64 << 10;
/// The line end behind a chunk's data, in bytes.
const CHUNK_END_BYTES: u64 = 2;

/// How the end of a request's body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The body has so many bytes.
    Length(u64),
    /// The body comes in chunks.
    Chunks,
}

impl Framing {
    /// How the end of a body is found of which nothing was read yet.
    pub fn of(body: &impl Body) -> Self {
        body.size_hint().exact().map_or(Framing::Chunks, Framing::Length)
    }
}

/// A place in the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a head, or in the empty lines before it.
    Head { hashes: usize, is_target_over: bool, is_line_empty: bool },
    /// Behind a head whose body is not known yet. `hashes` are those of its first line.
    HeadEnd { hashes: usize },
    /// In a body, or in a chunk of one, with so many bytes to go.
    Data { left: u64, is_chunk: bool },
    /// In the size of a chunk.
    ChunkSize(u64),
    /// In what follows the size on its line.
    ChunkExtension(u64),
    /// In the lines behind the last chunk, of which the last one is empty. Only a CR ends one, and its LF is to come then.
    Trailers { is_line_empty: bool, is_line_over: bool },
}

impl Place {
    const START: Place = Place::Head { hashes: 0, is_target_over: false, is_line_empty: true };

    /// The place where a body begins.
    fn of_body(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Place::START,
            Framing::Length(left) => Place::Data { left, is_chunk: false },
            Framing::Chunks => Place::ChunkSize(0),
        }
    }

    /// The place behind the first of these bytes, and the bytes behind it. hyper closes a connection whose bytes fit
    /// nowhere, so no byte is wrong here.
    fn advance(self, bytes: &[u8]) -> (Self, &[u8]) {
        let Some((byte, rest)) = bytes.split_first() else { return (self, bytes) };
        let place = match self {
            Place::Head { hashes, is_target_over, is_line_empty } => match byte {
                b'\n' if is_line_empty && is_target_over => Place::HeadEnd { hashes },
                b'\n' => Place::Head { hashes, is_target_over: !is_line_empty, is_line_empty: true },
                b'\r' => self,
                b'#' if !is_target_over => {
                    Place::Head { hashes: hashes.saturating_add(1), is_target_over, is_line_empty: false }
                }
                _ => {
                    let end = memchr::memchr3(b'\n', b'\r', b'#', rest).unwrap_or(rest.len());
                    return (Place::Head { hashes, is_target_over, is_line_empty: false }, &rest[end..]);
                }
            },
            Place::Data { left, is_chunk } => {
                let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let place = match left - taken as u64 {
                    0 if is_chunk => Place::ChunkSize(0),
                    0 => Place::START,
                    left => Place::Data { left, is_chunk },
                };
                return (place, &bytes[taken..]);
            }
            Place::ChunkSize(size) | Place::ChunkExtension(size) if *byte == b'\n' => match size {
                0 => Place::Trailers { is_line_empty: true, is_line_over: false },
                size => Place::Data { left: size.saturating_add(CHUNK_END_BYTES), is_chunk: true },
            },
            Place::ChunkSize(size) => match char::from(*byte).to_digit(16) {
                Some(digit) => Place::ChunkSize(size.saturating_mul(16).saturating_add(u64::from(digit))),
                None => Place::ChunkExtension(size),
            },
            Place::ChunkExtension(_) | Place::HeadEnd { .. } => self,
            Place::Trailers { is_line_empty, is_line_over: true } => match is_line_empty {
                true => Place::START,
                false => Place::Trailers { is_line_empty: true, is_line_over: false },
            },
            Place::Trailers { is_line_empty, .. } => match byte {
                b'\r' => Place::Trailers { is_line_empty, is_line_over: true },
                _ => Place::Trailers { is_line_empty: false, is_line_over: false },
            },
        };
        (place, rest)
    }
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Requests {
    place: Place,
    /// The bytes behind a head whose body is not known yet.
    behind: Vec<u8>,
}

impl Requests {
    /// Begins where a head does.
    pub fn at_head() -> Self {
        Requests::at(Place::START)
    }

    /// Begins in the first line of a head, in which there was no `#` so far.
    pub fn in_first_line() -> Self {
        Requests::at(Place::Head { hashes: 0, is_target_over: false, is_line_empty: false })
    }

    /// Begins behind a head without a `#` in its first line, whose body is not known yet.
    pub fn at_head_end() -> Self {
        Requests::at(Place::HeadEnd { hashes: 0 })
    }

    /// Begins where a body does.
    pub fn at_body(framing: Framing) -> Self {
        Requests::at(Place::of_body(framing))
    }

    fn at(place: Place) -> Self {
        Requests { place, behind: Vec::new() }
    }

    /// True where a head begins.
    pub fn is_at_head(&self) -> bool {
        self.place == Place::START
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When more came behind a head than is kept.
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let behind = self.pass(bytes);
        if self.behind.len() + behind.len() > MAX_BEHIND_BYTES {
            return Err(io::Error::other("more came behind a head than is kept"));
        }
        self.behind.extend_from_slice(behind);
        Ok(())
    }

    /// Goes on behind a head, now that it is known how its body ends. Returns how many `#` there were in its first line.
    pub fn pass_head(&mut self, framing: Framing) -> usize {
        let hashes = if let Place::HeadEnd { hashes } = self.place { hashes } else { 0 };
        self.place = Place::of_body(framing);
        let mut behind = std::mem::take(&mut self.behind);
        let left = self.pass(&behind).len();
        behind.drain(..behind.len() - left);
        self.behind = behind;
        hashes
    }

    /// Goes on up to the end of a head, and returns the bytes behind it.
    fn pass<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while !bytes.is_empty() && !matches!(self.place, Place::HeadEnd { .. }) {
            (self.place, bytes) = self.place.advance(bytes);
        }
        bytes
    }
}
