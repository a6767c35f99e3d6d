//! PostgreSQL's grammar: `libpg_query`, through its own C interface. `pg_query::parse` asks the same function, but counts
//! names beside it that nothing here reads, and does not say where an error is.
#![allow(
    unsafe_code,
    reason = "two calls of a C library that `pg_query` links; all that is unsafe stands in `ask`"
)]

use std::ffi::{CStr, CString, c_char, c_int};

use pg_query::protobuf as p;
use prost::Message;

/// A text that the grammar refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    /// PostgreSQL's words.
    pub(super) message: String,
    /// Where, in characters from 1.
    pub(super) position: Option<usize>,
}

/// As `pg_query.h` of the version that Cargo.lock pins has them.
mod c {
    use super::{c_char, c_int};

    #[repr(C)]
    pub(super) struct Error {
        pub(super) message: *mut c_char,
        pub(super) function: *mut c_char,
        pub(super) file: *mut c_char,
        pub(super) line: c_int,
        /// In bytes from 1; 0 where it is not known.
        pub(super) cursor: c_int,
        pub(super) context: *mut c_char,
    }

    #[repr(C)]
    pub(super) struct Parsed {
        pub(super) length: usize,
        pub(super) data: *mut c_char,
        pub(super) warnings: *mut c_char,
        pub(super) error: *mut Error,
    }

    unsafe extern "C" {
        pub(super) fn pg_query_parse_protobuf_opts(text: *const c_char, options: c_int) -> Parsed;
        pub(super) fn pg_query_free_protobuf_parse_result(parsed: Parsed);
    }
}

/// Reads a text into trees, one a statement.
///
/// The depth of a tree is bounded by the C library (10,000 messages, and the stack of the thread), and nothing bounds it
/// below that: see [`super::deep`].
///
/// # Errors
/// What PostgreSQL's parser would say.
pub(super) fn parse(text: &str) -> Result<Vec<p::RawStmt>, Refusal> {
    let unreadable = |message: &str| Refusal { message: message.to_owned(), position: None };
    let input =
        CString::new(text).map_err(|_| unreadable("invalid byte sequence for encoding \"UTF8\": 0x00"))?;
    match ask(&input, |bytes| p::ParseResult::decode(bytes)) {
        Ok(Ok(tree)) => Ok(tree.stmts),
        Ok(Err(_)) => Err(unreadable("stack depth limit exceeded")),
        Err((message, byte)) => {
            let before = byte.checked_sub(1).and_then(|end| text.get(..end.min(text.len())));
            Err(Refusal { message, position: before.map(|before| before.chars().count() + 1) })
        }
    }
}

/// Asks the C library. The error is its message, and the byte from 1 that it is at, or 0.
fn ask<T>(text: &CStr, read: impl FnOnce(&[u8]) -> T) -> Result<T, (String, usize)> {
    // SAFETY: the text ends in NUL and is not kept. What comes back is either an error or `length` bytes at `data`
    // (null where there are none), all of it owned by the library until it is given back below, once.
    unsafe {
        let parsed = c::pg_query_parse_protobuf_opts(text.as_ptr(), 0);
        let answer = if let Some(error) = parsed.error.as_ref() {
            let message = if error.message.is_null() {
                String::new()
            } else {
                CStr::from_ptr(error.message).to_string_lossy().into_owned()
            };
            Err((message, usize::try_from(error.cursor).unwrap_or_default()))
        } else if parsed.data.is_null() {
            Ok(read(&[]))
        } else {
            Ok(read(std::slice::from_raw_parts(parsed.data.cast::<u8>(), parsed.length)))
        };
        c::pg_query_free_protobuf_parse_result(parsed);
        answer
    }
}
