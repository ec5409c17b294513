//! How a command fails, and how it speaks.

use std::io::Write;

/// Why the process ends: a sentence and the exit code, 2 for a wrong setting, 1 for the rest.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) sentence: String,
}

/// A setting is wrong.
pub(crate) fn wrong_setting(sentence: impl ToString) -> Failure {
    Failure {
        code: 2,
        sentence: sentence.to_string(),
    }
}

/// Something went wrong at run time.
pub(crate) fn failed(sentence: impl ToString) -> Failure {
    Failure {
        code: 1,
        sentence: sentence.to_string(),
    }
}

/// Writes to standard output. A reader that has gone away, as `head` does, is no fault.
pub(crate) fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .ok();
}
