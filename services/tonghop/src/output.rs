//! Standard output.

use std::io::Write;

/// Writes to standard output. Ignores a reader that has gone away, such as `head`.
pub(crate) fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .ok();
}
