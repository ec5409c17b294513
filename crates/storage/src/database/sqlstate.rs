//! The SQLSTATE of errors, found in the stream of messages that PostgreSQL sends
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of bytes kept of an error; the SQLSTATE precedes the message.
const MAX_ERROR_BYTES: usize = 256;

/// The SQLSTATE of the last error on a connection; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastError(Arc<AtomicU64>);

impl LastError {
    /// Returns and clears the SQLSTATE of the last error.
    pub(crate) fn take(&self) -> Option<[u8; 5]> {
        match self.0.swap(0, Ordering::AcqRel).to_be_bytes() {
            [0, 0, 0, code @ ..] if code != [0; 5] => Some(code),
            _ => None,
        }
    }

    fn set(&self, [a, b, c, d, e]: [u8; 5]) {
        let number = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        self.0.store(number, Ordering::Release);
    }
}

/// Finds errors among the messages of a server, each of which consists of a letter, a length and a body.
pub(crate) struct Scanner {
    last_error: LastError,
    header: [u8; 5],
    header_bytes: usize,
    body_bytes_left: usize,
    /// The first bytes of an error's body.
    error: Option<Vec<u8>>,
}

impl Scanner {
    pub(crate) fn new(last_error: LastError) -> Self {
        Self {
            last_error,
            header: [0; 5],
            header_bytes: 0,
            body_bytes_left: 0,
            error: None,
        }
    }

    pub(crate) fn scan(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.body_bytes_left == 0 {
                self.scan_header(bytes)
            } else {
                self.scan_body(bytes)
            };
            bytes = &bytes[taken..];
        }
    }

    fn scan_header(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.header.len() - self.header_bytes);
        self.header[self.header_bytes..][..taken].copy_from_slice(&bytes[..taken]);
        self.header_bytes += taken;
        if self.header_bytes == self.header.len() {
            let [letter, length @ ..] = self.header;
            self.header_bytes = 0;
            // The length includes its own four bytes.
            self.body_bytes_left = (u32::from_be_bytes(length) as usize).saturating_sub(length.len());
            self.error = (letter == b'E').then(Vec::new);
        }
        taken
    }

    fn scan_body(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.body_bytes_left);
        self.body_bytes_left -= taken;
        if let Some(body) = &mut self.error {
            let kept = taken.min(MAX_ERROR_BYTES - body.len());
            body.extend_from_slice(&bytes[..kept]);
        }
        if self.body_bytes_left == 0
            && let Some(code) = self.error.take().as_deref().and_then(sqlstate)
        {
            self.last_error.set(code);
        }
        taken
    }
}

/// The SQLSTATE in the body of an error, which consists of fields: a letter and a zero-terminated text each, for the
/// SQLSTATE the letter C.
fn sqlstate(body: &[u8]) -> Option<[u8; 5]> {
    let mut fields = body.split(|byte| *byte == 0);
    fields.find_map(|field| field.strip_prefix(b"C")?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[letter][..], &length.to_be_bytes(), body].concat()
    }

    fn error(code: &str, text: &str) -> Vec<u8> {
        message(b'E', format!("SFEHLER\0VERROR\0C{code}\0M{text}\0\0").as_bytes())
    }

    #[test]
    fn sqlstates_are_found_across_reads_of_any_size() {
        let long = "wegen Zeitüberschreitung ".repeat(100);
        let stream = [
            message(b'R', &[0; 4]),
            message(b'Z', b"I"),
            error("55P03", &long),
            message(b'D', b"E\0\0\0\x0aC40001\0\0"),
            message(b'I', b""),
            error("40P01", "Verklemmung entdeckt"),
            message(b'Z', b"E"),
        ]
        .concat();
        for size in [1, 3, 7, stream.len()] {
            let last_error = LastError::default();
            let mut scanner = Scanner::new(last_error.clone());
            let mut found = Vec::new();
            for bytes in stream.chunks(size) {
                scanner.scan(bytes);
                found.extend(last_error.take());
            }
            let all = [*b"55P03", *b"40P01"];
            let expected = if size == stream.len() { &all[1..] } else { &all[..] };
            assert_eq!(found, expected, "in pieces of {size} bytes");
        }
    }
}
