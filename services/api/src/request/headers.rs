//! Header fields with several values.

use actix_web::http::header::{HeaderMap, HeaderName, ToStrError};

/// All values of a header as one; fails if one is not text.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Result<String, ToStrError>> {
    let mut values = headers.get_all(name).peekable();
    values.peek()?;
    let texts: Result<Vec<&str>, _> = values.map(|value| value.to_str()).collect();
    Some(texts.map(|texts| texts.join(",")))
}
