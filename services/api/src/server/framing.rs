//! Where the head and the body of a request end.

use memchr::{memchr, memchr_iter};

/// The longest head of a request, in bytes. It has at most 96 fields; one with a key needs some 200 bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The most bytes of a chunked body that are not data before any data, and for each byte of data: a chunk of one byte needs 5.
const CHUNK_ALLOWANCE: usize = 64 * 1024;
const ALLOWED_PER_DATA_BYTE: usize = 8;

/// A head that is being received. It ends with an empty line after one that is not (RFC 9112, section 2.1; section 2.2 allows
/// a lone LF as the end of a line, and empty lines before a head).
#[derive(Debug, Default)]
pub(crate) struct Head {
    bytes: usize,
    has_text: bool,
    line_has_text: bool,
}

impl Head {
    /// The number of bytes up to the end of the head, which is among them if the second value is true, or up to the limit.
    pub(crate) fn take(&mut self, received: &[u8]) -> (usize, bool) {
        let received = &received[..received.len().min(MAX_HEAD_BYTES - self.bytes)];
        let mut start = 0;
        for at in memchr_iter(b'\n', received) {
            self.line_has_text |= has_text(&received[start..at]);
            self.has_text |= self.line_has_text;
            if self.has_text && !self.line_has_text {
                *self = Self::default();
                return (at + 1, true);
            }
            self.line_has_text = false;
            start = at + 1;
        }
        self.line_has_text |= has_text(&received[start..]);
        self.has_text |= self.line_has_text;
        self.bytes += received.len();
        (received.len(), false)
    }

    /// Whether nothing of it was received.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it does not end within [`MAX_HEAD_BYTES`].
    pub(crate) fn is_too_large(&self) -> bool {
        self.bytes == MAX_HEAD_BYTES
    }
}

fn has_text(line: &[u8]) -> bool {
    line.iter().any(|byte| *byte != b'\r')
}

/// The length of the body that follows a head, if the head leaves no doubt about it. A head that a reader could take
/// otherwise than the framework, or that makes the framework wait for something else first, has none here; nor one of a method
/// whose handlers read no body.
pub(crate) fn plain_length(head: &[u8]) -> Option<usize> {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let request_line = lines.next()?;
    let is_written = request_line.starts_with(b"POST ") || request_line.starts_with(b"PUT ");
    if !is_written || !request_line.ends_with(b" HTTP/1.1") {
        return None;
    }
    let mut length = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_at(memchr(b':', line)?);
        match name.len() {
            6 | 7 if name.eq_ignore_ascii_case(b"expect") || name.eq_ignore_ascii_case(b"upgrade") => {
                return None;
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let digits = str::from_utf8(value[1..].trim_ascii()).ok()?;
                let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                if !is_plain || length.is_some() {
                    return None;
                }
                length = Some(digits.parse().ok()?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => return None,
            _ if name.first().is_none_or(u8::is_ascii_whitespace) => return None,
            _ => {}
        }
    }
    length
}

/// What is missing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// So many bytes.
    Bytes(usize),
    /// Chunks.
    Chunks(Chunked),
    /// Everything that the client sends.
    Endless,
}

/// A chunked body (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    place: Place,
    /// The bytes that may follow and not be data.
    allowance: usize,
}

/// A place in a chunked body. The framework rejects what is wrong with it, and ends what is right at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the size of a chunk, which is so large so far.
    Size(usize),
    /// After it, in the same line.
    Extension(usize),
    /// So many bytes before the end of its data.
    Data(usize),
    /// After its data, before the end of the line.
    DataEnd,
    /// At the start of a line after the last chunk.
    LastLine,
    /// After a carriage return at the start of such a line.
    LastLineEnd,
    /// In a field after the last chunk.
    Field,
    /// After a carriage return in it.
    FieldEnd,
    /// After the body.
    End,
}

impl Rest {
    /// Whether the body is complete.
    pub(crate) fn is_complete(self) -> bool {
        match self {
            Self::Bytes(missing) => missing == 0,
            Self::Chunks(chunks) => chunks.place == Place::End,
            Self::Endless => false,
        }
    }

    /// Whether much more than its data was received: rates and limits count data, so sizes, extensions and trailers must not
    /// evade them (RFC 9112, section 7.1.1).
    pub(crate) fn is_wasteful(self) -> bool {
        matches!(self, Self::Chunks(Chunked { allowance: 0, .. })) && !self.is_complete()
    }

    /// The number of bytes that belong to the body.
    pub(crate) fn take(&mut self, received: &[u8]) -> usize {
        match self {
            Self::Bytes(missing) => {
                let taken = received.len().min(*missing);
                *missing -= taken;
                taken
            }
            Self::Chunks(chunks) => chunks.take(received),
            Self::Endless => received.len(),
        }
    }
}

impl Chunked {
    /// A body of which nothing was received.
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Size(0),
            allowance: CHUNK_ALLOWANCE,
        }
    }

    fn take(&mut self, received: &[u8]) -> usize {
        let mut at = 0;
        while at < received.len() && self.place != Place::End {
            if let Place::Data(missing) = &mut self.place {
                let taken = (received.len() - at).min(*missing);
                *missing -= taken;
                at += taken;
                if *missing == 0 {
                    self.place = Place::DataEnd;
                }
                self.allow(taken);
            } else {
                self.place = self.place.after(received[at]);
                at += 1;
                self.allowance = self.allowance.saturating_sub(1);
            }
        }
        at
    }

    /// Allows more that is not data.
    fn allow(&mut self, data: usize) {
        if self.allowance > 0 {
            let earned = data.saturating_mul(ALLOWED_PER_DATA_BYTE);
            self.allowance = self.allowance.saturating_add(earned).min(CHUNK_ALLOWANCE);
        }
    }
}

impl Place {
    /// The place after a byte that is not data.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size(0) | Self::Extension(0), b'\n') => Self::LastLine,
            (Self::Size(size) | Self::Extension(size), b'\n') => Self::Data(size),
            (Self::Size(size), _) => match char::from(byte).to_digit(16) {
                Some(digit) => Self::Size(size.saturating_mul(16).saturating_add(digit as usize)),
                None => Self::Extension(size),
            },
            (Self::DataEnd, b'\n') => Self::Size(0),
            (Self::LastLine, b'\r') => Self::LastLineEnd,
            (Self::LastLineEnd, b'\n') => Self::End,
            (Self::Field, b'\r') => Self::FieldEnd,
            (Self::FieldEnd, b'\n') => Self::LastLine,
            (Self::LastLine | Self::LastLineEnd | Self::FieldEnd, _) => Self::Field,
            (same, _) => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first part of some bytes that come in pieces, as `take` cuts it.
    fn cut(sent: &[u8], size: usize, mut take: impl FnMut(&[u8]) -> (usize, bool)) -> Option<usize> {
        let mut before = 0;
        for piece in sent.chunks(size) {
            let (taken, has_ended) = take(piece);
            before += taken;
            if has_ended {
                return Some(before);
            }
            assert_eq!(taken, piece.len());
        }
        None
    }

    fn chunked() -> impl Strategy<Value = Vec<u8>> {
        let chunk = ("[\r\n0a]{1,40}", "(;[a-z]{0,3})?")
            .prop_map(|(data, extension)| format!("{:x}{extension}\r\n{data}\r\n", data.len()));
        let chunks = prop::collection::vec(chunk, 0..5);
        (chunks, "0{1,3}", "([a-z]: [0-9]\r\n){0,2}").prop_map(|(chunks, last, trailer)| {
            format!("{}{last}\r\n{trailer}\r\n", chunks.concat()).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn a_chunked_body_ends_where_it_ends(body in chunked(), after in "[\r\nG0]{0,20}", size in 1_usize..50) {
            let mut rest = Rest::Chunks(Chunked::new());
            let sent = [body.as_slice(), after.as_bytes()].concat();
            let found = cut(&sent, size, |piece| (rest.take(piece), rest.is_complete()));
            prop_assert_eq!(found, Some(body.len()));
        }

        #[test]
        fn a_head_ends_with_an_empty_line(
            before in "(\r?\n){0,3}", lines in "([a-z: ]{1,9}\r?\n){1,4}", end in "\r?\n", after in "[\r\nG]{0,20}",
            size in 1_usize..50,
        ) {
            let mut head = Head::default();
            let sent = format!("{before}{lines}{end}{after}");
            let found = cut(sent.as_bytes(), size, |piece| head.take(piece));
            prop_assert_eq!(found, Some(before.len() + lines.len() + end.len()));
        }
    }

    #[test]
    fn a_chunked_body_consists_of_data() {
        let is_wasteful = |chunk: &str, times: usize| {
            let mut rest = Rest::Chunks(Chunked::new());
            rest.take(chunk.repeat(times).as_bytes());
            rest.is_wasteful()
        };
        assert!(!is_wasteful("1\r\nx\r\n", 1 << 20));
        assert!(!is_wasteful(
            &format!("400;{}\r\n{}\r\n", "x".repeat(4_000), "x".repeat(0x400)),
            1_000
        ));
        assert!(is_wasteful(&format!("1;{}\r\nx\r\n", "x".repeat(60)), 2_000));
        assert!(is_wasteful(&"0".repeat(CHUNK_ALLOWANCE), 1));
        assert!(!is_wasteful(&"0".repeat(CHUNK_ALLOWANCE - 1), 1));
        assert!(is_wasteful(
            &format!("1\r\nx\r\n0\r\n{}", "a: b\r\n".repeat(20_000)),
            1
        ));
    }

    #[test]
    fn a_length_is_known_only_from_a_head_without_doubt() {
        let length = |fields: &str| plain_length(format!("POST /x HTTP/1.1\r\n{fields}\r\n").as_bytes());
        assert_eq!(length("Host: x\r\ncontent-LENGTH:  12 \r\nA:\r\n"), Some(12));
        assert_eq!(length("Content-Length: 0\n"), Some(0));
        for doubtful in [
            "",
            "Content-Length: +1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length : 1\r\n",
            "Content-Length: 1\r\n 2: 3\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nUpgrade: websocket\r\n",
            "Expect: 100-continue\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nno field\r\n",
        ] {
            assert_eq!(length(doubtful), None, "{doubtful}");
        }
        for request_line in ["POST /x HTTP/1.0", "GET /x HTTP/1.1", "", "POST /x HTTP/1.1 "] {
            let head = format!("{request_line}\r\nContent-Length: 1\r\n\r\n");
            assert_eq!(plain_length(head.as_bytes()), None, "{request_line}");
        }
    }

    #[test]
    fn empty_lines_alone_are_no_head_and_count_as_its_bytes() {
        let mut head = Head::default();
        assert_eq!(
            head.take(&[b'\n'; MAX_HEAD_BYTES - 1]),
            (MAX_HEAD_BYTES - 1, false)
        );
        assert!(!head.is_too_large());
        assert_eq!(head.take(b"\n\n"), (1, false));
        assert!(head.is_too_large());
    }
}
