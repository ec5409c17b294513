//! The header Idempotency-Key.

use actix_web::http::header::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::openapi::text_types::IdempotencyKeyText;
use crate::problem::Problem;
use crate::problem::text::localized;

/// The documentation of the header of a batch.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct BatchIdempotencyKeyHeader {
    /// A text of 1 to 255 visible ASCII characters of your choice; line n has this key with `/n` after it
    #[param(rename = "Idempotency-Key", value_type = Option<IdempotencyKeyText>, inline)]
    value: (),
}

/// The documentation of the header.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct IdempotencyKeyHeader {
    /// A text of 1 to 255 visible ASCII characters of your choice. A retry of the same request with the same key gets the same response; keys are kept for 30 days
    #[param(rename = "Idempotency-Key", value_type = Option<IdempotencyKeyText>, inline)]
    value: (),
}

/// The header with a key by which a retry is recognized.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that marks a response as a repetition.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The digest of a request, by which a retry with the same key is told from another request: SHA-256, in hexadecimal, of
/// the target and the conditions, each after its length, and the body.
pub(crate) fn request_digest(target: &str, conditions: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [target, conditions] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(body);
    base16ct::lower::encode_string(&hash.finalize())
}

/// The idempotency key, bare or in the quotation marks of a structured field (RFC 8941).
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Documents have numbers such as 1001/SLĐTBXH-BTPCTNXH.
    let key = std::str::from_utf8(value.as_bytes())
        .ok()
        .map(str::trim)
        .and_then(|value| match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted.strip_suffix('"')?),
            None => Some(value.to_owned()),
        });
    let is_visible = |c: char| !c.is_whitespace() && !c.is_control();
    let fits = |key: &String| (1..=255).contains(&key.chars().count()) && key.chars().all(is_visible);
    match key.filter(fits) {
        Some(key) if values.next().is_none() => Ok(Some(key)),
        _ => Err(Problem::InvalidHeader {
            expected: localized(
                "Send Idempotency-Key once, with 1 to 255 visible characters in UTF-8 and no spaces.",
                "Hãy ghi Idempotency-Key một lần, gồm 1 đến 255 ký tự UTF-8 nhìn thấy được, không có dấu cách.",
            ),
        }),
    }
}

/// Unescapes the inside of a quoted string: a backslash is valid only before a quotation mark or another backslash.
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
