//! Splits a body into lines as it arrives, and holds no more than one of them.

use futures_util::StreamExt;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_util::stream::{Stream, unfold};
use tokio::time::timeout;

use crate::request::body::MAX_BODY_BYTES;

/// The time for which a client may send nothing while the service waits for more.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// A line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NdjsonLine {
    /// Its number, from 1; blank lines are counted.
    pub(crate) number: u64,
    /// Its bytes without the line ending; none when it is too long.
    pub(crate) content: Option<Bytes>,
}

/// The lines of a body. An incomplete body ends with its last complete line.
pub(crate) fn lines<S>(body: S) -> impl Stream<Item = NdjsonLine>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let splitter = Splitter::default();
    unfold((body, splitter), |(mut body, mut splitter)| async {
        loop {
            if let Some(line) = splitter.next_line() {
                return Some((line, (body, splitter)));
            }
            if splitter.ended {
                return None;
            }
            match timeout(SILENCE_TIMEOUT, body.next()).await {
                Ok(Some(Ok(chunk))) => splitter.add(&chunk),
                Ok(None) => splitter.end(),
                Ok(Some(Err(_))) | Err(_) => return None,
            }
        }
    })
}

#[derive(Debug, Default)]
struct Splitter {
    buffer: BytesMut,
    /// The bytes at the start of the buffer that contain no line ending.
    scanned: usize,
    number: u64,
    /// Whether the line is too long; what arrived of it was dropped.
    dropping: bool,
    ended: bool,
}

impl Splitter {
    fn add(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// Completes the last line, which needs no line ending.
    fn end(&mut self) {
        self.ended = true;
        if !self.buffer.is_empty() || self.dropping {
            self.buffer.extend_from_slice(b"\n");
        }
    }

    /// The next line that is not blank, once it is complete.
    fn next_line(&mut self) -> Option<NdjsonLine> {
        loop {
            let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(end) = unseen.iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.buffer.len();
                // A carriage return may still follow the longest line.
                if self.scanned > MAX_BODY_BYTES + 1 {
                    self.dropping = true;
                    self.buffer.clear();
                    self.scanned = 0;
                }
                return None;
            };
            let mut content = self.buffer.split_to(self.scanned + end + 1);
            content.truncate(self.scanned + end);
            self.scanned = 0;
            self.number += 1;
            let too_long = std::mem::take(&mut self.dropping) || content.len() > MAX_BODY_BYTES + 1;
            if content.last() == Some(&b'\r') {
                content.truncate(content.len() - 1);
            }
            if too_long || content.len() > MAX_BODY_BYTES {
                return Some(self.line(None));
            }
            if !content.trim_ascii().is_empty() {
                return Some(self.line(Some(content.freeze())));
            }
        }
    }

    fn line(&self, content: Option<Bytes>) -> NdjsonLine {
        NdjsonLine {
            number: self.number,
            content,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::iter;
    use proptest::prelude::*;

    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<(u64, Option<String>)> {
        let body: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let found: Vec<NdjsonLine> = runtime.block_on(lines(iter(body)).collect());
        let text = |content: Bytes| String::from_utf8(content.to_vec()).unwrap();
        found
            .into_iter()
            .map(|line| (line.number, line.content.map(text)))
            .collect()
    }

    #[test]
    fn blank_lines_are_counted_and_the_last_line_needs_no_ending() {
        let found = cut(&[b"a\r\n\n  \nb", b"c\nd"]);
        let expected = [(1, "a"), (4, "bc"), (5, "d")];
        assert_eq!(
            found,
            expected.map(|(number, text)| (number, Some(text.to_owned())))
        );
        assert_eq!(cut(&[b""]), []);
        assert_eq!(cut(&[b"\n\n"]), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_and_skipped() {
        let long = "x".repeat(MAX_BODY_BYTES + 1);
        let longest = &long[1..];
        let text = format!("{long}\n{longest}\r\n{long}{long}{long}\na\n{long}");
        for size in [1 << 16, 1 << 20, 1 << 23] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let found = cut(&chunks);
            assert_eq!(found.len(), 5);
            let told: Vec<bool> = found.iter().map(|(_, content)| content.is_some()).collect();
            assert_eq!(told, [false, true, false, true, false]);
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_chunks(text in "[ab\n\r ]{0,60}", size in 1usize..9) {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(cut(&chunks), cut(&[text.as_bytes()]));
        }

        #[test]
        fn lines_are_those_of_the_text_for_any_chunks(
            body in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r')], 0..80),
            sizes in prop::collection::vec(0u8..20, 0..12),
        ) {
            crate::fuzzing::batch(&body, &sizes);
        }
    }
}
