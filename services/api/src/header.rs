//! Request headers that steer an answer: conditions, preferences, idempotency keys, wanted media types.

use actix_web::http::header::{
    ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH, ToStrError,
};

use crate::problem::Problem;
use crate::words::{weighted, words};

/// The header with a key by which a retry is recognised.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that says that an answer was given before.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The header with wishes (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header with the wishes that were granted.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// JSON's media type.
pub(crate) const JSON: &str = "application/json";
/// The media type of one JSON value a line.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// The media type of comma-separated values.
pub(crate) const CSV: &str = "text/csv";

/// The longest wait that a caller may prefer, in seconds.
const MAX_WAIT_S: u64 = 30;

/// A list of entity tags in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    /// The tags as they were written, quotation marks included.
    These(Vec<String>),
}

impl Tags {
    /// `If-Match`.
    pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::of(headers, &IF_MATCH, "If-Match")
    }

    /// `If-None-Match`.
    pub(crate) fn if_none_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::of(headers, &IF_NONE_MATCH, "If-None-Match")
    }

    fn of(headers: &HeaderMap, header: &HeaderName, name: &'static str) -> Result<Option<Self>, Problem> {
        let Some(value) = joined(headers, header) else {
            return Ok(None);
        };
        let tags = value.ok().and_then(|value| Self::parse(&value));
        tags.map(Some).ok_or_else(|| Problem::InvalidHeader {
            wanted: words(
                format!("{name} holds entity tags in quotation marks, such as \"1\", or *."),
                format!("{name} gồm các thẻ đặt trong dấu ngoặc kép, ví dụ \"1\", hoặc *."),
            ),
        })
    }

    fn parse(value: &str) -> Option<Self> {
        if value.trim() == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value.trim();
        while !rest.is_empty() {
            let (weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => ("W/", quoted),
                None => ("", rest),
            };
            let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
            if !tag.bytes().all(|b| b > b' ' && b != 0x7f) {
                return None;
            }
            tags.push(format!("{weak}\"{tag}\""));
            rest = match after.trim_start() {
                "" => "",
                more => more.strip_prefix(',')?.trim_start(),
            };
        }
        (!tags.is_empty()).then_some(Self::These(tags))
    }

    /// Whether one of them is `tag`, weak or not (RFC 9110, section 8.8.3.2).
    pub(crate) fn match_weakly(&self, tag: &str) -> bool {
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|other| opaque(other) == opaque(tag)),
        }
    }

    /// The revisions that strong tags among them name.
    pub(crate) fn revisions(&self) -> Vec<i32> {
        let number = |tag: &String| tag.trim_matches('"').parse().ok().filter(|number| *number > 0);
        match self {
            Self::Any => Vec::new(),
            Self::These(tags) => tags.iter().filter_map(number).collect(),
        }
    }
}

/// The idempotency key, bare or in the quotation marks of a structured field (RFC 8941).
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .map(str::trim)
        .and_then(|value| match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted.strip_suffix('"')?),
            None => Some(value.to_owned()),
        });
    let fits =
        |key: &String| (1..=255).contains(&key.len()) && key.bytes().all(|b| (b'!'..=b'~').contains(&b));
    match key.filter(fits) {
        Some(key) if values.next().is_none() => Ok(Some(key)),
        _ => Err(Problem::InvalidHeader {
            wanted: words(
                "Idempotency-Key is given once and has 1 to 255 visible ASCII characters, without spaces.",
                "Idempotency-Key được ghi một lần, gồm 1 đến 255 ký tự ASCII nhìn thấy được, không có dấu cách.",
            ),
        }),
    }
}

/// The inside of a quoted string: a backslash stands only before a quotation mark or another backslash.
fn unquoted(inside: &str) -> Option<String> {
    let mut text = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// For how many seconds the caller prefers to wait. A preference that makes no sense is passed over (RFC 7240), and
/// a longer one than can be granted is granted in part.
pub(crate) fn preferred_wait_s(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(PREFER).filter_map(|value| value.to_str().ok());
    let wait = |preference: &str| {
        let (name, seconds) = preference.split(';').next()?.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| seconds.trim().trim_matches('"').parse::<u64>().ok())?
    };
    let mut waits = values.flat_map(|value| value.split(',')).filter_map(wait);
    waits.next().map(|seconds| seconds.min(MAX_WAIT_S))
}

/// The media type among `offered` that the caller likes best; the first where it is all the same.
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

/// The weight that the most specific range gives to a media type; 0 when none takes it.
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

/// That the body is of the wanted media type, in UTF-8.
pub(crate) fn check_content_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let is_wanted = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case(wanted));
    let is_utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    if is_wanted && parts.all(is_utf8) {
        Ok(())
    } else {
        Err(Problem::UnsupportedMediaType { wanted })
    }
}

/// All values of a header as one; an error when one is no text.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Result<String, ToStrError>> {
    let mut values = headers.get_all(name).peekable();
    values.peek()?;
    let texts: Result<Vec<&str>, _> = values.map(|value| value.to_str()).collect();
    Some(texts.map(|texts| texts.join(",")))
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
