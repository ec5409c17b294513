//! Compresses responses for clients that accept gzip (RFC 9110, section 12.5.3).

use actix_http::encoding::Encoder;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ContentEncoding, ETAG, HeaderMap, HeaderValue, VARY,
};

use crate::request::headers::joined;
use crate::request::quality::weighted;

/// The fewest bytes that are worth the effort.
const MIN_BYTES: u64 = 1_024;

/// The media types of texts that are sent at once. Streams are left as they are: each part should arrive when it is sent.
const COMPRESSIBLE: [&str; 4] = [
    "application/json",
    "application/problem+json",
    "text/csv",
    "text/html",
];

/// Compresses the body of a response if that is worthwhile, and the client accepts it. A response with a strong entity tag
/// is left as it is, since the tag would name two sequences of bytes.
pub(crate) fn compress(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if !is_compressible(&response) {
        return response;
    }
    let wants = accepts_gzip(response.request().headers());
    response.map_body(|head, body| {
        if !wants {
            let headers = head.headers_mut();
            if headers.get_all(VARY).all(|value| value != "Accept-Encoding") {
                headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
            }
            return body;
        }
        // It adds `Content-Encoding` and `Vary`.
        Encoder::response(ContentEncoding::Gzip, head, body).boxed()
    })
}

fn is_compressible(response: &ServiceResponse<BoxBody>) -> bool {
    let headers = response.headers();
    let is_text = headers.get(CONTENT_TYPE).is_some_and(|value| {
        let name = value.to_str().unwrap_or_default().split(';').next();
        name.is_some_and(|name| COMPRESSIBLE.contains(&name.trim()))
    });
    let is_large = matches!(response.response().body().size(), BodySize::Sized(bytes) if bytes >= MIN_BYTES);
    let has_strong_tag = headers
        .get(ETAG)
        .is_some_and(|tag| !tag.as_bytes().starts_with(b"W/"));
    is_text && is_large && !has_strong_tag && !headers.contains_key(CONTENT_ENCODING)
}

/// Whether a client prefers gzip to nothing, as by a header such as `gzip, deflate;q=0.5`.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let Some(Ok(codings)) = joined(headers, &ACCEPT_ENCODING) else {
        return false;
    };
    let codings = codings.to_ascii_lowercase();
    let weight = |wanted: &[&str]| {
        let mut listed = codings.split(',').map(weighted);
        listed
            .find(|(name, _)| wanted.contains(name))
            .map(|(_, weight)| weight)
    };
    let gzip = weight(&["gzip", "x-gzip"])
        .or_else(|| weight(&["*"]))
        .unwrap_or(0);
    gzip > 0 && gzip >= weight(&["identity"]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_those_who_accept_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("br, gzip;q=0.5", true),
            ("deflate, *;q=0.1", true),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.4, identity", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), accepted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
