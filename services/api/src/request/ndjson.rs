//! Splits a body into lines as it arrives, and holds no more than one of them.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{Stream, unfold};
use tokio::time::sleep_until;

use crate::request::body::MAX_BODY_BYTES;
use crate::request::deadline::Deadline;
use crate::request::json::BYTE_ORDER_MARK;

/// The time in which a line must arrive, besides the time that its bytes may take.
const LINE_GRACE: Duration = Duration::from_secs(60);

/// A line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NdjsonLine {
    /// Its number, from 1; blank lines are counted.
    pub(crate) number: u64,
    /// Its bytes without the line ending, or why there are none.
    pub(crate) content: Result<Bytes, LineError>,
}

/// Why a line has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// It is too long.
    TooLong,
    /// The body ended within it, or before the client said that it was complete. No line follows.
    Incomplete,
    /// It did not arrive in time. No line follows.
    TooSlow,
    /// Something else ended the reading. No line follows.
    Stopped,
}

/// The lines of a body until `stop`. If it is incomplete, arrives too slowly or is stopped, its last line is an error, so
/// that nobody takes the lines before it for the whole.
pub(crate) fn lines<S>(body: S, stop: impl Future<Output = ()>) -> impl Stream<Item = NdjsonLine>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let state = (body, Splitter::default(), Box::pin(stop));
    unfold(state, |(mut body, mut splitter, mut stop)| async {
        let mut deadline = Deadline::new(LINE_GRACE);
        loop {
            if let Some(line) = splitter.next_line() {
                return Some((line, (body, splitter, stop)));
            }
            if splitter.ended {
                return None;
            }
            let error = tokio::select! {
                chunk = body.next() => match chunk {
                    Some(Ok(chunk)) => {
                        deadline.extend(chunk.len());
                        splitter.add(&chunk);
                        continue;
                    }
                    None => {
                        splitter.end();
                        continue;
                    }
                    Some(Err(_)) => LineError::Incomplete,
                },
                () = sleep_until(deadline.instant()) => LineError::TooSlow,
                () = &mut stop => LineError::Stopped,
            };
            return Some((splitter.fail(error), (body, splitter, stop)));
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

    /// The error of the line that should follow. It is the last one.
    fn fail(&mut self, error: LineError) -> NdjsonLine {
        *self = Self {
            number: self.number + 1,
            ended: true,
            ..Self::default()
        };
        self.line(Err(error))
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
            // Each of several files that were put together may begin with a mark.
            if content.starts_with(BYTE_ORDER_MARK) {
                content.advance(BYTE_ORDER_MARK.len());
            }
            if too_long || content.len() > MAX_BODY_BYTES {
                return Some(self.line(Err(LineError::TooLong)));
            }
            if !content.trim_ascii().is_empty() {
                return Some(self.line(Ok(content.freeze())));
            }
        }
    }

    fn line(&self, content: Result<Bytes, LineError>) -> NdjsonLine {
        NdjsonLine {
            number: self.number,
            content,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::stream::{iter, repeat};
    use proptest::prelude::*;
    use tokio::time::sleep;

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
        let found: Vec<NdjsonLine> = runtime.block_on(lines(iter(body), pending()).collect());
        let text = |content: Bytes| String::from_utf8(content.to_vec()).unwrap();
        found
            .into_iter()
            .map(|line| (line.number, line.content.ok().map(text)))
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
    fn byte_order_marks_before_lines_are_removed() {
        let found = cut(&[b"\xef\xbb", b"\xbfa\r\n\xef\xbb\xbf\n\xef\xbb\xbfb"]);
        assert_eq!(found, [(1, Some("a".into())), (3, Some("b".into()))]);
    }

    #[tokio::test]
    async fn the_last_line_of_an_incomplete_body_is_an_error() {
        let body = [
            Ok(Bytes::from_static(b"a\nb")),
            Err(PayloadError::Incomplete(None)),
        ];
        let found: Vec<NdjsonLine> = lines(iter(body), pending()).collect().await;
        let line = |number, content| NdjsonLine { number, content };
        let expected = [
            line(1, Ok(Bytes::from_static(b"a"))),
            line(2, Err(LineError::Incomplete)),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_line_of_a_body_that_falls_silent_is_an_error() {
        let begun = tokio::time::Instant::now();
        let body = iter([Ok(Bytes::from_static(b"a\n"))]).chain(futures_util::stream::pending());
        let found: Vec<NdjsonLine> = lines(Box::pin(body), pending()).collect().await;
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].content, Err(LineError::TooSlow));
        assert!((60..62).contains(&begun.elapsed().as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_ends_when_it_is_stopped() {
        let begun = tokio::time::Instant::now();
        let silent = futures_util::stream::pending();
        let found: Vec<NdjsonLine> = lines(silent, sleep(Duration::from_secs(3))).collect().await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].content, Err(LineError::Stopped));
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_arrives_letter_by_letter_is_too_slow() {
        let letters = repeat(()).then(|()| async {
            sleep(Duration::from_secs(30)).await;
            Ok(Bytes::from_static(b"a"))
        });
        let found: Vec<NdjsonLine> = lines(Box::pin(letters), pending()).collect().await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].content, Err(LineError::TooSlow));
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
