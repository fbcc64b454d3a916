//! Overwrites the memory that had a card's number. hyper owns the buffers into which a connection is read, and a body is a
//! part of one. So they are overwritten through what hyper gives away: the room for the next bytes before each read, a
//! part that nobody else has any more, and the rest of the buffer at the end of the connection.

use bytes::{Bytes, BytesMut};
use tokio::io::ReadBuf;
use zeroize::Zeroize as _;

/// Overwrites the whole buffer that these bytes are a part of, if nobody else has another part of it.
pub fn overwrite(bytes: Bytes) {
    drop(overwritten(bytes));
}

fn overwritten(bytes: Bytes) -> Option<BytesMut> {
    let mut buffer = bytes.try_into_mut().ok()?;
    buffer.clear();
    // Asking for more room than there is behind the bytes adds that before them.
    while buffer.try_reclaim(buffer.capacity() + 1) {}
    buffer.resize(buffer.capacity(), 0);
    // Unlike the zeros above, these are written although nobody reads them.
    buffer.zeroize();
    Some(buffer)
}

/// Overwrites the room for what is read next. It has what was read before, once all of that was taken and given back.
pub fn overwrite_unfilled(buffer: &mut ReadBuf<'_>) {
    buffer.initialize_unfilled().zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 256;
    const HEAD: &[u8] = b"a head of a request";
    const SECRET: &[u8] = b"4242424242421234";

    #[test]
    fn a_buffer_is_overwritten_from_its_first_byte_to_its_last_once_nobody_else_has_a_part() {
        let mut buffer = BytesMut::with_capacity(SIZE);
        buffer.extend_from_slice(&[HEAD, SECRET].concat());
        let start = buffer.as_ptr();
        let head = buffer.split_to(HEAD.len()).freeze();
        let secret = buffer.split_to(SECRET.len()).freeze();
        assert!(overwritten(secret).is_none(), "others have parts");
        assert_eq!(head, HEAD);
        drop(head);
        let end_of_connection = buffer.freeze();
        let buffer = overwritten(end_of_connection).unwrap();
        assert_eq!((buffer.as_ptr(), &buffer[..]), (start, &[0; SIZE][..]));
    }

    #[test]
    fn the_room_for_the_next_bytes_is_overwritten_and_what_was_read_is_not() {
        let mut memory = SECRET.repeat(2);
        let mut buffer = ReadBuf::new(&mut memory);
        buffer.advance(SECRET.len());
        overwrite_unfilled(&mut buffer);
        assert_eq!(memory, [SECRET, &[0; SECRET.len()]].concat());
    }
}
