//! Bytes of a client before it is known, and of a server: nothing panics, and what is read of an error is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palisade_proxy::measured::scan;
use palisade_wire::error::Fields;
use palisade_wire::{frame, startup};

fuzz_target!(|bytes: &[u8]| {
    let _ = startup::first(bytes);
    for asked in 0..3 {
        let _ = scan(bytes, asked);
    }
    if let Some((text, rest)) = frame::c_string(bytes) {
        assert_eq!(text.len() + 1 + rest.len(), bytes.len());
    }
    if let Some(fields) = Fields::read(bytes) {
        let message = fields.message(b'E');
        assert_eq!(Fields::read(&message[frame::HEADER_BYTES..]), Some(fields), "an error is not written as it was read");
    }
    let message = frame::message(b'D', bytes);
    assert_eq!(frame::header(&message), Ok(Some(frame::Header { tag: b'D', body: bytes.len() })));
});
