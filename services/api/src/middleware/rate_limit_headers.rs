//! The header fields that state a caller's quota.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use tonghop_access::Quota;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds the header fields of draft-ietf-httpapi-ratelimit-headers-10: the policy, and the remaining quota.
pub(crate) fn add_rate_limit(headers: &mut HeaderMap, quota: Quota) {
    let Quota {
        remaining,
        rate,
        burst,
    } = quota;
    // The seconds after which the quota is full again.
    let full_after_s = (burst.get() - remaining.min(burst.get())).div_ceil(rate.get());
    let window_s = burst.get().div_ceil(rate.get());
    for (name, value) in [
        (RATE_LIMIT_POLICY, format!(r#""key";q={burst};w={window_s}"#)),
        (RATE_LIMIT, format!(r#""key";r={remaining};t={full_after_s}"#)),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn the_headers_are_those_of_the_draft() {
        let mut headers = HeaderMap::new();
        let quota = Quota {
            remaining: 150,
            rate: NonZeroU32::new(100).unwrap(),
            burst: NonZeroU32::new(200).unwrap(),
        };
        add_rate_limit(&mut headers, quota);
        assert_eq!(headers.get("ratelimit-policy").unwrap(), r#""key";q=200;w=2"#);
        assert_eq!(headers.get("ratelimit").unwrap(), r#""key";r=150;t=1"#);
    }
}
