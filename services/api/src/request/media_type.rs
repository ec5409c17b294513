//! The media types of requests and responses.

use actix_web::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use crate::problem::Problem;
use crate::request::headers::joined;
use crate::request::quality::weighted;

/// JSON's media type.
pub(crate) const JSON: &str = "application/json";
/// The media type of one JSON value a line.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// The names of that media type: none is registered, and clients use each of them.
pub(crate) const NDJSON_NAMES: &[&str] = &[
    NDJSON,
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
];
/// The media type of comma-separated values.
pub(crate) const CSV: &str = "text/csv";

/// The offered media type with the highest weight; of equals, the first.
pub(crate) fn accepted(
    headers: &HeaderMap,
    offered: &'static [&'static str],
) -> Result<&'static str, Problem> {
    let ranges = match joined(headers, &ACCEPT) {
        Some(Ok(ranges)) if !ranges.trim().is_empty() => ranges.to_ascii_lowercase(),
        _ => return offered.first().copied().ok_or(Problem::NotAcceptable { offered }),
    };
    let mut best: Option<(u16, &'static str)> = None;
    for offer in offered {
        let weight = weight_of(&ranges, offer);
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, offer));
        }
    }
    best.map(|(_, offer)| offer)
        .ok_or(Problem::NotAcceptable { offered })
}

/// The weight that the most specific range gives to a media type; 0 if none matches.
fn weight_of(ranges: &str, offer: &str) -> u16 {
    let kind = offer.split('/').next().unwrap_or_default();
    let mut best = (0, 0);
    for (range, weight) in ranges.split(',').map(weighted) {
        let specific = match range {
            "*/*" => 1,
            _ if range.strip_suffix("/*") == Some(kind) => 2,
            _ if range == offer => 3,
            _ => continue,
        };
        if specific > best.0 {
            best = (specific, weight);
        }
    }
    best.1
}

/// Fails unless the body has one of the expected media types, in UTF-8.
pub(crate) fn check_content_type(
    headers: &HeaderMap,
    expected: &'static [&'static str],
) -> Result<(), Problem> {
    if !is_uncompressed(headers) {
        return Err(Problem::UnsupportedCoding);
    }
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let is_expected = expected.iter().any(|name| name.eq_ignore_ascii_case(media));
    let is_utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    if is_expected && parts.all(is_utf8) {
        Ok(())
    } else {
        Err(Problem::UnsupportedMediaType {
            expected: expected.first().copied().unwrap_or_default(),
        })
    }
}

/// Whether the body is sent as it is (RFC 9110, section 8.4).
fn is_uncompressed(headers: &HeaderMap) -> bool {
    match joined(headers, &CONTENT_ENCODING) {
        None => true,
        Some(codings) => codings.is_ok_and(|codings| {
            let mut named = codings.split(',').map(str::trim);
            named.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_body_is_uncompressed_unless_any_line_names_a_coding() {
        for (lines, expected) in [
            (&[][..], true),
            (&["identity"], true),
            (&["", "Identity, identity"], true),
            (&["identity", "gzip"], false),
            (&["identity, br"], false),
            (&["x"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(is_uncompressed(&headers), expected, "{lines:?}");
        }
    }
}
