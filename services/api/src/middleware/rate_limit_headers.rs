//! The header fields that tell what is left of a quota.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::access::rate_limit::Left;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl Left {
    /// The header fields of draft-ietf-httpapi-ratelimit-headers-10: the policy, and what is left of it.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let Self {
            requests,
            rate,
            burst,
        } = self;
        // The seconds after which the whole quota is there again.
        let full_after_s = (burst.get() - requests.min(burst.get())).div_ceil(rate.get());
        let window_s = burst.get().div_ceil(rate.get());
        for (name, value) in [
            (RATE_LIMIT_POLICY, format!(r#""key";q={burst};w={window_s}"#)),
            (RATE_LIMIT, format!(r#""key";r={requests};t={full_after_s}"#)),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn the_headers_are_those_of_the_draft() {
        let rate = NonZeroU32::new(100).unwrap();
        let burst = NonZeroU32::new(200).unwrap();
        let mut headers = HeaderMap::new();
        let left = Left {
            requests: 150,
            rate,
            burst,
        };
        left.tell(&mut headers);
        assert_eq!(headers.get("ratelimit-policy").unwrap(), r#""key";q=200;w=2"#);
        assert_eq!(headers.get("ratelimit").unwrap(), r#""key";r=150;t=1"#);
    }
}
