//! Message headers, read in place.

/// A message's header: one byte of type, four of length.
pub const HEADER_BYTES: usize = 5;

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length below four.
    #[error("invalid message length")]
    Length,
    /// A message that is longer than its kind may be.
    #[error("message of {0} bytes is longer than the limit of {1} bytes")]
    TooLong(usize, usize),
}

/// A header: the type and how many bytes of body follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message's type.
    pub tag: u8,
    /// Bytes behind the header.
    pub body: usize,
}

/// Reads a header where all of it is there.
///
/// # Errors
/// [`FrameError::Length`].
pub fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some((&tag, rest)) = bytes.split_first() else { return Ok(None) };
    let Some(length) = rest.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| FrameError::Length)?;
    match length.checked_sub(4) {
        Some(body) => Ok(Some(Header { tag, body })),
        None => Err(FrameError::Length),
    }
}

/// Puts a message together.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.push(tag);
    // A body of ours is far below the protocol's 2 GiB.
    let length = i32::try_from(body.len() + 4).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// The bytes before the next zero byte, and those behind it.
#[must_use]
pub fn c_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_follow_the_table() {
        assert_eq!(header(b""), Ok(None));
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b"Q\0\0\0\x04"), Ok(Some(Header { tag: b'Q', body: 0 })));
        assert_eq!(header(b"Q\0\0\x01\x00rest"), Ok(Some(Header { tag: b'Q', body: 252 })));
        assert_eq!(header(b"Q\0\0\0\x03"), Err(FrameError::Length));
        assert_eq!(header(b"Q\xff\0\0\0"), Err(FrameError::Length));
        let made = message(b'Q', b"x\0");
        assert_eq!(header(&made), Ok(Some(Header { tag: b'Q', body: 2 })));
    }
}
