//! `tonghop submit`: sends a file of submissions to a running service.

use std::io::Read;
use std::path::Path;

use serde::de::IgnoredAny;
use tonghop_access::Token;
use tonghop_process::Failure;

use crate::http_client::{ServiceClient, describe_problem};
use crate::output::print;

/// The mark of UTF-8 that some programs write before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Sends one submission as JSON, or one per line as NDJSON, and prints the result of each.
pub(crate) async fn submit(file: &Path, url: &str, key: &str, ca: Option<&Path>) -> Result<(), Failure> {
    // clap would quote an invalid key.
    let key: Token = key
        .parse()
        .map_err(|error| Failure::configuration(format!("--key (TONGHOP_KEY): {error}")))?;
    let lines = read_lines(file)?;
    let results = ServiceClient::new(url, ca)?.submit_batch(&key, lines).await?;
    let mut rejected = 0;
    for result in &results {
        let line = &result["line"];
        if let Some(submission) = result.get("submission") {
            let (unit, revision) = (&submission["unit"], &submission["revision"]);
            let outcome = match result["status"].as_u64() {
                Some(201) => "recorded",
                _ => "unchanged",
            };
            print(&format!(
                "line {line}: {outcome}, unit {unit}, revision {revision}\n"
            ));
        } else {
            rejected += 1;
            let reason = describe_problem(&result["problem"]);
            print(&format!("line {line}: rejected, {reason}\n"));
        }
    }
    match rejected {
        0 => Ok(()),
        rejected => Err(Failure::runtime(format!(
            "{rejected} of {} lines were rejected",
            results.len()
        ))),
    }
}

/// The submissions of a file, one per line. A file that is one JSON value is one submission, however many lines it has.
fn read_lines(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    if file == Path::new("-") {
        std::io::stdin()
            .read_to_end(&mut text)
            .map_err(Failure::runtime)?;
    } else {
        text = std::fs::read(file).map_err(|error| Failure::file(file, &error))?;
    }
    Ok(one_line(text))
}

/// A file that is one JSON value, in one line; any other file unchanged. The value stays as it was written, repeated
/// fields and all digits included, because the service reports what is wrong with them.
fn one_line(mut text: Vec<u8>) -> Vec<u8> {
    let json = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    if serde_json::from_slice::<IgnoredAny>(json).is_ok() {
        // Within JSON, line breaks occur only between values: strings contain escapes instead (RFC 8259, section 7).
        for byte in text.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_becomes_one_line_and_is_otherwise_kept() {
        let line = |text: &str| String::from_utf8(one_line(text.into())).unwrap();
        assert_eq!(
            line("{\r\n\"a\": 1,\n\"a\": 62.99999999999999999\n}\n"),
            "{  \"a\": 1, \"a\": 62.99999999999999999 } "
        );
        assert_eq!(line("\u{feff}{\n}"), "\u{feff}{ }");
        for lines in ["{}\n{}\n", "{}\nnonsense", "", "\n"] {
            assert_eq!(line(lines), lines);
        }
    }
}
