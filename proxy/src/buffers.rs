//! Buffers that the sessions of a thread use in turn. Who waits for its client holds none, and who begins a transaction
//! need not ask the allocator for any.

use std::cell::RefCell;

use bytes::BytesMut;

/// Room of a buffer that is kept, in bytes: at least, and at most.
const LEAST_BYTES: usize = 8 << 10;
const MOST_BYTES: usize = 160 << 10;
/// Most buffers that a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, with room where one lies ready.
pub(crate) fn take() -> BytesMut {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Makes room for this many bytes more.
pub(crate) fn reserve(buffer: &mut BytesMut, bytes: usize) {
    if buffer.capacity() == 0 && buffer.is_empty() {
        lay_down(buffer);
        *buffer = take();
    }
    buffer.reserve(bytes);
}

/// Empties a buffer and takes its memory back. What others still hold a piece of, or is too large, is let go.
pub(crate) fn lay_down(buffer: &mut BytesMut) {
    let mut buffer = std::mem::take(buffer);
    buffer.clear();
    if buffer.try_reclaim(LEAST_BYTES) && buffer.capacity() <= MOST_BYTES {
        FREE.with_borrow_mut(|free| {
            if free.len() < KEPT {
                free.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        FREE.with_borrow(Vec::len)
    }

    #[test]
    fn a_buffer_is_used_again_and_never_with_what_was_in_it() {
        let mut buffer = BytesMut::new();
        reserve(&mut buffer, LEAST_BYTES);
        buffer.extend_from_slice(b"a secret");
        lay_down(&mut buffer);
        assert_eq!((buffer.capacity(), kept()), (0, 1));
        reserve(&mut buffer, LEAST_BYTES);
        assert!(buffer.is_empty() && buffer.capacity() >= LEAST_BYTES);
        assert_eq!(kept(), 0);
    }

    #[test]
    fn small_large_and_shared_buffers_are_let_go() {
        for bytes in [0, 100, MOST_BYTES + 1] {
            lay_down(&mut BytesMut::with_capacity(bytes));
            assert_eq!(kept(), 0, "{bytes}");
        }
        let mut buffer = BytesMut::zeroed(LEAST_BYTES);
        let _piece = buffer.split_to(10);
        lay_down(&mut buffer);
        assert_eq!(kept(), 0);
    }

    #[test]
    fn a_thread_keeps_only_so_many() {
        for _ in 0..KEPT + 5 {
            lay_down(&mut BytesMut::with_capacity(LEAST_BYTES));
        }
        assert_eq!(kept(), KEPT);
    }
}
