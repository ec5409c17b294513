//! Cuts a body into lines as it comes, holding no more than one of them.

use futures_util::StreamExt;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_util::stream::{Stream, unfold};
use tokio::time::timeout;

use crate::request::body::MAX_BODY_BYTES;

/// For how long a sender may be silent when more is waited for.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// A line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number, counted from 1, blank lines among them.
    pub(crate) number: u64,
    /// Its bytes without the line end; none when it is too long.
    pub(crate) content: Option<Bytes>,
}

/// The lines of a body. One that breaks off ends with its last whole line.
pub(crate) fn lines<S>(body: S) -> impl Stream<Item = Line>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let cutter = Cutter::default();
    unfold((body, cutter), |(mut body, mut cutter)| async {
        loop {
            if let Some(line) = cutter.cut() {
                return Some((line, (body, cutter)));
            }
            if cutter.ended {
                return None;
            }
            match timeout(SILENCE_TIMEOUT, body.next()).await {
                Ok(Some(Ok(chunk))) => cutter.add(&chunk),
                Ok(None) => cutter.end(),
                Ok(Some(Err(_))) | Err(_) => return None,
            }
        }
    })
}

#[derive(Debug, Default)]
struct Cutter {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    scanned: usize,
    number: u64,
    /// The line is too long; what came of it was dropped.
    dropping: bool,
    ended: bool,
}

impl Cutter {
    fn add(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// What is left is the last line, whether or not it has an end.
    fn end(&mut self) {
        self.ended = true;
        if !self.buffer.is_empty() || self.dropping {
            self.buffer.extend_from_slice(b"\n");
        }
    }

    /// The next line that is not blank, if all of it is there.
    fn cut(&mut self) -> Option<Line> {
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

    fn line(&self, content: Option<Bytes>) -> Line {
        Line {
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
        let found: Vec<Line> = runtime.block_on(lines(iter(body)).collect());
        let text = |content: Bytes| String::from_utf8(content.to_vec()).unwrap();
        found
            .into_iter()
            .map(|line| (line.number, line.content.map(text)))
            .collect()
    }

    #[test]
    fn blank_lines_are_counted_and_the_last_line_needs_no_end() {
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
    fn a_line_that_is_too_long_is_told_and_skipped() {
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
        fn lines_do_not_depend_on_how_they_come(text in "[ab\n\r ]{0,60}", size in 1usize..9) {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(cut(&chunks), cut(&[text.as_bytes()]));
        }

        #[test]
        fn lines_are_those_of_the_text_however_its_bytes_are_cut(
            body in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r')], 0..80),
            sizes in prop::collection::vec(0u8..20, 0..12),
        ) {
            crate::fuzzing::batch(&body, &sizes);
        }
    }
}
