//! Long texts are read and judged beside the loop, so that nobody else waits for them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use palisade_wire::frame::{self, HEADER_BYTES, Header};

use super::{End, Link, Session};
use crate::verdicts::Judged;

/// Texts up to this long are read on the loop itself, in bytes: that takes about a millisecond at most.
const SHORT_TEXT_BYTES: usize = 8 << 10;

impl Session {
    /// Has a long text read beside the loop, unless its verdict is known; says whether the message has to wait.
    pub(super) fn reads(&mut self, link: &mut Link, header: Header, input: &[u8]) -> bool {
        if header.body <= SHORT_TEXT_BYTES || link.read_text.is_some() || link.flow.skips() {
            return false;
        }
        let Some((text, query)) = text(header, input) else { return false };
        let (policy, pool, info) = (self.shared.policy.load_full(), self.pool.clone(), self.info.clone());
        if let Some(known) = pool.verdicts.known(policy.wall(&info.tenant_id).stamp(), text) {
            link.read_text = Some(known);
            return false;
        }
        let (limits, text) = (self.shared.limits(), Box::<str>::from(text));
        link.reading = Some(tokio::task::spawn_blocking(move || {
            let wall = policy.wall(&info.tenant_id);
            let (verdicts, namespace) = (&pool.verdicts, &pool.namespace);
            let (judged, _) = if query {
                verdicts.judge_query(wall, &limits, namespace, &text)
            } else {
                verdicts.judge(wall, &limits, namespace, &text)
            };
            judged
        }));
        true
    }

    /// Whether no text is being read.
    pub(super) fn poll_reading(&self, link: &mut Link, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Some(reading) = &mut link.reading else { return Poll::Ready(Ok(())) };
        let read = std::task::ready!(Pin::new(reading).poll(cx));
        link.reading = None;
        link.read_text = Some(read.map_err(|_| End::Fatal("XX000", "the statement cannot be read".into()))?);
        Poll::Ready(Ok(()))
    }
}

impl Link {
    /// What was read beside the loop, where it is this text's verdict. A text that shares another's verdict is not.
    pub(super) fn read_before(&mut self, text: &[u8]) -> Option<Arc<Judged>> {
        self.read_text.take().filter(|judged| judged.text.as_bytes() == text)
    }
}

/// The text of a Query or Parse that is there as a whole, and whether it is a Query. Of other messages, which may be
/// there in part, none.
fn text(header: Header, input: &[u8]) -> Option<(&str, bool)> {
    let body =
        matches!(header.tag, b'Q' | b'P').then(|| input.get(HEADER_BYTES..HEADER_BYTES + header.body))??;
    let text = match header.tag {
        b'Q' => frame::c_string(body)?.0,
        _ => frame::c_string(frame::c_string(body)?.1)?.0,
    };
    Some((std::str::from_utf8(text).ok()?, header.tag == b'Q'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has come, the length of its body as its header says, and the text that is found.
    type Case = (&'static [u8], usize, Option<(&'static str, bool)>);

    #[test]
    fn only_whole_texts_are_read_beside_the_loop() {
        let cases: [Case; 8] = [
            (b"Q\0\0\0\x0dSELECT 1\0", 9, Some(("SELECT 1", true))),
            (b"Q\0\0\0\x0dSELECT 1\0X\0\0\0\x04", 9, Some(("SELECT 1", true))),
            (b"P\0\0\0\x11s\0SELECT 1\0\0\0", 13, Some(("SELECT 1", false))),
            (b"Q\0\0\0\x0dSELECT", 9, None),
            (b"P\0\0\0\x11s\0SELECT", 13, None),
            // A Bind and a CopyData of which the first bytes are there.
            (b"B\0\x7f\0\0\0s\0\0\0", 8_323_068, None),
            (b"d\0\x7f\0\0abc", 8_323_068, None),
            (b"Q\0\0\0\x06\xff\0", 2, None),
        ];
        for (input, body, expected) in cases {
            let header = frame::header(input).unwrap().unwrap();
            assert_eq!(header.body, body, "{input:?}");
            assert_eq!(text(header, input), expected, "{input:?}");
        }
    }
}
