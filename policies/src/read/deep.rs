//! A stack for texts whose trees may be deep, whatever thread asks.

use crate::read::ReadError;
use crate::read::guard::Nesting;
use crate::verdict::Reason;

/// Texts with at most this many things that make a tree deeper are read on the caller's stack; see `tests/big_and_deep.rs` for what one
/// level takes.
const SHALLOW: usize = 60;
/// What deeper ones get, in bytes; memory is taken where it is touched. The grammar makes trees of at most 10,000 levels.
const STACK_BYTES: usize = 512 << 20;

/// Does the work where the stack is deep enough for a text that can nest so far.
///
/// # Errors
/// No thread can be made.
pub(super) fn with_stack<T: Send>(
    nesting: Nesting,
    work: impl FnOnce() -> Result<T, ReadError> + Send,
) -> Result<T, ReadError> {
    if nesting.levels <= SHALLOW {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("palisade-deep".into()).stack_size(STACK_BYTES);
        let Ok(reader) = thread.spawn_scoped(scope, work) else { return Err(no_thread()) };
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn no_thread() -> ReadError {
    ReadError {
        sqlstate: "53200",
        message: "out of memory".into(),
        hint: None,
        position: None,
        reason: Reason::LimitExceeded,
    }
}
